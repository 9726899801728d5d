"""The exception that is leaving a frame, for a finalizer that runs at that moment. CPython only; may miss it.

A finalizer cannot ask CPython for the exception in flight: sys.exc_info() knows only exceptions that are being
handled. But the exception is new, so it stands among the youngest objects of the garbage collector. Its traceback
names the frame and the instruction at which the frame is left.

Before Python 3.12, C code raises without making the exception object first: an `Exception` then stands for it.
"""

from __future__ import annotations

import gc
import opcode
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_MAX_YOUNG = 20_000
"""Young objects: more are not searched. A program that has switched its collector off has so many."""
_MAX_DISTANCE = 8
"""An exception stands at most so many objects before its innermost traceback; its arguments lie between."""

_LOOP_END = frozenset(
    opcode.opmap[name]
    for name in ("POP_TOP", "FOR_ITER", "END_FOR", "POP_ITER", "RETURN_VALUE")
    if name in opcode.opmap
)
"""The instructions that drop an iterator at the end of a loop, for `break` and for `return`."""
_SUSPENDED = opcode.opmap["YIELD_VALUE"]
_RERAISES = frozenset(
    opcode.opmap[name] for name in ("RERAISE", "RAISE_VARARGS", "CLEANUP_THROW") if name in opcode.opmap
)


def leaving(frame: FrameType) -> BaseException | None:
    """The exception that ends `frame`, or the block of it that is being left. None if there is none."""
    at = frame.f_lasti
    operation = frame.f_code.co_code[at] if at >= 0 else 0
    if operation == _SUSPENDED and frame.f_back is not None:
        return leaving(frame.f_back)  # the frame that drops a generator closes it, perhaps by an exception
    if at < 0 or operation in _LOOP_END or gc.get_count()[0] > _MAX_YOUNG:
        return None
    for generation in (0, 1):
        young = gc.get_objects(generation)
        for thing in reversed(young):
            # An exception that is raised again keeps the instruction where it came from.
            if (
                type(thing) is TracebackType
                and thing.tb_frame is frame
                and (thing.tb_lasti == at or operation in _RERAISES)
            ):
                return _of(thing, young)
    return None


def _of(trace: TracebackType, young: list[object]) -> BaseException:
    innermost = trace
    entries = {id(trace)}
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
        entries.add(id(innermost))
    place = 0
    for index, thing in enumerate(young):
        if thing is innermost:
            place = index
        # An exception that was caught on its way (by `finally`, by a task) has kept the rest of its traceback.
        if isinstance(thing, BaseException) and id(thing.__traceback__) in entries:
            return thing
    for thing in reversed(young[max(0, place - _MAX_DISTANCE) : place]):
        if isinstance(thing, BaseException) and thing.__traceback__ is None:
            return thing
    return Exception("(raised in the loop's body; this Python does not say which)").with_traceback(trace)

"""The exception that is leaving a frame, as seen by a finalizer that runs while the frame is unwound. CPython only; may miss it.

While CPython drops what a frame held, the exception in flight is kept from every finalizer: sys.exc_info() tells only those
that are being handled. But it was made a moment ago, so it stands among the collector's youngest objects, and its traceback
names the frame and the very instruction that the frame is being left at.

Before Python 3.12 an exception that C code raised is no object yet at that moment: then an `Exception` stands in for it.
"""

from __future__ import annotations

import gc
import opcode
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_MANY = 20_000
"""Young objects: more are not searched (a program that has switched its collector off)."""
_NEAR = 8
"""How many objects an exception may stand before its innermost traceback: its arguments lie between."""

_CALM = frozenset(
    opcode.opmap[name]
    for name in ("POP_TOP", "FOR_ITER", "END_FOR", "POP_ITER", "RETURN_VALUE")
    if name in opcode.opmap
)
"""Where a frame stands that drops an iterator at the end of a loop, for `break` and for `return`."""
_SUSPENDED = opcode.opmap["YIELD_VALUE"]
_AGAIN = frozenset(opcode.opmap[name] for name in ("RERAISE", "RAISE_VARARGS", "CLEANUP_THROW") if name in opcode.opmap)


def leaving(frame: FrameType) -> BaseException | None:
    """The exception that ends `frame` (or the block of it that is just being left), None where it goes on in peace."""
    at = frame.f_lasti
    operation = frame.f_code.co_code[at] if at >= 0 else 0
    if operation == _SUSPENDED and frame.f_back is not None:
        return leaving(frame.f_back)  # a generator that is closed: by whoever drops it, and perhaps because of this
    if at < 0 or operation in _CALM or gc.get_count()[0] > _MANY:
        return None
    for generation in (0, 1):
        young = gc.get_objects(generation)
        for thing in reversed(young):
            # One raised again keeps the place where it came from.
            if (
                type(thing) is TracebackType
                and thing.tb_frame is frame
                and (thing.tb_lasti == at or operation in _AGAIN)
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
        # One that was caught on its way (by `finally`, by a task) has kept the rest of its traceback.
        if isinstance(thing, BaseException) and id(thing.__traceback__) in entries:
            return thing
    for thing in reversed(young[max(0, place - _NEAR) : place]):
        if isinstance(thing, BaseException) and thing.__traceback__ is None:
            return thing
    return Exception("(raised in the loop's body; this Python does not tell what)").with_traceback(trace)

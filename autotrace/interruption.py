"""Tells an exception that interrupted our code from one that arose in it: timeouts raised by signal handlers or another
thread.

The traceback decides. Limit: an exception set by PyThreadState_SetAsyncExc while our code calls a C function looks like
an error of that function; it is told apart by having no arguments, as CPython makes it from its class.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

_CANNOT_RAISE = ("RESUME", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "NOP", "POP_TOP")
"""Instructions at which the interpreter lets others in, and which raise nothing of their own."""
_RAISING = ("RAISE_VARARGS", "RERAISE")
_WITHOUT_ARGUMENTS = (StopIteration, StopAsyncIteration, GeneratorExit)
"""C functions raise these without arguments to say that there is no more."""


def interrupted(error: BaseException) -> bool:
    """Did `error` interrupt our code, so that it belongs to the program? Call it where `error` was caught by code of
    ours.
    """
    caller: TracebackType | None = None
    innermost = error.__traceback__
    while innermost is not None:
        frame = innermost.tb_frame
        if caller is not None and not _is_ours(frame) and _called_by_interpreter(frame, caller.tb_frame):
            return True
        if innermost.tb_next is None:
            return _struck(error, innermost)
        caller, innermost = innermost, innermost.tb_next
    return False


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and (name == "autotrace" or name.startswith("autotrace."))


def _called_by_interpreter(frame: FrameType, interrupted_frame: FrameType) -> bool:
    """Is this the frame of a signal handler, a trace function or a monitoring callback?

    The interpreter gives the frame that it interrupts to the first two, and its code to the last. No code of ours does.
    """
    if frame.f_code in _signal_handlers():
        return True
    code = interrupted_frame.f_code
    return any(value is interrupted_frame or value is code for value in frame.f_locals.values())


def _signal_handlers() -> list[CodeType]:
    signal = sys.modules.get("signal")  # without it no handler in Python has been installed
    if signal is None:
        return []
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    functions = [getattr(handler, "__func__", handler) for handler in handlers]
    return [function.__code__ for function in functions if hasattr(function, "__code__")]


def _struck(error: BaseException, innermost: TracebackType) -> bool:
    """Was `error` set from outside while this frame ran (PyThreadState_SetAsyncExc)?"""
    from opcode import opname  # no cost at start-up: OpenTelemetry's API has imported it when tracing begins

    operation = opname[innermost.tb_frame.f_code.co_code[innermost.tb_lasti]]
    if operation in _RAISING:
        return False
    if operation in _CANNOT_RAISE:
        return True
    return not error.args and not isinstance(error, _WITHOUT_ARGUMENTS)

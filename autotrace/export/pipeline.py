"""begin(): finished spans on their way to the exporter; and what that takes in a process that forks, and in one that ends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from autotrace.containment import contained
from autotrace.export.span_queue import Outbox
from autotrace.tracing import forks, tracer
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from autotrace.settings import Settings

_outbox: Outbox | None = None


def begin(settings: Settings) -> None:
    """Put an outbox behind Span.sink and the provider's force_flush. The exporter is imported when it first has something to send."""
    first = _outbox is None
    _use(Outbox(settings))
    tracer.provider.flush = flush
    if first:
        forks.before(_before_fork, _in_parent, _with_the_next_span)
        forks.in_child(_in_child)
    _leave_with_multiprocessing(begun=True)


def flush(seconds: float) -> bool:
    """Send what has been finished up to now, through the program's own span processors too. False: not all, or not in time."""
    if _outbox is None:
        return True
    well = _outbox.flush(seconds)
    for processor in list(tracer.provider.processors):
        try:
            well = processor.force_flush(int(seconds * 1000)) is not False and well
        except Exception:
            contained(f"the span processor {type(processor).__name__}")
    return well


def leave() -> None:
    """The last flush of this process; activation has it called behind all exit handlers of the program's. Never raises, not even for an impatient Ctrl-C."""
    try:
        if _outbox is not None:
            _outbox.leave()
        for processor in list(tracer.provider.processors):
            processor.shutdown()
    except BaseException:
        pass
    _still_interrupted()


def _still_interrupted() -> None:
    """The exit status of a program that Ctrl-C ends is "killed by SIGINT", unless source code is run after that: importing an
    exporter does (namedtuple), and the status would be 1. Source code that ends so itself restores what CPython remembers."""
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            pass


def _use(outbox: Outbox) -> None:
    global _outbox
    _outbox = outbox
    Span.sink = staticmethod(outbox.sink)


def _before_fork() -> None:
    # Not only for the sake of the child: Python 3.12 and later warn of a fork while threads run, and perhaps ours is the only one.
    try:
        if _outbox is not None:
            _outbox.pause()
    except Exception:
        contained("before a fork")


def _in_parent() -> None:
    try:
        if _outbox is None:
            return
        # They count the threads after this hook, and show the warning by default where __main__ itself forks.
        if sys.version_info >= (3, 12) and sys._getframe(1).f_globals.get("__name__") == "__main__":
            _with_the_next_span()
        else:
            _outbox.resume()
    except Exception:
        contained("after a fork")


def _with_the_next_span() -> None:
    Span.sink = staticmethod(_resuming)


def _resuming(span: Span) -> None:
    """The sink until the first span after a pause."""
    if _outbox is not None:
        _use(_outbox)
        _outbox.sink(span)
        _outbox.resume()


def _in_child() -> None:
    """A queue, a thread and locks of its own. What the parent had waiting is the parent's."""
    try:
        if _outbox is not None:
            _use(_outbox.of_child())
            _leave_with_multiprocessing()
    except Exception:
        contained("after a fork, in the child")


def _leave_with_multiprocessing(*, begun: bool = False) -> None:
    """Children of multiprocessing end by os._exit(), without atexit, but run its finalizers first.

    Those registered before the child's _bootstrap() are cleared by it; so this one is registered by it, through the hook that
    it calls next. Where tracing begins only in the child the hook may have been called already, and both ways are taken.
    """
    util, process = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.process")
    if util is None or process is None:
        return
    try:
        util.register_after_fork(_outbox, _finalize)
        if begun and process.parent_process() is not None:
            _finalize(_outbox)
    except Exception:
        contained("multiprocessing")


def _finalize(_: object) -> None:
    # Behind all of the program's: the last of multiprocessing's own has priority -5 or none.
    sys.modules["multiprocessing.util"].Finalize(None, leave, exitpriority=-1000)

"""start(): finished spans on their way to the exporter, also in a process that forks and in one that exits."""

from __future__ import annotations

import _thread
import sys
from typing import TYPE_CHECKING

from autotrace.containment import contained
from autotrace.export import process_end
from autotrace.export.span_queue import SpanQueue
from autotrace.tracing import forks, tracer
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from autotrace.settings import Settings

_queue: SpanQueue | None = None
_forks_in_thread = False
"""The fork that is under way was called in another thread than the main one."""


def start(settings: Settings) -> None:
    """Put a queue behind Span.sink and the provider's force_flush. The exporter is imported with the first batch."""
    first = _queue is None
    _use(SpanQueue(settings))
    tracer.provider.flush = flush
    if first:
        forks.before(_before_fork, _in_parent, _resume_with_next_span)
        forks.in_child(_in_child)
        process_end.watch(lambda: _queue)
    _shut_down_with_multiprocessing(starting=True)


def flush(seconds: float) -> bool:
    """Send the spans that have ended, through the program's own span processors too. False: not all, or not in time."""
    if _queue is None:
        return True
    sent = _queue.flush(seconds)
    if tracer.provider.processors:
        from autotrace.export import span_processors

        sent = span_processors.force_flush(seconds) and sent
    return sent


def shutdown() -> None:
    """The last flush of this process. Activation registers it so that it runs after all exit handlers of the program.

    It never raises, not even for an impatient Ctrl-C.
    """
    try:
        if _queue is not None:
            _queue.shutdown()
        if tracer.provider.processors:
            from autotrace.export import span_processors

            span_processors.shutdown()
    except BaseException:
        pass
    _restore_interrupt()


def _restore_interrupt() -> None:
    """If Ctrl-C ended the program, its exit status stays "killed by SIGINT".

    CPython forgets the KeyboardInterrupt when it runs source code later, and the status becomes 1. Importing an
    exporter does that (namedtuple). CPython remembers again after source code that ends with a KeyboardInterrupt.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            pass


def _use(queue: SpanQueue) -> None:
    global _queue
    _queue = queue
    Span.sink = staticmethod(queue.sink)


def _before_fork() -> None:
    global _forks_in_thread
    # Not only for the child: Python 3.12 and later warn of a fork while threads run, and this may be the only one.
    try:
        threading = forks.imported("threading")
        _forks_in_thread = threading is not None and threading.main_thread().ident != _thread.get_ident()
        if _queue is not None:
            _queue.pause()
    except Exception:
        contained("before a fork")


def _in_parent() -> None:
    try:
        if _queue is None:
            return
        # CPython counts the threads after this hook, and shows the warning by default if __main__ itself forks.
        if sys.version_info >= (3, 12) and sys._getframe(1).f_globals.get("__name__") == "__main__":
            _resume_with_next_span()
        else:
            _queue.resume()
    except Exception:
        contained("after a fork")


def _resume_with_next_span() -> None:
    Span.sink = staticmethod(_resuming_sink)


def _resuming_sink(span: Span) -> None:
    """The sink between a pause and the next span."""
    if _queue is not None:
        _use(_queue)
        _queue.sink(span)
        _queue.resume()


def _in_child() -> None:
    """The child has its own queue, thread and locks. The parent sends the spans that were waiting."""
    try:
        if _queue is not None:
            _use(_queue.of_child(rootless=_forks_in_thread))
            _shut_down_with_multiprocessing()
    except Exception:
        contained("after a fork, in the child")


def _shut_down_with_multiprocessing(*, starting: bool = False) -> None:
    """Children of multiprocessing end by os._exit(), without atexit; but they run multiprocessing's finalizers first.

    The child's _bootstrap() clears the finalizers that were registered before it. Then it calls the hooks of
    register_after_fork(), and such a hook registers shutdown(). If tracing starts only in the child, that call may be
    over, so that shutdown() is registered directly too.
    """
    util, process = forks.imported("multiprocessing.util"), forks.imported("multiprocessing.process")
    if util is None or process is None:
        return
    try:
        util.register_after_fork(_queue, _register_finalizer)
        if starting and process.parent_process() is not None:
            _register_finalizer(_queue)
    except Exception:
        contained("multiprocessing")


def _register_finalizer(_: object) -> None:
    # It runs after all finalizers of the program, because multiprocessing's own have a priority of -5 at the lowest.
    sys.modules["multiprocessing.util"].Finalize(None, shutdown, exitpriority=-1000)

"""The consumer spans that `next()` opened in a thread end with it. Identifiers of threads are used again, so none
counts.
"""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from autotrace.messaging.consumer_span import ConsumerSpan

    Spans = WeakSet[ConsumerSpan]
else:
    Spans = WeakSet


class ThreadSpans(Spans):
    """Of one thread. `thread` stands for it: a consumer span that another thread has opened since belongs
    to that one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thread = object()

    def close(self) -> None:
        for span in list(self):
            if span.thread is self.thread:
                span.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:
            pass  # the interpreter is on its way out


class _Thread(threading.local):
    """Dropped when its thread ends. Its consumer spans are closed then."""

    def __init__(self) -> None:
        self.spans = ThreadSpans()


this_thread: Any = _Thread()


@atexit.register
def _exiting() -> None:
    this_thread.spans.close()

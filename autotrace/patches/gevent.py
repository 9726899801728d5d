"""gevent's monkey-patching: autotrace's thread is paused meanwhile, because it would break in the middle of an import.

Threads would get other ids, and locks other types. Nothing is replaced: gevent calls its subscribers before and after.
Limit: a function of its patching that the program calls alone has the events of its own module only.
"""

from __future__ import annotations

from typing import Any

from autotrace.patching import Plan, require
from autotrace.tracing import forks


def patching(module: Any, plan: Plan) -> None:
    # subscribers: gevent calls each of these with every event. No span: patching is no operation of the program.
    will, did = require(module, "GeventWillPatchEvent"), require(module, "GeventDidPatchEvent")
    subscribers = require(module, "subscribers")
    if not any(isinstance(one, Listener) for one in subscribers):
        listener = Listener(will, did)
        plan.step(
            lambda: subscribers.append(listener), lambda: _drop(subscribers, listener), "gevent.events.subscribers"
        )


class Listener:
    """Called with every event of gevent. Those before and after patching come once for each module and once for all."""

    def __init__(self, will: type, did: type) -> None:
        self._will = will
        self._did = did

    def __call__(self, event: object) -> None:
        if isinstance(event, self._will):
            forks.prepare()
        elif isinstance(event, self._did):
            forks.unprepare()


def _drop(subscribers: list[Any], listener: Listener) -> None:
    if listener in subscribers:  # the program may have cleared its list
        subscribers.remove(listener)

"""gevent's monkey-patching: our thread is paused meanwhile. It would find the ids of threads and the kinds of locks changed amid an import.

Nothing is replaced: gevent tells whoever listens. Limit: a function of its patching that is called alone tells the same of its module.
"""

from __future__ import annotations

from typing import Any

from autotrace.patching import Plan, require
from autotrace.tracing import forks


def patching(module: Any, plan: Plan) -> None:
    will, did = require(module, "GeventWillPatchEvent"), require(module, "GeventDidPatchEvent")
    subscribers = require(module, "subscribers")
    if not any(isinstance(one, Listener) for one in subscribers):
        subscribers.append(Listener(will, did))


class Listener:
    """Called with every event of gevent's. Those that it tells before it patches, and after; each for a module, and for all."""

    def __init__(self, will: type, did: type) -> None:
        self._will = will
        self._did = did

    def __call__(self, event: object) -> None:
        if isinstance(event, self._will):
            forks.prepare()
        elif isinstance(event, self._did):
            forks.unprepare()

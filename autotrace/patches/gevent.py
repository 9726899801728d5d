"""gevent: greenlets and jobs of its thread pool work in the context they were spawned in. autotrace's thread is paused
while gevent patches.

Threads would get other ids, and locks other types, in the middle of an import. Nothing is replaced for it: gevent calls
its subscribers before and after. Limits: a function of its patching that the program calls alone has the events of its
own module only. What `spawn_raw` starts has no context, because gevent tells nobody of it.
"""

from __future__ import annotations

from typing import Any

from autotrace.patching import Plan, require
from autotrace.tracing import forks, greenlets
from autotrace.tracing.run_in_context import submitting

_FOLDER = "/site-packages/gevent/"


def patching(module: Any, plan: Plan) -> None:
    # subscribers: gevent calls each of these with every event. No span: patching is no operation of the program.
    will, did = require(module, "GeventWillPatchEvent"), require(module, "GeventDidPatchEvent")
    subscribers = require(module, "subscribers")
    if not any(isinstance(one, Listener) for one in subscribers):
        listener = Listener(will, did)
        plan.step(
            lambda: subscribers.append(listener), lambda: _drop(subscribers, listener), "gevent.events.subscribers"
        )


def greenlet(module: Any, plan: Plan) -> None:
    # add_spawn_callback(): start() and start_later() call it in the spawner; spawn(), pools and groups end there. No
    # span.
    kind = require(module, "Greenlet")
    add, remove = require(kind, "add_spawn_callback"), require(kind, "remove_spawn_callback")
    require(kind, "gr_context")
    plan.step(lambda: add(_spawned), lambda: remove(_spawned), "gevent's spawn callbacks")


def pool(module: Any, plan: Plan) -> None:
    # spawn(): apply(), map() and gevent's ThreadPoolExecutor call it too. No span.
    plan.method(
        module.ThreadPool, "spawn", lambda original: submitting(original, "gevent.threadpool"), parameters=("func",)
    )


def _spawned(spawned: Any) -> None:
    # A thread of gevent's patching is a greenlet too. threading's patch decides for it, when it begins.
    if getattr(getattr(spawned, "_run", None), "__name__", "") != "_bootstrap":
        greenlets.carry(spawned, _FOLDER)


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

"""uWSGI: a server span per request of a plain WSGI callable. It is called from C, so it is replaced where uWSGI will read it.

That is in the module that uWSGI imports, or the file that it runs, by the names of the configuration. uWSGI tells options that
are given several times (mount) but for the last, so other callables are found by the name `application` alone. Not traced: a class
as the callable, applications that Paste, Pecan or a request loads, `ugreen`.
"""

from __future__ import annotations

import sys
from functools import update_wrapper
from os import getpid
from typing import TYPE_CHECKING, Any

from autotrace import activation
from autotrace.containment import contained, say
from autotrace.http_server import wsgi
from autotrace.http_server.request import EMPTY, in_work
from autotrace.patching import MARK, Plan, Unpatchable, require
from autotrace.tracing import forks, tracer
from autotrace.tracing.current import leave, put

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = "uwsgi"
RUN_BY_NAME = ("uwsgi_file_", "uwsgi_eval_config")
"""How uWSGI names what it runs without an import: `wsgi-file` and `mount` of a file, `eval`."""
IMPORTING = ("importlib._bootstrap", "_frozen_importlib", "autotrace.import_hook", "autotrace.embedding", __name__)
FEW = 20
"""Profiler events from _fix_up_module() to the first line of the file: a handful. More, and it is not run at all."""
SECONDS = 0.5
"""The most that loading waits for the spans that it has made to be sent. Mostly it has made none, and waits for nothing."""


def server(module: Any, plan: Plan) -> None:
    options, _ = require(module, "opt"), require(module, "start_response")
    require(module, "worker_id")
    watcher = activation.watcher
    if not isinstance(options, dict) or watcher is None:
        raise Unpatchable("uwsgi.opt is not a dictionary")
    _chain(module)
    if "ugreen" in options:
        raise Unpatchable("ugreen switches between requests behind Python's back")
    if not getattr(module, "has_threads", 1):
        say(
            "uWSGI runs without threads, so spans are sent late or never: add `enable-threads = true` to its configuration"
        )
    # _fix_up_module(): called by PyImport_ExecCodeModule() just before a file is run. No span; when the file has run, see below.
    plan.method(sys.modules["_frozen_importlib_external"], "_fix_up_module", _fix_up_module)
    # The watcher is asked for every module before it is imported, those that uWSGI itself imports among them.
    plan.value(watcher, "asked", _asked)


def application(module: Any, plan: Plan) -> None:
    """A module has run that uWSGI has asked for. It may hold an application, or what makes one (`create()`)."""
    uwsgi = sys.modules["uwsgi"]
    for name in sorted(_names(vars(uwsgi)["opt"])):
        called = name.removesuffix("()")
        found = vars(module).get(called)
        if callable(found):
            plan.value(module, called, _traced(found) if called == name else _maker(found))
    several = vars(module).get("applications")
    if isinstance(several, dict):
        mounts = {mount: _traced(found) if callable(found) else found for mount, found in several.items()}
        plan.value(module, "applications", mounts)
    _chain(uwsgi)
    if not uwsgi.worker_id():
        # This is the master, which forks when all is loaded, and never runs Python again, not even at its exit.
        tracer.provider.flush(SECONDS)
        forks.prepare()


def _names(options: dict[str, Any]) -> set[str]:
    """Of callables, as the configuration has them: `callable = a`, `module = m:b`, `mount = /c=m:d`; `e()` makes one."""
    names = {"application", _text(options.get("callable", ""))}
    for option in ("module", "wsgi", "mount"):
        names.add(_text(options.get(option, "")).partition(":")[2])
    return names - {""}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _asked(name: str) -> None:
    """Somebody imports `name`: uWSGI itself, if nothing but importlib is on the stack."""
    try:
        uwsgi, watcher = sys.modules["uwsgi"], activation.watcher
        _chain(uwsgi)
        frame: Any = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith(IMPORTING):
            frame = frame.f_back
        known = name.partition(".")[0] in sys.stdlib_module_names
        if frame is None and watcher is not None and not known and name not in watcher.watched:
            watcher.watched[name] = ("uwsgi", "application")
    except Exception:
        contained(PLACE)


def _fix_up_module(original: Callable[..., Any]) -> Callable[..., Any]:
    def fix_up_module(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            namespace, name = args[:2]
            if name.startswith(RUN_BY_NAME) and sys.getprofile() is None:
                sys.setprofile(_Start(namespace, name))
        except Exception:
            contained(PLACE)
        return result

    return fix_up_module


class _Start:
    """The profile function until the file's own frame begins."""

    def __init__(self, namespace: dict[str, Any], name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.events = 0

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        self.events += 1
        if frame.f_globals is self.namespace:
            sys.setprofile(None)
            frame.f_trace = _End(self.name)
        elif self.events > FEW:
            sys.setprofile(None)


class _End:
    """Held by the frame of a file and by nobody else, so it is gone when the file has run, before uWSGI looks for the application."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        return self  # a debugger that begins within the file calls what is there

    def __del__(self) -> None:
        try:
            module, watcher = sys.modules.get(self.name), activation.watcher
            if module is not None and watcher is not None:
                watcher.watched[self.name] = ("uwsgi", "application")
                watcher.imported(self.name, module)
        except Exception:
            contained(PLACE)


def _traced(app: Any) -> Any:
    """What uWSGI shall call for `app`: itself, where its class can be patched or is a framework's that has a patch of its own."""
    call = getattr(type(app), "__call__", None)  # noqa: B004 - not whether there is one: which it is
    if isinstance(app, type) or hasattr(app, MARK) or hasattr(call, MARK):
        return app
    if not hasattr(call, "__code__"):
        # A function: called with the environ, it is the whole request until the body is sent. One server span.
        served = _serving(lambda _, *args, **kwargs: app(*args, **kwargs))
        return _shown_as(app, lambda *args, **kwargs: served(None, *args, **kwargs))
    plan = Plan()
    # __call__() of the program's own class: the same.
    plan.method(type(app), "__call__", _serving)
    plan.apply()
    return app


def _maker(make: Any) -> Any:
    def made(*args: Any, **kwargs: Any) -> Any:
        app = make(*args, **kwargs)
        try:
            return _traced(app) if callable(app) else app
        except Exception:
            contained(PLACE)
            return app

    return make if hasattr(make, MARK) else _shown_as(make, made)


def _shown_as(original: Any, replacement: Any) -> Any:
    update_wrapper(replacement, original)
    setattr(replacement, MARK, original)
    return replacement


def _serving(original: Callable[..., Any]) -> Callable[..., Any]:
    serve = wsgi.served(original, PLACE, PLACE)

    def call(*args: Any, **kwargs: Any) -> Any:
        # What an earlier request has left current in this thread is none of this one's.
        token = None if in_work() is not None else put(EMPTY)
        try:
            return serve(*args, **kwargs)
        finally:
            if token is not None:
                leave(token)

    return call


def _chain(module: Any) -> None:
    """Be in front of what uWSGI calls in a new worker. The program, or uwsgidecorators, may have put its own there meanwhile."""
    theirs = vars(module).get("post_fork_hook")
    if isinstance(theirs, _PostFork):
        return
    module.post_fork_hook = _PostFork(theirs)


class _PostFork:
    """uWSGI forks without a word to Python."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs
        self.master = getpid()

    def __call__(self, *args: Any) -> Any:
        try:
            if getpid() != self.master:
                forks.forked()
        except Exception:
            contained(PLACE)
        return self.theirs(*args) if self.theirs is not None else None

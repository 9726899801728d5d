"""uWSGI: a server span per request of a plain WSGI callable. C calls it, so it is replaced where uWSGI will read it.

uWSGI reads it by the configuration's names from the module that it imports, or from the file that it runs. Of an option
given several times (mount) uWSGI tells the last alone; other callables are found by the name `application`. Not traced:
a class as the callable, applications that Paste, Pecan or a request loads, `ugreen`.

activation imports this file where a program embeds Python, before it is known which program. So what costs is imported
where it is needed. One file, longer than others: nothing but uWSGI needs any of it.
"""

from __future__ import annotations

import sys
from functools import update_wrapper
from os import getpid
from typing import TYPE_CHECKING, Any

from autotrace import activation
from autotrace.containment import contained, say
from autotrace.patching import MARK, Plan, Unpatchable, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.import_hook import Watcher

PLACE = "uwsgi"
REFUSAL = (
    "uWSGI gives this mount an interpreter of its own, which is not traced: "
    "no thread may run there when it ends. Add `single-interpreter = true` to uWSGI's configuration"
)
RUN_BY_NAME = ("uwsgi_file_", "uwsgi_eval_config")
"""uWSGI's names for code that it runs without an import: `wsgi-file` and `mount` of a file, `eval`."""
IMPORTING = ("importlib._bootstrap", "_frozen_importlib", "autotrace.import_hook", __name__)
FEW = 20
"""Profiler events from _fix_up_module() to the file's first line: a handful. After FEW, the file is not run at all."""
SECONDS = 0.5
"""The longest wait for spans that the program made while it was loaded. Mostly there are none, and no wait."""


# Before the module `uwsgi` is there. C makes it, past all finders -----------------------------------------------------


def is_subinterpreter() -> bool:
    """Is this an interpreter beside uWSGI's main one?"""
    if PLACE not in sys.builtin_module_names:
        return False
    interpreters: Any = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    return bool(interpreters.get_current() != interpreters.get_main())


def look_out(watcher: Watcher) -> None:
    """Look for the module whenever a file is run or a module imported, until it is there; then tell `watcher`."""
    if PLACE not in watcher.watched:
        return
    external: Any = sys.modules["_frozen_importlib_external"]
    # _fix_up_module(): PyImport_ExecCodeModule() calls it before uWSGI runs a file: perhaps the first thing of all.
    original = external._fix_up_module

    def look(name: str = "") -> None:
        module = sys.modules.get(PLACE)
        if module is not None:
            watcher.asked = None
            external._fix_up_module = original
            watcher.imported(PLACE, module)
            if watcher.asked is not None:  # the patch listens from now on, to this import as well
                watcher.asked(name)

    def fix_up_module(*args: Any, **kwargs: Any) -> Any:
        external._fix_up_module = original
        look()
        return external._fix_up_module(*args, **kwargs)

    external._fix_up_module = fix_up_module
    watcher.asked = look


# The patch ------------------------------------------------------------------------------------------------------------


def server(module: Any, plan: Plan) -> None:
    options, _ = require(module, "opt"), require(module, "start_response")
    require(module, "worker_id")
    watcher = activation.watcher
    if not isinstance(options, dict) or watcher is None:
        raise Unpatchable("uwsgi.opt is not a dictionary")
    _lead_post_fork_hook(module)
    if "ugreen" in options:
        raise Unpatchable("ugreen switches between requests behind Python's back")
    if not getattr(module, "has_threads", 1):
        say(
            "uWSGI runs without threads, so spans are sent late or never: "
            "add `enable-threads = true` to its configuration"
        )
    # _fix_up_module(): PyImport_ExecCodeModule() calls it just before a file is run. No span; see _FileStart.
    plan.method(sys.modules["_frozen_importlib_external"], "_fix_up_module", _fix_up_module)
    # The watcher is asked for every module before the import, those that uWSGI itself imports among them.
    plan.value(watcher, "asked", _on_import)


def application(module: Any, plan: Plan) -> None:
    """A module that uWSGI asked for has run. It may hold an application, or a function that makes one (`create()`)."""
    from autotrace.tracing import forks, tracer

    uwsgi = sys.modules["uwsgi"]
    for name in sorted(_names(vars(uwsgi)["opt"])):
        attribute = name.removesuffix("()")
        found = vars(module).get(attribute)
        if callable(found):
            plan.value(module, attribute, _traced(found) if attribute == name else _traced_factory(found))
    several = vars(module).get("applications")
    if isinstance(several, dict):
        mounts = {mount: _traced(found) if callable(found) else found for mount, found in several.items()}
        plan.value(module, "applications", mounts)
    _lead_post_fork_hook(uwsgi)
    if not uwsgi.worker_id():
        # This is the master. It forks when all is loaded, and never runs Python again, not even at its exit.
        tracer.provider.flush(SECONDS)
        forks.prepare()


def _names(options: dict[str, Any]) -> set[str]:
    """Of callables, from the configuration: `callable = a`, `module = m:b`, `mount = /c=m:d`; `e()` makes one."""
    names = {"application", _text(options.get("callable", ""))}
    for option in ("module", "wsgi", "mount"):
        names.add(_text(options.get(option, "")).partition(":")[2])
    return names - {""}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _on_import(name: str) -> None:
    """Somebody imports `name`. If nothing but importlib is on the stack, uWSGI does: watch for its application."""
    try:
        uwsgi, watcher = sys.modules["uwsgi"], activation.watcher
        _lead_post_fork_hook(uwsgi)
        frame: Any = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith(IMPORTING):
            frame = frame.f_back
        known = name.partition(".")[0] in sys.stdlib_module_names
        if frame is None and watcher is not None and not known and name not in watcher.watched:
            watcher.watched[name] = (PLACE, "application")
    except Exception:
        contained(PLACE)


def _fix_up_module(original: Callable[..., Any]) -> Callable[..., Any]:
    def fix_up_module(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            namespace, name = args[:2]
            if name.startswith(RUN_BY_NAME) and sys.getprofile() is None:
                sys.setprofile(_FileStart(namespace, name))
        except Exception:
            contained(PLACE)
        return result

    return fix_up_module


class _FileStart:
    """The profile function until the file's own frame begins."""

    def __init__(self, namespace: dict[str, Any], name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.events = 0

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        self.events += 1
        if frame.f_globals is self.namespace:
            sys.setprofile(None)
            frame.f_trace = _FileEnd(self.name)
        elif self.events > FEW:
            sys.setprofile(None)


class _FileEnd:
    """Held by a file's frame alone, so it is dropped when the file has run, before uWSGI looks for the application."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        return self  # a debugger that begins within the file calls the frame's trace function

    def __del__(self) -> None:
        try:
            module, watcher = sys.modules.get(self.name), activation.watcher
            if module is not None and watcher is not None:
                watcher.watched[self.name] = (PLACE, "application")
                watcher.imported(self.name, module)
        except Exception:
            contained(PLACE)


# The callable ---------------------------------------------------------------------------------------------------------


def _traced(app: Any) -> Any:
    """The callable for uWSGI: `app` itself where its class can be patched, or belongs to a framework with a patch."""
    call = getattr(type(app), "__call__", None)  # noqa: B004 - not whether there is one: which it is
    if isinstance(app, type) or hasattr(app, MARK) or hasattr(call, MARK):
        return app
    if not hasattr(call, "__code__"):
        # A function: called with the environ, it is the whole request until the body is sent. One server span.
        traced = _traced_method(lambda _, *args, **kwargs: app(*args, **kwargs))
        return _disguised(lambda *args, **kwargs: traced(None, *args, **kwargs), app)
    plan = Plan()
    # __call__() of the program's own class: the same.
    plan.method(type(app), "__call__", _traced_method)
    plan.apply()
    return app


def _traced_factory(make: Any) -> Any:
    def factory(*args: Any, **kwargs: Any) -> Any:
        app = make(*args, **kwargs)
        try:
            return _traced(app) if callable(app) else app
        except Exception:
            contained(PLACE)
            return app

    return make if hasattr(make, MARK) else _disguised(factory, make)


def _disguised(replacement: Any, original: Any) -> Any:
    update_wrapper(replacement, original)
    setattr(replacement, MARK, original)
    return replacement


def _traced_method(original: Callable[..., Any]) -> Callable[..., Any]:
    from autotrace.http_server import wsgi
    from autotrace.http_server.request import ROOT_CONTEXT, current_request
    from autotrace.tracing.current import get, put

    traced = wsgi.traced_method(original, PLACE, PLACE)

    def call(*args: Any, **kwargs: Any) -> Any:
        outer = get()
        try:
            try:
                if current_request() is None:  # an earlier request may have left a span active in this thread
                    put(ROOT_CONTEXT)
                result = traced(*args, **kwargs)
                put(outer)
                return result
            except BaseException:
                put(outer)
                raise
        except BaseException:
            put(outer)
            raise

    return call


# Forks ----------------------------------------------------------------------------------------------------------------


def _lead_post_fork_hook(module: Any) -> None:
    """Be first in uWSGI's hook for a new worker. The program, or uwsgidecorators, may have replaced it meanwhile."""
    previous = vars(module).get("post_fork_hook")
    if not isinstance(previous, _PostFork):
        module.post_fork_hook = _PostFork(previous)


class _PostFork:
    """uWSGI forks in C and tells Python nothing: tell those of our modules that must know."""

    def __init__(self, previous: Any) -> None:
        from autotrace.tracing import forks

        self.forked = forks.forked
        self.previous = previous
        self.master = getpid()

    def __call__(self, *args: Any) -> Any:
        try:
            if getpid() != self.master:
                self.forked()
        except Exception:
            contained(PLACE)
        return self.previous(*args) if self.previous is not None else None

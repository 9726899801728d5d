"""A stand-in for the module that uWSGI makes in C, and the patch on it."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from autotrace import activation, import_hook
from autotrace.patches import uwsgi as patch
from autotrace.patching import Plan
from tests.http_server import wsgi_story


def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module as uWSGI makes it, and the patch on."""
    external: Any = sys.modules["_frozen_importlib_external"]
    module = stand_in()
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    monkeypatch.setattr(external, "_fix_up_module", external._fix_up_module)
    monkeypatch.setattr(activation, "watcher", import_hook.Watcher(lambda: True))
    plan = Plan()
    patch.server(module, plan)
    plan.apply()
    yield module
    assert sys.getprofile() is None


def stand_in(**options: Any) -> Any:
    module: Any = types.ModuleType("uwsgi")
    vars(module).update(opt=options, start_response=print, worker_id=lambda: 0, has_threads=1, applications=None)
    return module


def app(environ: Any, start_response: Any) -> Any:
    """Mine."""
    return wsgi_story.bare(environ, start_response)


def ask(application: Any, path: str = "/hello/bob") -> bytes:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": object(), "HTTP_HOST": "h"}
    environ |= {"wsgi.url_scheme": "http", "SERVER_NAME": "h", "SERVER_PORT": "80"}
    return b"".join(application(environ, lambda status, headers: None))


def loaded(**names: Any) -> Any:
    module: Any = types.ModuleType("mine")
    vars(module).update(names)
    plan = Plan()
    patch.application(module, plan)
    plan.apply()
    return module

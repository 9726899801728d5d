"""What inspect says of every function that the patches of HTTP servers replace is what it says of the library's own."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import aiohttp.web
import django.core.handlers.asgi
import django.core.handlers.wsgi
import fastapi.telemetry._runtime
import flask
import gunicorn.asgi.protocol
import gunicorn.workers.gthread
import hypercorn.app_wrappers
import pytest
import starlette.applications
import tornado.web
import uvicorn.protocols.http.h11_impl
import uvicorn.protocols.websockets.wsproto_impl
import uvicorn.server
import waitress.task

from autotrace import registry
from autotrace.patching import MARK
from tests.patching.views import VIEWS, differing

assert all((aiohttp, django, fastapi, flask, gunicorn, hypercorn, starlette, tornado, uvicorn, waitress))
LIBRARIES = """flask django starlette fastapi aiohttp.web tornado uvicorn hypercorn gunicorn waitress http.server
wsgiref""".split()


def replaced() -> Iterator[Any]:
    seen = set()
    for name in [module for library in LIBRARIES for module in registry.PATCHES[library]]:
        module = sys.modules.get(name)
        for owner in [module, *(one for one in vars(module).values() if issubclass(type(one), type))] if module else ():
            for function in vars(owner).values():
                if type(function) is FunctionType and hasattr(function, MARK) and function not in seen:
                    seen.add(function)
                    yield function


@pytest.mark.parametrize("view", VIEWS)
def test_it_is_the_library_s_own_view(view: str) -> None:
    functions = list(replaced())
    assert len(functions) > 40
    assert differing(view, functions) == []


def test_a_call_without_its_arguments_fails_as_the_library_s_own() -> None:
    """A replacement that takes the defaults of its original must not take one of them for `self`."""
    wrong = []
    for function in replaced():
        if inspect.iscoroutinefunction(function):
            continue
        texts = []
        for called in (function, getattr(function, MARK)):
            try:
                called()
            except Exception as error:
                texts.append(f"{type(error).__name__}: {error}")
        if len(set(texts)) > 1:
            wrong.append(texts)
    assert wrong == []

"""What inspect says of every function that the patches of HTTP clients replace is what it says of the library's own."""

from __future__ import annotations

import http.client
import inspect
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3

from autotrace.patching import MARK

assert all((aiohttp, httpx, requests, urllib3, http.client, urllib.request))
LIBRARIES = (
    "aiohttp.client",
    "aiohttp.connector",
    "aiohttp.http_writer",
    "httpx",
    "requests",
    "urllib3",
    "http.client",
    "urllib.request",
)


def replaced() -> Iterator[Any]:
    seen = set()
    for module in [module for name, module in sys.modules.items() if name.startswith(LIBRARIES)]:
        for kind in [kind for kind in vars(module).values() if isinstance(kind, type)]:
            for function in vars(kind).values():
                if hasattr(function, MARK) and function not in seen:
                    seen.add(function)
                    yield function


def _defaults(function: Any) -> Any:
    return function.__defaults__, function.__kwdefaults__, function.__annotations__


def _names(function: Any) -> Any:
    return function.__name__, function.__qualname__, function.__module__, function.__doc__


VIEWS: dict[str, Callable[[Any], Any]] = {
    "getfullargspec": inspect.getfullargspec,
    "signature": inspect.signature,
    "iscoroutinefunction": inspect.iscoroutinefunction,
    "isgeneratorfunction": inspect.isgeneratorfunction,
    "isasyncgenfunction": inspect.isasyncgenfunction,
    "isfunction": inspect.isfunction,
    "getsource": inspect.getsource,
    "getmodule": inspect.getmodule,
    "defaults": _defaults,
    "names": _names,
}


@pytest.mark.parametrize("view", VIEWS)
def test_it_is_the_library_s_own_view(view: str) -> None:
    functions = list(replaced())
    assert len(functions) > 25
    look = VIEWS[view]
    wrong = [
        (function.__qualname__, look(function), look(getattr(function, MARK)))
        for function in functions
        if look(function) != look(getattr(function, MARK))
    ]
    assert wrong == []


def test_a_call_without_its_arguments_fails_as_the_library_s_own() -> None:
    for method in (requests.Session.send, requests.adapters.HTTPAdapter.send, urllib.request.OpenerDirector.open):
        texts = []
        for function in (method, getattr(method, MARK)):
            with pytest.raises(TypeError) as raised:
                function()
            texts.append(str(raised.value))
        assert texts[0] == texts[1]

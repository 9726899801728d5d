"""What inspect says of every function that the patches of HTTP clients replace is what it says of the library's own."""

from __future__ import annotations

import http.client
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3

from autotrace.patching import MARK
from tests.patching.views import VIEWS, differing

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


@pytest.mark.parametrize("view", VIEWS)
def test_it_is_the_library_s_own_view(view: str) -> None:
    functions = list(replaced())
    assert len(functions) > 25
    assert differing(view, functions) == []


def test_a_call_without_its_arguments_fails_as_the_library_s_own() -> None:
    for method in (requests.Session.send, requests.adapters.HTTPAdapter.send, urllib.request.OpenerDirector.open):
        texts = []
        for function in (method, getattr(method, MARK)):
            with pytest.raises(TypeError) as raised:
                function()
            texts.append(str(raised.value))
        assert texts[0] == texts[1]

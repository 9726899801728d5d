"""Hypercorn on a real socket with a bare ASGI application and a WSGI one: every promise of an HTTP server."""

from __future__ import annotations

import types
from collections.abc import Iterator

import hypercorn.app_wrappers
import pytest

from autotrace.patches import hypercorn as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.async_http_server import AsyncHttpServer
from tests.contracts.http_server import HttpServer
from tests.http_server import asgi_servers, asgi_story, wsgi_story


class TestHypercorn(AsyncHttpServer):
    component = "hypercorn"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.hypercorn(asgi_story.bare)


class TestHypercornWithWsgi(HttpServer):
    component = "hypercorn"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.hypercorn(wsgi_story.bare, mode="wsgi")


def test_patched_twice_is_patched_once() -> None:
    before = hypercorn.app_wrappers.ASGIWrapper.__call__
    plan = Plan()
    patch.wrappers(hypercorn.app_wrappers, plan)
    plan.apply()
    assert hypercorn.app_wrappers.ASGIWrapper.__call__ is before


def test_a_module_without_what_is_needed_is_refused_whole() -> None:
    fake = types.ModuleType("hypercorn.app_wrappers")
    fake.ASGIWrapper = hypercorn.app_wrappers.ASGIWrapper  # type: ignore[attr-defined]
    with pytest.raises(Unpatchable, match="WSGIWrapper"):
        patch.wrappers(fake, Plan())

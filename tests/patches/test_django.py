"""Django, WSGI and ASGI, under four servers: every promise of an HTTP server, one span however they are stacked."""

from __future__ import annotations

import copy
import logging
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest
import waitress.server

from autotrace import containment
from autotrace.patches import django as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.http_server import B3, HttpServer, finished, serving
from tests.http_server import asgi_servers, django_story
from tests.recorded import Recorded, is_child, record, tags

from django.core.handlers import base, exception  # isort: skip
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # isort: skip


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("django").setLevel(logging.CRITICAL + 1)


class Django(HttpServer):
    component = "django"

    def test_anchors_of_regular_expressions_are_not_in_the_name(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/old/4711/")[0] == 404
        assert finished(spans, 1)[0].name == "GET /old/(?P<number>[^/]+)/"

    def test_a_file_is_sent_whole(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/file")[1].startswith('"""The paths')
        assert finished(spans, 1)[0].name == "GET /file"


class TestDjangoUnderRunserver(Django):
    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
        server.set_app(django_story.wsgi())
        yield from serving(server)


class TestDjangoUnderWaitress(Django):
    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        server = waitress.server.create_server(django_story.wsgi(), host="127.0.0.1", port=0, threads=4)
        threading.Thread(target=server.run, daemon=True).start()
        yield f"http://127.0.0.1:{server.effective_port}"
        server.close()


class TestDjangoUnderUvicorn(Django):
    """ASGI with synchronous views, which run in threads."""

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.uvicorn(django_story.asgi())


class TestDjangoAsync(Django):
    """ASGI with views that are coroutines."""

    hello_route, endless_route = "/async/hello/<name>", "/async/endless"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from asgi_servers.hypercorn(Below(django_story.asgi()))


class Below:
    """Sends the paths of the contract to the asynchronous views, unseen by the server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].partition("/hello/")[0] == "" or scope["path"] in ("/stream", "/endless"):
            scope = {**scope, "path": "/async" + scope["path"]}
        await self.app(scope, receive, send)


def test_coroutine_views_that_wait_for_each_other_do_not_mix(spans: Recorded) -> None:
    ids = [f"{n:032x}" for n in range(1, 9)]
    for url in asgi_servers.uvicorn(django_story.asgi()):
        threads = [
            threading.Thread(target=HttpServer().ask, args=(url, "/async/slow/bob", {**B3, "X-B3-TraceId": trace}))
            for trace in ids
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        servers = finished(spans, 8)
    inside = {span.trace_id: span for span in spans if span.name == "inside"}
    assert sorted(f"{span.trace_id:032x}" for span in servers) == ids
    assert all(is_child(inside[server.trace_id], server) for server in servers)


# Django's test client: no server --------------------------------------------------------------------------------------


def client(**options: Any) -> Any:
    from django.test import Client

    return Client(**options)


def test_under_no_server_it_is_one_span(spans: Recorded) -> None:
    """The test client has a handler of its own around Django's innermost part: no HTTP request, no span."""
    assert client().get("/hello/bob").content == b"hello bob"
    assert spans.servers == []


def get(target: str) -> bytes:
    """One request through the WSGI application itself."""
    from tests.http_server.untraced_server import Untraced, finish

    return finish(Untraced(django_story.wsgi()).start(target))


def test_an_error_while_the_body_is_made(spans: Recorded) -> None:
    with pytest.raises(ZeroDivisionError):
        get("/late")
    assert tags(spans.servers[0])["error.type"] == "ZeroDivisionError"
    assert tags(spans.servers[0])["http.status_code"] == 200


def test_an_answer_in_the_form_of_an_exception_is_no_failure(spans: Recorded) -> None:
    get("/old/1/")
    assert "error" not in tags(spans.servers[0])


def answer_of(target: str) -> Any:
    """The body that a server, or a WSGI middleware, gets."""
    from django.test import RequestFactory

    return django_story.wsgi()(RequestFactory()._base_environ(PATH_INFO=target), lambda *_: None)


def test_an_answer_is_to_a_middleware_what_django_made(spans: Recorded) -> None:
    """Django's own tests ask for its bytes; others for its class, its headers, a copy of it."""
    from django.http import HttpResponse

    answer = answer_of("/hello/bob")
    assert isinstance(answer, HttpResponse)
    assert bytes(answer).endswith(b"\r\n\r\nhello bob")
    assert repr(answer) == '<HttpResponse status_code=200, "text/html; charset=utf-8">'
    answer["X-More"] = "1"
    answer.reason_phrase = "Fine"
    assert ("X-More" in answer, answer.headers["X-More"], answer["x-more"]) == (True, "1", "1")
    assert (answer.reason_phrase, answer.serialize().partition(b"\r\n\r\n")[2]) == ("Fine", b"hello bob")
    assert (type(copy.copy(answer)), copy.copy(answer).content) == (HttpResponse, b"hello bob")
    assert not hasattr(answer, "__len__")
    assert spans.servers == []
    assert b"".join(answer) == b"hello bob"
    assert len(spans.servers) == 1


def test_an_answer_that_is_dropped_ends_its_request(spans: Recorded) -> None:
    answer_of("/hello/bob")
    assert len(spans.servers) == 1


@pytest.mark.parametrize(
    ("route", "template"),
    [
        ("hello/<name>", "/hello/<name>"),
        ("", "/"),
        ("api/^items/(?P<n>[^/]+)/$", "/api/items/(?P<n>[^/]+)/"),
        (r"^price/\$$", r"/price/\$"),
        (r"^end\Z", "/end"),
    ],
)
def test_templates(route: str, template: str) -> None:
    assert patch._template(route) == template


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.request.Request",
        "autotrace.patches.django.current_request",
        "autotrace.http_server.wsgi.current_request",
        "autotrace.http_server.hooks.current_request",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        assert get("/hello/bob") == b"hello bob"
        assert b"Server Error" in get("/boom")
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    before = base.BaseHandler.resolve_request, exception.handle_uncaught_exception
    plan = Plan()
    patch.resolving(base, plan)
    patch.exceptions(exception, plan)
    plan.apply()
    assert (base.BaseHandler.resolve_request, exception.handle_uncaught_exception) == before


def test_modules_without_what_is_needed_are_refused_whole() -> None:
    empty = types.ModuleType("django")
    for function in (patch.resolving, patch.exceptions, patch.wsgi_handler, patch.asgi_handler):
        with pytest.raises(Unpatchable):
            function(empty, Plan())

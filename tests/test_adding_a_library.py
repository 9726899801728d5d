"""docs/adding_a_library.md: each worked example is a patch that applies, traces the real library, and is undone."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.util import setup_testing_defaults

import bottle
import httpcore
import pytest
import redis
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from autotrace.patching import Plan
from test_services.redis import Redis
from tests.http_client import http_peer
from tests.patches.conftest import spans
from tests.programs import ROOT
from tests.recorded import Recorded, is_child, nothing_current, tags

__all__ = ["spans"]

PAGE = (ROOT / "docs" / "adding_a_library.md").read_text()
LIMIT = 62
"""Lines of an example. One that needs more shows that the shared part is in the wrong place."""


def examples() -> dict[str, str]:
    """Heading -> the patch below it."""
    found = re.findall(r"^## ([^\n]*)\n(?:(?!^## ).)*?^```python\n(.*?)^```", PAGE, re.M | re.S)
    return {heading.partition(":")[2].partition(",")[0].strip(): code for heading, code in found}


@contextmanager
def patched(name: str, function: str, module: Any) -> Iterator[None]:
    patch = types.ModuleType("autotrace.patches.example")
    exec(compile(examples()[name], f"adding_a_library.md, {name}", "exec"), vars(patch))
    plan = Plan()
    vars(patch)[function](module, plan)
    plan.apply()
    try:
        yield
    finally:
        plan.undo()


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as running:
        yield running


@pytest.fixture
def client(server: Redis) -> Iterator[redis.Redis]:
    with redis.Redis(host=server.host, port=server.port, db=1) as made:
        yield made


def test_the_page_has_one_example_for_each_family() -> None:
    assert list(examples()) == ["Redis", "httpcore", "bottle", "Redis streams"]
    assert [name for name, code in examples().items() if code.count("\n") > LIMIT] == []


class TestADatabase:
    def test_a_command_is_a_span_with_its_server(self, client: redis.Redis, server: Redis, spans: Recorded) -> None:
        with patched("Redis", "client", sys.modules["redis.client"]):
            assert client.set("secret-key", "secret-value") is True
        found = tags(spans.one())
        assert (spans[0].name, spans[0].kind) == ("SET", SpanKind.CLIENT)
        assert (found["component"], found["db.type"], found["db.system.name"]) == ("redis", "redis", "redis")
        assert (found["db.instance"], found["peer.address"]) == ("1", f"127.0.0.1:{server.port}")
        assert "secret" not in str(found)

    def test_a_command_that_fails_raises_and_its_span_has_failed(self, client: redis.Redis, spans: Recorded) -> None:
        client.set("text", "x")
        with patched("Redis", "client", sys.modules["redis.client"]), pytest.raises(redis.ResponseError):
            client.incr("text")
        assert tags(spans.one())["error"] is True

    def test_undone_it_makes_no_span(self, client: redis.Redis, spans: Recorded) -> None:
        with patched("Redis", "client", sys.modules["redis.client"]):
            pass
        client.get("a")
        assert spans == []


class TestAnHttpClient:
    def test_a_request_is_a_span_until_its_body_is_read(self, spans: Recorded) -> None:
        given = [(b"Host", b"x"), (b"traceparent", b"old")]
        with (
            http_peer.peer() as peer,
            patched("httpcore", "pools", sys.modules["httpcore._sync.connection_pool"]),
            httpcore.ConnectionPool() as pool,
        ):
            with pool.stream("GET", f"{peer.url}/a", headers=given) as response:
                assert spans == []
                assert response.read() == b"hello"
            sent = peer.received[0].header("traceparent")
        span = spans.one()
        assert sent is not None
        assert f"{span.span_id:016x}" in sent
        assert given == [(b"Host", b"x"), (b"traceparent", b"old")]
        found = tags(span)
        assert (span.name, found["http.status_code"], found["component"]) == ("GET", 200, "httpcore")


class TestAnHttpServer:
    @pytest.fixture
    def app(self) -> Any:
        made = bottle.Bottle()
        made.route("/orders/<number>", callback=lambda number: number)
        made.route("/broken", callback=lambda: 1 / 0)
        return made

    @pytest.mark.parametrize(
        ("path", "name", "status"), [("/orders/7", "GET /orders/<number>", 200), ("/no", "GET", 404)]
    )
    def test_a_request_is_a_span_named_by_its_route(
        self, app: Any, spans: Recorded, path: str, name: str, status: int
    ) -> None:
        environ: dict[str, Any] = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        with patched("bottle", "application", sys.modules["bottle"]):
            body = app(environ, lambda *_: None)
            assert b"".join(body)
            getattr(body, "close", lambda: None)()
        span = spans.one()
        assert (span.name, span.kind, tags(span)["http.status_code"]) == (name, SpanKind.SERVER, status)
        assert nothing_current()


class TestABroker:
    def test_each_entrys_work_is_in_the_trace_of_its_producer(self, client: redis.Redis, spans: Recorded) -> None:
        fields = {"price": "1"}
        with patched("Redis streams", "streams", sys.modules["redis.client"]):
            for _ in range(2):
                client.xadd("orders", fields)
            within = []
            for _stream, entries in client.xread({"orders": "0"}):
                for _, entry in entries:
                    assert entry[b"price"] == b"1"
                    within.append(trace.get_current_span())
            client.xread({"orders": "$"})
        assert fields == {"price": "1"}
        assert nothing_current()
        assert [span.name for span in spans.producers] == ["send orders"] * 2
        assert [span.name for span in spans.consumers] == ["process orders"] * 2
        assert spans.consumers == within
        for producer, consumer in zip(spans.producers, spans.consumers, strict=True):
            assert is_child(consumer, producer)
            assert tags(consumer)["messaging.system"] == "redis"

"""waitress on a real socket with a bare WSGI application and with Flask: every promise of an HTTP server."""

from __future__ import annotations

import logging
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import waitress.channel
import waitress.server
import waitress.task

from autotrace import containment
from autotrace.patches import waitress as patch
from autotrace.patching import Plan, Unpatchable
from tests.contracts.http_server import HttpServer, finished
from tests.http_server import wsgi_story
from tests.recorded import Recorded, record, tags


def serving(app: Any) -> Iterator[str]:
    server = waitress.server.create_server(app, host="127.0.0.1", port=0, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


@pytest.fixture(autouse=True)
def quiet() -> None:
    for name in ("waitress", "story"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class TestWaitress(HttpServer):
    component = "waitress"
    routes = False

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from serving(wsgi_story.bare)


class TestWaitressWithFlask(HttpServer):
    component = "flask"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls) -> Iterator[str]:
        yield from serving(wsgi_story.flask_app())


def test_a_file_is_sent_by_the_server_itself(spans: Recorded) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))

    for url in serving(app):
        assert HttpServer().ask(url, "/")[1].startswith('"""waitress')
        finished(spans, 1)


def test_a_client_that_is_gone_is_no_failure(spans: Recorded) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        raise waitress.channel.ClientDisconnected

    for url in serving(app):
        with pytest.raises(OSError):
            HttpServer().ask(url, "/")
        assert "error" not in tags(finished(spans, 1)[0])


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.wsgi.start_or_adopt",
        "autotrace.http_server.wsgi.Url",
        "autotrace.http_server.request.Request",
        "autotrace.http_server.wsgi.current_request",
        "autotrace.http_server.request.Request.set_status",
    ],
)
def test_when_our_code_fails_the_request_is_served(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        for url in serving(wsgi_story.bare):
            assert HttpServer().ask(url, "/hello/bob") == (200, "hello bob")
            assert HttpServer().ask(url, "/boom")[0] == 500
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once() -> None:
    before = waitress.task.WSGITask.execute
    plan = Plan()
    patch.tasks(waitress.task, plan)
    plan.apply()
    assert waitress.task.WSGITask.execute is before


def test_a_module_without_what_is_needed_is_refused_whole() -> None:
    fake = types.ModuleType("waitress.task")
    fake.WSGITask = type("WSGITask", (), {"execute": lambda self: None})  # type: ignore[attr-defined]
    with pytest.raises(Unpatchable, match="get_environment"):
        patch.tasks(fake, Plan())

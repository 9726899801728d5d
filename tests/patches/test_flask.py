"""Flask under three servers and its test client: every promise of an HTTP server, one span however they are stacked."""

from __future__ import annotations

import gc
import logging
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

import flask
import flask.app
import pytest
import werkzeug.serving
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from autotrace import containment
from autotrace.patches import flask as patch
from autotrace.patching import Plan, Unpatchable
from tests import programs
from tests.contracts.http_server import B3, PARENT, TRACE, HttpServer, serving
from tests.http_server import wsgi_story
from tests.http_server.untraced_server import Untraced, finish
from tests.patches.test_wsgiref import Quiet
from tests.recorded import Recorded, is_child, record, tags


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("story").setLevel(logging.CRITICAL)
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)


class TestFlaskUnderWerkzeug(HttpServer):
    component = "flask"

    @pytest.fixture
    def url(self) -> Iterator[str]:
        server = werkzeug.serving.make_server("127.0.0.1", 0, wsgi_story.flask_app(), threaded=True)
        yield from serving(server)


class TestFlaskUnderWsgiref(HttpServer):
    component = "flask"

    @pytest.fixture
    def url(self) -> Iterator[str]:
        yield from serving(make_server("127.0.0.1", 0, wsgi_story.flask_app(), handler_class=Quiet))


class TestFlaskBehindMiddleware(HttpServer):
    """Middleware around the application and inside it; one of them hands a copy of the environ on."""

    component = "flask"

    @pytest.fixture
    def url(self) -> Iterator[str]:
        app = wsgi_story.flask_app()
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
        outer = DispatcherMiddleware(lambda environ, start: app(dict(environ), start), {})
        yield from serving(werkzeug.serving.make_server("127.0.0.1", 0, outer, threaded=True))


@pytest.fixture
def server() -> Untraced:
    return Untraced(wsgi_story.flask_app())


# A server that nothing traces -----------------------------------------------------------------------------------------


def test_under_a_server_that_nothing_traces_it_is_one_span(server: Untraced, spans: Recorded) -> None:
    assert finish(server.start("/hello/bob", B3)) == b"hello bob"
    (span,) = spans.servers
    assert span.name == "GET /hello/<name>"
    assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}") == (TRACE, PARENT)
    assert tags(span)["http.status_code"] == 200
    assert tags(span)["http.url"] == "http://h:8080/hello/bob"
    assert (tags(span)["server.address"], tags(span)["server.port"]) == ("h", 8080)


def test_given_wsgi_app_itself_it_is_one_span(spans: Recorded) -> None:
    app = wsgi_story.flask_app()
    assert finish(Untraced(app.wsgi_app).start("/hello/bob")) == b"hello bob"
    assert [span.name for span in spans.servers] == ["GET /hello/<name>"]


def test_middleware_inside_the_application_works_in_the_span(spans: Recorded) -> None:
    app = wsgi_story.flask_app()
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        wsgi_story.hello("from the middleware")
        return inner(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    finish(Untraced(app).start("/teapot"))
    (inside,) = [span for span in spans if span.name == "inside"]
    assert is_child(inside, spans.servers[0])


def test_a_streamed_body_keeps_the_span_open_and_current(server: Untraced, spans: Recorded) -> None:
    from opentelemetry import trace

    body = server.start("/stream")
    assert spans == []
    parts = iter(body)
    assert next(parts) == b"a"
    assert trace.get_current_span() is trace.INVALID_SPAN, "between the parts the thread is the server's"
    assert next(parts) == b"b"
    assert spans.servers == []
    assert list(parts) == []
    body.close()
    (span,) = spans.servers
    assert is_child(next(span for span in spans if span.name == "streaming"), span)


def test_a_client_that_hangs_up_ends_the_span(server: Untraced, spans: Recorded) -> None:
    body = server.start("/stream")
    next(iter(body))
    body.close()
    (span,) = spans.servers
    assert span.failure is None


def test_a_body_that_is_dropped_ends_the_span(server: Untraced, spans: Recorded) -> None:
    gc.disable()
    try:
        body = server.start("/stream")
        del body
        assert len(spans.servers) == 1
    finally:
        gc.enable()


def test_a_body_that_raises_is_recorded(spans: Recorded) -> None:
    app = flask.Flask("x")

    @app.route("/")
    def index() -> flask.Response:
        def parts() -> Iterator[str]:
            yield "a"
            raise ZeroDivisionError

        return flask.Response(parts())

    with pytest.raises(ZeroDivisionError):
        finish(Untraced(app).start("/"))
    (span,) = spans.servers
    assert tags(span)["error.type"] == "ZeroDivisionError"


def test_what_runs_when_the_response_is_closed_runs_in_the_trace(spans: Recorded) -> None:
    app = flask.Flask("x")

    @app.route("/")
    def index() -> flask.Response:
        response = flask.Response("x")
        response.call_on_close(lambda: wsgi_story.hello("closing"))
        return response

    finish(Untraced(app).start("/"))
    (inside,) = [span for span in spans if span.name == "inside"]
    assert is_child(inside, spans.servers[0])


class FastFile:
    def __init__(self, file: Any, block: int = 8192) -> None:
        self.file = file
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.file)

    def close(self) -> None:
        self.closed = True


def test_the_server_s_file_wrapper_comes_back_bare_and_ends_the_span_when_closed(
    tmp_path: Path, spans: Recorded
) -> None:
    (tmp_path / "f").write_text("file")
    app = flask.Flask("x")
    app.add_url_rule("/", view_func=lambda: flask.send_file(tmp_path / "f"), endpoint="f")
    body = Untraced(app).start("/", **{"wsgi.file_wrapper": FastFile})
    assert type(body) is FastFile
    assert spans == []
    assert b"".join(body) == b"file"
    body.close()
    assert body.closed
    body.file.close()
    assert [span.name for span in spans.servers] == ["GET /"]


# Flask's own ways -----------------------------------------------------------------------------------------------------


def test_an_exception_that_the_program_handles_is_no_failure(spans: Recorded) -> None:
    app = wsgi_story.flask_app()
    app.register_error_handler(ZeroDivisionError, lambda error: ("sorry", 400))
    assert app.test_client().get("/boom").text == "sorry"
    assert "error" not in tags(spans.servers[0])


def test_an_exception_that_becomes_the_program_s_own_500_page_is_one(spans: Recorded) -> None:
    app = wsgi_story.flask_app()
    app.register_error_handler(500, lambda error: ("page", 500))
    assert app.test_client().get("/boom").text == "page"
    assert tags(spans.servers[0])["error.type"] == "ZeroDivisionError"


def test_an_exception_that_flask_lets_through_reaches_the_program(spans: Recorded) -> None:
    app = wsgi_story.flask_app()
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/boom")
    (span,) = spans.servers
    assert (span.name, tags(span)["error.type"]) == ("GET /boom", "ZeroDivisionError")
    assert tags(span)["http.status_code"] == 500


def test_a_wrong_method_has_no_route(spans: Recorded) -> None:
    assert "405" in wsgi_story.flask_app().test_client().post("/teapot").text
    assert spans.servers[0].name == "POST"


def test_a_request_made_to_itself_is_a_request_of_its_own(spans: Recorded) -> None:
    app = wsgi_story.flask_app()
    app.add_url_rule("/twice", view_func=lambda: app.test_client().get("/hello/me").text, endpoint="twice")
    assert app.test_client().get("/twice").text == "hello me"
    inner, outer = spans.servers
    assert (inner.name, outer.name) == ("GET /hello/<name>", "GET /twice")
    assert is_child(inner, outer)


def test_nothing_of_ours_is_in_the_environ(spans: Recorded) -> None:
    app = flask.Flask("x")
    app.add_url_rule(
        "/", view_func=lambda: str([key for key in flask.request.environ if "autotrace" in key]), endpoint="k"
    )
    assert app.test_client().get("/").text == "[]"


# Our own failures, and patching ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.wsgi.start_or_adopt",
        "autotrace.http_server.wsgi.Url",
        "autotrace.http_server.wsgi._ending_with_body",
        "autotrace.http_server.wsgi._traced_start_response",
        "autotrace.http_server.wsgi.traced_body",
        "autotrace.http_server.request.Request",
        "autotrace.http_server.wsgi.current_request",
        "autotrace.http_server.hooks.current_request",
    ],
)
def test_when_our_code_fails_the_request_is_served(
    server: Untraced, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(target, broken)
    with record():
        assert finish(server.start("/hello/bob")) == b"hello bob"
        assert finish(server.start("/stream")) == b"ab"
        finish(server.start("/boom"))
        assert server.status.startswith("500")
    assert containment.failures
    containment.failures.clear()


def test_patched_twice_is_patched_once(server: Untraced, spans: Recorded) -> None:
    plan = Plan()
    patch.application(flask.app, plan)
    plan.apply()
    finish(server.start("/hello/bob"))
    assert len(spans.servers) == 1


def test_a_module_without_what_is_needed_is_refused_whole() -> None:
    fake = types.ModuleType("flask.app")
    names = {"__module__": "flask.app", "__call__": lambda *_: None}
    fake.Flask = type("Flask", (), names)  # type: ignore[attr-defined]
    plan = Plan()
    with pytest.raises(Unpatchable, match="wsgi_app"):
        patch.application(fake, plan)
    assert plan._undo == []


def test_a_module_of_the_program_s_that_has_the_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "flask.py").write_text("class Flask: pass\n")
    (tmp_path / "main.py").write_text("import flask\nprint(vars(flask.Flask).get('wsgi_app'))\n")
    done = programs.traced(sys.executable, "main.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


def test_flask_imported_before_activation_is_patched() -> None:
    program = (
        "from flask import Flask\n"
        "app = Flask('x')\n"
        "import autotrace.activation as a; a.activate()\n"
        "from autotrace.tracing.span import Span\n"
        "found = []\n"
        "Span.sink = staticmethod(found.append)\n"
        "app.test_client().get('/').text\n"
        "print([span.name for span in found])\n"
    )
    done = programs._run((sys.executable, "-c", program), None, programs.environment(AUTOTRACE_EXPORTER="none"))
    assert (done.returncode, done.stdout) == (0, "['GET']\n"), done.stderr

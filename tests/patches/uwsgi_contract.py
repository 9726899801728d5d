"""Every promise of an HTTP server, kept by the real uWSGI, which runs this file in a thread beside its requests.

So it is both the file of uWSGI's option `wsgi-file` and a file of tests, each under a name of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))

from tests.contracts.http_server import HttpServer, finished
from tests.http_server import wsgi_story
from tests.recorded import Recorded, tags

HERE = Path(__file__)


class Application:
    """An object whose class can be patched."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"].removeprefix("/object")
        if path in OWN:
            start_response("200 OK", [])
            return OWN[path](environ)
        return wsgi_story.bare({**environ, "PATH_INFO": path}, start_response)


def failing() -> Iterator[bytes]:
    yield b"a"
    wsgi_story.boom()


def leaving_a_span_current(environ: Any) -> list[bytes]:
    from opentelemetry import context, trace

    context.attach(trace.set_span_in_context(trace.get_tracer("t").start_span("left")))
    return [b"x"]


def file_wrapper(environ: Any) -> Any:
    file = HERE.open("rb")
    wrapped = environ["wsgi.file_wrapper"](file)
    assert wrapped is file, "uWSGI knows it again by that"
    return wrapped


OWN: dict[str, Callable[[Any], Any]] = {
    "/bytes": lambda environ: b"bytes",
    "/file": file_wrapper,
    "/failing": lambda environ: failing(),
    "/keys": lambda environ: [",".join(key for key in environ if "autotrace" in key.lower()).encode()],
    "/left": leaving_a_span_current,
    "/plain": lambda environ: [b"x"],
}
inside = Application()


def application(environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/write":
        start_response("201 Created", [])(b"w")
        return [b"x"]
    if environ["PATH_INFO"].startswith("/object") or environ["PATH_INFO"] in OWN:
        return inside(environ, start_response)
    return wsgi_story.bare(environ, start_response)


class TestUwsgi(HttpServer):
    component = "uwsgi"
    routes = False
    answers_failures = False

    @pytest.fixture
    def url(self) -> str:
        return os.environ["UWSGI_URL"]

    def test_what_the_server_is_given_back_is_what_it_would_get_without_us(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/file") == (200, HERE.read_text())
        assert self.ask(url, "/bytes") == (200, "bytes")
        assert self.ask(url, "/write") == (201, "wx")
        assert self.ask(url, "/keys") == (200, "")
        assert [tags(span)["http.status_code"] for span in finished(spans, 4)] == [200, 200, 201, 200]

    def test_an_error_after_the_headers_were_sent(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/failing") == (200, "a")
        (span,) = finished(spans, 1)
        assert (tags(span)["error.type"], tags(span)["http.status_code"]) == ("ZeroDivisionError", 200)

    def test_what_a_program_leaves_current_does_not_meet_the_next_request(self, url: str, spans: Recorded) -> None:
        for _ in range(8):  # more than there are threads
            self.ask(url, "/left")
        servers = finished(spans, 8)
        assert {span.parent_id for span in servers} == {0}
        assert len({span.trace_id for span in servers}) == 8

    def test_the_application_shows_itself_as_it_is(self) -> None:
        (main,) = [module for name, module in sys.modules.items() if name.startswith("uwsgi_file_")]
        assert (main.application.__name__, main.application.__module__) == ("application", main.__name__)
        assert main.application.__wrapped__ is main.application.__autotrace_original__


def run() -> None:
    """In the worker, in a thread of its own."""
    code = 1
    try:
        code = pytest.main(["-q", "-p", "no:cacheprovider", str(HERE)])
    finally:
        Path(os.environ["UWSGI_RESULT"]).write_text(str(int(code)))


if __name__.startswith("uwsgi_file_"):
    import threading

    import uwsgi

    uwsgi.post_fork_hook = threading.Thread(target=run, daemon=True).start

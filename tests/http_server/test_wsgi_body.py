"""Bodies of WSGI answers: the server gets the result itself, or an object that looks like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from autotrace.http_server import wsgi
from tests.http_server.untraced_server import Untraced, finish
from tests.recorded import Recorded


def served(result: Any, **environ: Any) -> Any:
    """The body that the server gets from an application which returns `result`."""

    class Application:
        def call(self, environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            return result

    Application.call = wsgi.traced_method(Application.call, "test", "test")  # type: ignore[method-assign]
    return Untraced(Application().call).start("/", **environ)


@pytest.mark.parametrize("result", [[b"a"], (b"a",), [b"a", b"b"], [], None, 7])
def test_lists_and_what_is_no_body_come_back_as_they_are(spans: Recorded, result: Any) -> None:
    assert served(result) is result
    assert len(spans.servers) == 1


def test_a_file_of_a_server_written_in_c_comes_back_as_it_is(spans: Recorded) -> None:
    """Its environ holds a function, whose result takes no attributes."""
    iterator = iter([b"x"])
    assert served(iterator, **{"wsgi.file_wrapper": lambda file: file}) is iterator
    assert len(spans.servers) == 1


def test_a_body_with_a_length_keeps_it(spans: Recorded) -> None:
    class Sized:
        mark = "mine"

        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"abc"])

    body = served(Sized())
    assert (len(body), body.mark) == (1, "mine")
    assert finish(body) == b"abc"
    assert len(spans.servers) == 1
    plain = served(part for part in [b"a"])
    assert not hasattr(plain, "__len__")
    assert finish(plain) == b"a"

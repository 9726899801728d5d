"""A WSGI server that nothing traces, and its way to read a body."""

from __future__ import annotations

import io
from typing import Any


class Untraced:
    """A WSGI server that nothing traces: calls the application as gunicorn would, and keeps the status."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.status = ""

    def start(self, target: str, headers: dict[str, str] | None = None, **environ: Any) -> Any:
        path, _, query = target.partition("?")
        base: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "h",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "h:8080",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
        }
        base.update({"HTTP_" + name.upper().replace("-", "_"): value for name, value in (headers or {}).items()})
        base.update(environ)

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
            self.status = status
            return self.write

        return self.application(base, start_response)

    def write(self, data: bytes) -> None: ...


def finish(body: Any) -> bytes:
    try:
        return b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()

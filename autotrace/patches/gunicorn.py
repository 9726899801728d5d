"""gunicorn: a server span per request, HTTP/2 too, of sync, gthread, gevent, eventlet and asgi workers.

The span ends when the body is sent. Workers of other packages (uvicorn's, aiohttp's, tornado's) are traced by the
patch of that package.
"""

from __future__ import annotations

from typing import Any

from autotrace.http_server import asgi, hooks, wsgi
from autotrace.http_server.request import CLIENT_DISCONNECTED, Request
from autotrace.patching import Plan, require

PLACE = "gunicorn"


def sync(module: Any, plan: Plan) -> None:
    _worker(require(module, "SyncWorker"), plan)


def gthread(module: Any, plan: Plan) -> None:
    _worker(require(module, "ThreadWorker"), plan)


def base_async(module: Any, plan: Plan) -> None:
    _worker(require(module, "AsyncWorker"), plan)


def messages(module: Any, plan: Plan) -> None:
    # create(): makes the environ, the first moment that there is one. The start of the span.
    plan.method(module, "create", lambda original: wsgi.on_environ(original, PLACE, 1))
    # start_response(): the program's application calls the server's own method. The status.
    plan.method(
        require(module, "Response"),
        "start_response",
        lambda original: hooks.on_status(original, PLACE),
        parameters=("status",),
    )


def asgi_protocol(module: Any, plan: Plan) -> None:
    # __init__(): takes the application from the worker, where it stays the program's; websockets come through it as
    # well. The span is around the application that the protocol calls.
    plan.method(
        require(module, "ASGIProtocol"),
        "__init__",
        lambda original: asgi.on_init(original, PLACE, "app"),
        parameters=("worker",),
    )


def _worker(worker: Any, plan: Plan) -> None:
    # handle_request(): called once per request, from the environ to the closing of the body; an application's exception
    # leaves it. handle_http2_request(): the same for a stream of HTTP/2, where a worker has it. The end of the span.
    for name in ("handle_request", "handle_http2_request"):
        if name == "handle_request" or name in vars(worker):
            plan.method(
                worker,
                name,
                lambda original: hooks.per_request(original, PLACE, on_error=_on_error),
                parameters=("req",),
            )


def _on_error(request: Request, error: BaseException) -> None:
    if isinstance(error, StopIteration):  # gunicorn gives up a connection so: after an error, or to close it
        if error.__context__ is not None:
            request.fail(error.__context__)
    elif not isinstance(error, CLIENT_DISCONNECTED):
        request.fail(error)

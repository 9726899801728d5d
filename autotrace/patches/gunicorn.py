"""gunicorn: a server span per request of sync, gthread, gevent, eventlet and asgi workers, until the body is sent. HTTP/2 too.

Workers of other packages (uvicorn's, aiohttp's, tornado's) are traced by the patch of that package.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.http_server import asgi, wsgi
from autotrace.http_server.request import EMPTY, HUNG_UP, Request, outermost
from autotrace.patching import Plan, require
from autotrace.tracing import current

PLACE = "gunicorn"


def sync(module: Any, plan: Plan) -> None:
    _worker(require(module, "SyncWorker"), plan)


def gthread(module: Any, plan: Plan) -> None:
    _worker(require(module, "ThreadWorker"), plan)


def base_async(module: Any, plan: Plan) -> None:
    _worker(require(module, "AsyncWorker"), plan)


def messages(module: Any, plan: Plan) -> None:
    # create(): makes the environ, the first moment that there is one. The start of the span.
    plan.method(module, "create", _create)
    # start_response(): given to the application, which is called with nothing of ours. The status.
    plan.method(
        require(module, "Response"),
        "start_response",
        lambda original: wsgi.status_of(original, PLACE),
        parameters=("status",),
    )


def asgi_worker(module: Any, plan: Plan) -> None:
    # load_wsgi(): where the worker gets the application that all its protocols call. The span is around that.
    plan.method(require(module, "ASGIWorker"), "load_wsgi", _load_asgi)


def _worker(worker: Any, plan: Plan) -> None:
    # handle_request(): once per request, from its environ to the closing of its body; what the application raises leaves it.
    # handle_http2_request(): the same for a stream of HTTP/2, in the versions and workers that have it. The end of the span.
    for name in ("handle_request", "handle_http2_request"):
        if name == "handle_request" or name in vars(worker):
            plan.method(worker, name, lambda original: outermost(original, PLACE, failed=_failed), parameters=("req",))


def _failed(request: Request, error: BaseException) -> None:
    if isinstance(error, StopIteration):  # how gunicorn gives up a connection: after an error, or to close it
        if error.__context__ is not None:
            request.fail(error.__context__)
    elif not isinstance(error, HUNG_UP):
        request.fail(error)


def _create(original: Any) -> Any:
    def create(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        try:
            if current.get() is EMPTY:
                wsgi.receive(made[1], "gunicorn", PLACE)
        except Exception:
            contained(PLACE)
        return made

    return create


def _load_asgi(original: Any) -> Any:
    def load_wsgi(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            worker = args[0]
            worker.asgi = asgi.application(worker.asgi, PLACE, PLACE)
        except Exception:
            contained(PLACE)
        return result

    return load_wsgi

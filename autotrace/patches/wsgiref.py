"""wsgiref: a server span for every WSGI application that a handler runs (simple_server, CGI), until its body has been sent.

A subclass that goes on sending after run() has returned (an asynchronous server) has its span end with run().
"""

from __future__ import annotations

import sys
from typing import Any

from autotrace.containment import contained
from autotrace.http_server import request as server_request
from autotrace.http_server import wsgi
from autotrace.patching import Plan, require
from autotrace.tracing.traced_call import argument, with_argument

PLACE = "wsgiref.handlers.BaseHandler.run"


def handlers(module: Any, plan: Plan) -> None:
    BaseHandler = require(module, "BaseHandler")
    # run(): makes the environ, calls the application, sends the body and closes it, all within. One server span, begun when
    # the application is called, because only then there is an environ.
    plan.method(BaseHandler, "run", _run, parameters=("application",))
    # start_response(): called by the application and, after an exception, by the handler itself. The status.
    plan.method(BaseHandler, "start_response", lambda original: wsgi.status_of(original, PLACE), parameters=("status",))
    # handle_error(): every exception of the application and of its body ends here. The failure.
    plan.method(BaseHandler, "handle_error", _handle_error)


def _run(original: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        opened: list[Any] = []
        try:
            application = argument(args, kwargs, 1, "application")
            if callable(application):
                args, kwargs = with_argument(args, kwargs, 1, "application", _receiving(application, opened))
        except Exception:
            contained(PLACE)
        try:
            return original(*args, **kwargs)
        finally:
            for request in opened:
                request.end()

    return run


def _receiving(application: Any, opened: list[Any]) -> Any:
    def call(environ: Any, start_response: Any) -> Any:
        try:
            request = wsgi.receive(environ, "wsgiref", PLACE)
            if request is not None:
                opened.append(request)
        except Exception:
            contained(PLACE)
        return application(environ, start_response)

    return call


def _handle_error(original: Any) -> Any:
    def handle_error(*args: Any, **kwargs: Any) -> Any:
        try:
            error = sys.exc_info()[1]
            request = server_request.in_work()
            if error is not None and request is not None and request.place == PLACE:
                request.fail(error)
        except Exception:
            contained(PLACE)
        return original(*args, **kwargs)

    return handle_error

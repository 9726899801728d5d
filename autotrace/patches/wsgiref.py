"""wsgiref: a server span for every WSGI application that a handler runs (simple_server, CGI), until its body is sent.

A subclass that goes on sending after run() has returned (an asynchronous server) has its span end with run().
"""

from __future__ import annotations

import sys
from typing import Any

from autotrace.containment import contained
from autotrace.http_server import hooks, wsgi
from autotrace.http_server.request import ROOT_CONTEXT, Request, current_request
from autotrace.patching import Plan, require
from autotrace.tracing.current import get, put
from autotrace.tracing.traced_call import argument, with_argument

PLACE = "wsgiref.handlers.BaseHandler.run"


def handlers(module: Any, plan: Plan) -> None:
    BaseHandler = require(module, "BaseHandler")
    # run(): makes the environ, calls the application, sends the body and closes it, all within. The span, which starts
    # when the application is called, because only then there is an environ.
    plan.method(BaseHandler, "run", _run, parameters=("application",))
    # start_response(): called by the application and, after an exception, by the handler itself. The status.
    plan.method(
        BaseHandler, "start_response", lambda original: hooks.on_status(original, PLACE), parameters=("status",)
    )
    # handle_error(): every exception of the application and of its body ends here. The failure.
    plan.method(BaseHandler, "handle_error", lambda original: hooks.on_failure(original, PLACE, _failure_of))


def _run(original: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        outer = get()
        started: list[Request] = []
        try:
            try:
                try:
                    if current_request() is None:  # else an outer server has started this request
                        put(ROOT_CONTEXT)
                    application = argument(args, kwargs, 1, "application")
                    if callable(application):
                        args, kwargs = with_argument(args, kwargs, 1, "application", _traced(application, started))
                except Exception:
                    contained(PLACE)
                result = original(*args, **kwargs)
                put(outer)
            except BaseException:
                put(outer)
                raise
        except BaseException:
            put(outer)
            _end(started)
            raise
        _end(started)
        return result

    return run


def _end(started: list[Request]) -> None:
    for request in started:
        request.end()


def _traced(application: Any, started: list[Request]) -> Any:
    def call(environ: Any, start_response: Any) -> Any:
        try:
            request = wsgi.start_or_adopt(environ, "wsgiref", PLACE)
            if request is not None:
                started.append(request)
                request.activate()
        except Exception:
            contained(PLACE)
        return application(environ, start_response)

    return call


def _failure_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseException | None:
    request = current_request()
    return sys.exc_info()[1] if request is not None and request.place == PLACE else None

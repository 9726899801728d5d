"""Hooks around the methods of a library that a request passes: start, end, status, route, failure. Knows no library.

Each takes the original method and returns the replacement, which calls the original once, bare. Our work is contained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.http_server.request import ROOT_CONTEXT, Request, current_request
from autotrace.tracing import current
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    Args = tuple[Any, ...]
    Kwargs = dict[str, Any]


class PendingRequest(Context):
    """The root context of a server's method before the request has started. Holds the request once it has.

    So the method ends its own request even if the program has left another context attached.
    """

    request: Request | None = None


def per_request(
    original: Callable[..., Any],
    place: str,
    on_return: Callable[[Request, Args], object] | None = None,
    on_error: Callable[[Request, BaseException], object] = Request.fail,
) -> Callable[..., Any]:
    """A server's method that serves one request from beginning to end, on a thread of its own.

    Within it the current context is a PendingRequest, until another hook stores the request there.
    on_return(request, args): the method returned. on_error(request, error): it raised.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        pending = PendingRequest()
        token = current.put(pending)
        try:
            result = original(*args, **kwargs)
            if on_return is not None:
                _contain(place, on_return, pending.request, args)
            return result
        except BaseException as error:
            _contain(place, on_error, pending.request, error)
            raise
        finally:
            if pending.request is not None:
                pending.request.end()
            current.leave(token)

    return call


def _contain(place: str, listener: Callable[[Request, Any], object], request: Request | None, value: Any) -> None:
    if request is not None:
        try:
            listener(request, value)
        except Exception:
            contained(place)


def per_request_async(
    original: Callable[..., Any],
    place: str,
    start: Callable[[Args, Kwargs], Request | None],
    on_end: Callable[[Request, Args, Any], object],
    ignored: tuple[type[BaseException], ...] = (),
) -> Callable[..., Any]:
    """A server's coroutine function that serves one request from beginning to end, in a task of its own.

    start(args, kwargs): the request, started in a root context. on_end(request, args, result): the coroutine is over;
    `result` is None if it raised. `ignored`: exceptions that are no failure of the request.
    """

    async def call(*args: Any, **kwargs: Any) -> Any:
        token = current.put(ROOT_CONTEXT)
        request = result = None
        try:
            request = start(args, kwargs)
        except Exception:
            contained(place)
        try:
            result = await original(*args, **kwargs)
            return result
        except BaseException as error:
            if request is not None and not isinstance(error, ignored):
                request.fail(error)
            raise
        finally:
            if request is not None:
                try:
                    on_end(request, args, result)
                except Exception:
                    contained(place)
                request.end()
            current.leave(token)

    return call


def on_failure(
    original: Callable[..., Any], place: str, failure_of: Callable[[Args, Kwargs], BaseException | None]
) -> Callable[..., Any]:
    """A method that is called with an exception which the program did not handle.

    failure_of(args, kwargs): that exception; None where it is no failure of the request.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            request = current_request()
            error = None if request is None else failure_of(args, kwargs)
            if request is not None and error is not None:
                request.fail(error)
        except Exception:
            contained(place)
        return original(*args, **kwargs)

    return call


def on_route(
    original: Callable[..., Any], place: str, route_of: Callable[[Args, Kwargs], str | None]
) -> Callable[..., Any]:
    """A method that is called when the router has matched. route_of(args, kwargs): the route's template, or None."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            request = current_request()
            template = None if request is None else route_of(args, kwargs)
            if request is not None and template is not None:
                request.span.facts["route"] = request.mount + template  # set_route(), without the call
        except Exception:
            contained(place)
        return original(*args, **kwargs)

    return call


def on_status(original: Callable[..., Any], place: str) -> Callable[..., Any]:
    """A server's own start_response(self, status, …): the status of a request that was started at `place`."""

    def start_response(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        try:
            request = current_request()
            if request is not None and request.place == place:
                request.set_status(argument(args, kwargs, 1, "status"))
        except Exception:
            contained(place)
        return result

    return start_response

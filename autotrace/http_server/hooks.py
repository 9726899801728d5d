"""Hooks around the methods of a library that a request passes: start, end, status, route, failure. Knows no library.

Each takes the original method and returns the replacement, which calls the original once, bare. Our work is contained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.http_server.request import ROOT_CONTEXT, Request, current_request, restore
from autotrace.tracing.current import get, put
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
        outer = get()
        pending = PendingRequest()
        try:
            try:
                put(pending)
                result = original(*args, **kwargs)
                if on_return is not None:
                    _contain(place, on_return, pending.request, args)
                put(outer)
            except BaseException as error:
                put(outer)
                _contain(place, on_error, pending.request, error)
                raise
        except BaseException:
            put(outer)
            if pending.request is not None:
                pending.request.end()
            raise
        if pending.request is not None:
            pending.request.end()
        return result

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

    start(args, kwargs): the request, started in a root context, not active yet.
    on_end(request, args, result): the coroutine is over; `result` is None if it raised.
    `ignored`: exceptions that are no failure of the request.
    """

    async def call(*args: Any, **kwargs: Any) -> Any:
        outer, inner = get(), ROOT_CONTEXT
        request = None
        try:
            try:
                try:
                    put(inner)
                    request = start(args, kwargs)
                    if request is not None:
                        inner = request.activate()
                except Exception:
                    contained(place)
                result = await original(*args, **kwargs)
                put(outer)
            except BaseException as error:
                restore(outer, inner, error)
                if request is not None and not isinstance(error, ignored):
                    request.fail(error)
                raise
        except BaseException as error:
            restore(outer, inner, error)
            _end(place, on_end, request, args, None)
            raise
        _end(place, on_end, request, args, result)
        return result

    return call


def _end(
    place: str, on_end: Callable[[Request, Args, Any], object], request: Request | None, args: Args, result: Any
) -> None:
    if request is not None:
        try:
            on_end(request, args, result)
        except Exception:
            contained(place)
        request.end()


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

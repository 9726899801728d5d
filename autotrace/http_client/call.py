"""The call in progress, as the program made it, and the client span of each exchange that it takes. Knows no library.

If one library calls another (requests calls urllib3), the upper one knows the URL, the lower one sees the exchanges.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.http_client.program_headers import program_trace
from autotrace.http_client.server_facts import server_facts
from autotrace.semantics import http
from autotrace.tracing import propagate, tracer
from autotrace.tracing.current import SUPPRESS_HTTP_KEY, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autotrace.http_client.exchange import Exchange
    from autotrace.tracing.span import Span


class Call:
    """One request as the program made it through the library `component`, and how far it has come.

    `owner`: the object that follows redirects. `follows`: the call before the redirect or challenge that made this one.
    `exchanges`: the number of its exchanges so far, with those of `follows`.
    `layer`: the lower layer that sends for this call now (`urllib3`, `http.client`). None: nothing is sent for it.
    `connection`: carries an exchange of this call now. A lower layer that meets it makes no second span.
    `uninjected`: the span whose headers http.client has still to send, because what stands above it must not see them.
    `request`: the library's object for the exchange, if only its identity tells a redirect from another call.
    `span`, `exchange`, `status`: of the last exchange, as far as the library's patch needs them.
    """

    __slots__ = (
        "component",
        "connection",
        "exchange",
        "exchanges",
        "follows",
        "layer",
        "owner",
        "request",
        "span",
        "status",
        "uninjected",
        "url",
    )

    def __init__(
        self,
        component: str,
        owner: Any = None,
        url: str = "",
        *,
        layer: str | None = None,
        follows: Call | None = None,
    ) -> None:
        self.component = component
        self.owner = owner
        self.url = url
        self.layer = layer
        self.follows = follows
        self.exchanges: int = 0 if follows is None else follows.exchanges
        self.connection: Any = None
        self.uninjected: Span | None = None
        self.request: Any = None
        self.span: Span | None = None
        self.exchange: Exchange | None = None
        self.status = 0

    def hand_back(self) -> None:
        """The call that this one follows goes on from where it has come."""
        outer, self.follows = self.follows, None
        if outer is not None:
            outer.exchanges, outer.status, outer.request = self.exchanges, self.status, self.request

    def expects(self, layer: str) -> bool:
        """Does the next exchange of `layer` belong to this call? While one is under way, the body may make others."""
        return self.layer == layer and self.connection is None

    def start_exchange(self, method: Any, names: Iterable[str] = (), headers: Any = ()) -> Span | None:
        """The client span of one more exchange, which is counted. None: suppressed, or the URL is excluded.

        `names`, lower-case, of `headers`: those of the request as the program passes them, a mapping or pairs.
        """
        facts: dict[str, Any] = {"method": method, "url": self.url}
        if self.exchanges:
            facts["resend"] = self.exchanges
        self.exchanges += 1
        self.status = 0
        self.span = None
        context = get()
        if context.get(SUPPRESS_HTTP_KEY) or propagate.is_excluded(self.url):
            return None
        shared = server_facts(self.component, self.url)
        if propagate.propagator.readable.isdisjoint(names):
            self.span = tracer.start(http.CLIENT, SpanKind.CLIENT, facts, shared)
            return self.span
        parent, kept = program_trace(names, headers, self.url, context)
        if kept:
            facts["kept"] = kept
        self.span = tracer.start(http.CLIENT, SpanKind.CLIENT, facts, shared, parent)
        return self.span


current_call: ContextVar[Call | None] = ContextVar("autotrace-http-call", default=None)
"""The call in progress in this thread or task."""


def new_call(component: str) -> Call | None:
    """A call of `component`, not yet in progress. Never raises."""
    try:
        return Call(component)
    except Exception:
        contained(component)
        return None


def leave_call(call: Call | None, outer: Call | None) -> None:
    """Restore `outer`, which was in progress before `call`. Nothing to do in another context, where a coroutine may
    end.
    """
    if current_call.get() is call:
        current_call.set(outer)


def enter_layer(component: str, layer: str, url: str) -> Call:
    """The call in progress, for which `layer` sends to `url` now.

    The call is a new one if the program uses this part of the library directly, or from within another call.
    The caller resets `layer` and `connection`, and restores the call that was in progress before.
    """
    call = current_call.get()
    if call is None or call.component != component or call.connection is not None:
        call = Call(component)
        current_call.set(call)
    call.url, call.layer = url, layer
    return call


def wrap_call(
    place: str,
    make_call: Callable[[Any, Any], Call | None],
    keeps_response: Callable[[BaseException], bool] = lambda error: False,
) -> Callable[[Any], Any]:
    """For the function that all requests of a library pass, redirects from within the first one's. Makes no span.

    make_call(args, kwargs): the call that is in progress while the function runs.
    keeps_response(error): does the error give the response to the program?
    """

    def wrap(original: Any) -> Any:
        def send(*args: Any, **kwargs: Any) -> Any:
            outer, call = current_call.get(), None
            try:
                try:
                    try:
                        call = make_call(args, kwargs)
                    except Exception:
                        contained(place)
                    current_call.set(call)
                    return original(*args, **kwargs)
                except BaseException as error:
                    # The response is lost with the exception, such as a hook's.
                    if call is not None and call.exchange is not None and not keeps_response(error):
                        call.exchange.end()
                    raise
                finally:
                    current_call.set(outer)
                    if call is not None and call.follows is not None:
                        call.hand_back()
            finally:  # for an interruption of the lines above
                current_call.set(outer)

        return send

    return wrap

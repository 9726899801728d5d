"""The active span, kept in OpenTelemetry's context, where the API's functions see it. Two operations: enter, leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context.context import Context
from opentelemetry.trace.propagation import _SPAN_KEY

if TYPE_CHECKING:
    from contextvars import Token

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

SPAN_KEY = _SPAN_KEY
FORWARD_KEY = "autotrace-forwarded"
"""Context key of the mesh headers to pass on: ((name, value), ...)."""
SUPPRESS_KEY: str = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
"""OpenTelemetry's own key. Where it is set, as by exporters, no spans are made."""
SUPPRESS_HTTP_KEY: str = getattr(context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")
"""OpenTelemetry's key for one HTTP call that has its span already: instrumentations of SDKs set it around their calls.
"""

context_api.get_current()  # older versions create the runtime on first use
_runtime: Any = context_api._RUNTIME_CONTEXT
_variable: Any = getattr(_runtime, "_current_context", None)
# The default runtime keeps one context variable. Direct access to it halves the cost. Another runtime is used as it is.
get: Any = _runtime.get_current if _variable is None else _variable.get
put: Any = _runtime.attach if _variable is None else _variable.set
_reset: Any = _runtime.detach if _variable is None else _variable.reset
# Context forbids assignment, but a copy that nobody else holds yet may be filled.
_fill = dict.__setitem__


def enter(span: Span, remote: Remote | None = None) -> Token[Context]:
    """Make `span` active, with the baggage and the mesh headers of its remote parent. leave() takes the token."""
    context = Context(get())
    _fill(context, SPAN_KEY, span)
    if remote is not None:
        if remote.forwarded:
            _fill(context, FORWARD_KEY, remote.forwarded)
        if remote.baggage:
            from opentelemetry import baggage

            _fill(context, baggage._BAGGAGE_KEY, {**baggage.get_all(context), **remote.baggage})
    token: Token[Context] = put(context)
    return token


def leave(token: Token[Context]) -> None:
    """Restore the context from before enter(). Elsewhere, as in a generator closed by another thread, do nothing."""
    try:
        _reset(token)
    except (ValueError, RuntimeError):
        pass


def withdraw(span: Span, token: Token[Context] | None, outer: Context) -> None:
    """leave() for an exception handler, also if the exception struck before enter() had returned its token. May be
    called twice.

    `outer` is the context before enter().
    """
    if token is not None:
        leave(token)
    elif get().get(SPAN_KEY) is span:
        put(outer)


def span_of(context: Context) -> Any:
    """The active span of a context, autotrace's or another library's; or None."""
    return context.get(SPAN_KEY)

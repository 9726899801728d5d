"""The current span, kept in the OpenTelemetry context, so that the API's own functions see it. Two operations: enter and leave."""

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
"""OpenTelemetry's own key: whoever sets it (exporters do) makes no spans."""
SUPPRESS_HTTP_KEY: str = getattr(context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")
"""OpenTelemetry's key for one HTTP call that has its span already: instrumentations of SDKs set it around their calls."""

context_api.get_current()  # older versions make the runtime on first use
_runtime: Any = context_api._RUNTIME_CONTEXT
_variable: Any = getattr(_runtime, "_current_context", None)
# The default runtime keeps one context variable; going to it directly halves the cost. Any other runtime is used as it is.
get: Any = _runtime.get_current if _variable is None else _variable.get
put: Any = _runtime.attach if _variable is None else _variable.set
_reset: Any = _runtime.detach if _variable is None else _variable.reset
# Context forbids assignment to users; a copy that nobody else holds yet may be filled.
_fill = dict.__setitem__


def enter(span: Span, remote: Remote | None = None) -> Token[Context]:
    """Make `span` current, with the baggage and mesh headers that came along with it. The token goes to leave()."""
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
    """Restore what was current before enter(). In another execution context (a generator closed elsewhere) there is nothing to restore."""
    try:
        _reset(token)
    except (ValueError, RuntimeError):
        pass


def span_of(context: Context) -> Any:
    """The span in a context, ours or another's; None."""
    return context.get(SPAN_KEY)

"""Inject and extract with the propagator in force, and the baggage and mesh headers of the current context."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace.propagation import Propagator, carriers
from autotrace.setting_types import any_of
from autotrace.settings import in_force
from autotrace.tracing.current import FORWARD_KEY, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

propagator = Propagator(in_force().propagators, in_force().forward_headers)
_targets = any_of(tuple(target.lower() for target in in_force().propagation_targets))
_excluded = any_of(in_force().excluded_urls)


def _baggage_and_forwarded() -> tuple[Mapping[str, object] | None, tuple[tuple[str, str], ...]]:
    """(baggage, mesh headers to forward) of the current context."""
    context = get()
    module = sys.modules.get("opentelemetry.baggage")  # if it is not imported, nobody has set baggage
    baggage = None if module is None else context.get(module._BAGGAGE_KEY)
    return baggage or None, context.get(FORWARD_KEY, ())


def is_target(host: str) -> bool:
    """May this host get trace headers (AUTOTRACE_PROPAGATION_TARGETS)?"""
    return _targets is None or _targets.match(host.lower()) is not None


def is_excluded(url: object) -> bool:
    """Is this URL, called or served, left alone (AUTOTRACE_EXCLUDED_URLS)? `url`: a whole URL or a path, query ignored.

    A glob may match the path alone, so that `/health*` matches on every host.
    """
    if _excluded is None:
        return False
    text = str(url).partition("#")[0].partition("?")[0]
    if _excluded.match(text) is not None:
        return True
    _, separator, rest = text.partition("://")
    return bool(separator) and _excluded.match(f"/{rest.partition('/')[2]}") is not None


def injected(headers: Any, span: Span, host: str, copy: Callable[[Any], Any]) -> Any:
    """A copy of `headers`, made by `copy`, with `span` in it. `headers` itself for a host that is no target."""
    if is_target(host):
        headers = copy(headers)
        carriers.inject_http(propagator, headers, span, *_baggage_and_forwarded())
    return headers


def inject_kafka(headers: Any, span: Span) -> Any:
    """A copy of the caller's headers, of the same type, with the trace headers of `span` in place of any others."""
    return carriers.inject_kafka(propagator, headers, span, *_baggage_and_forwarded())


def extract_wsgi(environ: Mapping[str, Any]) -> Remote | None:
    return carriers.extract_wsgi(propagator, environ)


def extract_http(headers: Any) -> Remote | None:
    return carriers.extract_http(propagator, headers)


def extract_kafka(headers: Iterable[Any] | None) -> Remote | None:
    return carriers.extract_kafka(propagator, headers)

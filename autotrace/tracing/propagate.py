"""What crosses a process boundary: the propagator in force, joined to the current context. Which carrier it is, the caller says."""

from __future__ import annotations

import re
import sys
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from autotrace.propagation import Propagator, carriers
from autotrace.tracing.current import FORWARD_KEY, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping

    from autotrace.propagation.context import Headers, Remote
    from autotrace.tracing.span import Span

propagator = Propagator(("b3multi", "tracecontext", "baggage"))
_targets: re.Pattern[str] | None = None
_excluded: re.Pattern[str] | None = None


def configure(formats: tuple[str, ...], forward_headers: tuple[str, ...], targets: tuple[str, ...]) -> None:
    global propagator, _targets
    propagator = Propagator(formats, forward_headers)
    _targets = _any(tuple(target.lower() for target in targets))


def exclude(urls: tuple[str, ...]) -> None:
    """`urls`: globs of AUTOTRACE_EXCLUDED_URLS."""
    global _excluded
    _excluded = _any(urls)


def _any(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(translate, globs))) if globs else None


def _companions() -> tuple[Mapping[str, object] | None, tuple[tuple[str, str], ...]]:
    """(baggage, mesh headers) of the current context."""
    context = get()
    module = sys.modules.get("opentelemetry.baggage")  # without it nobody can have set any
    baggage = None if module is None else context.get(module._BAGGAGE_KEY)
    return baggage or None, context.get(FORWARD_KEY, ())


def is_target(host: str) -> bool:
    """May this host get trace headers (AUTOTRACE_PROPAGATION_TARGETS)?"""
    return _targets is None or _targets.match(host.lower()) is not None


def is_excluded(url: object) -> bool:
    """Is this URL, called or served, left alone (AUTOTRACE_EXCLUDED_URLS)? `url`: a whole one, or a path; a query does not count.

    A glob that holds for the path alone counts too, so that `/health*` need not know the host.
    """
    if _excluded is None:
        return False
    text = str(url).partition("#")[0].partition("?")[0]
    if _excluded.match(text) is not None:
        return True
    _, separator, rest = text.partition("://")
    return bool(separator) and _excluded.match(f"/{rest.partition('/')[2]}") is not None


def injected(headers: Any, span: Span, host: str, copy: Callable[[Any], Any]) -> Any:
    """A copy of `headers`, made by `copy`, with `span` in it. `headers` itself for a host that is no target.

    The span's fact `kept`: lower-case names that stay in `headers` as the program has written them.
    """
    if is_target(host):
        headers = copy(headers)
        carriers.inject_http(propagator, headers, span, *_companions(), kept=span.facts.get("kept", ()))
    return headers


def inject_http(headers: MutableMapping[str, str], span: Span, host: str) -> None:
    """Put `span` into `headers`, a copy that belongs to us; nothing for a host that is no target."""
    if is_target(host):
        baggage, forwarded = _companions()
        carriers.inject_http(propagator, headers, span, baggage, forwarded)


def http_headers(span: Span, host: str) -> Headers:
    """[(name, value)] to send along; [] for a host that is no target."""
    if not is_target(host):
        return []
    baggage, forwarded = _companions()
    return carriers.http_additions(propagator, span, baggage, forwarded)


def inject_kafka(headers: Any, span: Span) -> Any:
    """The caller's headers without old trace headers, and with those of `span`: a copy of the same type."""
    baggage, forwarded = _companions()
    return carriers.inject_kafka(propagator, headers, span, baggage, forwarded)


def extract_wsgi(environ: Mapping[str, Any]) -> Remote | None:
    return carriers.extract_wsgi(propagator, environ)


def extract_http(headers: Any) -> Remote | None:
    return carriers.extract_http(propagator, headers)


def extract_kafka(headers: Iterable[Any] | None) -> Remote | None:
    return carriers.extract_kafka(propagator, headers)

"""Where a trace stands in WSGI environs, HTTP headers and Kafka headers. No garbage makes reading raise."""

from __future__ import annotations

from autotrace.containment import reraise_interruption

from . import jaeger
from .header_lines import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, MutableMapping
    from typing import Any

    from . import Propagator
    from .context import Headers, Remote, SpanContext

    Forwarded = tuple[tuple[str, str], ...]

_ENVIRON_PREFIX = "HTTP_" + jaeger.prefix.upper().replace("-", "_")


def extract_wsgi(propagator: Propagator, environ: Mapping[str, Any]) -> Remote | None:
    """The caller of a WSGI (PEP 3333) request; None if its headers say nothing of a trace."""
    try:
        names = propagator.environ_names
        found = {names[key]: environ[key] for key in names.keys() & environ.keys()}
        # One search in the joined keys is a third of the price of a look at each.
        present = _environ_baggage(environ, found) if _ENVIRON_PREFIX in "\n".join(environ) else ()
        return propagator.extract(found.get, present, found) if found else None
    except Exception:
        reraise_interruption()
        return None


def _environ_baggage(environ: Mapping[str, Any], found: dict[str, Any]) -> list[str]:
    """Adds the headers with Jaeger's prefix to `found`; their names. WSGI has made `_` of every `-` in them."""
    start = len(_ENVIRON_PREFIX)
    present = []
    for key in environ:
        if key.startswith(_ENVIRON_PREFIX):
            name = jaeger.prefix + key[start:].lower().replace("_", "-")
            found[name] = environ[key]
            present.append(name)
    return present


def extract_http(propagator: Propagator, headers: Any) -> Remote | None:
    """The caller of an HTTP request. `headers`: a mapping in any case, or (name, value) pairs, of str or bytes (ASGI).

    Several headers of one name are joined by `,` as HTTP says, so that two traceparents are none.
    """
    try:
        if not headers:
            return None
        if hasattr(headers, "items"):
            pairs = headers.items()
        elif hasattr(headers, "get"):
            return propagator.extract(headers.get)
        else:
            pairs = headers
        found: dict[str, str] = {}
        present: list[str] = []
        lengths = propagator.readable_lengths
        readable = propagator.readable
        for key, value in pairs:
            if len(key) not in lengths and key[:1] not in ("u", "U", b"u", b"U"):
                continue
            name = (key.decode("latin-1") if isinstance(key, bytes) else key).lower()
            if name not in readable:
                if not name.startswith(jaeger.prefix):
                    continue
                present.append(name)
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            if isinstance(text, str):
                found[name] = f"{found[name]},{text}" if name in found else text
        return propagator.extract(found.get, present, found) if found else None
    except Exception:
        reraise_interruption()
        return None


def extract_kafka(propagator: Propagator, headers: Iterable[Any] | None) -> Remote | None:
    """The producer of a record. `headers`: (str, bytes) pairs or a dict. Any case; the last readable value wins."""
    if not headers:
        return None
    found: dict[str, str] = {}
    present: list[str] = []
    lengths = propagator.readable_lengths
    readable = propagator.readable
    spelled = propagator.spelled
    try:
        for header in headers.items() if isinstance(headers, dict) else headers:
            try:
                key, value = header
                name = spelled.get(key)
                if name is not None:
                    found[name] = value.decode()
                    continue
                if len(key) not in lengths and key[:1] not in ("u", "U"):
                    continue
                name = key.lower()
                if name not in readable:
                    if not name.startswith(jaeger.prefix):
                        continue
                    present.append(name)
                found[name] = value.decode()
            except Exception:  # no pair, a key that is no text, a value that is no bytes or no UTF-8: none of a trace
                reraise_interruption()
                continue
        return propagator.extract(found.get, present, found) if found else None
    except Exception:
        reraise_interruption()
        return None


def http_additions(
    propagator: Propagator, span: SpanContext, baggage: Mapping[str, object] | None, forwarded: Forwarded
) -> Headers:
    """(name, value) to send with an HTTP request, no line longer than servers take."""
    return _fitting(propagator.headers(span, baggage, forwarded))


def _fitting(additions: Headers) -> Headers:
    return [line for addition in additions for line in lines(*addition)]


def inject_http(
    propagator: Propagator,
    headers: MutableMapping[str, str],
    span: SpanContext,
    baggage: Mapping[str, object] | None,
    forwarded: Forwarded,
    kept: Collection[str] = (),
) -> None:
    """Removes every trace header from `headers`, which must be a copy of ours, and adds those of `span`.

    `kept`: lower-case names that are neither removed nor added.
    """
    additions = propagator.headers(span, baggage, forwarded)
    if baggage or forwarded or span.trace_state or kept:
        additions = [line for line in _fitting(additions) if line[0].lower() not in kept]
    replaced = _names(additions) if baggage or forwarded else ()
    for key in [key for key in headers.keys() if _is_stale(propagator, key, replaced)]:  # noqa: SIM118 - may hold pairs
        if kept and (key.decode("latin-1") if isinstance(key, bytes) else key).lower() in kept:
            continue
        try:
            del headers[key]
        except KeyError:  # a multi-mapping, that has lost all of a name at once
            continue
    if type(headers) is dict:
        headers.update(additions)
        return
    add = getattr(headers, "add", headers.__setitem__)  # a multi-mapping takes a name more than once
    for name, value in additions:
        add(name, value)


def inject_kafka(
    propagator: Propagator,
    headers: Any,
    span: SpanContext,
    baggage: Mapping[str, object] | None,
    forwarded: Forwarded,
) -> Any:
    """A new list (a new dict for a dict) of the caller's headers less every trace header, then ours as (str, bytes).

    What is none of list, tuple, dict and None is returned as it is: refusing it is the client's business.
    """
    additions = propagator.headers(span, baggage, forwarded, parent=False)
    ours = [(name, value.encode()) for name, value in additions]
    if headers is None:
        return ours
    replaced = _names(additions) if headers and (baggage or forwarded) else ()
    if isinstance(headers, dict):
        kept = {key: value for key, value in headers.items() if not _is_stale(propagator, key, replaced)}
        kept.update(ours)
        return kept
    if not isinstance(headers, (list, tuple)):
        return headers
    return [header for header in headers if not _is_stale(propagator, _key(header), replaced)] + ours


def _names(additions: Headers) -> set[str]:
    return {name.lower() for name, _ in additions}


def _key(header: object) -> object:
    """The key of a Kafka header; None where it is no pair, which then stays for the client to refuse."""
    return header[0] if isinstance(header, (tuple, list)) and header else None


def _is_stale(propagator: Propagator, key: object, replaced: Iterable[str]) -> bool:
    """Is this name of the caller's a trace header, or one that we send ourselves?"""
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if not isinstance(key, str):
        return False
    name = key.lower()
    return name in propagator.stale or name in replaced or name.startswith(propagator.prefixes)

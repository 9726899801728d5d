"""Inject into and extract from the carriers: WSGI environs, HTTP headers, Kafka headers. Extracting never raises."""

from __future__ import annotations

from autotrace.containment import reraise_interruption

from . import jaeger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping
    from typing import Any

    from . import Propagator
    from .context import Headers, Remote, SpanContext

    Forwarded = tuple[tuple[str, str], ...]

_ENVIRON_PREFIX = "HTTP_" + jaeger.prefix.upper().replace("-", "_")


def extract_wsgi(propagator: Propagator, environ: Mapping[str, Any]) -> Remote | None:
    """The remote span that a WSGI (PEP 3333) request names; None if its headers name none."""
    try:
        names = propagator.environ_names
        found = {names[key]: environ[key] for key in names.keys() & environ.keys()}
        # One search in the joined keys costs a third of a look at each key.
        present = _environ_baggage(environ, found) if _ENVIRON_PREFIX in "\n".join(environ) else ()
        return propagator.extract(found.get, present, found) if found else None
    except Exception:
        reraise_interruption()
        return None


def _environ_baggage(environ: Mapping[str, Any], found: dict[str, Any]) -> list[str]:
    """Add the headers with Jaeger's baggage prefix to `found`, and return their names. WSGI turns `-` into `_`."""
    start = len(_ENVIRON_PREFIX)
    present = []
    for key in environ:
        if key.startswith(_ENVIRON_PREFIX):
            name = jaeger.prefix + key[start:].lower().replace("_", "-")
            found[name] = environ[key]
            present.append(name)
    return present


def extract_http(propagator: Propagator, headers: Any) -> Remote | None:
    """The remote span that an HTTP request names. `headers`: a mapping or (name, value) pairs, of str or bytes (ASGI).

    Several headers of one name are joined by `,` as HTTP says, so that two traceparents are one invalid one.
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
    """The producer span that a record names. `headers`: (str, bytes) pairs or a dict. The last readable value wins."""
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
            except Exception:  # not a pair, a key that is not text, a value that is not bytes or not UTF-8
                reraise_interruption()
                continue
        return propagator.extract(found.get, present, found) if found else None
    except Exception:
        reraise_interruption()
        return None


def inject_http(
    propagator: Propagator,
    headers: MutableMapping[str, str],
    span: SpanContext,
    baggage: Mapping[str, object] | None,
    forwarded: Forwarded,
) -> None:
    """Replace every trace header in `headers`, a copy that belongs to autotrace, by those of `span`."""
    additions = propagator.headers(span, baggage, forwarded)
    replaced = _names(additions) if baggage or forwarded else ()
    for key in [key for key in headers.keys() if _is_stale(propagator, key, replaced)]:  # noqa: SIM118 - may hold pairs
        try:
            del headers[key]
        except KeyError:  # a multi-mapping, which drops all headers of a name at once
            continue
    for name, value in additions:
        headers[name] = value


def inject_kafka(
    propagator: Propagator,
    headers: Any,
    span: SpanContext,
    baggage: Mapping[str, object] | None,
    forwarded: Forwarded,
) -> Any:
    """A new list (of a dict: a new dict) of the caller's headers without trace headers, then those of `span`.

    Anything but a list, a tuple, a dict or None is returned as it is, because the client refuses it in its own way.
    """
    additions = propagator.headers(span, baggage, forwarded, parent=False)
    injected = [(name, value.encode()) for name, value in additions]
    if headers is None:
        return injected
    replaced = _names(additions) if headers and (baggage or forwarded) else ()
    if isinstance(headers, dict):
        kept = {key: value for key, value in headers.items() if not _is_stale(propagator, key, replaced)}
        kept.update(injected)
        return kept
    if not isinstance(headers, (list, tuple)):
        return headers
    return [header for header in headers if not _is_stale(propagator, _key(header), replaced)] + injected


def _names(additions: Headers) -> set[str]:
    return {name.lower() for name, _ in additions}


def _key(header: object) -> object:
    """The key of a Kafka header; None if it is not a pair. Such a header stays, for the client to refuse."""
    return header[0] if isinstance(header, (tuple, list)) and header else None


def _is_stale(propagator: Propagator, key: object, replaced: Iterable[str]) -> bool:
    """Is this name a trace header, or one of `replaced`, which are injected anew?"""
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if not isinstance(key, str):
        return False
    name = key.lower()
    return name in propagator.stale or name in replaced or name.startswith(propagator.prefixes)

"""W3C Trace Context (traceparent, tracestate) and W3C Baggage, whose `;properties` are dropped.

Sources: w3.org/TR/trace-context-2 (its grammar, the random flag), /TR/baggage.
"""

from __future__ import annotations

from autotrace.containment import reraise_interruption

from .context import OWS, RANDOM, SAMPLED, identify, is_hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .context import Get, Headers, Remote, SpanContext

names = ("traceparent", "tracestate", "baggage")

_LOWER = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_KEY = _LOWER + _DIGITS + "_-*/@"
_MAX_MEMBERS = 32
_MAX_STATE = 32 * 1024
"""Characters of a tracestate that are read: 32 of the longest members are 16 KB. A longer one is not even split."""

_TOKEN = _LOWER + _LOWER.upper() + _DIGITS + "!#$%&'*+-.^_`|~"
_UNQUOTED = "!#$&'()*+/:<=>?@[]^`{|}"
"""Characters that a baggage value may hold unencoded, beside letters, digits and `-._~`. `%` is the escape."""
MAX_BAGGAGE_ITEMS = 64
MAX_BAGGAGE_BYTES = 8192

_FLAGS = ("00", "01", "02", "03")


def extract(get: Get) -> Remote | None:
    """The ids of a valid traceparent, with its tracestate if that is valid too; else None."""
    text = get("traceparent")
    if text is None:
        return None
    text = text.strip(OWS)
    version = text[:2]
    if len(text) != 55 and (len(text) < 55 or version == "00" or text[55] != "-"):
        return None
    if not is_hex(version) or version == "ff" or text[2] != "-" or text[35] != "-" or text[52] != "-":
        return None
    flags = text[53:55]
    if not is_hex(flags):
        return None
    bits = int(flags, 16) & (SAMPLED | RANDOM)
    remote = identify(text[3:35], text[36:52], (bool(bits & SAMPLED), bits))
    if remote is not None:
        state = get("tracestate")
        if state:
            remote.trace_state = clean_trace_state(state)
    return remote


def clean_trace_state(text: str) -> str | None:
    """The members of a tracestate in order, without blanks and empty ones; None if one is invalid, for more than 32,
    and for 32 KB.

    Of a key that comes twice, the first and newest member stays. Unique keys are the sender's duty (w3c/trace-context,
    pull request 477), and the specification's own tests want the rest kept.
    """
    if len(text) > _MAX_STATE:
        return None
    members: dict[str, str] = {}
    count = 0
    for item in text.split(","):
        member = item.strip(OWS)
        if not member:
            continue
        count += 1
        key, _, value = member.partition("=")
        if count > _MAX_MEMBERS or not _is_state_key(key) or not _is_state_value(value):
            return None
        members.setdefault(key, member)
    return ",".join(members.values()) or None


def _is_state_key(key: str) -> bool:
    """1 to 256 of `a-z 0-9 _ - * / @`, a letter or a digit first? Level 1 knew tenants; to level 2 `@` is a
    character.
    """
    return 0 < len(key) <= 256 and key[0] not in "_-*/@" and not key.strip(_KEY)


def _is_state_value(value: str) -> bool:
    """1 to 256 printable ASCII characters without `=`? A comma cannot occur, because the text was split at commas."""
    return 0 < len(value) <= 256 and value.isascii() and value.isprintable() and "=" not in value


def trace_context(span: SpanContext, trace: str, own: str, parent_id: int) -> Headers:
    """traceparent, version 00, and the tracestate that came with the trace; parameters as of b3.multi()."""
    parent = ("traceparent", f"00-{trace}-{own}-{_FLAGS[span.flags & 3]}")
    state = span.trace_state
    return [parent, ("tracestate", state)] if state else [parent]


def read_baggage(get: Get) -> dict[str, str] | None:
    """Keys and decoded values of the first 64 valid members within 8192 bytes; None without any."""
    text = get("baggage")
    if not text:
        return None
    if len(text) > MAX_BAGGAGE_BYTES:
        text = text[: MAX_BAGGAGE_BYTES + 1].rpartition(",")[0]
    from urllib.parse import unquote

    found: dict[str, str] = {}
    for member in text.split(","):
        key, equals, rest = member.partition("=")
        key = key.strip(OWS)
        value = rest.partition(";")[0].strip(OWS)
        if equals and is_token(key) and value.isascii() and value.isprintable():
            found[key] = unquote(value)
            if len(found) == MAX_BAGGAGE_ITEMS:
                break
    return found or None


def baggage(items: Mapping[str, object]) -> Headers:
    """One `baggage` header with as many items as the limits allow, values percent-encoded; [] without any item."""
    members: list[str] = []
    size = -1
    for key, value in quoted(items, _UNQUOTED):
        member = f"{key}={value}"
        if size + 1 + len(member) <= MAX_BAGGAGE_BYTES:
            members.append(member)
            size += 1 + len(member)
            if len(members) == MAX_BAGGAGE_ITEMS:
                break
    return [("baggage", ",".join(members))] if members else []


def is_token(text: str) -> bool:
    """Is it a token of HTTP, as header names and baggage keys must be?"""
    return bool(text) and not text.strip(_TOKEN)


def quoted(items: Mapping[str, object], unquoted: str) -> Headers:
    """(key, percent-encoded value) of each item whose key is a token and whose value has a text."""
    from urllib.parse import quote

    pairs: Headers = []
    for key, value in items.items():
        if not isinstance(key, str) or not is_token(key) or value is None:
            continue
        try:
            pairs.append((key, quote(str(value), safe=unquoted, errors="replace")))
        except Exception:  # the __str__ of the program's value fails: this item alone is left out
            reraise_interruption()
            continue
    return pairs

"""A finished span as Jaeger's struct Span, in either Thrift protocol. What many spans have in common is encoded once.

Fast path: facts of a family, whose encoded tags are kept by value. Attributes of the program's own may replace tags, so
a span that has some takes the plain path through span_reader.tags(); both paths write the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.export.tag_value import plain, shortened
from autotrace.propagation.context import DEBUG, SAMPLED
from autotrace.semantics import span_reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from autotrace.export.jaeger.thrift import Thrift
    from autotrace.semantics.family import Family
    from autotrace.tracing.span import Span

CHILD_OF, FOLLOWS_FROM = 0, 1
"""SpanRefType."""

KEPT = 1 << 20
"""Bytes of encoded tags that are kept for the next span with the same fact."""


class Encoder:
    """One per exporter; used by one thread at a time. The convention is the one in force when it is made."""

    def __init__(self, thrift: Thrift) -> None:
        self._thrift = thrift
        self._kinds = {kind: thrift.tag("span.kind", kind.name.lower()) for kind in SpanKind}
        self._families: dict[Family, _FamilyTags] = {}

    def encode(self, span: Span, most: int | None = None) -> bytes:
        """The struct Span. `most`: bytes that a text may have (names, keys, values), for a span that is too large as it is."""
        name = span_reader.name(span)
        if most is not None:
            name = str(shortened(name, most))
        start = span.start_time // 1000
        end = span.end_time // 1000 if span.end_time else start
        if span.family is not None and not span.attributes and span.status is None and most is None:
            count, tags = self._tags_of_facts(span)
        else:
            tags = self._tags(_all_tags(span), most)
            count = len(tags)
        tags.append(self._kinds[span.kind])
        return self._thrift.span(
            span.trace_id,
            span.span_id,
            span.parent_id,
            name.encode("utf-8", "replace"),
            (1 if span.flags & SAMPLED else 0) | (2 if span.flags & DEBUG else 0),
            start,
            max(end - start, 0),
            references(span) if span.links else (),
            count + 1,
            tags,
            self._logs(span, most) if span.events or span.failure is not None else (),
        )

    def encode_within(self, span: Span, room: int) -> bytes | None:
        """The struct in at most `room` bytes, its longest texts cut as far as need be; None where that does not help."""
        body = self.encode(span)
        most = room
        while len(body) > room:
            most //= 2
            if most < 32:
                return None
            body = self.encode(span, most)
        return body

    def process(self, service: str, tags: Mapping[str, Any], most: int | None = None) -> bytes:
        if most is not None:
            service = str(shortened(service, most))
        return self._thrift.process(service, self._tags(tags.items(), most))

    def _tags(self, tags: Iterable[tuple[str, Any]], most: int | None) -> list[bytes]:
        tag = self._thrift.tag
        if most is None:
            return [tag(key, plain(value)) for key, value in tags if value is not None]
        return [
            tag(str(shortened(key, most)), shortened(plain(value), most)) for key, value in tags if value is not None
        ]

    def _tags_of_facts(self, span: Span) -> tuple[int, list[bytes]]:
        family: Any = span.family
        known = self._families.get(family)
        if known is None:
            known = self._families[family] = _FamilyTags(family, self._thrift)
        parts: list[bytes] = []
        count = known.own(span.facts, parts)
        shared = span.shared
        if shared is not None:
            encoded = shared.encoded.get(known)
            if encoded is None:
                encoded = shared.encoded[known] = known.encoded(shared.facts)
            count += encoded[0]
            parts.insert(0, encoded[1])
        failed = span_reader.error_tags(span)
        if failed:
            count += len(failed)
            parts += self._tags(failed, None)
        return count, parts

    def _logs(self, span: Span, most: int | None) -> list[tuple[int, list[bytes]]]:
        logs = []
        for name, time, attributes in span_reader.events(span):
            fields = attributes.items() if "event" in attributes else (("event", name), *attributes.items())
            logs.append((time // 1000, self._tags(fields, most)))
        return logs


class _FamilyTags:
    """Encoded tags of one family's facts, kept by value where values are likely to come again."""

    def __init__(self, family: Family, thrift: Thrift) -> None:
        self._spelling = family.spelling(span_reader.convention)
        self._tag = thrift.tag
        self._known: dict[str, dict[Any, tuple[int, bytes]]] = {}
        self._kept = 0

    def encoded(self, facts: Mapping[str, Any]) -> tuple[int, bytes]:
        """(how many tags, their bytes) of facts that come together again and again."""
        found = [self._of(fact, value) for fact, value in facts.items() if value is not None]
        return sum(count for count, _ in found), b"".join(tags for _, tags in found)

    def _of(self, fact: str, value: Any) -> tuple[int, bytes]:
        parts = []
        spelled, made_by = value, None
        for key, convert in self._spelling.get(fact, ()):
            if convert is not made_by:  # both conventions' names of one text: http.url, url.full
                spelled, made_by = value if convert is None else convert(value), convert
            if spelled is not None:
                parts.append(self._tag(key, plain(spelled)))
        return len(parts), b"".join(parts)

    def own(self, facts: Mapping[str, Any], parts: list[bytes]) -> int:
        """Append the tags of a span's own facts; how many they are."""
        count = 0
        for fact, value in facts.items():
            if value is None:
                continue
            kind = type(value)
            # By type, since 1, 1.0 and True are one key; large numbers (offsets, ages) hardly ever come again.
            if kind is str or (kind is int and -1 < value < 1024) or kind is tuple:
                known = self._known.get(fact)
                if known is None:
                    known = self._known[fact] = {}
                found = known.get(value)
                if found is None:
                    found = known[value] = self._of(fact, value)
                    self._count(len(found[1]) + (len(value) if kind is str else 0))
            else:
                found = self._of(fact, value)
            count += found[0]
            parts.append(found[1])
        return count

    def _count(self, size: int) -> None:
        self._kept += size + 200  # what a key and two objects take
        if self._kept > KEPT:
            self._known.clear()
            self._kept = 0


def _all_tags(span: Span) -> list[tuple[str, Any]]:
    """span_reader.tags(), and what only a span of the program's own has: its scope and explicit status, as OpenTelemetry maps them to Jaeger."""
    tags = span_reader.tags(span)
    if span_reader.convention != "opentracing":
        if span.scope is not None:
            tags.append(("otel.scope.name", span.scope))
        if span.status is not None:
            tags.append(("otel.status_code", span.status[0].name))
            tags.append(("otel.status_description", span.status[1] or None))
    return tags


def references(span: Span) -> list[tuple[int, int, int]]:
    """parentSpanId reads as CHILD_OF; a reference to the parent takes its place, so that one is only written where it says FOLLOWS_FROM."""
    parent = (span.trace_id, span.parent_id)
    found: dict[tuple[int, int], int] = {}
    for link in span.links or ():
        target = (link.trace_id, link.span_id)
        relation = link.attributes.get("opentracing.ref_type")
        if target == parent:
            if relation == "follows_from":
                found[target] = FOLLOWS_FROM
        else:
            found.setdefault(target, CHILD_OF if relation == "child_of" else FOLLOWS_FROM)
    return [(kind, *target) for target, kind in found.items()]

"""A finished span as Jaeger's struct Span, in either Thrift protocol.

Two paths write the same bytes. The fast path encodes the facts of a family and keeps their encoded tags by value. The
plain path takes span_reader.tags(). The program's own attributes may replace tags, so a span that has any needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.export.relations import references
from autotrace.export.tag_value import shorten, to_tag_value
from autotrace.propagation.context import DEBUG, SAMPLED
from autotrace.semantics import span_reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from autotrace.export.jaeger.thrift import Thrift
    from autotrace.semantics.family import Family
    from autotrace.tracing.span import Span

CACHE_BYTES = 1 << 20
"""Bytes that the encoded tags of one family may take before they are forgotten."""


class Encoder:
    """Used by one exporter, on one thread at a time. Its convention is the one in force when it is made."""

    def __init__(self, thrift: Thrift) -> None:
        self._thrift = thrift
        self._kinds = {kind: thrift.tag("span.kind", kind.name.lower()) for kind in SpanKind}
        self._families: dict[Family, _FamilyTags] = {}

    def encode(self, span: Span, most: int | None = None) -> bytes:
        """The struct Span. If it is too large, `most` limits the bytes of each text: name, keys, values."""
        name = span_reader.name(span)
        if most is not None:
            name = str(shorten(name, most))
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
        """The struct in at most `room` bytes, its longest texts cut as far as needed. None if that is not enough."""
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
            service = str(shorten(service, most))
        return self._thrift.process(service, self._tags(tags.items(), most))

    def _tags(self, tags: Iterable[tuple[str, Any]], most: int | None) -> list[bytes]:
        tag = self._thrift.tag
        if most is None:
            return [tag(key, to_tag_value(value)) for key, value in tags if value is not None]
        return [
            tag(str(shorten(key, most)), shorten(to_tag_value(value), most)) for key, value in tags if value is not None
        ]

    def _tags_of_facts(self, span: Span) -> tuple[int, list[bytes]]:
        family: Any = span.family
        family_tags = self._families.get(family)
        if family_tags is None:
            family_tags = self._families[family] = _FamilyTags(family, self._thrift)
        parts: list[bytes] = []
        count = family_tags.add_own(span.facts, parts)
        shared = span.shared
        if shared is not None:
            encoded = shared.encoded.get(family_tags)
            if encoded is None:
                encoded = shared.encoded[family_tags] = family_tags.of_shared(shared.facts)
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
    """The encoded tags of one family's facts. They are kept by value if the value is likely to come again."""

    def __init__(self, family: Family, thrift: Thrift) -> None:
        self._spelling = family.spelling(span_reader.convention)
        self._tag = thrift.tag
        self._cache: dict[str, dict[Any, tuple[int, bytes]]] = {}
        self._cached_bytes = 0

    def of_shared(self, facts: Mapping[str, Any]) -> tuple[int, bytes]:
        """(number of tags, their bytes) of shared facts."""
        found = [self._of(fact, value) for fact, value in facts.items() if value is not None]
        return sum(count for count, _ in found), b"".join(tags for _, tags in found)

    def _of(self, fact: str, value: Any) -> tuple[int, bytes]:
        parts = []
        spelled, made_by = value, None
        for key, convert in self._spelling.get(fact, ()):
            if convert is not made_by:  # both conventions may have a name for one text: http.url, url.full
                spelled, made_by = value if convert is None else convert(value), convert
            if spelled is not None:
                parts.append(self._tag(key, to_tag_value(spelled)))
        return len(parts), b"".join(parts)

    def add_own(self, facts: Mapping[str, Any], parts: list[bytes]) -> int:
        """Append the tags of a span's own facts to `parts`, and return their number."""
        count = 0
        for fact, value in facts.items():
            if value is None:
                continue
            kind = type(value)
            # By type, because 1, 1.0 and True are the same key. Large numbers (offsets, ages) hardly ever come again.
            if kind is str or (kind is int and -1 < value < 1024) or kind is tuple:
                cache = self._cache.get(fact)
                if cache is None:
                    cache = self._cache[fact] = {}
                found = cache.get(value)
                if found is None:
                    found = cache[value] = self._of(fact, value)
                    self._limit_cache(len(found[1]) + (len(value) if kind is str else 0))
            else:
                found = self._of(fact, value)
            count += found[0]
            parts.append(found[1])
        return count

    def _limit_cache(self, added: int) -> None:
        self._cached_bytes += added + 200  # a key and two objects
        if self._cached_bytes > CACHE_BYTES:
            self._cache.clear()
            self._cached_bytes = 0


def _all_tags(span: Span) -> list[tuple[str, Any]]:
    """span_reader.tags(), and the scope and status of the program's own spans, as OpenTelemetry maps them to Jaeger."""
    tags = span_reader.tags(span)
    if span_reader.convention != "opentracing":
        if span.scope is not None:
            tags.append(("otel.scope.name", span.scope))
        if span.status is not None:
            tags.append(("otel.status_code", span.status[0].name))
            tags.append(("otel.status_description", span_reader.status_text(span) if span.status[1] else None))
    return tags

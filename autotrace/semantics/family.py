"""A family of spans (HTTP client, database, Kafka producer…): its facts, and their tags in each convention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Tag(NamedTuple):
    """One name of a fact. convert(raw fact) -> the tag's value, or None to leave the tag out."""

    key: str
    convert: Callable[[Any], Any] | None = None


class Row(NamedTuple):
    """One fact: its short name in the code, and its tags in OpenTracing (Jaeger, Kiali) and in OpenTelemetry."""

    fact: str
    opentracing: tuple[Tag, ...]
    otel: tuple[Tag, ...]


class Family:
    """`name` and `failure` get all facts of a span, own and shared in one mapping, and the convention.

    name(facts, convention) -> the span's name, of low cardinality.
    failure(facts, convention) -> the error type that facts alone tell (a status code), or ''. No fact is an exception.
    """

    __slots__ = ("_spellings", "failure", "name", "scope")

    def __init__(
        self,
        scope: str,
        rows: Iterable[Row],
        name: Callable[[Mapping[str, Any], str], str],
        failure: Callable[[Mapping[str, Any], str], str] | None = None,
    ) -> None:
        self.scope = scope
        self.name = name
        self.failure = failure
        rows = tuple(rows)
        self._spellings: dict[str, dict[str, tuple[Tag, ...]]] = {
            "opentracing": {row.fact: row.opentracing for row in rows},
            "otel": {row.fact: row.otel for row in rows},
            "both": {row.fact: _once(row.opentracing + row.otel) for row in rows},
        }

    def spelling(self, convention: str) -> Mapping[str, tuple[Tag, ...]]:
        """Fact -> its tags, for an exporter that caches its encoding of each fact."""
        return self._spellings[convention]

    def tags(self, facts: Mapping[str, Any], convention: str) -> list[tuple[str, Any]]:
        """(key, value) for every fact that has a row and a value: str, bool, int, float or a sequence of them."""
        spelling = self._spellings[convention]
        found = []
        for fact, value in facts.items():
            if value is None:
                continue
            for key, convert in spelling.get(fact, ()):
                spelled = value if convert is None else convert(value)
                if spelled is not None:
                    found.append((key, spelled))
        return found


class SharedFacts:
    """Facts that many spans share, such as a connection's: made once, and encoded once by each exporter."""

    __slots__ = ("encoded", "facts")

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.encoded: dict[Any, Any] = {}


def _once(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
    """Without the second of two tags with one key, because both conventions share some keys."""
    return tuple({tag.key: tag for tag in reversed(tags)}.values())[::-1]

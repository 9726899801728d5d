"""A family of spans (HTTP client, database, Kafka producer…): its table of facts and the spellings of each. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Tag(NamedTuple):
    """One spelling of a fact: the key, and what makes the value from the raw fact (None: as it is; a result of None is left out)."""

    key: str
    convert: Callable[[Any], Any] | None = None


class Row(NamedTuple):
    """One fact: its short name in the code, and how OpenTracing (Jaeger, Kiali) and OpenTelemetry spell it."""

    fact: str
    opentracing: tuple[Tag, ...]
    otel: tuple[Tag, ...]


class Family:
    """`name` and `failure` are given the facts, own and shared in one mapping, and the convention.

    name(facts, convention) -> the span's name, of low cardinality.
    failure(facts, convention) -> error type, or '' for none: what the facts alone say (a status code); exceptions are the span's.
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
        """Fact -> its tags, for an exporter that keeps what it has encoded by fact."""
        return self._spellings[convention]

    def tags(self, facts: Mapping[str, Any], convention: str) -> list[tuple[str, Any]]:
        """(key, value) for every fact that is known and not None. Values: str, bool, int, float or a sequence of them."""
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
    """Facts that many spans have in common (a connection's, a client's): made once, and encoded once by each exporter."""

    __slots__ = ("encoded", "facts")

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.encoded: dict[Any, Any] = {}


def _once(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
    """A key that both conventions share is written once."""
    return tuple({tag.key: tag for tag in reversed(tags)}.values())[::-1]

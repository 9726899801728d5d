"""The spans of the last thousand records, by the records: carry() and a list that is iterated again find them here.

Clusters that mirror each other give different records of equal topic, partition, offset and timestamp: the objects tell
them apart. A copy of a record finds the newest of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace.messaging.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from autotrace.propagation.context import Remote
    from autotrace.tracing.span import Span

_LIKENESSES = 8
"""Records of equal coordinates that are kept beside the newest."""


class RecentRecord(NamedTuple):
    span: Span
    remote: Remote | None
    """Its producer."""
    identity: int
    """id() of the record. The record itself is not kept."""
    others: tuple[RecentRecord, ...] = ()
    """Records of other consumers with the same coordinates, the newest first."""


class RecentRecords(Recent):
    """Keyed by a record's coordinates, as its adapter makes them."""

    __slots__ = ()

    def add(self, coordinates: Hashable, record: Any, span: Span, remote: Remote | None) -> None:
        fresh = (span, remote, id(record), ())
        young = self.young  # put(), written out: this is a hot path
        found = young.setdefault(coordinates, fresh)
        if found is not fresh:
            alike = [each for each in _all_of(found) if each.span.shared is not span.shared]
            young[coordinates] = (span, remote, id(record), tuple(alike[:_LIKENESSES]))
        elif len(young) >= self.half:
            self.old, self.young = young, {}

    def find(self, coordinates: Hashable, record: Any) -> tuple[Span, Remote | None] | None:
        """(span, producer) of this record; of a record with its coordinates, if this object is none of those seen."""
        newest = None
        for generation in (self.young, self.old):
            for each in _all_of(generation.get(coordinates)):
                if each.identity == id(record):
                    return each.span, each.remote
                newest = newest or each
        return None if newest is None else (newest.span, newest.remote)


def _all_of(found: Any) -> Iterator[RecentRecord]:
    if found is not None:
        newest = RecentRecord(*found)  # add() makes plain tuples, which cost less
        yield newest._replace(others=())
        yield from newest.others

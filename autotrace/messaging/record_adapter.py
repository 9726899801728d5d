"""How the records of one library are read: four functions that its patch gives to this family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from autotrace.propagation.context import Remote


class RecordAdapter(NamedTuple):
    """No function may keep the record alive."""

    facts: Callable[[Any], dict[str, Any]]
    """Record -> facts of messaging.CONSUMER."""
    key: Callable[[Any], Hashable]
    """Record -> a value that no other record of this process has."""
    headers: Callable[[Any], Any]
    """Record -> its headers."""
    extract: Callable[[Any], Remote | None]
    """Headers -> the producer."""

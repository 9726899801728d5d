"""The state that autotrace keeps with a client: made at its first use, gone with the client. Knows no library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained

if TYPE_CHECKING:
    from collections.abc import Callable

SLOT = "_autotrace"
"""The attribute that holds it."""


def kept_by_client(make: Callable[[Any], Any], place: str) -> Callable[[Any], Any]:
    """client -> make(client), kept in its __dict__. None if it cannot be made: the client then works untraced."""

    def kept(client: Any) -> Any:
        found = client.__dict__.get(SLOT)
        if found is None:
            try:
                found = client.__dict__[SLOT] = make(client)
            except Exception:
                contained(place)
        return found

    return kept

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
        try:
            found = client.__dict__.get(SLOT)
            if found is None:
                found = client.__dict__[SLOT] = make(client)
        except Exception:  # also an object of another class without a __dict__, whose call is not ours to refuse
            contained(place)
            return None
        return found

    return kept


def slot_of(client: Any) -> Any:
    """The state in the slot of a client whose class has one, else None. A mock has every attribute: its
    class has not.
    """
    return getattr(client, SLOT, None) if hasattr(type(client), SLOT) else None

"""The shared facts of a connection, and how long they are kept: never longer than the connection. Knows no driver."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import end_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.span import Span


class AsynchronousFacts(SharedFacts):
    """The facts of a connection whose statements return before their answer. The open span waits here for it."""

    __slots__ = ("waiting",)

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts)
        self.waiting: Span | None = None


def shared_facts(
    component: str,
    host: Any = None,
    port: Any = None,
    *,
    socket: object = False,
    instance: Any = None,
    user: Any = None,
    address: str | None = None,
    db_type: str = "sql",
    make: Callable[[dict[str, Any]], SharedFacts] = SharedFacts,
) -> SharedFacts:
    """The facts of a connection; all but `component` may be unknown.

    host: the name that the program used. A Unix socket has no peer: `socket` is true, or `host` is a path or `@…`.
    port: a number or its digits. address: the address behind `host`. Names may be bytes.
    """
    name = _text(host)
    facts: dict[str, Any] = {"component": component, "type": db_type, "instance": _text(instance), "user": _text(user)}
    if socket or (name and name[0] in "/@"):
        facts["remote"] = ("", None)
    elif name:
        facts["remote"], facts["service"], facts["address"] = (name, _port(port)), name, address or None
    return make(facts)


def _text(name: Any) -> str | None:
    if isinstance(name, (bytes, bytearray)):
        name = name.decode("utf-8", "replace")
    return name if isinstance(name, str) and name else None


def _port(port: Any) -> int | None:
    if isinstance(port, (str, bytes)) and port.isdigit():
        port = int(port)
    return port if isinstance(port, int) and port > 0 else None


class ByIdentity:
    """facts_of() for connections that take weak references, but no attributes.

    read(connection) -> its facts; called at the first use. They are dropped with the connection.
    """

    def __init__(self, read: Callable[[Any], SharedFacts]) -> None:
        self.read = read
        self.by_id: dict[int, tuple[SharedFacts, weakref.ref[Any]]] = {}

    def __call__(self, connection: Any) -> SharedFacts:
        found = self.by_id.get(id(connection))
        if found is not None:
            return found[0]
        shared = self.read(connection)
        if connection is not None:
            self.keep(connection, shared)
        return shared

    def keep(self, connection: Any, shared: SharedFacts) -> None:
        """From now on, these are the facts of `connection`."""
        key = id(connection)
        try:
            end = weakref.ref(connection, lambda _: self._forget(key))
        except TypeError:
            return  # the program's stand-in for a connection, because the driver's own take weak references
        self.by_id[key] = (shared, end)

    def _forget(self, key: int) -> None:
        shared = self.by_id.pop(key)[0]
        if type(shared) is AsynchronousFacts and shared.waiting is not None:
            end_span(shared.waiting, "a dropped connection")


class KeptFacts(ByIdentity):
    """facts_of() for connections that forget how they were made: only keep() knows their facts."""

    def __init__(self, component: str) -> None:
        self.unknown = shared_facts(component)
        super().__init__(lambda connection: self.unknown)

    def __call__(self, connection: Any) -> SharedFacts:
        found = self.by_id.get(id(connection))
        return self.unknown if found is None else found[0]


class ByAddress:
    """facts_of() for connections that take neither attributes nor weak references: by their address in memory.

    Another connection may come to the same address, so every connect must call keep().
    """

    MOST = 10_000
    """Number of connections whose facts are kept; the oldest facts are dropped first."""

    def __init__(self, component: str) -> None:
        self.unknown = shared_facts(component)
        self.by_id: dict[int, SharedFacts] = {}

    def __call__(self, connection: Any) -> SharedFacts:
        return self.by_id.get(id(connection), self.unknown)

    def keep(self, connection: Any, shared: SharedFacts) -> None:
        self.by_id.pop(id(connection), None)
        if len(self.by_id) >= self.MOST:
            self.by_id.pop(next(iter(self.by_id)), None)
        self.by_id[id(connection)] = shared

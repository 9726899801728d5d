"""Whom a driver calls that nobody here knows: what its connection shows of itself, else what connect() was given. Never a password."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from autotrace.semantics.family import SharedFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

# PEP 249's own names first (dsn, user, password, host, database), then what drivers call them.
HOSTS = ("host", "hostname", "server")
DATABASES = ("database", "db", "dbname", "databasename")
USERS = ("user", "username", "uid")
SOCKETS = ("unix_socket", "unix_sock")


class Known:
    """facts_of(): by the identity of connections and cursors that take a weak reference; for others only what every one of them has."""

    def __init__(self, component: str) -> None:
        self.unknown = SharedFacts({"component": component})
        self.known: dict[int, tuple[SharedFacts, weakref.ref[Any]]] = {}

    def __call__(self, thing: Any) -> SharedFacts:
        found = self.known.get(id(thing))
        return self.unknown if found is None else found[0]

    def keep(self, thing: Any, shared: SharedFacts) -> None:
        key, known = id(thing), self.known
        try:
            known[key] = (shared, weakref.ref(thing, lambda _: known.pop(key, None)))
        except TypeError:
            pass


def shared(component: str, connection: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> SharedFacts:
    """`args` and `kwargs` of connect(): keywords, a URL as first argument, or a dsn of `name=value` pairs. A file has no host."""
    asked = {**_of_dsn(args[0] if args else kwargs.get("dsn")), **kwargs}

    def find(names: tuple[str, ...]) -> Any:
        for name in names:
            for value in (_shown(connection, name), asked.get(name)):
                if isinstance(value, (str, bytes)) and value:
                    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return None

    facts: dict[str, Any] = {"component": component}
    for fact, names in (("instance", DATABASES), ("user", USERS)):
        value = find(names)
        if value:
            facts[fact] = value
    host = find(HOSTS)
    if find(SOCKETS) or (host and host.startswith(("/", "@"))):
        facts["remote"] = ("", None)
    elif host:
        facts["remote"] = (host, _port(_shown(connection, "port"), asked.get("port")))
        facts["service"] = host
    return SharedFacts(facts)


def _shown(connection: Any, name: str) -> Any:
    """An attribute that the connection holds; a property may ask the server, so none is called."""
    held = getattr(connection, "__dict__", None)
    return held.get(name) if isinstance(held, dict) else None


def _port(*found: Any) -> int | None:
    for value in found:
        if isinstance(value, int) and value > 0:
            return value
        if isinstance(value, str) and value.isdigit():
            return int(value)
    return None


def _of_dsn(dsn: Any) -> dict[str, Any]:
    if not isinstance(dsn, str):
        return {}
    if "://" in dsn:
        try:
            parts = urlsplit(dsn)
            told = {"host": parts.hostname, "port": parts.port, "database": parts.path.lstrip("/")}
            return {**told, "user": unquote(parts.username or "")}
        except ValueError:
            return {}
    if "=" not in dsn:
        return {}
    pairs = (part.partition("=") for part in dsn.replace(";", " ").split())
    return {name.strip().lower(): value.strip("'\"") for name, _, value in pairs}

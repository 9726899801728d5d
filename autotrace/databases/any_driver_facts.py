"""The facts of a connection of an unknown driver: its attributes, else the arguments of connect(). Never a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from autotrace.databases.connection_facts import shared_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.semantics.family import SharedFacts

# PEP 249's own names first (dsn, user, password, host, database), then what drivers call them.
HOSTS = ("host", "hostname", "server")
DATABASES = ("database", "db", "dbname", "databasename")
USERS = ("user", "username", "uid")
SOCKETS = ("unix_socket", "unix_sock")


def shared(component: str, connection: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> SharedFacts:
    """args and kwargs of connect(): keywords, or a URL or `name=value` pairs as first argument. A file has no host."""
    arguments = {**_of_dsn(args[0] if args else kwargs.get("dsn")), **kwargs}

    def find(names: tuple[str, ...]) -> Any:
        values = (value for name in names for value in (_attribute(connection, name), arguments.get(name)))
        return next((value for value in values if isinstance(value, (str, bytes)) and value), None)

    ports = (_attribute(connection, "port"), arguments.get("port"))
    return shared_facts(
        component,
        find(HOSTS),
        next((port for port in ports if isinstance(port, (int, str)) and port), None),
        socket=find(SOCKETS),
        instance=find(DATABASES),
        user=find(USERS),
    )


def _attribute(connection: Any, name: str) -> Any:
    """An attribute that the connection holds. Properties are not read, because they may ask the server."""
    held = getattr(connection, "__dict__", None)
    return held.get(name) if isinstance(held, dict) else None


def _of_dsn(dsn: Any) -> dict[str, Any]:
    if not isinstance(dsn, str):
        return {}
    if "://" in dsn:
        try:
            parts = urlsplit(dsn)
            named = {"host": parts.hostname, "port": parts.port, "database": parts.path.lstrip("/")}
            return {**named, "user": unquote(parts.username or "")}
        except ValueError:
            return {}
    if "=" not in dsn:
        return {}
    pairs = (part.partition("=") for part in dsn.replace(";", " ").split())
    return {name.strip().lower(): value.strip("'\"") for name, _, value in pairs}

"""pyodbc: every statement of a cursor, `connection.execute`, failed connects. Not traced: catalogue functions.

Limit: its connections take neither attributes nor weak references. Whom they call is kept by their address in memory, which connect() sets anew;
one that was made by a `connect` copied before us is told without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.databases import connects
from autotrace.databases.driver import Driver, batch, text, transaction
from autotrace.databases.traced_methods import Way, called, of_arguments
from autotrace.immutable_classes import Changeable
from autotrace.patching import Plan, require
from autotrace.semantics import database
from autotrace.semantics.family import SharedFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNKNOWN = SharedFacts({"component": "pyodbc"})
_MOST = 10_000
"""Addresses of connections that are remembered; the oldest goes first."""


def driver(module: Any, plan: Plan) -> None:
    Connection, Cursor = Changeable(require(module, "Connection")), Changeable(require(module, "Cursor"))
    known = _ByAddress()
    us = Odbc("pyodbc", "other_sql", known)
    # connect(): the one door. A span if it fails.
    plan.method(module, "connect", lambda original: connects.called(us, _of_failure)(known.noting(original)))
    # The three that send SQL: a connection's execute() makes a cursor and runs it in C.
    plan.method(Cursor, "execute", us.statement(text("sql")))
    plan.method(Cursor, "executemany", us.statement(batch("sql", "params")))
    shortcut = Way(of_arguments(text("sql")), lambda self: self, lambda self, cursor: cursor.rowcount)
    plan.method(Connection, "execute", called(us, shortcut))
    if database.transactions:
        _transactions(Connection, Cursor, us, plan)


def _transactions(Connection: Any, Cursor: Any, us: Driver, plan: Plan) -> None:
    # The methods, a cursor's too, and the ends of `with`: the connection's one way or the other, a cursor's only if it went well.
    for kind, connection in ((Connection, lambda self: self), (Cursor, lambda self: self.connection)):
        for name in ("commit", "rollback"):
            plan.method(kind, name, called(us, Way(transaction(name).read, connection)))
        plan.method(kind, "__exit__", called(us, Way(_end, connection)))


def _end(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    failed, cursor = args[0] is not None, hasattr(self, "connection")
    if (self.connection if cursor else self).autocommit or (failed and cursor):
        return None
    return {"operation": "rollback" if failed else "commit"}


class Odbc(Driver):
    """Its exceptions' first argument is the SQLSTATE."""

    def code_of(self, error: BaseException) -> str | None:
        code = error.args[0] if len(error.args) > 1 else None
        return code if isinstance(code, str) and len(code) == 5 else None


class _ByAddress:
    """facts_of(), by what connect() was given."""

    def __init__(self) -> None:
        self.known: dict[int, SharedFacts] = {}

    def __call__(self, connection: Any) -> SharedFacts:
        return self.known.get(id(connection), _UNKNOWN)

    def noting(self, original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            try:
                self.known.pop(id(made), None)
                if len(self.known) >= _MOST:
                    self.known.pop(next(iter(self.known)), None)
                self.known[id(made)] = _facts(args, kwargs)
            except Exception:
                contained("pyodbc.connect")
            return made

        return connect


def _of_failure(args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException) -> SharedFacts:
    return _facts(args, kwargs)


def _facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """Of the connection string and the keywords that are put behind it. What a DSN in odbc.ini says is not known. Never the password."""
    given = [*(_pairs(args[0]) if args and isinstance(args[0], str) else ()), *kwargs.items()]
    asked = {name.lower(): value for name, value in reversed(given)}  # of two, ODBC takes the first

    def find(*names: str) -> str | None:
        return next((str(asked[name]) for name in names if asked.get(name)), None)

    facts: dict[str, Any] = {"component": "pyodbc"}
    told = {"instance": find("database", "db", "dbname"), "user": find("uid", "user", "username")}
    facts |= {fact: value for fact, value in told.items() if value}
    host, port = _server(find("server", "host", "servername", "hostname"), find("port"))
    if host:
        facts["remote"], facts["service"] = (host, port), host
    elif find("socket"):
        facts["remote"] = ("", None)
    return SharedFacts(facts)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Of `name=value;name={value};…`: braces hold what would be misread, and `}}` in them is a brace."""
    at = 0
    while (equals := text.find("=", at)) >= 0:
        name = text[at:equals].rpartition(";")[2].strip().lower()
        rest = equals + 1
        while text[rest : rest + 1].isspace():
            rest += 1
        if text.startswith("{", rest):
            end = text.find("}", rest)
            while text.startswith("}}", end):
                end = text.find("}", end + 2)
            end = len(text) if end < 0 else end
            yield name, text[rest + 1 : end].replace("}}", "}")
        else:
            end = text.find(";", rest)
            end = len(text) if end < 0 else end
            yield name, text[rest:end].strip()
        at = end + 1


def _server(server: str | None, port: str | None) -> tuple[str | None, int | None]:
    """SQL Server writes `tcp:host\\instance,1433`."""
    if server is None:
        return None, None
    host, _, behind = server.rpartition(":")[2].partition(",") if server.count(":") < 2 else (server, "", "")
    digits = (behind or port or "").strip()
    return host.partition("\\")[0].strip() or None, int(digits) if digits.isdigit() else None

"""psycopg2 (and -binary): its connection and cursor become subclasses that trace. Not traced: large objects, replication streams.

Imported before us, its names are left alone, for existing objects must stay instances of them: then what connect() makes is traced.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.databases.driver import Asynchronous, ByIdentity, Driver, batch, text
from autotrace.databases.sql_comments import commented
from autotrace.patching import MARK, Plan, Unpatchable, require
from autotrace.patching.subclasses import joined, shown_as, subclass
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import argument, with_argument

POLL_OK = 0
CONNECTING = 20  # from here on `status` tells the steps of an asynchronous connect


def driver(module: Any, plan: Plan) -> None:
    c, extensions = require(module, "_psycopg"), require(module, "extensions")
    if hasattr(require(module, "_connect"), MARK):
        return
    known = ByIdentity(_facts)
    us = Driver("psycopg2", "postgresql", known, sqlstate="pgcode")
    Cursor = _cursor_class(_type(c, "cursor"), us)
    Connection = _connection_class(_type(c, "connection"), us, known, Cursor)

    # _connect(): connect() finds it at each call, so an early `from psycopg2 import connect` gets it too. No span: it only says
    # which class is made where none is asked for.
    connect = _connect(module._connect, Connection)
    for owner in (module, c):
        plan.method(owner, "_connect", lambda original: connect)
    if not getattr(module.__spec__, "_initializing", False):
        return
    # The names, while nobody can have seen what they named: the program's classes then derive from ours, and
    # `type(conn) is psycopg2.extensions.connection` holds.
    for name, ours in (("connection", Connection), ("cursor", Cursor)):
        require(extensions, name)
        plan.value(c, name, ours)
        plan.value(extensions, name, ours)
    # C classes derived from the two: instances of theirs, hence of ours.
    for name, ours in (("ReplicationConnection", Connection), ("ReplicationCursor", Cursor)):
        kind = _type(c, name)
        plan.value(c, name, shown_as(name, (kind, ours), {}))


def _type(c: Any, name: str) -> type:
    found = require(c, name)
    if not isinstance(found, type):
        raise Unpatchable(f"psycopg2._psycopg.{name} is not a class")
    return found


def _cursor_class(kind: type, us: Driver) -> type:
    # The methods that send SQL, on the C class: execute_values, execute_batch and the cursors of extras all end in them.
    # One span each; a named cursor's fetches are part of no span.
    methods = {
        "execute": text("query"),
        "executemany": batch("query", "vars_list"),
        "callproc": _call,
        "copy_expert": text("sql"),
        "copy_from": _copy("FROM STDIN"),
        "copy_to": _copy("TO STDOUT"),
    }
    makers = {name: us.statement(read) for name, read in methods.items()}
    return subclass(kind, {**makers, "execute": commented(us, "query", makers["execute"])})


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    return {"statement": f"CALL {args[0]}"} if args and isinstance(args[0], str) else None


def _copy(direction: str) -> Any:
    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        table = argument(args, kwargs, 1, "table")
        return {"statement": f"COPY {table} {direction}"} if isinstance(table, str) else None

    return read


def _connection_class(kind: type, us: Driver, known: ByIdentity, Cursor: type) -> type:
    # __init__(): it is what connects, whichever way a connection is made; a span if that fails.
    # cursor(): hands out our cursors. poll(): reports the answer to an asynchronous connection's statement, whose span it ends.
    # commit(), rollback(): if they are asked for; `with conn` calls them.
    return subclass(
        kind,
        {
            "__init__": us.connect,
            "cursor": lambda original: _cursor(original, Cursor),
            "poll": lambda original: _poll(original, us, known),
            **us.transactions(),
        },
    )


def _connect(original: Any, Connection: type) -> Any:
    def _connect(*args: Any, **kwargs: Any) -> Any:
        try:
            asked = argument(args, kwargs, 1, "connection_factory")
            made = Connection if asked is None else joined(asked, Connection)
            args, kwargs = with_argument(args, kwargs, 1, "connection_factory", made)
        except Exception:
            contained("psycopg2.connect")
        return original(*args, **kwargs)

    return _connect


def _cursor(original: Any, Cursor: type) -> Any:
    def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            asked = argument(args, kwargs, 1, "cursor_factory")
            if asked is None:
                asked = self.cursor_factory
            made = Cursor if asked is None else joined(asked, Cursor)
            args, kwargs = with_argument(args, kwargs, 1, "cursor_factory", made)
        except Exception:
            contained("psycopg2.cursor")
        return original(self, *args, **kwargs)

    return cursor


def _poll(original: Any, us: Driver, known: ByIdentity) -> Any:
    def poll(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            state = original(self, *args, **kwargs)
        except BaseException as error:
            _answered(self, error)
            raise
        if state == POLL_OK:
            _answered(self, None)
        return state

    def _answered(connection: Any, error: BaseException | None) -> None:
        try:
            found = known.known.get(id(connection))
            if found is not None:
                us.answered(found[0], error, "psycopg2.poll")
            elif error is not None and connection.async_ and connection.status >= CONNECTING:
                us.not_connected(connection, now(), error, "psycopg2.poll")
        except Exception:
            contained("psycopg2.poll")

    return poll


def _facts(connection: Any) -> SharedFacts:
    """What libpq really uses: of a DSN, of PG* variables, of a service file. A path or '@…' is a Unix socket, which has no peer."""
    facts: dict[str, Any] = {"component": "psycopg2"}
    if connection is None:
        return SharedFacts(facts)
    info = connection.info
    facts["instance"], facts["user"] = info.dbname, info.user
    host = info.host
    if host and host[0] not in "/@":
        facts["remote"] = (host, info.port)
        facts["service"] = host
    elif host:
        facts["remote"] = ("", None)
    return Asynchronous(facts) if connection.async_ else SharedFacts(facts)

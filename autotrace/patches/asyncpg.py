"""asyncpg: statements of connections (through pools, too), prepared statements, cursors and COPY; connects. Not traced: fetches from
a cursor, preparing that succeeds, and what asyncpg sends on its own: BEGIN and the like, the reset of a connection that goes back to its pool.

Imported before us, a `connect` that the program has copied makes no span for connects that fail.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import update_wrapper
from typing import Any

from autotrace.containment import contained
from autotrace.databases import connects
from autotrace.databases.driver import ByIdentity, Driver
from autotrace.databases.statement_arguments import SHORT, batch, head, text
from autotrace.databases.traced_methods import Way, awaited, of_arguments, opened, part, whole_awaited
from autotrace.patching import MARK, Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import argument

_UNKNOWN = SharedFacts({"component": "asyncpg"})
_tried: ContextVar[list[SharedFacts] | None] = ContextVar("autotrace-asyncpg-tried", default=None)
"""Where the connect that is under way notes whom it tries: its arguments do not tell (DSN, environment, service file, several hosts)."""


def driver(module: Any, plan: Plan) -> None:
    connection = require(module, "connection")
    us = Driver("asyncpg", "postgresql", ByIdentity(_facts), sqlstate="sqlstate")
    _statements(require(connection, "Connection"), plan, us)
    _copies(connection.Connection, plan, us)
    plan.method(connection.Connection, "prepare", lambda original: _prepare(original, us), parameters=("query",))
    _prepared(require(module, "prepared_stmt"), plan, us)
    _cursors(require(module, "cursor"), plan, us)
    _of_its_own(connection.Connection, require(module, "transaction"), plan, us)
    # connect(): pools look it up in its module when they are made. A span if it fails. _connect_addr(): where each address is
    # tried, with what the arguments have come to.
    if not hasattr(require(connection, "connect"), MARK):
        plan.method(require(module, "connect_utils"), "_connect_addr", _connect_addr, parameters=("addr", "params"))
        connect = connects.awaited(us, _of_failure)(_connect(connection.connect))
        for owner in (connection, module):
            plan.method(owner, "connect", lambda original: connect, parameters=("dsn",))


def _statements(Connection: Any, plan: Plan, us: Driver) -> None:
    # Each method that runs a statement; they do not call one another. A pool's proxy calls them on the connection.
    plan.method(Connection, "execute", awaited(us, _on_connection(text("query"), _told)), parameters=("query",))
    plan.method(Connection, "fetch", awaited(us, _on_connection(text("query"), _fetched)), parameters=("query",))
    for name in ("fetchval", "fetchrow"):
        plan.method(Connection, name, awaited(us, _on_connection(text("query"))), parameters=("query",))
    many = awaited(us, _on_connection(batch("command", "args")))
    plan.method(Connection, "executemany", many, parameters=("command", "args"))
    if hasattr(Connection, "fetchmany"):
        many = awaited(us, _on_connection(batch("query", "args"), _fetched))
        plan.method(Connection, "fetchmany", many, parameters=("query", "args"))


def _copies(Connection: Any, plan: Plan, us: Driver) -> None:
    # copy_from_query() asks the server, by statements of its own, how its arguments are written: that is part of it.
    for name, direction in (
        ("copy_from_table", "TO STDOUT"),
        ("copy_to_table", "FROM STDIN"),
        ("copy_records_to_table", "FROM STDIN"),
    ):
        plan.method(Connection, name, awaited(us, _on_connection(_table(direction), _told)), parameters=("table_name",))
    whole = whole_awaited(awaited(us, _on_connection(_query, _told)))
    plan.method(Connection, "copy_from_query", whole, parameters=("query",))


def _prepare(original: Any, us: Driver) -> Any:
    # prepare(): a statement that the server refuses here never runs, so this is its span; SQLAlchemy prepares all that it sends.
    place, way = "asyncpg.prepare", _on_connection(text("query"))

    async def prepare(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        begun = now()
        try:
            return await original(self, *args, **kwargs)
        except BaseException as error:
            span = opened(us, way, self, args, kwargs, place)
            if span is not None:
                span.start_time = begun
                us.failed(span, error, place)
            raise

    return prepare


def _prepared(module: Any, plan: Plan, us: Driver) -> None:
    # Each run of a prepared statement; explain() goes through the connection.
    kind = require(module, "PreparedStatement")
    require(kind, "_check_conn_validity")
    for name in ("fetch", "fetchval", "fetchrow"):
        way = Way(_query_of, _connection_of, _fetched if name == "fetch" else _unknown)
        plan.method(kind, name, _checked(name, awaited(us, way)))
    for name in ("executemany", "fetchmany"):
        if hasattr(kind, name):
            plan.method(kind, name, _checked(name, awaited(us, Way(_many_of, _connection_of))))


def _checked(name: str, make: Any) -> Any:
    """asyncpg refuses what belongs to a connection that is back in its pool when it is called, not when the call is awaited."""

    def made(original: Any) -> Any:
        traced = make(original)

        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            self._check_conn_validity(name)
            return traced(self, *args, **kwargs)

        return call

    return made


def _cursors(module: Any, plan: Plan, us: Driver) -> None:
    # CursorIterator.__anext__(): its first call sends the statement, later ones are fetches. Cursor._init(): what
    # `await connection.cursor()` does.
    plan.method(require(module, "CursorIterator"), "__anext__", lambda original: _next(original, us))
    plan.method(require(module, "Cursor"), "_init", awaited(us, Way(_query_of, _connection_of)))


def _next(original: Any, us: Driver) -> Any:
    first = awaited(us, Way(_query_of, _connection_of))(original)

    def __anext__(self: Any) -> Any:
        return (original if self._portal_name or self._exhausted else first)(self)

    return __anext__


def _of_its_own(Connection: Any, module: Any, plan: Plan, us: Driver) -> None:
    # Statements that asyncpg sends by Connection.execute() are none of the program's. The ends of a transaction have spans if
    # they are asked for; `async with` and the methods both end in these two.
    def silent(original: Any) -> Any:
        return original

    Transaction = require(module, "Transaction")
    require(Transaction, "_check_conn_validity")
    plan.method(Transaction, "start", _checked("start", whole_awaited(silent, of=_connection_of)))
    for name in ("commit", "rollback"):
        make = awaited(us, Way(_end(name), _connection_of)) if us.transactions() else silent
        plan.method(Transaction, f"_Transaction__{name}", whole_awaited(make, of=_connection_of))
    for name in ("reset", "_reset"):
        if hasattr(Connection, name):
            plan.method(Connection, name, whole_awaited(silent))


def _end(name: str) -> Any:
    nested = {"commit": "release savepoint", "rollback": "rollback to savepoint"}[name]
    return lambda transaction, args, kwargs: {"operation": nested if transaction._nested else name}


# -- what is read of a call -------------------------------------------------------------------------------------------


def _unknown(self: Any, result: Any) -> None:
    return None


def _on_connection(read: Any, rows: Any = _unknown) -> Way:
    return Way(part(of_arguments(read)), lambda self: self, rows)


def _connection_of(self: Any) -> Any:
    return self._connection


def _query_of(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"statement": head(self._query)}


def _many_of(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    return batch("query", "args")((self._query, *args), kwargs)


def _told(self: Any, result: Any) -> int | None:
    """'INSERT 0 2', 'UPDATE 2', 'COPY 2', 'CREATE TABLE'; seldom None."""
    count = (result or "").rpartition(" ")[2]
    return int(count) if count.isdigit() else None


def _fetched(self: Any, result: Any) -> int:
    return len(result)


def _table(direction: str) -> Any:
    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        table, schema = argument(args, kwargs, 0, "table_name"), kwargs.get("schema_name")
        if not isinstance(table, str):
            return None
        name = f"{_quoted(schema)}.{_quoted(table)}" if isinstance(schema, str) else _quoted(table)
        return {"statement": f"COPY {name} {direction}"}

    return read


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


def _query(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    query = argument(args, kwargs, 0, "query")
    return {"statement": f"COPY ({query[:SHORT]}) TO STDOUT"} if isinstance(query, str) else None


# -- the other side ---------------------------------------------------------------------------------------------------


def _facts(connection: Any) -> SharedFacts:
    return _of(connection._addr, connection._params)


def _of(address: Any, params: Any) -> SharedFacts:
    """The address is a path for a Unix socket, which has no peer; else the host as the program named it, and the port."""
    facts = {"component": "asyncpg", "instance": params.database, "user": params.user}
    if isinstance(address, str):
        facts["remote"] = ("", None)
    else:
        facts["remote"], facts["service"] = (address[0], address[1]), address[0]
    return SharedFacts(facts)


def _connect(original: Any) -> Any:
    async def connect(*args: Any, **kwargs: Any) -> Any:
        _tried.set([])  # never put back: read after this has failed, by the same task
        return await original(*args, **kwargs)

    return update_wrapper(connect, original)


def _of_failure(args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException) -> SharedFacts:
    tried = _tried.get()
    return tried[-1] if tried else _UNKNOWN


def _connect_addr(original: Any) -> Any:
    async def _connect_addr(*args: Any, **kwargs: Any) -> Any:
        try:
            tried = _tried.get()
            if tried is not None:
                tried.append(_of(kwargs["addr"], kwargs["params"]))
        except Exception:
            contained("asyncpg.connect")
        return await original(*args, **kwargs)

    return _connect_addr

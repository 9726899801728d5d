"""asyncpg: statements of connections (through pools, too), prepared statements, cursors, COPY; connects.

Not traced: fetches from a cursor, a prepare that succeeds, and statements that asyncpg sends for itself (BEGIN and the
like, the reset of a connection that goes back to its pool).
Limit: a `connect` that the program copied before the agent came makes no span for connects.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import update_wrapper
from typing import Any

from autotrace.containment import contained
from autotrace.databases import transactions
from autotrace.databases.connection_facts import ByIdentity, shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.outermost import unless_nested
from autotrace.databases.statement_arguments import SHORT, many_argument, statement_argument, truncated
from autotrace.databases.styles import AWAITED
from autotrace.databases.traced_methods import StatementCall, itself, start_span
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import argument

_UNKNOWN = shared_facts("asyncpg")
_MANY = many_argument("query", "args")
_tried: ContextVar[list[SharedFacts] | None] = ContextVar("autotrace-asyncpg-tried", default=None)
"""The servers that the running connect has tried. Its arguments may not tell: environment, service file, many hosts."""


def driver(module: Any, plan: Plan) -> None:
    connection = require(module, "connection")
    driver = Driver("asyncpg", "postgresql", ByIdentity(_facts), sqlstate="sqlstate")
    _statements(require(connection, "Connection"), plan, driver)
    plan.method(connection.Connection, "prepare", lambda original: _prepare(original, driver), parameters=("query",))
    _prepared(require(module, "prepared_stmt"), plan, driver)
    _cursors(require(module, "cursor"), plan, driver)
    _silent(connection.Connection, require(module, "transaction"), plan)
    _transactions(module.transaction.Transaction, plan, driver)
    # connect(): pools look it up in its module when they are made. _connect_addr(): tries one address, with the
    # parameters that the arguments have come to.
    connect = AWAITED.connect(driver, _facts_of_failure)
    plan.method(require(module, "connect_utils"), "_connect_addr", _connect_addr, parameters=("addr", "params"))
    plan.function((connection, module), "connect", lambda original: connect(_connect(original)), parameters=("dsn",))


def _statements(Connection: Any, plan: Plan, driver: Driver) -> None:
    # Each method that runs a statement: they do not call one another. A pool's proxy calls them on the connection.
    query = statement_argument("query")
    for name, read, rows, *parameters in (
        ("execute", query, _status, "query"),
        ("fetch", query, _fetched, "query"),
        ("fetchval", query, _unknown, "query"),
        ("fetchrow", query, _unknown, "query"),
        ("executemany", many_argument("command", "args"), _unknown, "command", "args"),
        ("fetchmany", _MANY, _fetched, "query", "args"),
        ("copy_from_table", _table("TO STDOUT"), _status, "table_name"),
        ("copy_to_table", _table("FROM STDIN"), _status, "table_name"),
        ("copy_records_to_table", _table("FROM STDIN"), _status, "table_name"),
    ):
        if name != "fetchmany" or hasattr(Connection, name):
            make = AWAITED.method(driver, _on_connection(read, rows))
            plan.method(Connection, name, make, parameters=tuple(parameters))
    # copy_from_query(): asks the server, by other statements, how its arguments are written. They are part of its span.
    make = AWAITED.outermost(AWAITED.method(driver, _on_connection(_query, _status)))
    plan.method(Connection, "copy_from_query", make, parameters=("query",))


def _prepare(original: Any, driver: Driver) -> Any:
    # prepare(): a statement that the server refuses here never runs, so it has its span here. SQLAlchemy prepares all.
    place, call = "asyncpg.prepare", _on_connection(statement_argument("query"))

    async def prepare(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        began = now()
        try:
            return await original(self, *args, **kwargs)
        except BaseException as error:
            span = start_span(driver, call, self, args, kwargs, place)
            if span is not None:
                span.start_time = began
                driver.failed(span, error, place)
            raise

    return prepare


def _prepared(module: Any, plan: Plan, driver: Driver) -> None:
    # Each method that runs a prepared statement; explain() goes through the connection.
    kind = require(module, "PreparedStatement")
    require(kind, "_check_conn_validity")
    for name, read, rows in (
        ("fetch", _query_of, _fetched),
        ("fetchval", _query_of, _unknown),
        ("fetchrow", _query_of, _unknown),
        ("executemany", _many_of, _unknown),
        ("fetchmany", _many_of, _unknown),
    ):
        if read is _query_of or hasattr(kind, name):
            call = StatementCall(read, _connection_of, rows)
            plan.method(kind, name, _checked(name, AWAITED.method(driver, call)))


def _checked(name: str, make: Any) -> Any:
    """asyncpg refuses an object of a connection that is back in its pool at the call, not when the call is awaited."""

    def checked(original: Any) -> Any:
        traced = make(original)

        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            self._check_conn_validity(name)
            return traced(self, *args, **kwargs)

        return call

    return checked


def _cursors(module: Any, plan: Plan, driver: Driver) -> None:
    # CursorIterator.__anext__(): its first call sends the statement, later ones are fetches.
    # Cursor._init(): sends the statement of `await connection.cursor()`.
    make = AWAITED.method(driver, StatementCall(_query_of, _connection_of))
    plan.method(require(module, "CursorIterator"), "__anext__", lambda original: _next(original, make(original)))
    plan.method(require(module, "Cursor"), "_init", make)


def _next(original: Any, first: Any) -> Any:
    def __anext__(self: Any) -> Any:
        return (original if self._portal_name or self._exhausted else first)(self)

    return __anext__


def _silent(Connection: Any, module: Any, plan: Plan) -> None:
    # Methods that send statements of asyncpg's own by Connection.execute(). These make no span.
    Transaction = require(module, "Transaction")
    require(Transaction, "_check_conn_validity")
    plan.method(Transaction, "start", _checked("start", AWAITED.outermost(itself, of=_connection_of)))
    for name in ("reset", "_reset"):
        if hasattr(Connection, name):
            plan.method(Connection, name, AWAITED.outermost(itself))


def _transactions(Transaction: Any, plan: Plan, driver: Driver) -> None:
    # `async with` and the methods end in these two, which send COMMIT, ROLLBACK… by Connection.execute(). One span by
    # setting, else none.
    for name, nested in (("commit", "release savepoint"), ("rollback", "rollback to savepoint")):
        traced = AWAITED.method(driver, StatementCall(_end(name, nested), _connection_of))
        make = AWAITED.outermost(traced if transactions.enabled() else itself, of=_connection_of)
        plan.method(Transaction, f"_Transaction__{name}", make)


def _end(name: str, nested: str) -> Any:
    return lambda transaction, args, kwargs: {"operation": nested if transaction._nested else name}


# -- reading a call ---------------------------------------------------------------------------------------------------


def _unknown(self: Any, result: Any) -> None:
    return None


def _on_connection(read: Any, rows: Any = _unknown) -> StatementCall:
    return StatementCall(unless_nested(read), itself, rows)


def _connection_of(self: Any) -> Any:
    return self._connection


def _query_of(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"statement": truncated(self._query)}


def _many_of(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    return _MANY((self._query, *args), kwargs)


def _status(self: Any, result: Any) -> int | None:
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
    """address: a path for a Unix socket; else the host as the program named it, and the port."""
    socket = isinstance(address, str)
    host, port = (None, None) if socket else address[:2]
    return shared_facts("asyncpg", host, port, socket=socket, instance=params.database, user=params.user)


def _connect(original: Any) -> Any:
    async def connect(*args: Any, **kwargs: Any) -> Any:
        _tried.set([])  # not reset, because the same task reads it after the connect has failed
        return await original(*args, **kwargs)

    return update_wrapper(connect, original)


def _facts_of_failure(args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException) -> SharedFacts:
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

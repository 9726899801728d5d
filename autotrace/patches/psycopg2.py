"""psycopg2 (and -binary): statements, COPY and connects. Not traced: large objects, replication streams.

Subclasses of its connection and cursor take their names. If psycopg2 was imported before the agent, the names stay,
because existing objects must stay instances of them. Then only the connections that connect() makes are traced.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.databases import transactions
from autotrace.databases.connection_facts import AsynchronousFacts, ByIdentity, shared_facts
from autotrace.databases.connects import record_connect, traced_connect
from autotrace.databases.driver import Driver
from autotrace.databases.sql_comments import commented
from autotrace.databases.statement_arguments import many_argument, procedure_argument, statement_argument
from autotrace.patching import MARK, Plan, require
from autotrace.patching.subclasses import require_class, shown_as, subclass, traced_class
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import argument, with_argument

POLL_OK = 0
CONNECTING = 20  # from 20 on, `status` counts the steps of an asynchronous connect


def driver(module: Any, plan: Plan) -> None:
    c, extensions = require(module, "_psycopg"), require(module, "extensions")
    if hasattr(require(module, "_connect"), MARK):
        return
    facts_of = ByIdentity(_facts)
    driver = Driver("psycopg2", "postgresql", facts_of, sqlstate="pgcode")
    Cursor = _cursor_class(require_class(c, "cursor"), driver)
    Connection = _connection_class(require_class(c, "connection"), driver, facts_of, Cursor)

    # _connect(): chooses the class of the connection. No span. connect() looks it up at each call, so that an early
    # `from psycopg2 import connect` gets ours, too.
    plan.function((module, c), "_connect", lambda original: _connect(original, Connection))
    if not getattr(module.__spec__, "_initializing", False):
        return
    # The module is being imported: nobody has its classes yet. Under our names the program's classes derive from ours,
    # and `type(conn) is psycopg2.extensions.connection` holds.
    for name, kind in (("connection", Connection), ("cursor", Cursor)):
        require(extensions, name)
        plan.value(c, name, kind)
        plan.value(extensions, name, kind)
    # C classes derived from the two: their instances must be instances of ours.
    for name, traced in (("ReplicationConnection", Connection), ("ReplicationCursor", Cursor)):
        kind = require_class(c, name)
        plan.value(c, name, shown_as(name, (kind, traced), {}))


def _cursor_class(kind: type, driver: Driver) -> type:
    # The methods that send SQL, one span each: execute_values, execute_batch and the cursors of extras all end in them.
    # Fetches of a named cursor make no span.
    methods = {
        "execute": statement_argument("query"),
        "executemany": many_argument("query", "vars_list"),
        "callproc": procedure_argument(),
        "copy_expert": statement_argument("sql"),
        "copy_from": _copy("FROM STDIN"),
        "copy_to": _copy("TO STDOUT"),
    }
    makers = {name: driver.statement(read) for name, read in methods.items()}
    return subclass(kind, {**makers, "execute": commented(driver, "query", makers["execute"])})


def _copy(direction: str) -> Any:
    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        table = argument(args, kwargs, 1, "table")
        return {"statement": f"COPY {table} {direction}"} if isinstance(table, str) else None

    return read


def _connection_class(kind: type, driver: Driver, facts_of: ByIdentity, Cursor: type) -> type:
    # __init__(): connects, whichever way a connection is made. cursor(): chooses the class of the cursor.
    # poll(): reports the answer to a statement of an asynchronous connection, and so ends its span.
    # commit(), rollback(): spans by setting; `with conn` calls them.
    return subclass(
        kind,
        {
            "__init__": traced_connect(driver),
            "cursor": lambda original: _cursor(original, Cursor),
            "poll": lambda original: _poll(original, driver, facts_of),
            **transactions.traced_ends(driver),
        },
    )


def _connect(original: Any, Connection: type) -> Any:
    def _connect(*args: Any, **kwargs: Any) -> Any:
        try:
            factory = argument(args, kwargs, 1, "connection_factory")
            factory = Connection if factory is None else traced_class(factory, Connection)
            args, kwargs = with_argument(args, kwargs, 1, "connection_factory", factory)
        except Exception:
            contained("psycopg2.connect")
        return original(*args, **kwargs)

    return _connect


def _cursor(original: Any, Cursor: type) -> Any:
    def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            factory = argument(args, kwargs, 1, "cursor_factory")
            if factory is None:
                factory = self.cursor_factory
            factory = Cursor if factory is None else traced_class(factory, Cursor)
            args, kwargs = with_argument(args, kwargs, 1, "cursor_factory", factory)
        except Exception:
            contained("psycopg2.cursor")
        return original(self, *args, **kwargs)

    return cursor


def _poll(original: Any, driver: Driver, facts_of: ByIdentity) -> Any:
    def poll(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            state = original(self, *args, **kwargs)
        except BaseException as error:
            on_answer(self, error)
            raise
        if state == POLL_OK:
            on_answer(self, None)
        return state

    def on_answer(connection: Any, error: BaseException | None) -> None:
        try:
            entry = facts_of.by_id.get(id(connection))
            if entry is not None:
                driver.on_answer(entry[0], error, "psycopg2.poll")
            elif error is not None and connection.async_ and connection.status >= CONNECTING:
                record_connect(driver, lambda: facts_of(connection), now(), error, "psycopg2.poll")
        except Exception:
            contained("psycopg2.poll")

    return poll


def _facts(connection: Any) -> SharedFacts:
    """The values that libpq uses, whether they come from a DSN, from PG* variables or from a service file."""
    if connection is None:
        return shared_facts("psycopg2")
    info, make = connection.info, AsynchronousFacts if connection.async_ else SharedFacts
    return shared_facts("psycopg2", info.host, info.port, instance=info.dbname, user=info.user, make=make)

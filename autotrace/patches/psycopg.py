"""psycopg 3 (psycopg_pool, too): statements of sync and async cursors and connections, pipelines, COPY, rows one by one; connects.

Methods are replaced where the library defines them, so that they serve every subclass. Not traced: fetches, LISTEN's notifications.
Imported before us, a `connect` that the program has copied makes no span for connects.
"""

from __future__ import annotations

from copy import copy
from functools import update_wrapper
from types import MethodType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained, say
from autotrace.databases import sql_comments, transactions
from autotrace.databases.connection_facts import ByIdentity, shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.statement_arguments import many_argument, statement_argument
from autotrace.databases.styles import AWAITED, PLAIN, Style
from autotrace.databases.traced_methods import StatementCall, end_span, of_arguments
from autotrace.patching import MARK, Plan, Unpatchable, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from autotrace.tracing.span import Span


class _Facts(SharedFacts):
    """A connection's; and the spans of statements in its pipeline: id of an entry of the queue of answers -> (entry, span)."""

    __slots__ = ("waiting",)

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts)
        self.waiting: dict[int, tuple[Any, Span]] = {}


def driver(module: Any, plan: Plan) -> None:
    known = ByIdentity(_facts)
    driver = Driver("psycopg", "postgresql", known, sqlstate="sqlstate")
    for prefix, style in (("", PLAIN), ("Async", AWAITED)):
        _statements(module, plan, driver, known, prefix, style)
        _transactions(module, plan, driver, prefix, style)
        _connect(module, plan, driver, prefix, style)
    _pipelines(module, plan, driver, known)
    _comments(module, plan, driver)


def _statements(module: Any, plan: Plan, driver: Driver, known: ByIdentity, prefix: str, style: Style) -> None:
    # execute(), executemany(): where all statements end; Connection.execute() makes a cursor for it. A server cursor sends a
    # DECLARE of its own, and its fetches are part of no span. stream(), copy(): until the last row is there, or the block ends.
    def call(read: Any, **more: Any) -> StatementCall:
        return StatementCall(of_arguments(read), rows=_rows, **more)

    def in_pipeline(cursor: Any, span: Span) -> bool:
        return _in_pipeline(cursor, span, known)

    Cursor, ServerCursor = require(module, f"{prefix}Cursor"), require(module, f"{prefix}ServerCursor")
    statement = call(statement_argument("query"), keep_open=in_pipeline)
    many = call(many_argument("query", "params_seq"), keep_open=in_pipeline)
    for kind in (Cursor, ServerCursor):
        plan.method(kind, "execute", style.method(driver, statement), parameters=("query",))
    plan.method(Cursor, "executemany", style.method(driver, many), parameters=("query", "params_seq"))
    plan.method(Cursor, "stream", style.rows(driver, statement), parameters=("query",))
    plan.method(Cursor, "copy", style.block(driver, call(statement_argument("statement"))))


def _rows(cursor: Any, result: Any) -> int:
    rows: int = cursor.rowcount
    return rows


# -- comments ---------------------------------------------------------------------------------------------------------


def _comments(module: Any, plan: Plan, driver: Driver) -> None:
    # _execute_send(), the cursors' own and that of ClientCursor: sends what the driver has just decided not to prepare. It goes on
    # counting, and later prepares, the text without a comment, because only a copy gets one. Spans do not depend on it.
    mode = sql_comments.mode()
    if mode == "off":
        return
    make = sql_comments.commented(driver, "query", lambda original: original, _with_comment)
    try:
        kinds = [require(module, name) for name in ("Cursor", "AsyncCursor", "ClientCursor", "AsyncClientCursor")]
        for owner in {_owner(kind, "_execute_send") for kind in kinds}:
            plan.method(owner, "_execute_send", make, parameters=("query",))
    except Unpatchable as reason:
        say(f"AUTOTRACE_SQL_COMMENTS={mode} has no effect on this psycopg: {reason}")


def _with_comment(query: Any, comment: Any) -> Any:
    """A PostgresQuery, whose text is bytes with the parameters numbered, or merged in. What is no UTF-8 stays as it is."""
    sent = query.query
    if len(sent) > sql_comments.LONGEST:
        return query
    try:
        text = sent.decode()
    except UnicodeDecodeError:
        return query
    changed = comment(text)
    if changed is not text:
        query = copy(query)
        query.query = changed.encode()
    return query


# -- pipelines --------------------------------------------------------------------------------------------------------


def _in_pipeline(cursor: Any, span: Span, known: ByIdentity) -> bool:
    """Whether the statement has only been queued: then the span waits with the statement's last entry in the queue of answers."""
    pipeline = cursor.connection._pipeline
    if pipeline is not None:
        for entry in reversed(pipeline.result_queue):
            if entry is not None and entry[0] is cursor:
                shared: Any = known(cursor.connection)
                queued = id(entry) not in shared.waiting
                # Else the entry is an earlier statement's, and this one queued nothing.
                if queued:
                    shared.waiting[id(entry)] = (entry, span)
                return queued
    return False


def _pipelines(module: Any, plan: Plan, driver: Driver, known: ByIdentity) -> None:
    # _process_results(): gets each answer with its entry, one after the other; ends the span. _exit(): the last thing that a
    # pipeline does; a statement without an answer by then (the connection is gone) never gets one.
    answer = StatementCall(of_arguments(statement_argument("query")), rows=_rows)

    def process_results(original: Any) -> Any:
        def _process_results(self: Any, queued: Any, results: Any) -> Any:
            try:
                done = original(self, queued, results)
            except BaseException as error:
                on_answer(self, queued, error)
                raise
            on_answer(self, queued, None)
            return done

        return _process_results

    def leave(original: Any) -> Any:
        def _exit(self: Any, exc: Any) -> Any:
            try:
                return original(self, exc)
            finally:
                on_exit(self, exc)

        return _exit

    def on_answer(pipeline: Any, queued: Any, error: BaseException | None) -> None:
        try:
            shared: Any = known(pipeline._conn)
            found = shared.waiting.pop(id(queued), None) if queued is not None and shared.waiting else None
            if found is None:
                return
            if error is not None:
                driver.failed(found[1], error, "psycopg.pipeline")
            else:
                end_span(answer, queued[0], found[1], None, "psycopg.pipeline")
        except Exception:
            contained("psycopg.pipeline")

    def on_exit(pipeline: Any, error: BaseException | None) -> None:
        try:
            shared: Any = known(pipeline._conn)
            while shared.waiting and not pipeline.level:
                _, (_, span) = shared.waiting.popitem()
                driver.failed(
                    span, error or ConnectionError("the pipeline ended without an answer"), "psycopg.pipeline"
                )
        except Exception:
            contained("psycopg.pipeline")

    owner = _owner(require(module, "Pipeline"), "_process_results")
    plan.method(owner, "_process_results", process_results, parameters=("queued", "results"))
    plan.method(owner, "_exit", leave, parameters=("exc",))


def _owner(kind: Any, name: str) -> Any:
    """The class of `kind` that defines `name`."""
    owner = next((each for each in kind.__mro__ if name in vars(each)), None)
    if owner is None:
        raise Unpatchable(f"psycopg.{kind.__name__} has no {name}")
    return owner


# -- connections ------------------------------------------------------------------------------------------------------


def _connect(module: Any, plan: Plan, driver: Driver, prefix: str, style: Style) -> None:
    # Connection.connect(), a class method, and psycopg.connect, which is the same: the pool calls it, too.
    kind = require(module, f"{prefix}Connection")
    found = vars(kind).get("connect")
    if not isinstance(found, classmethod):
        raise Unpatchable(f"psycopg.{kind.__name__}.connect is not a class method")
    original = found.__func__
    if hasattr(original, MARK):
        return
    connect = update_wrapper(style.connect(driver, _facts_of_failure)(original), original)
    setattr(connect, MARK, original)
    plan.value(kind, "connect", classmethod(connect))
    if style is PLAIN:
        plan.value(module, "connect", MethodType(connect, kind))


def _transactions(module: Any, plan: Plan, driver: Driver, prefix: str, style: Style) -> None:
    # commit(), rollback(), which `with connection` calls; and the end of `with connection.transaction()`.
    transactions.trace(plan, require(module, f"{prefix}Connection"), driver, style.method)
    if transactions.wanted():
        leave = "__aexit__" if prefix else "__exit__"
        end = style.method(driver, StatementCall(_end_of_block))
        plan.method(require(module, f"{prefix}Transaction"), leave, end)


def _end_of_block(transaction: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    failed = transaction.force_rollback or argument(args, kwargs, 1, "exc_val") is not None
    if transaction._outer_transaction:
        return {"operation": "rollback" if failed else "commit"}
    return {"operation": "rollback to savepoint" if failed else "release savepoint"}


def _facts(connection: Any) -> SharedFacts:
    if connection is None or connection.closed:
        return shared_facts("psycopg", make=_Facts)
    return _of(connection.pgconn)


def _facts_of_failure(args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException) -> SharedFacts:
    """Whom libpq tried last. A time-out or a cancelled task does not tell: then whom it would have tried; of a bad DSN, nobody."""
    pgconn = getattr(error, "pgconn", None)
    return _of(_asked(args, kwargs) if pgconn is None else pgconn)


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The words of the DSN and the arguments over libpq's defaults (PG* variables among them), as a PGconn holds them."""
    from psycopg import Error, conninfo, pq

    try:
        words = conninfo.conninfo_to_dict(argument(args, kwargs, 1, "conninfo", ""))
    except Error:
        return SimpleNamespace(host=b"", hostaddr=b"", port=b"", db=b"", user=b"")
    found: dict[str, Any] = {
        option.keyword.decode(): (option.val or b"").decode() for option in pq.Conninfo.get_defaults()
    }
    names = ("host", "hostaddr", "port", "dbname", "user")
    found.update({name: given[name] for given in (words, kwargs) for name in names if given.get(name) is not None})
    last = {name: str(found.get(name, "")).rpartition(",")[2].encode() for name in names}
    return SimpleNamespace(**last, db=last["dbname"] or last["user"])


def _of(pgconn: Any) -> SharedFacts:
    """The values that libpq uses, whether they come from a DSN, from PG* variables or from a service file."""
    host, port, address = pgconn.host, pgconn.port, pgconn.hostaddr.decode()
    return shared_facts("psycopg", host, port, instance=pgconn.db, user=pgconn.user, address=address, make=_Facts)

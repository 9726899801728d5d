"""psycopg 3 (psycopg_pool, too): statements, pipelines, COPY, rows one by one; connects; plain and awaited.

Methods are replaced on the class that defines them, so that they serve every subclass. Not traced: fetches,
notifications. Limit: a `connect` that the program copied before the agent came makes no span for connects.
"""

from __future__ import annotations

from copy import copy
from types import MethodType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained, say
from autotrace.databases import sql_comments, transactions
from autotrace.databases.connection_facts import ByIdentity, shared_facts
from autotrace.databases.driver import Driver
from autotrace.databases.statement_arguments import many_argument, statement_argument
from autotrace.databases.styles import AWAITED, PLAIN, Style
from autotrace.databases.traced_methods import StatementCall, end_statement, of_arguments
from autotrace.patching import MARK, Plan, Unpatchable, require, show_as
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from autotrace.tracing.span import Span


_PIPELINE = "psycopg.pipeline"


class _Facts(SharedFacts):
    """Facts of a connection. waiting: id of an entry in its pipeline's queue of answers -> (entry, span)."""

    __slots__ = ("waiting",)

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts)
        self.waiting: dict[int, tuple[Any, Span]] = {}


def driver(module: Any, plan: Plan) -> None:
    driver = Driver("psycopg", "postgresql", ByIdentity(_facts), sqlstate="sqlstate")
    pipelines = _Pipelines(driver)
    pipelines.patch(module, plan)
    for prefix, style in (("", PLAIN), ("Async", AWAITED)):
        _statements(module, plan, driver, pipelines, prefix, style)
        _transactions(module, plan, driver, prefix, style)
        _connect(module, plan, driver, prefix, style)
    _comments(module, plan, driver)


def _statements(module: Any, plan: Plan, driver: Driver, pipelines: _Pipelines, prefix: str, style: Style) -> None:
    # execute(), executemany(): all statements end there; Connection.execute() makes a cursor. A server cursor sends a
    # DECLARE of its own, and its fetches make no span. stream(), copy(): a span until the last row, or until the block
    # ends.
    def call(read: Any, **more: Any) -> StatementCall:
        return StatementCall(of_arguments(read), rows=_rows, **more)

    Cursor, ServerCursor = require(module, f"{prefix}Cursor"), require(module, f"{prefix}ServerCursor")
    statement = call(statement_argument("query"), keep_open=pipelines.keep_open)
    many = call(many_argument("query", "params_seq"), keep_open=pipelines.keep_open)
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
    # _execute_send(), also ClientCursor's: sends a statement that the driver has just decided not to prepare. The
    # driver goes on counting, and later prepares, the text without a comment, because only a copy gets one. No span
    # depends on it.
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
    """A PostgresQuery: its text is bytes, with numbered or merged parameters. Only UTF-8 gets a comment."""
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


class _Pipelines:
    """The statements that pipelines have queued. Each span stays open until its answer."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.answer = StatementCall(of_arguments(statement_argument("query")), rows=_rows)

    def keep_open(self, cursor: Any, span: Span) -> bool:
        """Whether the statement is only queued. Then its span waits with its last entry in the queue of answers."""
        pipeline = cursor.connection._pipeline
        if pipeline is not None:
            for entry in reversed(pipeline.result_queue):
                if entry is not None and entry[0] is cursor:
                    waiting = self.driver.facts_of(cursor.connection).waiting
                    queued = id(entry) not in waiting
                    # Else the entry is an earlier statement's, and this one queued nothing.
                    if queued:
                        waiting[id(entry)] = (entry, span)
                    return queued
        return False

    def patch(self, module: Any, plan: Plan) -> None:
        # _process_results(): gets each answer with its entry, and so ends its span. _exit(): the pipeline's last step.
        # A statement without an answer by then never gets one, because the connection is gone.
        owner = _owner(require(module, "Pipeline"), "_process_results")
        plan.method(owner, "_process_results", self._process_results, parameters=("queued", "results"))
        plan.method(owner, "_exit", self._exit, parameters=("exc",))

    def _process_results(self, original: Any) -> Any:
        on_answer = self._on_answer

        def _process_results(self: Any, queued: Any, results: Any) -> Any:
            try:
                done = original(self, queued, results)
            except BaseException as error:
                on_answer(self, queued, error)
                raise
            on_answer(self, queued, None)
            return done

        return _process_results

    def _exit(self, original: Any) -> Any:
        on_exit = self._on_exit

        def _exit(self: Any, exc: Any) -> Any:
            try:
                return original(self, exc)
            finally:
                on_exit(self, exc)

        return _exit

    def _on_answer(self, pipeline: Any, queued: Any, error: BaseException | None) -> None:
        try:
            waiting = self.driver.facts_of(pipeline._conn).waiting
            entry = waiting.pop(id(queued), None) if queued is not None and waiting else None
            if entry is None:
                return
            if error is not None:
                self.driver.failed(entry[1], error, _PIPELINE)
            else:
                end_statement(self.answer, queued[0], entry[1], None, _PIPELINE)
        except Exception:
            contained(_PIPELINE)

    def _on_exit(self, pipeline: Any, error: BaseException | None) -> None:
        try:
            waiting = self.driver.facts_of(pipeline._conn).waiting
            while waiting and not pipeline.level:
                _, (_, span) = waiting.popitem()
                self.driver.failed(span, error or ConnectionError("the pipeline ended without an answer"), _PIPELINE)
        except Exception:
            contained(_PIPELINE)


def _owner(kind: Any, name: str) -> Any:
    """The class of `kind` that defines `name`."""
    owner = next((each for each in kind.__mro__ if name in vars(each)), None)
    if owner is None:
        raise Unpatchable(f"psycopg.{kind.__name__} has no {name}")
    return owner


# -- connections ------------------------------------------------------------------------------------------------------


def _connect(module: Any, plan: Plan, driver: Driver, prefix: str, style: Style) -> None:
    # Connection.connect(): a class method; psycopg.connect is the same. The pool calls it, too.
    kind = require(module, f"{prefix}Connection")
    method = vars(kind).get("connect")
    if not isinstance(method, classmethod):
        raise Unpatchable(f"psycopg.{kind.__name__}.connect is not a class method")
    original = method.__func__
    if hasattr(original, MARK):
        return
    connect = style.connect(driver, _facts_of_failure)(original)
    show_as(connect, original)
    setattr(connect, MARK, original)
    plan.value(kind, "connect", classmethod(connect))
    if style is PLAIN:
        plan.value(module, "connect", MethodType(connect, kind))


def _transactions(module: Any, plan: Plan, driver: Driver, prefix: str, style: Style) -> None:
    # commit(), rollback(): `with connection` calls them. __exit__(): the end of `with connection.transaction()`.
    transactions.trace(plan, require(module, f"{prefix}Connection"), driver, style.method)
    if transactions.enabled():
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
    """The server that libpq tried last. A time-out and a cancelled task do not tell it: then that of the arguments."""
    pgconn = getattr(error, "pgconn", None)
    return _of(_pgconn_of_arguments(args, kwargs) if pgconn is None else pgconn)


def _pgconn_of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The DSN and the arguments over libpq's defaults (PG* variables, too), as in a PGconn. A bad DSN names nobody."""
    from psycopg import Error, conninfo, pq

    try:
        words = conninfo.conninfo_to_dict(argument(args, kwargs, 1, "conninfo", ""))
    except Error:
        return SimpleNamespace(host=b"", hostaddr=b"", port=b"", db=b"", user=b"")
    options: dict[str, Any] = {
        option.keyword.decode(): (option.val or b"").decode() for option in pq.Conninfo.get_defaults()
    }
    names = ("host", "hostaddr", "port", "dbname", "user")
    options.update({name: source[name] for source in (words, kwargs) for name in names if source.get(name) is not None})
    last = {name: str(options.get(name, "")).rpartition(",")[2].encode() for name in names}
    return SimpleNamespace(**last, db=last["dbname"] or last["user"])


def _of(pgconn: Any) -> SharedFacts:
    """The values that libpq uses, whether they come from a DSN, from PG* variables or from a service file."""
    host, port, address = pgconn.host, pgconn.port, pgconn.hostaddr.decode()
    return shared_facts("psycopg", host, port, instance=pgconn.db, user=pgconn.user, address=address, make=_Facts)

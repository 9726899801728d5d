"""Any driver with the interface of PEP 249 that AUTOTRACE_DBAPI names: statements of its cursors, and connects.

Methods of Python classes are replaced. C classes cannot be changed, so their objects get stand-ins (wrapt); a driver
that checks types may refuse those. Limits: execute, executemany and callproc of cursors; no connect that is awaited.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained, say
from autotrace.databases import any_driver_facts, any_driver_proxies, transactions
from autotrace.databases.connection_facts import KeptFacts
from autotrace.databases.connects import ConnectAttempt
from autotrace.databases.driver import Driver
from autotrace.databases.outermost import outermost, unless_nested
from autotrace.databases.statement_arguments import many_argument, procedure_argument, statement_argument
from autotrace.databases.traced_methods import StatementCall, itself, traced_method
from autotrace.patching import MARK, Plan, Unpatchable, require

if TYPE_CHECKING:
    from autotrace.databases.driver import Make
    from autotrace.databases.statement_arguments import Read
    from autotrace.semantics.family import SharedFacts

SYSTEM = "other_sql"
"""OpenTelemetry's `db.system.name` of a database that it has no name for."""
STATEMENTS = ("operation", "query", "sql", "statement", "stmt", "command")
"""Names of the first parameter: PEP 249 says `operation`, and lets drivers choose."""
SETS = ("seq_of_parameters", "params", "parameters", "args", "seq_params", "param_sets")


def driver(module: Any, plan: Plan) -> None:
    """A module that AUTOTRACE_DBAPI names."""
    if not callable(getattr(module, "connect", None)):
        name = module.__name__
        say(f"AUTOTRACE_DBAPI={name}: the module has no connect(), so it is no PEP 249 driver; it is left alone")
        raise Unpatchable(f"{name} has no connect()")
    tracing, connect = _Tracing(module.__name__), require(module, "connect")
    plan.step(lambda: None, tracing.undo, "the classes that connect() shows")
    if not isinstance(connect, type):
        # connect(): PEP 249 has no other way in. The class of the connection that it returns is traced from then on.
        plan.method(module, "connect", tracing.connecting)
    elif _changeable(connect):
        # `connect = Connection` must stay a class, because programs may ask isinstance(x, connect).
        plan.method(connect, "__init__", lambda original: tracing.connecting(original, init=True))
        plan.method(connect, "cursor", tracing.cursor)
        for name, make in transactions.traced_ends(tracing.driver).items():
            if hasattr(connect, name):  # rollback() is optional in PEP 249
                plan.method(connect, name, make)
    else:
        raise Unpatchable(f"{module.__name__}.connect is a C class")


class _Tracing:
    """The state of one traced driver."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.facts_of = KeptFacts(name)
        self.driver = Driver(name, SYSTEM, self.facts_of, sqlstate="sqlstate")
        self.makers = self._makers()
        self.changeable: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()
        """Class of cursors -> whether its methods could be replaced."""
        self.stand_ins: tuple[Any, Any] | None = None
        self.plans: list[Plan] = []
        """The plans for classes that connect() and cursor() have shown; undone with the patch's own."""

    def connecting(self, original: Any, init: bool = False) -> Any:
        """connect(); init: the `__init__` of connections, which returns None."""

        def connect(*args: Any, **kwargs: Any) -> Any:
            arguments = args[1:] if init else args
            with ConnectAttempt(self.driver, args, kwargs, lambda *_: self.facts(None, arguments, kwargs)) as attempt:
                result = original(*args, **kwargs)
                try:
                    connection = args[0] if init else result
                    shared = self.facts(connection, arguments, kwargs)
                    if not init:
                        result = connection = self.connection(result)
                    self.facts_of.keep(connection, shared)
                    attempt.connection = connection
                except Exception:
                    contained(f"{self.name}.connect")
            return result

        return connect

    def facts(self, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
        return any_driver_facts.shared(self.name, connection, args, kwargs)

    def connection(self, connection: Any) -> Any:
        """`connection`, whose class is traced from now on; or its stand-in."""
        if not callable(getattr(connection, "cursor", None)):
            returned = "connect() returned an object without cursor(), so it is no PEP 249 connection"
            say(f"AUTOTRACE_DBAPI={self.name}: {returned}; no traces")
            return connection
        owner = _owner(type(connection), "cursor")
        if owner is not None:
            self._replace(owner, {"cursor": self.cursor, **transactions.traced_ends(self.driver)})
            return connection
        return self.proxies()[0](connection)

    def cursor(self, original: Any) -> Any:
        """cursor(): the class of the cursor that it returns is traced from then on."""
        place = f"{self.name}.cursor"

        def cursor(self_: Any, /, *args: Any, **kwargs: Any) -> Any:
            result = original(self_, *args, **kwargs)
            try:
                return self.traced(result, self_)
            except Exception:
                contained(place)
            return result

        return cursor

    def traced(self, cursor: Any, connection: Any) -> Any:
        """`cursor`, whose class is traced from now on; or its stand-in."""
        kind = type(cursor)
        if kind not in self.changeable:
            owners = {name: _owner(kind, name) for name in self.makers if callable(getattr(kind, name, None))}
            self.changeable[kind] = all(owners.values())
            if self.changeable[kind]:
                for name, owner in owners.items():
                    self._replace(owner, {name: self.makers[name]})
        if not self.changeable[kind]:
            cursor = self.proxies()[1](cursor, connection)
        self.facts_of.keep(cursor, self.facts_of(connection))
        return cursor

    def proxies(self) -> tuple[Any, Any]:
        if self.stand_ins is None:
            self.stand_ins = any_driver_proxies.proxies(
                {"cursor": self.cursor, **transactions.traced_ends(self.driver)}, self.makers
            )
        return self.stand_ins

    def _replace(self, owner: Any, makers: dict[str, Make]) -> None:
        """plan.method() at once; a method that is replaced already stays."""
        plan = Plan()
        for name, make in makers.items():
            if hasattr(owner, name) and not hasattr(vars(owner).get(name), MARK):  # rollback() is optional in PEP 249
                plan.method(owner, name, make)
        plan.apply()
        self.plans.append(plan)

    def undo(self) -> None:
        while self.plans:
            self.plans.pop().undo()

    def _makers(self) -> dict[str, Make]:
        """A method that calls others of its cursor (executemany() calls execute(), or its parent's) makes one span."""

        def traced(read: Read) -> Make:
            call = StatementCall(unless_nested(read), itself, _rows)
            return outermost(traced_method(self.driver, call))

        return {
            "execute": traced(_statement),
            "executemany": traced(_many),
            "callproc": traced(procedure_argument("procname")),
        }


def _owner(kind: type, name: str) -> Any:
    """The class that defines the method, or `kind`; the first that can be changed, or None."""
    defining = next((owner for owner in kind.__mro__ if name in vars(owner)), None)
    return next((owner for owner in (defining, kind) if owner is not None and _changeable(owner)), None)


def _changeable(kind: type) -> bool:
    heap, immutable = 1 << 9, 1 << 8
    return bool(kind.__flags__ & heap) and not kind.__flags__ & immutable


# By the keyword of the statement, if it is passed by one; else by ''.
_STATEMENT = {name: statement_argument(name) for name in ("", *STATEMENTS)}
_MANY = {(name, sets): many_argument(name, sets) for name in _STATEMENT for sets in ("", *SETS)}


def _statement(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    return _STATEMENT[_first(STATEMENTS, kwargs)](args, kwargs)


def _many(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    return _MANY[_first(STATEMENTS, kwargs), _first(SETS, kwargs)](args, kwargs)


def _first(names: tuple[str, ...], kwargs: dict[str, Any]) -> str:
    return next((name for name in names if name in kwargs), "") if kwargs else ""


def _rows(cursor: Any, result: Any) -> int | None:
    rows = getattr(cursor, "rowcount", None)
    return rows if isinstance(rows, int) and rows < 1 << 63 else None

"""Any module with the interface of PEP 249, named by AUTOTRACE_DBAPI: statements of its cursors and failed connects. Knows no driver.

Where the driver's classes are Python's, their methods are replaced; nothing stands in for anything. C classes that cannot be
changed are stood in for by proxies (wrapt), which a driver that checks types may refuse. Limits: nothing but execute, executemany
and callproc of cursors; no connect that is awaited.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained, say
from autotrace.databases import any_driver_facts, any_driver_proxies
from autotrace.databases.driver import Driver
from autotrace.databases.statement_arguments import head
from autotrace.databases.traced_methods import Way, called, part, whole
from autotrace.patching import MARK, Plan, Unpatchable, require
from autotrace.tracing.span import now
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[Any], Any]

SYSTEM = "other_sql"
"""OpenTelemetry's `db.system.name` for what it has no name for."""
STATEMENTS = ("operation", "query", "sql", "statement", "stmt", "command")
"""PEP 249 calls the statement `operation` and lets drivers choose."""
SETS = ("seq_of_parameters", "params", "parameters", "args", "seq_params", "param_sets")


def driver(module: Any, plan: Plan) -> None:
    """A module that AUTOTRACE_DBAPI names."""
    if not callable(getattr(module, "connect", None)):
        name = module.__name__
        say(f"AUTOTRACE_DBAPI={name}: the module has no connect(), so it is no PEP 249 driver; it is left alone")
        raise Unpatchable(f"{name} has no connect()")
    tracing, connect = _Tracing(module.__name__), require(module, "connect")
    if not isinstance(connect, type):
        # connect(): the one door that PEP 249 names; what comes out of it shows the classes to trace. A span if it fails.
        plan.method(module, "connect", tracing.connecting)
    elif _changeable(connect):
        # The class itself is the door (`connect = Connection`), and stays one: programs may ask isinstance(x, connect).
        plan.method(connect, "__init__", lambda original: tracing.connecting(original, made=0))
        plan.method(connect, "cursor", tracing.cursor)
        for name, make in tracing.us.transactions().items():
            if hasattr(connect, name):  # rollback() is optional in PEP 249
                plan.method(connect, name, make)
    else:
        raise Unpatchable(f"{module.__name__}.connect is a C class")


class _Tracing:
    """What is known of one driver while it is traced."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known = any_driver_facts.Known(name)
        self.us = Driver(name, SYSTEM, self.known, sqlstate="sqlstate")
        self.ways = self._ways()
        self.seen: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()
        """Classes of cursors: can they be changed, and have they been?"""
        self.made: tuple[Any, Any] | None = None

    def connecting(self, original: Any, made: int | None = None) -> Any:
        """connect(); made: which argument is the connection, where the result is not (a class's __init__)."""
        place = f"{self.name}.connect"

        def connect(*args: Any, **kwargs: Any) -> Any:
            begun = now()
            asked = args if made is None else args[made + 1 :]
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                if not isinstance(error, TypeError):
                    self.us.attempted(
                        lambda: any_driver_facts.shared(self.name, None, asked, kwargs), begun, error, place
                    )
                raise
            try:
                connection = result if made is None else args[made]
                shared = any_driver_facts.shared(self.name, connection, asked, kwargs)
                if made is None:
                    result = connection = self.connection(result)
                self.known.keep(connection, shared)
                self.us.connected(connection, begun, place)
            except Exception:
                contained(place)
            return result

        return connect

    def connection(self, connection: Any) -> Any:
        """`connection` itself, its class traced from now on; or what stands in for it."""
        if not callable(getattr(connection, "cursor", None)):
            say(
                f"AUTOTRACE_DBAPI={self.name}: what connect() gave has no cursor(), so it is no PEP 249 connection; no traces"
            )
            return connection
        owner = _owner(type(connection), "cursor")
        if owner is not None:
            _replace(owner, {"cursor": self.cursor, **self.us.transactions()})
            return connection
        return self.proxies()[0](connection)

    def cursor(self, original: Any) -> Any:
        """cursor(), which tells the class of cursors to trace."""
        place = f"{self.name}.cursor"

        def cursor(self_: Any, /, *args: Any, **kwargs: Any) -> Any:
            made = original(self_, *args, **kwargs)
            try:
                return self.traced(made, self_)
            except Exception:
                contained(place)
            return made

        return cursor

    def traced(self, cursor: Any, connection: Any) -> Any:
        """A cursor of `connection`, its class traced from now on; or what stands in for it."""
        kind = type(cursor)
        if kind not in self.seen:
            owners = {name: _owner(kind, name) for name in self.ways if callable(getattr(kind, name, None))}
            self.seen[kind] = all(owners.values())
            if self.seen[kind]:
                for name, owner in owners.items():
                    _replace(owner, {name: self.ways[name]})
        if not self.seen[kind]:
            cursor = self.proxies()[1](cursor, connection)
        self.known.keep(cursor, self.known(connection))
        return cursor

    def proxies(self) -> tuple[Any, Any]:
        if self.made is None:
            self.made = any_driver_proxies.proxies({"cursor": self.cursor, **self.us.transactions()}, self.ways)
        return self.made

    def _ways(self) -> dict[str, Make]:
        """A method that runs others of its own cursor makes one span: executemany by execute, a derived class by its parent's."""

        def way(read: Any) -> Make:
            return whole(called(self.us, Way(part(read), lambda cursor: cursor, lambda cursor, _: _rows(cursor))))

        return {"execute": way(_statement), "executemany": way(_batch), "callproc": way(_procedure)}


def _owner(kind: type, name: str) -> Any:
    """The class that defines the method, or else `kind`, whichever can be changed; None: neither."""
    defining = next((owner for owner in kind.__mro__ if name in vars(owner)), None)
    return next((owner for owner in (defining, kind) if owner is not None and _changeable(owner)), None)


def _changeable(kind: type) -> bool:
    heap, immutable = 1 << 9, 1 << 8
    return bool(kind.__flags__ & heap) and not kind.__flags__ & immutable


def _replace(owner: Any, makers: dict[str, Make]) -> None:
    """Once: what is marked stays."""
    plan = Plan()
    for name, make in makers.items():
        if hasattr(owner, name) and not hasattr(vars(owner).get(name), MARK):  # rollback() is optional in PEP 249
            plan.method(owner, name, make)
    plan.apply()


def _statement(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    found: Any = args[0] if args else next((kwargs[name] for name in STATEMENTS if name in kwargs), None)
    if found is None:
        return None
    return {"statement": head(found) if isinstance(found, (str, bytes)) else found}


def _batch(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    facts = _statement(cursor, args, kwargs)
    given = argument(args, kwargs, 1, next((name for name in SETS if name in kwargs), ""))
    if facts is not None and isinstance(given, (list, tuple)) and len(given) > 1:
        facts["batch"] = len(given)
    return facts


def _procedure(cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    name: Any = args[0] if args else kwargs.get("procname")
    return {"statement": f"CALL {name}"} if isinstance(name, str) else None


def _rows(cursor: Any) -> int | None:
    rows = getattr(cursor, "rowcount", None)
    return rows if isinstance(rows, int) and rows < 1 << 63 else None

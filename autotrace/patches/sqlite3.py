"""sqlite3: statements and connects. Not traced: backup and blobs, which send no SQL text.

Subclasses of Connection and Cursor take their names. If sqlite3 was imported before the agent, the names stay, because
existing objects must stay instances of them. Then only the connections that `sqlite3.connect` makes are traced, and
none of a `connect` that the program has copied.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from autotrace.containment import contained
from autotrace.databases import transactions
from autotrace.databases.connection_facts import shared_facts
from autotrace.databases.connects import traced_init
from autotrace.databases.driver import Driver
from autotrace.databases.statement_arguments import many_argument, statement_argument
from autotrace.databases.traced_methods import StatementCall, itself, traced_method
from autotrace.patching import MARK, Plan, Unpatchable, require
from autotrace.patching.subclasses import subclass, traced_class
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import argument, with_argument

SLOT = "_autotrace_facts"
FACTORY = 5  # connect(database, timeout, detect_types, isolation_level, check_same_thread, factory, …)
# (fewest, most) arguments of a Connection's shortcuts. From Python 3.11 on they make a C cursor; before, they call
# self.cursor().
SHORTCUTS = {"execute": (1, 2), "executemany": (2, 2), "executescript": (1, 1)} if sys.version_info >= (3, 11) else {}


def driver(module: Any, plan: Plan) -> None:
    dbapi2 = require(module, "dbapi2")
    if hasattr(require(module, "connect"), MARK):
        return
    for name in ("Connection", "Cursor"):
        if not isinstance(require(module, name), type) or require(dbapi2, name) is not require(module, name):
            raise Unpatchable(f"sqlite3.{name} is not the driver's class")
    driver = Driver("sqlite3", "sqlite", _facts_of)
    Cursor = _cursor_class(module.Cursor, driver)
    Connection = _connection_class(module.Connection, driver, Cursor)

    # connect(): a C function that makes the C class unless its argument names another. No span.
    owners = (module, dbapi2, sys.modules[module.connect.__module__])
    plan.function(owners, "connect", lambda original: _Function(original, Connection))
    # The module is being imported: nobody has its classes yet. Under our names the program's classes derive from ours.
    if getattr(module.__spec__, "_initializing", False):
        for owner in (module, dbapi2):
            plan.value(owner, "Connection", Connection)
            plan.value(owner, "Cursor", Cursor)


class _Function:
    """connect() with our class as the default. Like a C function, it does not become a method of a class."""

    def __init__(self, original: Any, Connection: type) -> None:
        self._original = original
        self._connection = Connection

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            factory = argument(args, kwargs, FACTORY, "factory", self._connection)
            args, kwargs = with_argument(args, kwargs, FACTORY, "factory", traced_class(factory, self._connection))
        except Exception:
            contained("sqlite3.connect")
        return self._original(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self._original)

    def __reduce__(self) -> str:
        return "connect"


def _cursor_class(kind: type, driver: Driver) -> type:
    # The methods that run SQL: one span each.
    methods = {
        "execute": statement_argument("sql"),
        "executemany": many_argument("sql", "parameters"),
        "executescript": statement_argument("sql_script"),
    }
    return subclass(kind, {name: driver.statement(read) for name, read in methods.items()})


def _connection_class(kind: type, driver: Driver, Cursor: type) -> type:
    # __init__(): opens the file, whichever way a connection is made. cursor() and the shortcuts: make our cursors,
    # which make the spans. commit(), rollback(): spans by setting; then so does the end of `with conn`, which is C
    # code.
    makers = {
        "__init__": traced_init(driver, _facts, keep=lambda connection, shared: setattr(connection, SLOT, shared)),
        "cursor": lambda original: _cursor(original, Cursor),
    }
    for name, counts in SHORTCUTS.items():
        makers[name] = _shortcut(kind, name, counts, Cursor)
    ends = transactions.traced_ends(driver)
    if ends:
        makers.update(ends, __exit__=traced_method(driver, StatementCall(_end_of_block, itself)))
    return subclass(kind, makers, slots=(SLOT,))


def _end_of_block(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"operation": "commit" if argument(args, kwargs, 0, "type") is None else "rollback"}


def _cursor(original: Any, Cursor: type) -> Any:
    def cursor(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            if not args and not kwargs:
                args = (Cursor,)
            else:
                factory = argument(args, kwargs, 0, "factory")
                traced = traced_class(factory, Cursor)
                if traced is not factory:
                    args, kwargs = with_argument(args, kwargs, 0, "factory", traced)
        except Exception:
            contained("sqlite3.cursor")
        return original(self, *args, **kwargs)

    return cursor


def _shortcut(kind: Any, name: str, counts: tuple[int, int], Cursor: Any) -> Any:
    new_cursor, run = kind.cursor, getattr(Cursor, name)
    least, most = counts

    def make(original: Any) -> Any:
        def shortcut(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            if kwargs or not least <= len(args) <= most:
                return original(self, *args, **kwargs)  # it says what is wrong
            cursor = new_cursor(self, Cursor)
            run(cursor, *args)
            return cursor

        return shortcut

    return make


_UNKNOWN = shared_facts("sqlite3")


def _facts_of(connection: Any) -> SharedFacts:
    shared: SharedFacts = getattr(connection, SLOT, _UNKNOWN)
    return shared


def _facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """The file as the program wrote it. There is no host, because Kiali would draw a node for it."""
    database = argument(args, kwargs, 0, "database")
    if not isinstance(database, (str, bytes, os.PathLike)):
        return _UNKNOWN  # the driver refuses it
    name = os.fsdecode(database)
    if name.startswith("file:"):
        name = name.partition("?")[0]  # the parameters of a URI may hold a key
    return SharedFacts({**_UNKNOWN.facts, "instance": name})

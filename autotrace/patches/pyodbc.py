"""pyodbc: every statement of a cursor, `connection.execute`, failed connects. Not traced: catalogue functions.

Limit: its connections take neither attributes nor weak references. Their facts are kept by their address in
memory, which connect() sets anew. A `connect` that the program copied before us makes connections without facts.
"""

from __future__ import annotations

import gc
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from autotrace.databases import transactions
from autotrace.databases.connection_facts import ByAddress, shared_facts
from autotrace.databases.connects import keeping_facts, traced_connect
from autotrace.databases.driver import Driver
from autotrace.databases.statement_arguments import many_argument, statement_argument
from autotrace.databases.traced_methods import StatementCall, itself, of_arguments, traced_method
from autotrace.patching import MARK, Plan, require
from autotrace.semantics.family import SharedFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def driver(module: Any, plan: Plan) -> None:
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    driver = Odbc("pyodbc", "other_sql", ByAddress("pyodbc"))
    # connect(): every connection comes from it.
    keep = keeping_facts(driver, _facts)
    connect = traced_connect(driver, lambda args, kwargs, error: _facts(args, kwargs))
    plan.method(module, "connect", lambda original: connect(keep(original)))
    # The three that send SQL: a connection's execute() makes a cursor and runs the statement in C.
    c_method(plan, Cursor, "execute", driver.statement(statement_argument("sql")))
    c_method(plan, Cursor, "executemany", driver.statement(many_argument("sql", "params")))
    shortcut = StatementCall(of_arguments(statement_argument("sql")), itself, lambda self, cursor: cursor.rowcount)
    c_method(plan, Connection, "execute", traced_method(driver, shortcut))
    # commit(), rollback(), a cursor's too. __exit__(): a connection's ends its transaction, a cursor's if nothing
    # failed.
    for kind, connection in ((Connection, itself), (Cursor, lambda self: self.connection)):
        for name, make in transactions.traced_ends(driver, connection=connection).items():
            c_method(plan, kind, name, make)
        if transactions.enabled():
            c_method(plan, kind, "__exit__", traced_method(driver, StatementCall(_end, connection)))


def c_method(plan: Plan, kind: type, name: str, make: Callable[[Any], Any]) -> None:
    """plan.method() for a C class that refuses setattr(): the method goes into the class's dictionary. CPython only.

    The refusal keeps programs from changing such a class by accident; but Python finds its methods in its dictionary,
    as those of any class. So the driver's objects need no stand-in. Limits: only methods that the class itself defines,
    and no slots (`__iter__`, `__call__`).
    """
    original = require(kind, name)
    if hasattr(original, MARK):
        return
    replacement = update_wrapper(make(original), original)
    setattr(replacement, MARK, original)

    def undo() -> None:
        if vars(kind).get(name) is replacement:
            _put(kind, name, original)

    plan.step(lambda: _put(kind, name, replacement), undo, f"{kind.__qualname__}.{name} cannot be set")


def _put(kind: type, name: str, method: Any) -> None:
    import ctypes

    forget = ctypes.pythonapi.PyType_Modified
    (space,) = gc.get_referents(vars(kind))
    if type(space) is not dict or name not in space:
        raise TypeError(f"{kind.__qualname__} has no {name} of its own")
    space[name] = method
    # CPython caches the method that it has found for a class and a name.
    forget(ctypes.py_object(kind))


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


def _facts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """The connection string, and the keywords, which the driver appends. Never the password; odbc.ini is not read."""
    pairs = [*(_pairs(args[0]) if args and isinstance(args[0], str) else ()), *kwargs.items()]
    values = {name.lower(): value for name, value in reversed(pairs)}  # of two, ODBC takes the first

    def find(*names: str) -> str | None:
        return next((str(values[name]) for name in names if values.get(name)), None)

    instance, user = find("database", "db", "dbname"), find("uid", "user", "username")
    host, port = _server(find("server", "host", "servername", "hostname"), find("port"))
    socket = not host and find("socket")
    return shared_facts("pyodbc", host, port, socket=socket, instance=instance, user=user)


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

"""MariaDB Connector/Python (`mariadb`): every statement of a cursor, and connects. Not traced: prepared XA transactions, pools as such."""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.databases.driver import ByIdentity
from autotrace.databases.mysql import Cursors, MySQL, shared
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import argument


def driver(module: Any, plan: Plan) -> None:
    require(module, "_mariadb")
    Connection, Cursor = require(module, "Connection"), require(module, "Cursor")
    known = ByIdentity(lambda connection: shared("mariadb", None, None, None, None, None))
    us = MySQL("mariadb", "mariadb", known, sqlstate="sqlstate")
    # __init__(): it is what connects, for pools too; a span if that fails.
    plan.method(Connection, "__init__", lambda original: us.connect(_noting(original, known)))
    for name, make in us.transactions().items():
        plan.method(Connection, name, make)
    # The three that send SQL. No comments: it prepares any statement with parameters.
    cursors = Cursors(us, ("statement", "parameters", "sp"))
    plan.method(Cursor, "execute", cursors.execute(prepared=True), parameters=("statement",))
    plan.method(Cursor, "executemany", cursors.executemany(), parameters=("statement", "parameters"))
    plan.method(Cursor, "callproc", cursors.callproc(), parameters=("sp",))


def _noting(original: Any, known: ByIdentity) -> Any:
    """__init__() that notes whom it calls: of the arguments first, for a connect that fails; then of what the library says."""

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            known.keep(self, _asked(args, kwargs))
        except Exception:
            contained("mariadb.connect")
        original(self, *args, **kwargs)
        try:
            known.keep(self, _connected(self))
        except Exception:
            contained("mariadb.connect")

    return __init__


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """What an option file would add is not known before the connect, nor is it read here."""
    host = argument(args, kwargs, 0, "host")
    socket = kwargs.get("unix_socket") or host in (None, "", "localhost")
    database = argument(args, kwargs, 3, "database") or kwargs.get("db")
    user = argument(args, kwargs, 1, "user") or kwargs.get("username")
    return shared("mariadb", host, kwargs.get("port") or 3306, socket, database, user)


def _connected(connection: Any) -> SharedFacts:
    """All of it is in the client library's memory; nothing is asked of the server. Its port is 0 on a Unix socket."""
    host, port = connection.server_name, connection.server_port
    return shared("mariadb", host, port, connection.unix_socket or not port, connection.database, connection.user)

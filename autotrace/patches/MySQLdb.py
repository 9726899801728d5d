"""mysqlclient (`MySQLdb`): every statement of a cursor, and connects. Not traced: Connection.query(), which the cursors stand on.

Connections and cursors stay the driver's own objects of its own classes: a stand-in for a connection dies before its cursors do.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import contained
from autotrace.databases.driver import ByIdentity
from autotrace.databases.mysql import Cursors, MySQL, shared
from autotrace.patching import Plan, require
from autotrace.semantics.family import SharedFacts
from autotrace.tracing.traced_call import argument


def driver(module: Any, plan: Plan) -> None:
    require(module, "_mysql")  # PyMySQL's install_as_MySQLdb() may have another module stand in here
    Connection, Cursor = require(module, "Connection"), require(require(module, "cursors"), "BaseCursor")
    known = ByIdentity(lambda connection: shared("MySQLdb", None, None, None, None, None))
    us = MySQL("MySQLdb", "mysql", known)
    # __init__(): it is what connects, whichever way a connection is made; a span if that fails.
    plan.method(Connection, "__init__", lambda original: us.connect(_noting(original, known)))
    for name, make in us.transactions().items():
        plan.method(Connection, name, make)
    # The three that send SQL, on the class that all cursors derive from.
    cursors = Cursors(us, ("query", "args", "procname"))
    plan.method(Cursor, "execute", cursors.execute(), parameters=("query",))
    plan.method(Cursor, "executemany", cursors.executemany(), parameters=("query", "args"))
    plan.method(Cursor, "callproc", cursors.callproc(), parameters=("procname",))


def _noting(original: Any, known: ByIdentity) -> Any:
    """__init__() that notes whom it calls: of the arguments first, for a connect that fails; then of what the library says."""

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            known.keep(self, _asked(args, kwargs))
        except Exception:
            contained("MySQLdb.connect")
        original(self, *args, **kwargs)
        try:
            known.keep(self, _connected(self, args, kwargs))
        except Exception:
            contained("MySQLdb.connect")

    return __init__


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """What an option file would add is not known before the connect, nor is it read here."""
    host = argument(args, kwargs, 0, "host")
    socket = argument(args, kwargs, 5, "unix_socket")
    port = argument(args, kwargs, 4, "port") or 3306
    local = host in (None, "", "localhost")  # to the library this is a Unix socket, whatever the port
    return shared("MySQLdb", host, port, socket or local, *_names(args, kwargs))


def _connected(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedFacts:
    """The library's own words: `127.0.0.1 via TCP/IP`, `Localhost via UNIX socket`."""
    host, _, how = connection.get_host_info().rpartition(" via ")
    return shared("MySQLdb", host, connection.port, "TCP" not in how, *_names(args, kwargs))


def _names(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """(database, user)"""
    database = argument(args, kwargs, 3, "database") or kwargs.get("db")
    return database, argument(args, kwargs, 1, "user")

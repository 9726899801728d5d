"""python-oracledb under the agent, without a server: connects that fail, what is replaced, and calls that never reach a server."""

from __future__ import annotations

from typing import Any

import oracledb
import pytest

from autotrace import registry
from autotrace.patches import oracledb as patch
from autotrace.patching import MARK, Plan
from tests.recorded import Recorded, tags

TNS = "(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT=1))(CONNECT_DATA=(SERVICE_NAME=shop)))"
QUICK: dict[str, Any] = {"tcp_connect_timeout": 2, "retry_count": 0}


def refused(**to: Any) -> None:
    with pytest.raises(oracledb.Error):
        oracledb.connect(user="app", password="secret", **to, **QUICK)


@pytest.mark.parametrize(
    "to",
    [
        {"dsn": "127.0.0.1:1/shop"},
        {"dsn": TNS},
        {"host": "127.0.0.1", "port": 1, "service_name": "shop"},
        {"params": oracledb.ConnectParams(host="127.0.0.1", port=1, service_name="shop")},
    ],
    ids=["easy", "tns", "keywords", "params"],
)
def test_a_failed_connect_is_a_span_that_says_whom_it_meant(to: dict[str, Any], spans: Recorded) -> None:
    refused(**to)
    found = tags(spans.one())
    expected = {
        "peer.address": "127.0.0.1:1",
        "db.instance": "shop",
        "db.user": "app",
        "db.system.name": "oracle.db",
        "component": "oracledb",
        "db.response.status_code": "DPY-6005",
    }
    assert {key: found.get(key) for key in expected} == expected
    assert "secret" not in repr((spans[0].facts, found))


def test_a_bad_connect_string_is_the_drivers_to_refuse_and_no_failure_of_ours(spans: Recorded) -> None:
    from autotrace import containment

    refused(dsn="(((")
    assert spans.one().name == "connect"
    containment.failures.pop("oracledb.connect", None)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("execute", ("SELECT what FROM orders WHERE id = :1", [1]), "SELECT orders"),
        ("executemany", ("INSERT INTO orders VALUES (:1)", [[1], [2]]), "INSERT orders"),
        ("callproc", ("twice", [4711]), "CALL"),
        ("callfunc", ("twice", int, [4711]), "CALL"),
    ],
)
def test_a_statement_on_a_cursor_that_is_not_connected(
    name: str, arguments: tuple[Any, ...], expected: str, spans: Recorded
) -> None:
    """The driver's exception passes, and the span tells the statement without its parameters."""
    cursor = oracledb.Cursor.__new__(oracledb.Cursor)
    cursor._connection = None
    with pytest.raises(oracledb.InterfaceError, match="DPY-1006"):
        getattr(cursor, name)(*arguments)
    span = spans.one()
    assert span.name == expected and span.failure is not None
    assert "4711" not in repr((span.facts, tags(span)))


def test_what_is_replaced_shows_itself_as_the_drivers() -> None:
    for name in ("execute", "executemany", "callproc", "callfunc"):
        method = getattr(oracledb.Cursor, name)
        assert (method.__name__, hasattr(method, MARK)) == (name, True)


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(oracledb, plan)
    assert plan._steps == []
    assert registry.states["oracledb", "oracledb"] == registry.ON

"""python-oracledb under the agent, without a server: connects that fail, replaced methods, refused calls."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import oracledb
import pytest
from opentelemetry import trace

from autotrace import registry
from autotrace.databases import connects
from autotrace.patches import oracledb as patch
from autotrace.patching import MARK, Plan
from tests.recorded import Recorded, is_child, nothing_current, tags

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
    refused(dsn="(((")
    assert spans.one().name == "connect"


@pytest.mark.parametrize(
    ("dsn", "host", "user"),
    [
        ("me/secret@127.0.0.1:1/shop", "127.0.0.1", "me"),
        ("me@127.0.0.1:1/shop", "127.0.0.1", "me"),
        ("me/se@cr(e)t/secret@127.0.0.1:1/shop", "127.0.0.1", "me"),
        ("me/secret@" + TNS, "127.0.0.1", "me"),
        (TNS, "127.0.0.1", None),
        ("me/secret@alias", None, "me"),
        ("alias", None, None),
        ("", None, None),
        ("/secret@127.0.0.1:1/shop", "127.0.0.1", None),
    ],
)
def test_credentials_in_a_connect_string_are_no_part_of_it(dsn: str, host: str | None, user: str | None) -> None:
    facts = patch._facts(oracledb.ConnectParams, dsn).facts
    assert (facts.get("remote", (None,))[0], facts.get("user")) == (host, user)
    assert "secret" not in repr(facts) and "cr(e)t" not in repr(facts)


CALLS = [
    ("execute", ("SELECT what FROM orders WHERE id = :1", [1]), "SELECT orders"),
    ("executemany", ("INSERT INTO orders VALUES (:1)", [[1], [2]]), "INSERT orders"),
    ("callproc", ("twice", [4711]), "CALL"),
    ("callfunc", ("twice", int, [4711]), "CALL"),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), CALLS)
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


@pytest.mark.parametrize("name", ["fetch_df_all", "fetch_df_batches"])
def test_data_frames_on_a_connection_that_is_closed(name: str, spans: Recorded) -> None:
    connection = oracledb.Connection.__new__(oracledb.Connection)
    connection._impl = None
    with pytest.raises(Exception) as caught:
        result = getattr(connection, name)("SELECT what FROM orders WHERE id = 4711")
        list(result)
    span = spans.one()
    assert span.name == "SELECT orders" and span.failure is not None
    assert span.failure.message == str(caught.value)


def test_what_is_replaced_shows_itself_as_the_drivers() -> None:
    for kind in (oracledb.Cursor, oracledb.AsyncCursor):
        for name in ("execute", "executemany", "callproc", "callfunc"):
            method = getattr(kind, name)
            assert (method.__name__, hasattr(method, MARK)) == (name, True)


# -- asyncio


def connecting(**to: Any) -> Any:
    return oracledb.connect_async(user="app", password="secret", **to, **QUICK)


async def by_awaiting(connection: Any) -> None:
    await connection


async def by_entering(connection: Any) -> None:
    async with connection:
        pass


WAYS = [by_awaiting, by_entering]


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_connect_that_is_awaited_is_a_span_of_its_task(way: Any, spans: Recorded) -> None:
    async def main() -> None:
        with trace.get_tracer("t").start_as_current_span("work") as work:
            with pytest.raises(oracledb.Error):
                await way(connecting(dsn="127.0.0.1:1/shop"))
            assert trace.get_current_span() is work

    asyncio.run(main())
    connect, work = spans
    found = tags(connect)
    assert (connect.name, found["peer.address"], found["db.instance"]) == ("connect", "127.0.0.1:1", "shop")
    assert (found["db.user"], found["db.response.status_code"]) == ("app", "DPY-6005")
    assert is_child(connect, work) and connect.failure is not None
    assert "secret" not in repr((connect.facts, found))


@pytest.mark.parametrize("way", WAYS)
def test_it_lasts_from_the_await_on(way: Any, spans: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        connection = connecting(dsn="127.0.0.1:1/shop")
        monkeypatch.setattr(connects, "now", lambda: 5)
        with pytest.raises(oracledb.Error):
            await way(connection)

    asyncio.run(main())
    assert spans.one().start_time == 5


def test_one_that_is_never_awaited_is_no_span_and_warns_as_the_drivers(spans: Recorded) -> None:
    async def main() -> list[str]:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            connecting(dsn="127.0.0.1:1/shop")
            gc.collect()
        return [str(warning.message) for warning in told]

    told = asyncio.run(main())
    assert all("never awaited" in text and "_Connecting" not in text for text in told)
    assert spans == []


def test_a_cancelled_connect_ends_its_span(spans: Recorded) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(-1)
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        task = asyncio.ensure_future(by_awaiting(connecting(dsn=f"127.0.0.1:{port}/shop")))
        await asyncio.sleep(0.1)
        assert nothing_current()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.close()

    asyncio.run(main())
    assert tags(spans.one())["error.type"].endswith("CancelledError")


def test_a_bad_connect_string_is_a_failed_connect(spans: Recorded) -> None:
    async def main() -> None:
        with pytest.raises(oracledb.Error):
            await connecting(dsn="(((")

    asyncio.run(main())
    assert spans.one().name == "connect"


@pytest.mark.parametrize(("name", "arguments", "expected"), CALLS)
def test_an_awaited_statement_on_a_cursor_that_is_not_connected(
    name: str, arguments: tuple[Any, ...], expected: str, spans: Recorded
) -> None:
    async def main() -> None:
        cursor = oracledb.AsyncCursor.__new__(oracledb.AsyncCursor)
        cursor._connection = None
        with pytest.raises(oracledb.InterfaceError, match="DPY-1006"):
            await getattr(cursor, name)(*arguments)
        assert nothing_current()

    asyncio.run(main())
    span = spans.one()
    assert span.name == expected and span.failure is not None
    assert "4711" not in repr((span.facts, tags(span)))


def test_awaited_data_frames_on_a_connection_that_is_closed(spans: Recorded) -> None:
    async def main() -> None:
        connection = oracledb.AsyncConnection.__new__(oracledb.AsyncConnection)
        connection._impl = None
        with pytest.raises(Exception, match="DPY-1001"):
            await connection.fetch_df_all("SELECT what FROM orders")
        with pytest.raises(AttributeError):
            [frame async for frame in connection.fetch_df_batches("SELECT what FROM orders")]

    asyncio.run(main())
    assert [(span.name, span.failure is not None) for span in spans] == [("SELECT orders", True)] * 2


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(oracledb, plan)
    assert plan._steps == []
    assert registry.states["oracledb", "oracledb"] == registry.ON

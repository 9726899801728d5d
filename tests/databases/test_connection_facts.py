"""The shared facts of a connection: how drivers' names, ports and sockets become tags, and how long they are kept."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from autotrace.databases.connection_facts import AsynchronousFacts, ByIdentity, KeptFacts, shared_facts
from autotrace.semantics import database
from autotrace.semantics.family import SharedFacts

ADDRESS = ("peer.service", "peer.address", "network.peer.address")


class Connection:
    pass


def tags(shared: SharedFacts) -> dict[str, Any]:
    return dict(database.family("postgresql").tags(shared.facts, "both"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"host": "db", "port": 5432}, ["db", "db:5432", None]),
        ({"host": b"db", "port": b"5432"}, ["db", "db:5432", None]),
        ({"host": "db", "port": "5432", "address": "10.0.0.7"}, ["db", "db:5432", "10.0.0.7"]),
        ({"host": "db", "port": 0}, ["db", "db", None]),
        ({"host": "db", "port": "none"}, ["db", "db", None]),
        ({"host": "/run/postgresql", "port": 5432}, [None] * 3),
        ({"host": "@abstract", "port": 5432}, [None] * 3),
        ({"host": "localhost", "socket": "/run/mysqld.sock"}, [None] * 3),
        ({"host": None, "port": 5432}, [None] * 3),
        ({"host": 7, "port": 5432}, [None] * 3),
    ],
)
def test_a_host_has_a_peer_and_a_socket_has_none(facts: dict[str, Any], expected: list[Any]) -> None:
    assert [tags(shared_facts("x", **facts)).get(key) for key in ADDRESS] == expected


def test_names_may_be_bytes_and_empty_names_are_none() -> None:
    found = tags(shared_facts("x", instance=b"shop", user=""))
    assert found == {
        "component": "x",
        "db.system.name": "postgresql",
        "db.type": "sql",
        "db.instance": "shop",
        "db.namespace": "shop",
    }


def test_the_type_of_a_database_is_a_fact_of_the_connection() -> None:
    assert tags(shared_facts("redis", db_type="redis"))["db.type"] == "redis"


def test_facts_are_read_once_and_dropped_with_the_connection() -> None:
    read: list[Any] = []

    def facts(connection: Any) -> SharedFacts:
        read.append(1)
        return shared_facts("x")

    facts_of, connection = ByIdentity(facts), Connection()
    assert facts_of(connection) is facts_of(connection)
    assert len(read) == len(facts_of.by_id) == 1
    del connection
    gc.collect()
    assert facts_of.by_id == {}


def test_a_connection_that_takes_no_weak_reference_is_read_each_time() -> None:
    facts_of = ByIdentity(shared_facts)
    assert facts_of("a stand-in").facts["component"] == "a stand-in"
    assert facts_of.by_id == {}


def test_kept_facts_are_those_that_were_kept_last() -> None:
    facts_of, connection, last = KeptFacts("x"), Connection(), shared_facts("x", instance="b")
    assert facts_of(connection) is facts_of(None) is facts_of.unknown
    facts_of.keep(connection, shared_facts("x", instance="a"))
    facts_of.keep(connection, last)
    gc.collect()
    assert facts_of(connection) is last


def test_a_dropped_connection_ends_the_span_that_waits_for_its_answer() -> None:
    class Span:
        ended = False

        def end(self) -> None:
            self.ended = True

    facts_of, connection, span = ByIdentity(lambda connection: AsynchronousFacts({})), Connection(), Span()
    facts_of(connection).waiting = span  # type: ignore[attr-defined]
    del connection
    gc.collect()
    assert span.ended

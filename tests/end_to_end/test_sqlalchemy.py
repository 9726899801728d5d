"""SQLAlchemy on every driver: it and the program see no difference, and each statement that it sends is one span.

The event `before_cursor_execute`, bare and traced, is its own account of its statements.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from test_services.mariadb import MariaDB
from test_services.postgresql import PostgreSQL
from tests.end_to_end.told import Told, both
from tests.programs import ROOT

URLS = {
    "psycopg2": "postgresql+psycopg2://{postgresql}",
    "psycopg": "postgresql+psycopg://{postgresql}",
    "pg8000": "postgresql+pg8000://{postgresql}",
    "mysqlclient": "mysql+mysqldb://{mariadb}",
    "PyMySQL": "mysql+pymysql://{mariadb}",
    "mysql-connector-python": "mysql+mysqlconnector://{mariadb}",
    "mariadb": "mariadb+mariadbconnector://{mariadb}",
    "sqlite3": "sqlite:///{folder}/shop.db",
    "asyncpg": "postgresql+asyncpg://{postgresql}?async=1",
    "psycopg, async": "postgresql+psycopg_async://{postgresql}?async=1",
    "aiosqlite": "sqlite+aiosqlite:///{folder}/shop.db?async=1",
}

# SQLAlchemy sends these without an event: on the first connect, for pre_ping, to reset an isolation level, to fetch
# with pg8000.
AROUND = re.compile(
    r"SELECT t\.oid, typarray FROM pg_type|select pg_catalog\.version|select current_schema|show (transaction|standard)"
    r"|Composed|SELECT @@|SET NAMES|SELECT VERSION|SELECT DATABASE|SET SESSION (TRANSACTION|CHARACTERISTICS)|COMMIT$"
    r"|PRAGMA read_uncommitted"
    r"|SELECT 1$|;$|(FETCH FORWARD \d+ FROM|CLOSE) c_\w+$"
)
DECLARE = re.compile(r"^DECLARE c_\w+ NO SCROLL CURSOR FOR ")
CUT = 1000
"""Characters to compare: a span keeps the head of a statement."""


@pytest.fixture(scope="module", params=URLS)
def told(
    request: pytest.FixtureRequest, postgresql: PostgreSQL, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Told:
    places = {
        "postgresql": postgresql.url.partition("//")[2],
        "mariadb": mariadb.url.partition("//")[2],
        "folder": tmp_path_factory.mktemp("sqlalchemy"),
    }
    return both("tests.end_to_end.sqlalchemy_story", URLS[request.param].format(**places))


def test_the_program_sees_no_difference(told: Told) -> None:
    for name, scenario in told.bare.items():
        assert told.traced[name]["value"] == scenario["value"], name
        assert told.traced[name]["told"] == scenario["told"], name
    assert "IntegrityError" in told.bare["objects"]["value"]


def test_a_statement_is_one_span(told: Told) -> None:
    for name, scenario in told.traced.items():
        made = [statement for statement in statements(scenario) if not AROUND.match(statement)]
        made = [DECLARE.sub("", statement)[:CUT] for statement in made]
        assert made == [statement[:CUT] for statement in scenario["told"]], name
    assert sum(len(scenario["told"]) for scenario in told.traced.values()) > 60


def test_no_statement_of_a_first_connect_is_doubled(told: Told) -> None:
    made = statements(told.traced["first_connect"])
    assert made and len(made) == len(set(made))


def test_spans_are_children_of_the_programs_own(told: Told) -> None:
    assert all(span["child"] for scenario in told.traced.values() for span in scenario["spans"])


def test_failed_statements_have_failed_spans(told: Told) -> None:
    failed = [span["statement"] for span in told.traced["errors"]["spans"] if span["error"]]
    assert failed == ["insert into customer (id, name) values (901, 'twice')", "select * from nowhere"]


def test_spans_tell_whom_the_driver_is_connected_to(
    told: Told, request: pytest.FixtureRequest, postgresql: PostgreSQL, mariadb: MariaDB
) -> None:
    system = re.split(r"[+:]", URLS[request.node.callspec.params["told"]])[0]
    server = {"postgresql": postgresql, "sqlite": None}.get(system, mariadb)
    for span in told.traced["core"]["spans"]:
        tags = span["tags"]
        assert tags["db.system.name"] == system
        found = [tags.get(name) for name in ("server.address", "server.port", "db.user")]
        assert found == ([None] * 3 if server is None else [server.host, server.port, server.user])
        assert tags["db.namespace"].endswith("shop.db" if server is None else server.database)


def test_the_agent_says_nothing(told: Told) -> None:
    assert told.failures == {}
    assert "autotrace" not in told.said.replace(str(ROOT), ""), "SQLAlchemy's tracebacks name its files"


def statements(scenario: dict[str, Any]) -> list[str]:
    return [span["statement"] for span in scenario["spans"]]

"""Django's ORM on every database: neither Django nor the program sees a difference, and each statement is one span.

Django's own account says which statements it sent: `connection.execute_wrapper`, in both runs, bare and traced.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from test_services.mariadb import MariaDB
from test_services.postgresql import PostgreSQL
from tests.end_to_end.two_runs import TwoRuns, run_twice
from tests.programs import without_paths

DATABASES: dict[str, dict[str, Any]] = {
    "sqlite3": {"ENGINE": "sqlite3"},
    "psycopg": {"ENGINE": "postgresql"},
    "psycopg, pool": {"ENGINE": "postgresql", "OPTIONS": {"pool": True, "server_side_binding": True}},
    "psycopg2": {"ENGINE": "postgresql", "PSYCOPG2": True},
    "mysqlclient": {"ENGINE": "mysql"},
    "PyMySQL": {"ENGINE": "mysql", "PYMYSQL": True},
}

# What Django sends past its wrappers: on a connect, to see if one is usable, to make and drop the database of the test
# runner, and to quote parameters for the log of queries on sqlite.
AROUND = re.compile(
    r"SELECT set_config|SET SESSION TRANSACTION|SET SQL_AUTO_IS_NULL|PRAGMA (foreign_keys = ON|legacy_alter_table = OFF)$"
    r"|select sqlite_compileoption|SELECT 1$|SELECT QUOTE\(|(CREATE|DROP) DATABASE"
)
CUT = 1000
"""Characters to compare: a span keeps the head of a statement."""


@pytest.fixture(scope="module", params=DATABASES)
def runs(
    request: pytest.FixtureRequest, postgresql: PostgreSQL, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> TwoRuns:
    database = dict(DATABASES[request.param])
    server: PostgreSQL | MariaDB | None = {"postgresql": postgresql, "mysql": mariadb}.get(database["ENGINE"])  # type: ignore[assignment]
    if server is None:
        database["NAME"] = str(tmp_path_factory.mktemp("django") / "shop.db")
    else:
        database.update(NAME=server.database, USER=server.user, HOST=server.host, PORT=server.port)
        database["PASSWORD"] = getattr(server, "password", "")
    database["ENGINE"] = "django.db.backends." + database["ENGINE"]
    # one seed: Django writes a set of words into a statement
    return run_twice("tests.end_to_end.django_orm_story", json.dumps(database), PYTHONHASHSEED="0")


def test_the_program_sees_no_difference(runs: TwoRuns) -> None:
    for name, scenario in runs.bare.items():
        assert runs.traced[name]["value"] == scenario["value"], name
        assert runs.traced[name]["statements"] == scenario["statements"], name


def test_a_statement_is_one_span(runs: TwoRuns) -> None:
    for name, scenario in runs.traced.items():
        made = [span["statement"] for span in scenario["spans"]]
        assert of_the_program(made) == of_the_program(scenario["statements"]), name
    assert sum(len(scenario["statements"]) for scenario in runs.traced.values()) > 100


def test_no_statement_of_a_first_connect_is_doubled(runs: TwoRuns) -> None:
    made = [span["statement"] for span in runs.traced["first_connect"]["spans"]]
    assert made and len(made) == len(set(made))


def test_spans_are_children_of_the_programs_own(runs: TwoRuns) -> None:
    """In threads and coroutines, too. A pool sets up its connections in a thread that nobody's request has started."""
    for scenario in runs.traced.values():
        assert all(span["child"] for span in scenario["spans"] if not AROUND.match(span["statement"]))


def test_failed_statements_have_failed_spans(runs: TwoRuns) -> None:
    failed = [span["statement"] for span in runs.traced["transactions"]["spans"] if span["error"]]
    assert [statement.split(" ")[0] for statement in failed] == ["INSERT", "SELECT"]
    assert failed[1] == "SELECT * FROM nowhere"


def test_parameters_stay_out(runs: TwoRuns) -> None:
    assert "Ada" in json.dumps(runs.bare), "what is looked for is there"
    assert "Ada" not in json.dumps([span["tags"] for scenario in runs.traced.values() for span in scenario["spans"]])


def test_the_agent_says_nothing(runs: TwoRuns) -> None:
    assert runs.failures == {}
    assert "autotrace" not in without_paths(runs.stderr)


def of_the_program(statements: list[str]) -> list[str]:
    """Django writes %s for each database, and ? to sqlite."""
    return [statement.replace("?", "%s")[:CUT] for statement in statements if not AROUND.match(statement)]

"""mysql-connector-python under the agent, on a real MariaDB: the contracts for both implementations, cursors, pools."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from typing import Any

import mysql.connector
import mysql.connector.pooling
import pytest
from opentelemetry import trace

from autotrace import registry
from autotrace.patches import mysql_connector as patch
from autotrace.patching import Plan
from test_services.built_drivers import library_path
from tests.contracts.mysql import MySQLContract
from tests.programs import ROOT
from tests.recorded import Recorded, tags


class Both(MySQLContract):
    component = "mysql.connector"
    driver = mysql.connector
    unknown_table = "42S02"
    chained = True
    held_alone = None

    def test_a_prepared_cursor_is_one_span_a_statement(self, connection: Any, spans: Recorded) -> None:
        cursor = connection.cursor(prepared=True)
        for number in (1, 2):
            cursor.execute("SELECT what FROM orders WHERE id = %s", (number,))
            cursor.fetchall()
        assert [span.name for span in spans] == ["SELECT orders"] * 2
        cursor.executemany("UPDATE orders SET what = %s WHERE id = %s", [("x", 1), ("y", 2)])
        assert (len(spans), tags(spans[2])["db.operation.batch.size"]) == (3, 2)

    @pytest.mark.parametrize("kind", ["buffered", "dictionary", "raw"])
    def test_each_kind_of_cursor_is_one_span(self, kind: str, connection: Any, spans: Recorded) -> None:
        cursor = connection.cursor(**{kind: True})
        cursor.execute("SELECT 1 AS a")
        assert len(cursor.fetchall()) == 1
        assert len(spans) == 1

    def test_what_the_driver_asks_on_the_way_is_no_statement_of_the_programs(self, spans: Recorded) -> None:
        connection = self.connect(get_warnings=True)
        cursor = connection.cursor()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cursor.execute("DROP TABLE IF EXISTS nowhere")
        assert len(cursor.warnings) == 1
        assert [span.name for span in spans] == ["DROP TABLE nowhere"]

    def test_the_driver_does_not_see_our_span_and_warns_of_nothing(self, connection: Any) -> None:
        """It would send it as a query attribute, which this server does not take."""
        with trace.get_tracer("t").start_as_current_span("work"), warnings.catch_warnings():
            warnings.simplefilter("error")
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            cursor.fetchall()
            prepared = connection.cursor(prepared=True)
            prepared.execute("SELECT 1")
            prepared.fetchall()

    def test_a_pool_hands_out_traced_connections(self, spans: Recorded) -> None:
        connection = self.connect(pool_name=f"p{self.options['use_pure']}", pool_size=1)
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.fetchall()
        connection.close()
        assert tags(spans.one())["peer.port"] == self.mariadb.port

    def test_reconnecting_in_vain_is_a_failed_connect(self, connection: Any, spans: Recorded) -> None:
        connection.config(port=1)
        with pytest.raises(mysql.connector.Error):
            connection.reconnect()
        assert spans.one().name == "connect"


class TestPure(Both):
    options = {"use_pure": True, "consume_results": True}


class InC(Both):
    options = {"use_pure": False, "consume_results": True}

    def test_a_generator_of_parameters_is_left_whole(self, connection: Any, spans: Recorded) -> None:
        """This one refuses it, and is given it as it came."""
        given = ((n, "x") for n in range(10, 15))
        with pytest.raises(mysql.connector.ProgrammingError):
            connection.cursor().executemany("INSERT INTO orders VALUES (%s, %s)", given)
        assert next(given) == (10, "x")
        assert spans.one().failure is not None


if mysql.connector.HAVE_CEXT:

    class TestC(InC):
        pass


del Both, InC


@pytest.mark.skipif(mysql.connector.HAVE_CEXT, reason="the tests of the C implementation run in this process")
def test_the_c_implementation_in_a_process_of_its_own() -> None:
    """If the newest wheel's C part does not load on this system, the tests above run with another that does."""
    folder = library_path("mysql.connector")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "TestC or TestPure"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout and "TestC" not in done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) > 80


def test_patching_twice_is_patching_once() -> None:
    plan = Plan()
    patch.driver(mysql.connector, plan)
    assert plan._steps == []
    assert registry.states["mysql.connector", "mysql.connector"] == registry.ON

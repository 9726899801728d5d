"""The benchmarks work: the harness in its smallest mode, on real services. No figure is judged here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.agents import Agent, checkout
from benchmarks.budgets import BENCHMARKS, BUDGETS
from benchmarks.environment import Environment
from benchmarks.measures import Operation
from benchmarks.rounds import added, interleaved, verdict

ROOT = Path(__file__).parent.parent
REAL = {"psycopg2", "kafka_send", "kafka_iterate", "kafka_poll"} | {
    "confluent_produce",
    "confluent_poll",
    "confluent_consume",
    "aiokafka_iterate",
}


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--scale", "0.003", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=300
    )


def assert_whole(done: subprocess.CompletedProcess[str], names: set[str]) -> None:
    """A row for each figure of these benchmarks, every agent traced, nobody complained."""
    assert done.returncode == 0, done.stderr
    for budget in BUDGETS:
        assert (budget.what in done.stdout) == (budget.benchmark in names), budget.what
    assert "NOT TRACED" not in done.stdout
    assert "autotrace:" not in done.stdout
    assert "left out" not in done.stdout


class TestAWholeRun:
    def test_measures_everything_that_needs_no_service(self, tmp_path: Path) -> None:
        names = set(BENCHMARKS) - REAL
        table = tmp_path / "table.md"
        assert_whole(run(*sorted(names), "--markdown", str(table)), names)
        assert table.read_text().startswith("| what | unit | bare | autotrace |")

    def test_measures_on_services_that_run_already(self, kafka: Any, postgresql: Any) -> None:
        assert_whole(run(*sorted(REAL), **kafka.addresses(), **postgresql.addresses()), REAL)

    def test_refuses_a_name_that_it_does_not_know(self) -> None:
        done = run("sqlite4")
        assert done.returncode == 2
        assert "'sqlite4' is not a benchmark" in done.stderr

    def test_measures_another_checkout_beside_this_one(self) -> None:
        done = run("sqlite3", "runner", "not_sampled", "burst_paced", "--against", str(ROOT))
        assert_whole(done, {"sqlite3", "runner", "not_sampled", "burst_paced"})
        head, *rows = done.stdout.partition("\n\n")[0].splitlines()
        assert re.search(rf"{re.escape(str(ROOT))} adds +change$", head)
        assert all(re.search(r"  [+-]\d+\.\d\d ±[\d.,]+$", row) for row in rows), done.stdout
        lost = next(row for row in rows if "spans lost" in row)
        assert re.search(r" 0\.00  +\+0\.00 ±0\.00$", lost), "each was sent what it should be sent"

    def test_refuses_a_folder_that_is_no_checkout(self, tmp_path: Path) -> None:
        done = run("sqlite3", "--against", str(tmp_path))
        assert done.returncode == 2
        assert "no checkout of autotrace" in done.stderr


class TestAnAgent:
    def test_of_another_checkout_is_the_autotrace_that_the_program_imports(self, tmp_path: Path) -> None:
        (tmp_path / "autotrace").mkdir()
        (tmp_path / "autotrace" / "__init__.py").write_text("version = 'another'")
        environment = checkout(tmp_path, "before").environment("http://sink")
        program = [sys.executable, "-c", "import autotrace; print(autotrace.version)"]
        assert subprocess.check_output(program, cwd=tmp_path.parent, env=environment, text=True) == "another\n"

    def test_that_traces_nothing_is_named_instead_of_praised(self) -> None:
        with Environment(set()) as environment:
            Operation("sqlite3_execute").measure(Agent("idle"), environment, 0.01)
        assert any("NOT TRACED" in note for note in environment.notes)

    def test_under_which_the_program_fails_is_left_out_and_named(self, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text("import os; os._exit(3)")
        broken = Agent("elastic", (str(tmp_path),))
        with Environment(set()) as environment:
            results = interleaved(
                {"pass": BENCHMARKS["pass"]}, [Agent("bare"), broken], environment, 1, 1.0, lambda text: None
            )
        assert list(results) == [("pass", "bare")]
        assert any("pass under elastic is left out" in note for note in environment.notes)


class TestFigures:
    def test_differences_are_taken_within_a_round(self) -> None:
        """The machine slows down from round to round, and disturbs one: the two medians alone would say 9."""
        results = {
            ("pass", "bare"): [{"cpu": bare} for bare in (1.0, 2.0, 9.0)],
            ("pass", "autotrace"): [{"cpu": traced} for traced in (3.0, 11.0, 11.0)],
        }
        found = added(results, "pass", "cpu", "autotrace")
        assert found is not None
        assert (found.bare, found.traced, found.added) == (2.0, 11.0, 2.0)

    def test_of_a_benchmark_that_did_not_run_are_none(self) -> None:
        assert added({("pass", "bare"): [{"cpu": 1.0}]}, "pass", "cpu", "autotrace") is None

    @pytest.mark.parametrize(
        ("value", "expected"), [(1.0, "aim"), (2.0, "aim"), (2.1, "must"), (6.0, "must"), (6.1, "MISSED")]
    )
    def test_are_judged_by_both_limits(self, value: float, expected: str) -> None:
        assert verdict(value, 6, 2) == expected

    def test_beyond_a_budget_are_named(self) -> None:
        results = {("pass", "bare"): [{"cpu": 10.0}], ("pass", "autotrace"): [{"cpu": 17.0}]}
        assert report.missed(results) == ["`python -c pass`, folder on PYTHONPATH: 7.00 ms added, must 6.00 ms"]

    def test_in_the_document_replace_those_of_the_last_run_and_nothing_else(self) -> None:
        document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
        assert report.put_into(document, "new") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"

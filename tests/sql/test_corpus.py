"""Every input that the fuzzer has found keeps its promises: fuzz/corpus/sql, replayed without atheris."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg.sql
import psycopg2.sql
import pytest

from autotrace import containment, sql
from fuzz import sql_promises
from fuzz.sql_promises import check
from fuzz.sql_statements import DIALECTS, SECRET, Choices, statement

CORPUS = sorted((Path(__file__).parents[2] / "fuzz" / "corpus" / "sql").iterdir())
PROBE = b"\x00\x00\x01\x00" + bytes(range(7, 250, 9))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name[:20])
def test_input(path: Path) -> None:
    check(path.read_bytes())


def test_every_dialect_has_inputs() -> None:
    assert {path.read_bytes()[0] % len(DIALECTS) for path in CORPUS} == set(range(len(DIALECTS)))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name[:20])
@pytest.mark.parametrize("module", [psycopg.sql, psycopg2.sql], ids=["psycopg", "psycopg2"])
def test_composed_it_reads_the_same(module: Any, path: Path) -> None:
    choices = Choices(path.read_bytes())
    dialect = choices.one(DIALECTS)
    text = statement(choices, dialect)
    plain = repr(sql.describe(text, dialect))
    assert repr(sql.describe(module.SQL(text), dialect)) == plain
    parts = [module.SQL(text[start : start + 50]) for start in range(0, len(text), 50)]
    assert repr(sql.describe(module.Composed(parts), dialect)) == plain


def test_the_same_bytes_make_the_same_statement_with_its_secrets() -> None:
    first, second = (statement(Choices(PROBE), "postgresql") for _ in range(2))
    assert first == second and SECRET in first


class TestABrokenPromiseIsFound:
    """Each is broken here once: a check that cannot fail finds nothing."""

    def broken(self, data: bytes = PROBE) -> None:
        sql._cache = sql._Cache()
        try:
            with pytest.raises(AssertionError):
                check(data)
        finally:
            sql._cache = sql._Cache()

    def test_a_literal_that_is_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = sql._read
        monkeypatch.setattr(sql, "_read", lambda text, dialect, mask, limit: read(text, dialect, False, limit))
        self.broken()

    def test_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(containment, "failures", {})
        monkeypatch.setattr(sql, "_read", lambda *_: 1 / 0)
        self.broken()

    def test_a_text_that_is_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sql, "_read", lambda *_: sql.Statement("", "", "", "x" * 100_000))
        self.broken()

    def test_bytes_that_read_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = sql._plain
        monkeypatch.setattr(sql, "_plain", lambda given, room: f"{plain(given, room)} 1")
        self.broken(b"\x00\x00\x01\x00SELECT")

    def test_work_that_grows_faster_than_the_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = sql._read

        def squared(text: str, *how: Any) -> sql.Statement:
            for _ in text:
                found = read(text, *how)
            return found

        monkeypatch.setattr(sql, "_read", squared)
        text = "a, " * 40
        with pytest.raises(AssertionError):
            sql_promises.linear(text, "postgresql")

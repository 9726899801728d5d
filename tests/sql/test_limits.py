"""Limits and the cache: what is cut, what is kept, and that neither grows."""

from __future__ import annotations

import re

import pytest

from autotrace import containment, sql
from autotrace.sql import LIMIT, SLACK, SUMMARY_LIMIT, describe


class TestLimits:
    def test_text_is_cut_with_dots(self) -> None:
        text = describe("SELECT " + "a, " * 2000 + "b FROM t").text
        assert len(text) <= LIMIT
        assert text.startswith("SELECT a, a") and text.endswith("...")

    def test_limit_is_an_argument(self) -> None:
        assert describe("SELECT a FROM t", limit=10).text == "SELECT..."
        assert describe("SELECT a FROM t", limit=15).text == "SELECT a FROM t"
        assert [describe("SELECT a FROM t", limit=n).text for n in (-1, 0, 2)] == ["", "", ".."]

    def test_long_list_shortens_before_the_cut(self) -> None:
        found = describe("SELECT a FROM t WHERE b IN (" + ", ".join(map(str, range(500))) + ") AND c = 1")
        assert found.text == "SELECT a FROM t WHERE b IN (?) AND c = ?"

    def test_list_cut_in_the_middle_still_shortens(self) -> None:
        texts = {describe(f"SELECT a FROM t WHERE b IN ({'1, ' * n}2)").text for n in (5000, 6000)}
        assert texts == {"SELECT a FROM t WHERE b IN (?..."}
        texts = {
            describe("INSERT INTO t VALUES " + row * n + row[:-2]).text for n in (5000, 6000) for row in ("(1, 2), ",)
        }
        assert texts == {"INSERT INTO t VALUES (?)..."}

    def test_half_a_table_is_not_named(self) -> None:
        start = "SELECT " + "'" + "x" * (LIMIT + SLACK - 20) + "' FROM "
        assert describe(start + "customers").table == ""
        assert describe("SELECT 1 FROM customers").table == "customers"

    def test_summary_is_cut_between_names(self) -> None:
        summary = describe("SELECT * FROM " + ", ".join(f"table{n:03}" for n in range(100))).summary
        assert len(summary) <= SUMMARY_LIMIT
        assert re.fullmatch(r"SELECT( table\d{3})+", summary)
        assert describe("SELECT * FROM " + "a" * 300).summary == "SELECT"

    def test_unmasked_text_keeps_literals_and_lists_on_one_line(self) -> None:
        found = describe("SELECT 'a\n  b',\n 5 -- c\n FROM t WHERE x IN (1, 2)", mask=False)
        assert found.text == "SELECT 'a\n  b', 5 FROM t WHERE x IN (1, 2)"
        assert found.summary == "SELECT t"


class TestCache:
    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sql, "_cache", sql._Cache())

    def kept(self) -> list[tuple[str, str, bool, int]]:
        return [*sql._cache.recent, *sql._cache.older]

    def test_statement_is_read_once(self) -> None:
        assert describe("SELECT 1 FROM t") is describe("SELECT 1 FROM t")

    def test_dialect_mask_and_limit_are_told_apart(self) -> None:
        statement = 'SELECT "a" FROM t'
        texts = [
            describe(statement, "mysql").text,
            describe(statement, "sqlite").text,
            describe(statement, "mysql", mask=False, limit=12).text,
        ]
        assert texts == ["SELECT ? FROM t", 'SELECT "a" FROM t', 'SELECT "a"...'[:9].rstrip() + "..."]

    def test_entries_are_bounded(self) -> None:
        for n in range(3 * sql.CACHE_ENTRIES):
            describe(f"SELECT {n}")
        assert len(self.kept()) <= sql.CACHE_ENTRIES

    def test_characters_are_bounded(self) -> None:
        for n in range(1000):
            describe(f"SELECT {n}, '" + "x" * 4000)
        assert sum(len(key[0]) for key in self.kept()) <= sql.CACHE_CHARACTERS

    def test_huge_statement_is_not_kept_whole(self) -> None:
        huge = "SELECT '" + "x" * 10_000_000 + "'"
        assert describe(huge) is describe(huge)
        assert max(len(key[0]) for key in self.kept()) <= LIMIT + SLACK + 1

    def test_statement_in_use_survives_the_change_of_generations(self) -> None:
        first = describe("SELECT 1 FROM t")
        for n in range(2 * sql.CACHE_ENTRIES):
            describe(f"SELECT {n}")
            if n % 100 == 0:
                assert describe("SELECT 1 FROM t") is first

    def test_failure_of_ours_is_contained(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(containment, "failures", {})
        monkeypatch.setattr(sql, "_read", lambda *_: 1 / 0)
        assert describe("SELECT 1").text == ""
        assert "sql.describe" in containment.failures
        assert capsys.readouterr().err.count("\n") == 1

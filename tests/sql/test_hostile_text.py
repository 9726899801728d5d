"""Hostile and huge statements cost no more than their length, or their head."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg.sql
import psycopg2.sql
import pytest

from autotrace import containment, sql
from autotrace.sql import SLACK, describe, dialects

from .test_statements import DIALECTS


def of_itself(module: Any) -> Any:
    composed = module.Composed([module.SQL("SELECT 1")])
    parts = composed._wrapped if hasattr(composed, "_wrapped") else composed._obj
    parts.extend([composed] * 5_000)
    return composed


HOSTILE = {
    "quotes": "'" * 10_000,
    "odd quotes": "'a" * 5_000 + "'",
    "double quotes": '"' * 9_999,
    "doubled within": '"' + 'a""' * 3_000,
    "backticks": "`a" * 5_001,
    "backslashes": "'" + "\\" * 9_999,
    "escaped quotes": "E'" + "\\'" * 5_000,
    "parentheses": "(" * 10_000,
    "nested lists": "SELECT a FROM t WHERE b IN " + "((1), " * 2_000,
    "closed parentheses": ")" * 10_000,
    "deep selects": "(SELECT a FROM " * 10_000,
    "comments": "/*" * 5_000,
    "comments closed": "/**/" * 2_500,
    "comment ends": "*/" * 5_000,
    "dashes": "-" * 10_000,
    "dollars": "$" * 9_999,
    "dollar tags": "$a" * 5_000,
    "one long tag": "$" + "a" * 5_000 + "$" + "$a" * 2_000,
    "percent": "%(a" * 3_000,
    "percent name": "%(" + "a" * 900,
    "brackets": "[a" * 5_000,
    "bracket name": "[" + "a " * 5_000,
    "oracle quotes": "q'[" * 3_000,
    "digits": "1" * 10_000,
    "exponents": "1e" * 5_000,
    "dots": "a." * 5_000,
    "colons": ":" * 10_000,
    "words": "a" * 10_000,
    "white space": " " * 10_000,
    "statements": "SELECT a FROM t;" * 600,
    "rows": "INSERT INTO t VALUES " + "(1)," * 2_500,
    "names": "SELECT * FROM " + "t," * 4_000,
    "with": "WITH a AS (" * 900,
    "quotes in brackets": "['" * 5_000,
    "odd quotes in brackets": "['a'" * 3_000,
    "hashes": "#" * 10_000,
    "hashes and quotes": "#'a'" * 3_000,
    "triple quotes": "'''" * 3_000,
    "continued strings": "E'a' \n" * 2_000,
    "continued by comments": "E'a' --\n" * 1_500 + "-- " * 1_000,
    "white space behind a string": "E'a'" + " " * 10_000,
    "marks": "q'a" * 3_000,
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_cut_into_at_most_one_token_a_character(name: str, dialect: str) -> None:
    """Read whole, far beyond the limit of real use: tokens do not overlap, so their number and length are the text's at
    most.
    """
    before = dict(containment.failures)
    statement = HOSTILE[name]
    seen = position = 0
    for _, token, _, end in dialects.DIALECTS.get(dialect, dialects.GENERIC).tokens(statement):
        assert end - len(token) >= position
        position = end
        seen += len(token)
    assert seen <= len(statement)
    describe(statement, dialect, limit=200_000)
    assert containment.failures == before


class Query(str):
    """A program's own subclass of str."""


def ten_megabytes() -> str:
    return "SELECT 'only the head', " + "a, " * 3_300_000


HUGE: dict[str, Callable[[], object]] = {
    "str": ten_megabytes,
    "a subclass of str": lambda: Query(ten_megabytes()),
    "bytes": lambda: ten_megabytes().encode(),
    "bytearray": lambda: bytearray(ten_megabytes().encode()),
}
for module in (psycopg.sql, psycopg2.sql):
    HUGE |= {
        f"{name} of {module.__name__}": partial(make, module)
        for name, make in {
            "SQL": lambda s: s.SQL(ten_megabytes()),
            "Composed": lambda s: s.SQL("{}, {}").format(s.SQL(ten_megabytes()), s.Literal(ten_megabytes())),
            "Composed of many": lambda s: s.Composed([s.SQL("a, ")] * 3_300_000),
            "Composed of many that are long": lambda s: s.Composed([s.SQL(ten_megabytes())] * 5_000),
            "Composed of itself": of_itself,
            "Identifier": lambda s: s.SQL("SELECT {}").format(s.Identifier(ten_megabytes())),
            "Placeholder": lambda s: s.SQL("SELECT {}").format(s.Placeholder(ten_megabytes())),
        }.items()
    }


@pytest.mark.parametrize("name", HUGE)
def test_only_the_head_of_a_statement_is_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 MB cost no more than the cut: so many characters are read, and nothing of the size of the whole is
    ever made.
    """
    looked_at: list[int] = []
    tokens = dialects.Dialect.tokens
    monkeypatch.setattr(
        dialects.Dialect, "tokens", lambda self, text: looked_at.append(len(text)) or tokens(self, text)
    )
    monkeypatch.setattr(sql, "_cache", sql._Cache())
    describe("SELECT 1", "postgresql")  # compiles the pattern
    statement = HUGE[name]()
    gc.collect()
    tracemalloc.start()
    try:
        found = describe(statement, "postgresql", limit=500)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert looked_at[1:] == [500 + SLACK] or name.startswith("Composed of itself")
    assert most < 500_000
    assert len(found.text) <= 500


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("opening", ["'", "E'", "$$", "$a$", '"', "`", "[", "q'[", "/*", "--", "x'", "N'", "U&'"])
def test_string_that_does_not_end_is_masked_to_the_end(dialect: str, opening: str) -> None:
    ours = {
        "$$": ["postgresql"],
        "$a$": ["postgresql"],
        "q'[": [""],
        "[": ["sqlite"],
        "--": ["", "postgresql", "sqlite"],
        "`": ["", "mysql", "sqlite"],
    }
    if dialect in ours.get(opening, DIALECTS):
        assert "zqxj" not in describe(f"SELECT a FROM t WHERE b = {opening}zqxj 5, zqxj", dialect).text

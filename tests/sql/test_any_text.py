"""Any text is read without a failure, and no literal and no number of it is shown."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace import containment
from autotrace.sql import SUMMARY_LIMIT, describe

from .test_statements import DIALECTS

FRAGMENTS = st.sampled_from([" ", "\n", "\x00", "\ud800", " INTO "]) | st.sampled_from(
    (
        "' \" ` \\ $ $$ $a$ /* */ -- # ( ) [ ] , ; . : :: ? %s %(a)s %( @ SELECT FROM WITH AS IN VALUES INSERT UPDATE "
        "JOIN CREATE TABLE t E' U&' x' q'[ 1 0x 1e é /*! = - CALL"
    ).split(" ")
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(FRAGMENTS, max_size=60).map("".join) | st.text(max_size=200),
    st.sampled_from([*DIALECTS, "oracle"]),
    st.booleans(),
)
def test_any_text_is_read_without_failure(statement: str, dialect: str, mask: bool) -> None:
    before = dict(containment.failures)
    found = describe(statement, dialect, mask=mask, limit=100)
    assert containment.failures == before
    assert len(found.text) <= 100 and len(found.summary) <= SUMMARY_LIMIT
    assert found.text.encode() is not None


SECRET = st.lists(
    st.sampled_from(
        ["zqxj", "zqxj ", "''", "--", "/*", "*/", ";", "\n", "$", '"', "`", "(", ",", "FROM ", "#", "[", "?", "é"]
    ),
    min_size=1,
    max_size=12,
).map("".join)

QUOTED = {  # how a literal with any content is written
    "": [lambda s: "'" + s.replace("''", "x") .replace("'", "''") + "'"],
    "postgresql": [
        lambda s: "'" + s.replace("'", "''") + "'",
        lambda s: "E'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'",
        lambda s: "$zq$" + s + "$zq$",
        lambda s: "U&'" + s.replace("'", "''") + "'",
    ],
    "mysql": [
        lambda s: "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'",
        lambda s: '"' + s.replace("\\", "\\\\").replace('"', '""') + '"',
    ],
    "sqlite": [lambda s: "'" + s.replace("'", "''") + "'"],
}  # fmt: skip

AROUND = [
    "SELECT a FROM t WHERE b = {} AND c = {}",
    "INSERT INTO t (a, b) VALUES ({}, f({})), ({}, 5)",
    "CALL p({},{})",
]
AROUND += [
    "SELECT {}::text, a FROM t WHERE b IN ({}, {}) ",
    "UPDATE t SET a={} /* {} */ WHERE b LIKE {} -- x",
    "SET x = {}",
]


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(DIALECTS), st.sampled_from(AROUND))
def test_no_literal_is_shown(data: st.DataObject, dialect: str, around: str) -> None:
    def literal() -> str:
        content = (
            "zqxj"
            + data.draw(SECRET)
            + data.draw(st.sampled_from(["", "\\\\", "\\n"] if dialect in ("mysql",) else [""]))
        )
        return str(data.draw(st.sampled_from(QUOTED[dialect]))(content))

    statement = around
    while "{}" in statement.replace("/* {} */", ""):
        statement = statement.replace("/* {} */", "").replace("{}", literal(), 1)
    found = describe(statement, dialect)
    assert "zqxj" not in found.text + found.summary + found.table
    assert around.startswith(found.operation) and found.operation
    # and what stands around it is there: the mask did not swallow the statement
    assert found.text.count("?") >= 1 and "--" not in found.text


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**12) | st.floats(0, allow_nan=False, allow_infinity=False), st.sampled_from(DIALECTS))
def test_no_number_is_shown(number: float, dialect: str) -> None:
    text = describe(
        f"SELECT a,{number!r} FROM t WHERE b={number!r} AND c IN ({number!r},-{number!r}) LIMIT {number!r}", dialect
    ).text
    assert text == "SELECT a,? FROM t WHERE b=? AND c IN (?) LIMIT ?"

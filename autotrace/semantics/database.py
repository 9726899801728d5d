"""Facts of a database call, and their names. Statements are masked and summarised here, when they are exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import sql
from autotrace.semantics import peer
from autotrace.semantics.family import Family, Row, Tag
from autotrace.settings import in_force

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

limit = in_force().statement_limit
"""Characters of a statement that are exported."""
masked = in_force().mask_statements
"""Whether literals in statements are replaced by `?`."""

_families: dict[str, Family] = {}


def family(system: str) -> Family:
    """The family of a `db.system.name` (postgresql, mysql…), whose SQL dialect decides how statements are read."""
    if system not in _families:
        _families[system] = _make(system)
    return _families[system]


def _make(system: str) -> Family:
    def read(statement: Any) -> sql.Statement:
        return sql.describe(statement, system, limit=limit, mask=masked)

    def name(facts: Mapping[str, Any], convention: str) -> str:
        raw = facts.get("statement")
        if raw is None:
            return str(facts.get("operation") or system)
        statement = read(raw)
        if convention == "opentracing":
            return statement.operation or system
        return f"{statement.operation} {statement.table}".strip() or system

    return Family("database", _rows(system, read), name)


def _rows(system: str, read: Callable[[Any], sql.Statement]) -> tuple[Row, ...]:
    statement = (
        Tag("db.query.text", lambda raw: read(raw).text or None),
        Tag("db.query.summary", lambda raw: read(raw).summary or None),
        Tag("db.operation.name", lambda raw: read(raw).operation or None),
        Tag("db.collection.name", lambda raw: read(raw).table or None),
    )
    return (
        Row("component", (Tag("component"),), (Tag("db.system.name", lambda _: system),)),
        Row("type", (Tag("db.type"),), ()),
        Row("instance", (Tag("db.instance"),), (Tag("db.namespace"),)),
        Row("user", (Tag("db.user"),), ()),
        Row("statement", (Tag("db.statement", lambda raw: read(raw).text or None),), statement),
        Row("operation", (), (Tag("db.operation.name"),)),
        Row("batch", (), (Tag("db.operation.batch.size"),)),
        Row("rows", (Tag("db.rows_affected"),), (Tag("db.rows_affected"),)),
        Row("sqlstate", (Tag("db.sqlstate"),), (Tag("db.response.status_code"),)),
        Row("errno", (Tag("db.errno"),), (Tag("db.errno"),)),
        *peer.ROWS,
    )

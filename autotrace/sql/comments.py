"""The trace as a comment behind a statement (sqlcommenter), for the database's own logs. Statements that cannot take one stay as they are.

The format is https://google.github.io/sqlcommenter/spec/: `/*key='value',…*/`, keys in order. Its values are URL encoded; ours need
none, for a `%` is a placeholder to half of the drivers: what would be encoded becomes `_`.
"""

from __future__ import annotations

import re

from autotrace.settings import in_force

TYPE_CHECKING = False
if TYPE_CHECKING:
    from autotrace.tracing.span import Span

mode = in_force().sql_comments
"""AUTOTRACE_SQL_COMMENTS: `static` says who asks, the same text each time; `full` adds the statement's own span."""
application = in_force().service_name
"""The service's name, where a setting tells it."""

LONGEST = 65_536
"""Characters of a statement that is looked at: what is longer is a body of data, and is not copied for a comment."""
TAKERS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE", "MERGE", "CALL", "VALUES", "DECLARE")
"""What may carry one. Not PREPARE, COPY, CREATE (a view or a function would keep it), nor what is no statement of its own."""
_FIRST = re.compile(rf"\s*(?:{'|'.join(TAKERS)})\b", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._~-]")
_END = " \t\r\n\f\v;"


def with_comment(statement: str, component: str, span: Span) -> str:
    """`statement` with the comment, before the semicolons that end it; itself where it cannot take one.

    One that has a comment already keeps it as the only one: the specification's rule, and the only safe one for a comment that
    never ends, or for the text of another that a string holds.
    """
    if len(statement) > LONGEST or _FIRST.match(statement) is None or "/*" in statement or "--" in statement:
        return statement
    # `#` begins a comment in MySQL, and an operator in PostgreSQL; behind the first ours would be nothing but text.
    body = statement.rstrip(_END)
    return f"{body} {text(component, span)}{statement[len(body) :].lstrip()}"


def text(component: str, span: Span) -> str:
    fields = [f"db_driver='{_safe(component)}'"]
    if application:
        fields.insert(0, f"application='{_safe(application)}'")
    if mode == "full":
        fields.append(f"traceparent='00-{span.trace_id:032x}-{span.span_id:016x}-{span.flags & 1:02x}'")
    return f"/*{','.join(fields)}*/"


def _safe(value: str) -> str:
    return _UNSAFE.sub("_", value)

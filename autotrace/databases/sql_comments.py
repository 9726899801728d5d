"""AUTOTRACE_SQL_COMMENTS: the trace as a comment behind a statement, for the database's own logs. Knows no driver.

The format is sqlcommenter's (https://google.github.io/sqlcommenter/spec/): `/*key='value',…*/`, keys in order. It
encodes values like URLs. Here `_` replaces each character that would be encoded, because half of the drivers read `%`
as a placeholder.
"""

from __future__ import annotations

import re
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.settings import in_force
from autotrace.tracing.current import get, span_of
from autotrace.tracing.traced_call import with_argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver, Make
    from autotrace.tracing.span import Span

    Comment = Callable[[str], str]

LONGEST = 65_536
"""Characters of a statement that may get a comment. A longer one is a body of data, and is not copied."""
TAKERS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE", "MERGE", "CALL", "VALUES", "DECLARE")
"""First words of a statement that may get a comment. Not CREATE: a view or a function would keep it."""
_FIRST = re.compile(rf"\s*(?:{'|'.join(TAKERS)})\b", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._~-]")
_END = " \t\r\n\f\v;"


def mode() -> str:
    """`off`; `static`: the service and the driver, the same text each time; `full`: the statement's span, too."""
    return in_force().sql_comments


def commented(driver: Driver, parameter: str, make: Make, put: Callable[[Any, Comment], Any] | None = None) -> Make:
    """make(), which gives a method its span; the method's statement gets the comment. Switched off, `make` itself.

    parameter: the name of the first argument after self, the statement.
    put(statement, comment) -> the statement to send.
    Not for drivers that prepare statements and know them by their text: each comment would be another statement.
    """
    if mode() == "off":
        return make
    place, family, write = f"{driver.component}: the SQL comment", driver.family, writer(driver.component)
    put = put or _in_text

    def making(original: Any) -> Any:
        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            try:
                span = span_of(get())
                if getattr(span, "family", None) is family:
                    statement = args[0] if args else kwargs.get(parameter)
                    sent = put(statement, lambda text: with_comment(text, write, span))
                    if sent is not statement:
                        args, kwargs = with_argument(args, kwargs, 0, parameter, sent)
            except Exception:
                contained(place)
            return original(self, *args, **kwargs)

        return make(update_wrapper(call, original))

    return making


def _in_text(statement: Any, comment: Comment) -> Any:
    """Only a str gets a comment: drivers' helpers build bytes (`execute_values`), and drivers any other object."""
    return comment(statement) if type(statement) is str else statement


def writer(component: str) -> Callable[[Span], str]:
    """write(span) -> the comment on a statement that `component` sends."""
    service = in_force().service_name
    fields = f"application='{_safe(service)}'," if service else ""
    fields += f"db_driver='{_safe(component)}'"
    if mode() == "static":
        return lambda span: f"/*{fields}*/"
    return lambda span: f"/*{fields},traceparent='00-{span.trace_id:032x}-{span.span_id:016x}-{span.flags & 1:02x}'*/"


def _safe(value: str) -> str:
    return _UNSAFE.sub("_", value)


def with_comment(statement: str, write: Callable[[Span], str], span: Span) -> str:
    """`statement` with the comment of write(span) before its closing semicolons, or itself if it cannot take one.

    A statement that has a comment gets no second one. The specification says so, and nothing else is safe: the comment
    may have no end, or may be the text of a string.
    """
    if len(statement) > LONGEST or _FIRST.match(statement) is None or "/*" in statement or "--" in statement:
        return statement
    # `#` begins a comment in MySQL, and is an operator in PostgreSQL. In a comment of MySQL's, ours is mere text.
    body = statement.rstrip(_END)
    return f"{body} {write(span)}{statement[len(body) :].lstrip()}"

"""Reads the statement from a call's arguments, by reference, cut if it is too long to export. Reads no parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import sql
from autotrace.semantics import database
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    Args = tuple[Any, ...]
    Kwargs = dict[str, Any]
    Facts = dict[str, Any]
    Read = Callable[[Args, Kwargs], Facts | None]

SHORT = 1024
"""A statement of at most so many characters or bytes is kept whole, whatever part of it an exporter reads."""


def statement_argument(parameter: str) -> Read:
    """Reads the statement from the first argument, named `parameter`."""

    def read(args: Args, kwargs: Kwargs) -> Facts | None:
        statement: Any = args[0] if args else kwargs.get(parameter)
        kind = type(statement)
        if (kind is str or kind is bytes) and len(statement) > SHORT:
            statement = truncated(statement)
        return None if statement is None else {"statement": statement}

    return read


def many_argument(parameter: str, sets: str) -> Read:
    """statement_argument(), and the number of sets of parameters in the second argument, named `sets`.

    Only lists and tuples are counted, because counting would use up an iterator.
    """
    statement = statement_argument(parameter)

    def read(args: Args, kwargs: Kwargs) -> Facts | None:
        facts = statement(args, kwargs)
        values = argument(args, kwargs, 1, sets)
        if facts is not None and isinstance(values, (list, tuple)) and len(values) > 1:
            facts["batch"] = len(values)  # OpenTelemetry: one is no batch
        return facts

    return read


def procedure_argument(parameter: str = "") -> Read:
    """Reads the name of a stored procedure from the first argument, named `parameter` if it may be passed by name."""

    def read(args: Args, kwargs: Kwargs) -> Facts | None:
        name = args[0] if args else kwargs.get(parameter)
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        return {"statement": f"CALL {name}"} if isinstance(name, str) else None

    return read


def truncated(statement: str | bytes) -> str | bytes:
    """The part that an exporter reads, and one character more: megabytes of a statement must not wait for export."""
    room = database.limit + sql.SLACK
    return statement[: room + 1 if isinstance(statement, str) else 4 * room + 4]

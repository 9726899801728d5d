"""The statement in the arguments of a call, kept by reference; cut where it is too long for any export. Looks at no parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import sql
from autotrace.semantics import database
from autotrace.tracing.traced_call import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    Facts = dict[str, Any]
    Read = Callable[[tuple[Any, ...], dict[str, Any]], Facts | None]

SHORT = 1024
"""A statement of so many characters or bytes is kept as it is, without asking how many of them an exporter reads."""


def statement_argument(parameter: str) -> Read:
    """Reads the statement from the first argument, named `parameter`."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        found: Any = args[0] if args else kwargs.get(parameter)
        kind = type(found)
        if (kind is str or kind is bytes) and len(found) > SHORT:
            found = truncated(found)
        return None if found is None else {"statement": found}

    return read


def many_argument(parameter: str, sets: str) -> Read:
    """statement_argument(), and the number of sets of parameters in the second argument, named `sets`.

    Their number is known of lists and tuples only: to count anything else would use it up.
    """
    statement = statement_argument(parameter)

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        facts = statement(args, kwargs)
        given = argument(args, kwargs, 1, sets)
        if facts is not None and isinstance(given, (list, tuple)) and len(given) > 1:
            facts["batch"] = len(given)  # OpenTelemetry: one is no batch
        return facts

    return read


def procedure_argument(parameter: str) -> Read:
    """Reads the name of a stored procedure from the first argument, named `parameter`."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        name = args[0] if args else kwargs.get(parameter)
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        return {"statement": f"CALL {name}"} if isinstance(name, str) else None

    return read


def truncated(statement: str | bytes) -> str | bytes:
    """As much as an exporter reads, and one more: a statement of megabytes must not wait in the queue for its export."""
    room = database.limit + sql.SLACK
    return statement[: room + 1 if isinstance(statement, str) else 4 * room + 4]

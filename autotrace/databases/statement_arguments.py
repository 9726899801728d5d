"""Reading the statement from the arguments of a call, by reference; what is too long for any export is cut. Looks at no parameters."""

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
"""Characters or bytes of a statement that is kept by reference without asking how much of it will be read."""


def text(parameter: str) -> Read:
    """Reads the statement from the first argument, named `parameter`."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        found: Any = args[0] if args else kwargs.get(parameter)
        kind = type(found)
        if (kind is str or kind is bytes) and len(found) > SHORT:
            found = head(found)
        return None if found is None else {"statement": found}

    return read


def batch(parameter: str, sets: str) -> Read:
    """Like text(); and how many sets of parameters the second argument holds, where that can be known without using it up."""
    statement = text(parameter)

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        facts = statement(args, kwargs)
        given = argument(args, kwargs, 1, sets)
        if facts is not None and isinstance(given, (list, tuple)) and len(given) > 1:
            facts["batch"] = len(given)  # OpenTelemetry: one is no batch
        return facts

    return read


def procedure(parameter: str) -> Read:
    """Reads callproc()'s first argument, the name of a procedure."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Facts | None:
        name = argument(args, kwargs, 0, parameter)
        return {"statement": f"CALL {name}"} if isinstance(name, str) else None

    return read


def head(statement: str | bytes) -> str | bytes:
    """As much as an exporter reads and one more: a statement of megabytes must not wait in the queue for its export."""
    room = database.limit + sql.SLACK
    return statement[: room + 1 if isinstance(statement, str) else 4 * room + 4]

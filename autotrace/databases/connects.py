"""Functions that make a connection, awaited or not: a span if that fails, or by AUTOTRACE_TRACE_CONNECTS. Knows no driver.

For drivers whose connections are made by `__init__` alone, dbapi.Driver.connect() does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.tracing.span import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver
    from autotrace.semantics.family import SharedFacts

    Make = Callable[[Any], Any]
    Failure = Callable[[tuple[Any, ...], dict[str, Any], BaseException], SharedFacts]


def called(us: Driver, of_failure: Failure) -> Make:
    """What gives a function that makes a connection a span if it fails, or by AUTOTRACE_TRACE_CONNECTS.

    of_failure(args, kwargs, error) -> what is known of the connection that came to nothing.
    """
    place = f"{us.component}.connect"

    def make(original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            begun = now()
            try:
                made = original(*args, **kwargs)
            except BaseException as error:
                if not isinstance(error, TypeError):  # a wrong call, no connect
                    us.attempted(partial(of_failure, args, kwargs, error), begun, error, place)
                raise
            us.connected(made, begun, place)
            return made

        return connect

    return make


def awaited(us: Driver, of_failure: Failure) -> Make:
    """called() for an `async def`."""
    place = f"{us.component}.connect"

    def make(original: Any) -> Any:
        async def connect(*args: Any, **kwargs: Any) -> Any:
            begun = now()
            try:
                made = await original(*args, **kwargs)
            except BaseException as error:
                if not isinstance(error, TypeError):
                    us.attempted(partial(of_failure, args, kwargs, error), begun, error, place)
                raise
            us.connected(made, begun, place)
            return made

        return connect

    return make

"""The span of a connect that fails; with AUTOTRACE_TRACE_CONNECTS, of one that succeeds, too. Knows no driver.

The span is made after the connect. So it is never active, and no thread or task that a connect starts holds it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.containment import contained
from autotrace.databases.connection_facts import AsynchronousFacts
from autotrace.databases.driver import CLIENT
from autotrace.settings import in_force
from autotrace.tracing.span import now
from autotrace.tracing.tracer import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver, Make
    from autotrace.databases.statement_arguments import Args, Kwargs
    from autotrace.semantics.family import SharedFacts

    Facts = Callable[[Args, Kwargs], SharedFacts]
    FactsOfFailure = Callable[[Args, Kwargs, BaseException], SharedFacts]


class ConnectAttempt:
    """The block of a `with` in which a driver's function connects; args and kwargs are those of the function.

    The function returns a connection: the block sets `connection`; facts_of_failure(args, kwargs, error) -> the facts
    if there is none. Without facts_of_failure, the function is a method, and its object is the connection.
    """

    __slots__ = ("args", "began", "connection", "driver", "facts_of_failure", "kwargs")

    def __init__(
        self, driver: Driver, args: Args, kwargs: Kwargs, facts_of_failure: FactsOfFailure | None = None
    ) -> None:
        self.driver = driver
        self.args = args
        self.kwargs = kwargs
        self.facts_of_failure = facts_of_failure
        self.connection: Any = None

    def __enter__(self) -> ConnectAttempt:
        self.began = now()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        # A TypeError is a wrong call, no connect.
        if not isinstance(error, TypeError) and (error is not None or in_force().trace_connects):
            record_connect(self.driver, partial(self._facts, error), self.began, error)

    def _facts(self, error: BaseException | None) -> Any:
        if self.facts_of_failure is None:
            return self.driver.facts_of(self.args[0])
        if error is None:
            return self.driver.facts_of(self.connection)
        return self.facts_of_failure(self.args, self.kwargs, error)


def record_connect(
    driver: Driver, facts: Callable[[], Any], began: int, error: BaseException | None, place: str = ""
) -> None:
    """The span of a connect that began at `began`, in ns since the epoch, and has just ended. Never raises."""
    place = place or f"{driver.component}.connect"
    try:
        shared = facts()
        span = start(driver.family, CLIENT, {"operation": "connect"}, shared)
        if span is None:
            return
        span.start_time = began
        if error is not None:
            driver.failed(span, error, place)
        elif type(shared) is AsynchronousFacts:
            shared.waiting = span  # the connect has only begun: Driver.on_answer() ends it
        else:
            span.end()
    except Exception:
        contained(place)


# Twins but for `await`.


def traced_connect(driver: Driver, facts_of_failure: FactsOfFailure | None = None) -> Make:
    """For a function that returns a connection; without facts_of_failure, for a method that connects its object."""

    def make(original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, args, kwargs, facts_of_failure) as attempt:
                attempt.connection = original(*args, **kwargs)
            return attempt.connection

        return connect

    return make


def traced_connect_coroutine(driver: Driver, facts_of_failure: FactsOfFailure | None = None) -> Make:
    """traced_connect() for an `async def`."""

    def make(original: Any) -> Any:
        async def connect(*args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, args, kwargs, facts_of_failure) as attempt:
                attempt.connection = await original(*args, **kwargs)
            return attempt.connection

        return connect

    return make


def traced_init(
    driver: Driver,
    of_arguments: Facts,
    of_connection: Callable[[Any, Args, Kwargs], SharedFacts] | None = None,
    keep: Any = None,
) -> Make:
    """traced_connect() for the `__init__` of connections that forget how they were made: it keeps their facts.

    of_arguments(args, kwargs) -> the facts that the arguments tell, kept before the connect, because it may fail.
    of_connection(connection, args, kwargs) -> the facts that the connection tells, kept after it.
    keep(connection, facts): if not the driver's facts_of.keep().
    """
    place, keep, traced = f"{driver.component}.connect", keep or driver.facts_of.keep, traced_connect(driver)

    def make(original: Any) -> Any:
        def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
            _note(keep, place, self, of_arguments, args, kwargs)
            original(self, *args, **kwargs)
            if of_connection is not None:
                _note(keep, place, self, of_connection, self, args, kwargs)

        return traced(__init__)

    return make


def keeping_facts(driver: Driver, facts: Facts) -> Make:
    """For a function that returns a connection: keeps facts(args, kwargs) of the connection, and makes no span."""
    place, keep = f"{driver.component}.connect", driver.facts_of.keep

    def make(original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            connection = original(*args, **kwargs)
            _note(keep, place, connection, facts, args, kwargs)
            return connection

        return connect

    return make


def _note(keep: Any, place: str, connection: Any, read: Callable[..., SharedFacts], *arguments: Any) -> None:
    try:
        keep(connection, read(*arguments))
    except Exception:
        contained(place)

"""Connects, plain or awaited: a span for each that fails, and by AUTOTRACE_TRACE_CONNECTS for each that succeeds. Knows no driver.

The span is made afterwards. It is never active, so nothing that a connect leaves running (a thread, a task) holds it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from autotrace.containment import contained
from autotrace.databases.connection_facts import AsynchronousFacts
from autotrace.databases.driver import CLIENT
from autotrace.settings import in_force
from autotrace.tracing.span import now
from autotrace.tracing.tracer import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver
    from autotrace.semantics.family import SharedFacts

    Args = tuple[Any, ...]
    Kwargs = dict[str, Any]
    Make = Callable[[Any], Any]
    Facts = Callable[[Args, Kwargs], SharedFacts]
    FactsOfFailure = Callable[[Args, Kwargs, BaseException], SharedFacts]


class ConnectAttempt:
    """The block of a `with` in which a driver connects, called with these arguments.

    facts_of_failure(args, kwargs, error) -> what is known of a connection that was not made. The block sets `made` to the one that
    was. Without facts_of_failure, the first argument is the connection.
    """

    __slots__ = ("args", "began", "driver", "facts_of_failure", "kwargs", "made")

    def __init__(
        self, driver: Driver, args: Args, kwargs: Kwargs, facts_of_failure: FactsOfFailure | None = None
    ) -> None:
        self.driver = driver
        self.args = args
        self.kwargs = kwargs
        self.facts_of_failure = facts_of_failure
        self.made: Any = None

    def __enter__(self) -> ConnectAttempt:
        self.began = now()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        # A TypeError is a wrong call, no connect.
        if not isinstance(error, TypeError) and (error is not None or in_force().trace_connects):
            record_connect(self.driver, partial(self._facts, error), self.began, error)

    def _facts(self, error: BaseException | None) -> SharedFacts:
        if self.facts_of_failure is None:
            return self.driver.facts_of(self.args[0])
        if error is None:
            return self.driver.facts_of(self.made)
        return self.facts_of_failure(self.args, self.kwargs, error)


def record_connect(
    driver: Driver, facts: Callable[[], SharedFacts], began: int, error: BaseException | None, place: str = ""
) -> None:
    """The span of a connect that began at `began` (ns since the epoch) and has just ended. Never raises."""
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
            shared.waiting = span  # the connect has only began: Driver.on_answer() ends it
        else:
            span.end()
    except Exception:
        contained(place)


# Twins, but for `await`.


def traced_connect(driver: Driver, facts_of_failure: FactsOfFailure | None = None) -> Make:
    """For functions that return a connection. Without facts_of_failure: for methods that connect their object (`__init__`)."""

    def make(original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, args, kwargs, facts_of_failure) as attempt:
                attempt.made = original(*args, **kwargs)
            return attempt.made

        return connect

    return make


def traced_connect_coroutine(driver: Driver, facts_of_failure: FactsOfFailure | None = None) -> Make:
    """traced_connect() for an `async def`."""

    def make(original: Any) -> Any:
        async def connect(*args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, args, kwargs, facts_of_failure) as attempt:
                attempt.made = await original(*args, **kwargs)
            return attempt.made

        return connect

    return make


def traced_init(
    driver: Driver, asked: Facts, connected: Callable[[Any, Args, Kwargs], SharedFacts] | None = None, keep: Any = None
) -> Make:
    """traced_connect() for the `__init__` of connections that forget how they were made: it keeps their facts.

    asked(args, kwargs) -> what the arguments say. connected(connection, args, kwargs) -> what the connection says once it is made.
    keep(connection, facts): the driver's facts_of.keep(), unless given.
    """
    place, known, traced = f"{driver.component}.connect", cast("Any", driver.facts_of), traced_connect(driver)
    keep = keep or known.keep

    def make(original: Any) -> Any:
        def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
            _note(keep, place, self, asked, args, kwargs)
            original(self, *args, **kwargs)
            if connected is not None:
                _note(keep, place, self, connected, self, args, kwargs)

        return traced(__init__)

    return make


def keeping_facts(driver: Driver, facts: Facts) -> Make:
    """For functions that return a connection, and make no span: facts(args, kwargs) are kept for the connection."""
    place, known = f"{driver.component}.connect", cast("Any", driver.facts_of)

    def make(original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            _note(known.keep, place, made, facts, args, kwargs)
            return made

        return connect

    return make


def _note(keep: Any, place: str, connection: Any, read: Callable[..., SharedFacts], *given: Any) -> None:
    try:
        keep(connection, read(*given))
    except Exception:
        contained(place)

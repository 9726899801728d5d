"""Connects, plain or awaited: a span for each that fails, and by AUTOTRACE_TRACE_CONNECTS for each that succeeds. Knows no driver.

The span is made afterwards. It is never active, so nothing that a connect leaves running (a thread, a task) holds it.
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

    from autotrace.databases.driver import Driver
    from autotrace.semantics.family import SharedFacts

    Args = tuple[Any, ...]
    Kwargs = dict[str, Any]
    Make = Callable[[Any], Any]
    OfFailure = Callable[[Args, Kwargs, BaseException], SharedFacts]


class ConnectAttempt:
    """The block of a `with` in which a driver connects.

    connection: the object that connects, if there is one from the start; else it is set in the block.
    facts_of_failure(error) -> what is known of a connection that came to nothing, where there is no object.
    """

    __slots__ = ("begun", "connection", "driver", "facts_of_failure")

    def __init__(
        self,
        driver: Driver,
        connection: Any = None,
        facts_of_failure: Callable[[BaseException], SharedFacts] | None = None,
    ) -> None:
        self.driver = driver
        self.connection = connection
        self.facts_of_failure = facts_of_failure
        self.begun = 0

    def __enter__(self) -> ConnectAttempt:
        self.begun = now()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            if not in_force().trace_connects:
                return
        elif isinstance(error, TypeError):  # a wrong call, no connect
            return
        facts: Callable[[], SharedFacts] = partial(self.driver.facts_of, self.connection)
        if error is not None and self.facts_of_failure is not None:
            facts = partial(self.facts_of_failure, error)
        record_connect(self.driver, facts, self.begun, error)


def record_connect(
    driver: Driver, facts: Callable[[], SharedFacts], begun: int, error: BaseException | None, place: str = ""
) -> None:
    """The span of a connect that began at `begun` (ns since the epoch) and has just ended. Never raises."""
    place = place or f"{driver.component}.connect"
    try:
        shared = facts()
        span = start(driver.family, CLIENT, {"operation": "connect"}, shared)
        if span is None:
            return
        span.start_time = begun
        if error is not None:
            driver.failed(span, error, place)
        elif type(shared) is AsynchronousFacts:
            shared.waiting = span  # the connect has only begun: Driver.on_answer() ends it
        else:
            span.end()
    except Exception:
        contained(place)


def traced_connect(driver: Driver, facts_of_failure: OfFailure) -> Make:
    """For functions that return a connection. facts_of_failure(args, kwargs, error) -> what is known where there is none."""

    def make(original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, None, partial(facts_of_failure, args, kwargs)) as attempt:
                attempt.connection = original(*args, **kwargs)
            return attempt.connection

        return connect

    return make


def traced_connect_coroutine(driver: Driver, facts_of_failure: OfFailure) -> Make:
    """traced_connect() for an `async def`."""

    def make(original: Any) -> Any:
        async def connect(*args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, None, partial(facts_of_failure, args, kwargs)) as attempt:
                attempt.connection = await original(*args, **kwargs)
            return attempt.connection

        return connect

    return make


def traced_init(
    driver: Driver,
    asked: Callable[[Args, Kwargs], SharedFacts] | None = None,
    connected: Callable[[Any, Args, Kwargs], SharedFacts] | None = None,
    keep: Callable[[Any, SharedFacts], None] | None = None,
) -> Make:
    """For methods of a connection that connect it (`__init__`, `connect`).

    asked(args, kwargs), connected(connection, args, kwargs) -> facts to keep of a connection that forgets how it was made: what the
    arguments say, and what the connection says once it is made. keep(connection, facts): the driver's facts_of.keep() unless given.
    """
    keep = keep or getattr(driver.facts_of, "keep", None)
    place = f"{driver.component}.connect"

    def note(connection: Any, read: Callable[..., SharedFacts] | None, *given: Any) -> None:
        try:
            if read is not None and keep is not None:
                keep(connection, read(*given))
        except Exception:
            contained(place)

    def make(original: Any) -> Any:
        def connect(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, self):
                note(self, asked, args, kwargs)
                result = original(self, *args, **kwargs)
                note(self, connected, self, args, kwargs)
            return result

        return connect

    return make


def traced_init_coroutine(driver: Driver) -> Make:
    """traced_init() for an `async def`."""

    def make(original: Any) -> Any:
        async def connect(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            with ConnectAttempt(driver, self):
                return await original(self, *args, **kwargs)

        return connect

    return make

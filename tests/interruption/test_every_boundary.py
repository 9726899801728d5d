"""An exception of the program's that strikes within autotrace's code reaches the program, and leaves nothing behind."""

from __future__ import annotations

import pytest
from opentelemetry import trace

from autotrace import containment
from autotrace.http_client.call import current_call
from autotrace.tracing import current
from tests.interruption.operations import OPERATIONS
from tests.interruption.striking import Timeout, strikes
from tests.recorded import record

EVERY = {Timeout: 1, KeyboardInterrupt: 5}
"""Both take the same way, but past `except Exception`. So the second strikes a fifth of the boundaries, for the clock's sake."""


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("name", OPERATIONS)
def test_it_reaches_the_program_nothing_stays_current_and_the_call_ran_once_at_most(
    name: str, kind: type[BaseException]
) -> None:
    wrong = []
    containment.failures.clear()
    with record(), OPERATIONS[name]() as operation:
        operation.run()
        outer = current.get()
        runs = 1
        for strike, raised in strikes(operation.run, kind, EVERY[kind]):
            if raised is not strike.error:
                wrong.append(f"{strike.where}: lost, {raised!r}")
            if current.get() is not outer:
                wrong.append(f"{strike.where}: {trace.get_current_span()} left current")
                current.put(outer)
            if current_call.get() is not None:
                wrong.append(f"{strike.where}: an HTTP call left in progress")
                current_call.set(None)
            runs += 1
        assert operation.done() <= runs + 1, "a struck call ran twice"  # the last run is not struck
    assert wrong == []
    assert containment.failures == {}

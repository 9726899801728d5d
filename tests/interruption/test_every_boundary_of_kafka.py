"""As test_every_boundary, for the Kafka clients: a struck call gives no record, and leaves none active."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace

from autotrace import containment
from autotrace.tracing import current
from tests.interruption.kafka_operations import OPERATIONS
from tests.interruption.striking import Timeout, strikes
from tests.recorded import record


@pytest.mark.parametrize(("kind", "every"), [(Timeout, 1), (KeyboardInterrupt, 3)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_it_reaches_the_program_no_record_stays_active_and_nothing_is_sent_twice(
    name: str, kind: type[BaseException], every: int, kafka: Any
) -> None:
    wrong = []
    containment.failures.clear()
    with OPERATIONS[name](str(kafka.bootstrap_servers)) as operation, record():
        operation.run()
        outer = current.get()
        runs = 1
        for strike, raised in strikes(operation.run, kind, every):
            if raised is not strike.error:
                wrong.append(f"{strike.where}: lost, {raised!r}")
            if current.get() is not outer:
                wrong.append(f"{strike.where}: {trace.get_current_span()} left current")
                current.put(outer)
            runs += 1
        assert operation.done() <= runs + 1, "a struck call ran twice"  # the last run is not struck
    assert runs > 100, "autotrace has more boundaries than that"
    assert wrong == []
    assert containment.failures == {}

"""The backends of the eshop, on the real broker and database of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from opentelemetry.context.context import Context

from autotrace.tracing import current
from examples.eshop.places import TABLES, TOPIC
from examples.harness.places import Database, Tables, make_topic
from test_services.kafka_broker import KafkaBroker
from test_services.mock_broker import MockBroker
from test_services.postgresql import PostgreSQL
from tests.end_to_end.backends import Backends


@pytest.fixture(scope="package", autouse=True)
def from_outside() -> Iterator[None]:
    """Requests to a story come from a caller without traces.

    tests/conftest.py traces this process, so that otherwise its own requests would begin the traces.
    """
    token = current.put(Context({current.SUPPRESS_KEY: True}))
    yield
    current.leave(token)


@pytest.fixture(scope="module")
def backends(kafka: KafkaBroker | MockBroker, postgresql: PostgreSQL) -> Iterator[Backends]:
    database = Database.at(postgresql.url)
    make_topic(kafka.bootstrap_servers, TOPIC)
    with Tables(database, TABLES):
        yield Backends(kafka.bootstrap_servers, database)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closed at the test's end."""
    with ExitStack() as stack:
        yield stack

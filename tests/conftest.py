"""The real services as fixtures of the whole suite: one of each per run, started when the first test asks for it.

A service that cannot be had is named loudly at the end of the run; with AUTOTRACE_REQUIRE_REAL=1 its tests fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TypeVar

import pytest

# Before any test module imports a library: within this process every library is patched as in a program under
# autotrace-run.
os.environ["AUTOTRACE_EXPORTER"] = "none"

import autotrace.activation
from test_services import cache
from test_services.jaeger import Jaeger
from test_services.kafka_broker import KafkaBroker, real_or_mock
from test_services.mariadb import MariaDB
from test_services.mock_broker import MockBroker
from test_services.postgresql import PostgreSQL
from test_services.service import Service

autotrace.activation.activate()

S = TypeVar("S", bound=Service)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker | MockBroker]:
    """Apache Kafka 4.x, for today's clients (else the mock cluster)."""
    broker = real_or_mock("4")
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka3() -> Iterator[KafkaBroker | MockBroker]:
    """Apache Kafka 3.9.x, with the old protocol versions of kafka-python 2.0.2 and ng (else the mock cluster)."""
    broker = real_or_mock("3")
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A private PostgreSQL: user and database `app`."""
    yield from _running(PostgreSQL())


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A private MariaDB: user and database `app`, password `pw`."""
    yield from _running(MariaDB())


@pytest.fixture(scope="session")
def jaeger() -> Iterator[Jaeger]:
    """Jaeger all-in-one. It keeps the traces of the whole run: ask by trace id."""
    yield from _running(Jaeger())


def _running(service: S) -> Iterator[S]:
    try:
        service.start()
    except cache.Unavailable as reason:
        cache.require_real(service.name, reason, "its tests are skipped")
        pytest.skip(f"{service.name} cannot be had")
    yield service
    service.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if cache.missing:
        terminalreporter.section("NOT REAL", red=True, bold=True)
        for line in cache.missing:
            terminalreporter.line(line)

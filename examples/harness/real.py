"""The Kafka and the PostgreSQL of a demo: the user's if an environment variable names it, else ours. A line
for each.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING

import psycopg2

from examples.harness.places import Database, make_topic
from examples.harness.screen import fitted, paint
from test_services.cache import Unavailable
from test_services.kafka_broker import KafkaBroker
from test_services.mock_broker import MockBroker
from test_services.postgresql import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from typing import TypeVar

    T = TypeVar("T")


class Stop(Exception):
    """The demo cannot go on; the text says why and what would help."""


def step(what: str, work: Callable[[], T], result: Callable[[T], str]) -> T:
    """Do `work`, which may take a while, and leave a line: what, its result, the seconds it took."""
    if sys.stdout.isatty():  # the line to come stands there meanwhile; the next output writes over it
        print(f"  {fitted(what, 12)} ...", end="\r", flush=True)
    begun = time.monotonic()
    done = work()
    print(
        f"  {fitted(what, 12)} {fitted(result(done), 70)} {paint(f'{time.monotonic() - begun:5.1f} s', 'dim')}",
        flush=True,
    )
    return done


def database(opened: ExitStack) -> Database:
    """DATABASE_URL, else a PostgreSQL of our own until `opened` closes."""
    url = os.environ.get("DATABASE_URL", "")
    if url:
        try:
            return step(
                "PostgreSQL", lambda: Database.at(url), lambda it: f"yours (DATABASE_URL): {it.name} on {it.host}"
            )
        except psycopg2.Error as error:
            why = " ".join(str(error).split())
            raise Stop(
                f"DATABASE_URL={_public(url)}: {why}. Correct it, or unset it to have a PostgreSQL made."
            ) from None
    server = PostgreSQL()
    opened.callback(server.stop)
    return Database.at(step("PostgreSQL", server.start, lambda _: f"{server.host}:{server.port}").url)


def kafka(opened: ExitStack, topic: str) -> str:
    """Bootstrap servers, where `topic` is: KAFKA_BOOTSTRAP_SERVERS, else a broker of our own until `opened` closes."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if servers:
        shown = f"yours (KAFKA_BOOTSTRAP_SERVERS): {servers}"
        try:
            step("Kafka", lambda: make_topic(servers, topic), lambda _: shown)
        except RuntimeError as error:
            raise Stop(
                f"KAFKA_BOOTSTRAP_SERVERS={servers}: {error}. Correct it, or unset it to have a broker made."
            ) from None
        return servers
    broker = step("Kafka", _broker, lambda it: f"{it.host}:{it.port}, {_KINDS[type(it)].format(it.version)}")
    opened.callback(broker.stop)
    make_topic(broker.bootstrap_servers, topic)
    return broker.bootstrap_servers


def _public(url: str) -> str:
    """Without the password, in either form that libpq takes."""
    return re.sub(r"(://[^:/@]*:)[^@]*(?=@)|(password=)\S+", r"\1\2...", url)


_KINDS = {KafkaBroker: "Apache Kafka {}", MockBroker: "librdkafka's mock cluster"}


def _broker() -> KafkaBroker | MockBroker:
    try:
        return KafkaBroker().start()
    except Unavailable as reason:
        why = str(reason).strip().splitlines()[0]
        print(f"  Apache Kafka cannot be had, librdkafka's mock cluster stands in: {why}", flush=True)
        return MockBroker().start()

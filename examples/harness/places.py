"""Where the Kafka and the database of a story are, and what is laid out there before it begins: tables and topics."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import psycopg2
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


class Database(NamedTuple):
    """`url` as it is given; the rest is what the driver makes of it. `host` is a folder for a Unix socket."""

    url: str
    host: str
    port: int
    name: str
    user: str

    @classmethod
    def at(cls, url: str) -> Self:
        """psycopg2.OperationalError where nothing answers."""
        with closing(psycopg2.connect(url, connect_timeout=5)) as connection:
            info = connection.info
            return cls(url, info.host, info.port, info.dbname, info.user)


class Tables:
    """While entered, the tables (name -> column) exist. Tables that were there before stay, the others are dropped."""

    def __init__(self, database: Database, tables: Mapping[str, str]) -> None:
        self._url = database.url
        self._tables = tables
        self._made: list[str] = []

    def __enter__(self) -> Self:
        with closing(psycopg2.connect(self._url)) as connection, connection, connection.cursor() as cursor:
            for table, column in self._tables.items():
                cursor.execute("SELECT to_regclass(%s)", (table,))
                if cursor.fetchone() == (None,):
                    cursor.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, {column})")
                    self._made.append(table)
        return self

    def __exit__(self, *_: object) -> None:
        with closing(psycopg2.connect(self._url)) as connection, connection, connection.cursor() as cursor:
            for table in self._made:
                cursor.execute(f"DROP TABLE {table}")


def make_topic(kafka: str, topic: str) -> None:
    """Asking for a topic makes it, where the broker may: before any service does, so that none of them waits for it.

    `kafka`: bootstrap servers, `host:port,...`. RuntimeError where the broker cannot be had or has no such topic.
    """
    if not any(_listens(server) for server in kafka.split(",")):  # the client would try for half a minute
        raise RuntimeError("nothing listens there")
    try:
        with closing(KafkaProducer(bootstrap_servers=kafka.split(","))) as producer:
            partitions = producer.partitions_for(topic)
    except Exception as error:  # kafka-python's versions differ in what they raise
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
    if not partitions:
        raise RuntimeError(f"it has no topic {topic} and makes none by itself: create it")


def pass_over(kafka: str, topic: str, group: str) -> None:
    """Commit, for a group without members, the end of `topic`: records of an earlier run are no part of the story.

    kafka.errors.KafkaError where that is refused: a consumer that was killed is a member for some seconds more.
    """
    consumer = KafkaConsumer(bootstrap_servers=kafka.split(","), group_id=group, enable_auto_commit=False)
    with closing(consumer):
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_end(*partitions)
        for partition in partitions:
            consumer.position(partition)
        consumer.commit()


def _listens(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError):
        return False
    return True

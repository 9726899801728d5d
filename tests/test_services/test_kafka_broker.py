"""Apache Kafka, and its stand-in, serve an unmodified kafka-python client and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer

from test_services.cache import Unavailable
from test_services.kafka_broker import KafkaBroker, real_or_mock
from test_services.kafka_metadata import serves_clients
from test_services.mock_broker import MockBroker

HEADERS = [("a", b"1"), ("binary", b"\xff\x00"), ("a", b"2")]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _send_and_receive(bootstrap_servers: str) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers)
    producer.send("round-trip", b"value", key=b"key", headers=HEADERS).get(timeout=20)
    producer.close()
    consumer = KafkaConsumer(
        "round-trip",
        bootstrap_servers=bootstrap_servers,
        group_id="readers",
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    try:
        record = next(consumer)
    finally:
        consumer.close()
    assert (record.key, record.value, list(record.headers)) == (b"key", b"value", HEADERS)


@pytest.mark.parametrize("major", ["4", "3"])
def test_real_broker_carries_a_record_with_its_headers_and_leaves_nothing(
    major: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with real_or_mock(major) as broker:
        _send_and_receive(broker.bootstrap_servers)
        pid, folder = broker.pid, broker.folder
        assert _alive(pid) and folder.is_dir()
    assert not _alive(pid) and not folder.exists()
    assert not serves_clients(broker.host, broker.port)
    assert "killed" not in capsys.readouterr().err


def test_mock_broker_carries_a_record_with_its_headers_and_leaves_nothing() -> None:
    with MockBroker() as broker:
        _send_and_receive(broker.bootstrap_servers)
        pid, folder = broker.pid, broker.folder
    assert not _alive(pid) and not folder.exists()


def test_a_broker_that_cannot_start_says_why_with_the_tail_of_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_services.mock_broker.free_ports", lambda count: [-1])
    with pytest.raises(Unavailable, match=r"mock-kafka: ended with 1 while starting:\n(.*\n)*.*-1"):
        MockBroker().start()


def test_without_java_the_mock_is_used_and_said_loudly_or_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_java(self: KafkaBroker, folder: Path) -> None:
        raise Unavailable("no java on PATH")

    monkeypatch.setattr(KafkaBroker, "_launch", no_java)
    monkeypatch.setattr("test_services.cache.missing", [])
    monkeypatch.delenv("TEST_SERVICES_REQUIRE_REAL", raising=False)
    with real_or_mock() as broker:
        assert isinstance(broker, MockBroker)
    assert "!!! NOT REAL: Apache Kafka cannot be had" in capsys.readouterr().err
    monkeypatch.setenv("TEST_SERVICES_REQUIRE_REAL", "1")
    with pytest.raises(Unavailable, match="no java on PATH"):
        real_or_mock()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_in_the_foreground_it_prints_its_address_and_its_server_dies_with_it(how: signal.Signals) -> None:
    """SIGKILL too: nobody is left to stop the server then but the shell that watches."""
    command = [sys.executable, "-m", "test_services.mock_broker"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        name, _, address = process.stdout.readline().strip().partition("=")
        host, _, port = address.partition(":")
        assert name == "KAFKA_BOOTSTRAP_SERVERS" and serves_clients(host, int(port))
        process.send_signal(how)
        assert process.wait(20) == (-how if how == signal.SIGKILL else 0)
    deadline = time.monotonic() + 20
    while serves_clients(host, int(port)):
        assert time.monotonic() < deadline, "the server outlived the program that started it"
        time.sleep(0.05)

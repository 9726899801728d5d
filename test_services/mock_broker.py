"""librdkafka's mock cluster behind a small TCP front: a stand-in for Apache Kafka where the real one cannot be had.

Needs the confluent-kafka wheel. Limits: no CreateTopics (topics appear on first use, with 4 partitions), wrong record
timestamps, one consumer per group, protocol versions of Kafka 2.3. `python -m test_services.mock_broker` runs one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from test_services.kafka_metadata import serves_clients
from test_services.processes import Server, free_ports
from test_services.service import Service, run_in_foreground


class MockBroker(Service):
    """A running mock broker, in a process of its own: `bootstrap_servers`, `host`, `port`."""

    name = "mock-kafka"
    host = "127.0.0.1"
    version = "mock"
    port = 0

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.host}:{self.port}"

    def addresses(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers}

    def _launch(self, folder: Path) -> Server:
        (self.port,) = free_ports(1)
        program = Path(__file__).with_name("mock_broker_server.py")
        return Server([sys.executable, program, str(self.port)], folder)

    def _answers(self) -> bool:
        return serves_clients(self.host, self.port)


if __name__ == "__main__":
    run_in_foreground(MockBroker())

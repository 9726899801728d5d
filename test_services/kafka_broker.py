"""Apache Kafka itself, one node in KRaft mode (broker and controller in one), from Maven Central's jars.

Needs Java 17 and Maven (installed from Debian's packages if root). Plaintext on 127.0.0.1; everything is lost at stop.
`python -m test_services.kafka_broker [4|3]` runs one in the foreground.
"""

from __future__ import annotations

import sys
from pathlib import Path

from test_services import maven
from test_services.cache import Unavailable, require_real
from test_services.kafka_metadata import serves_clients
from test_services.mock_broker import MockBroker
from test_services.processes import Server, free_ports, run_to_end
from test_services.service import Service, run_in_foreground

#: Exact on purpose: test data, not dependencies. Kafka 4 removed the oldest protocol versions, 3 still has them: for
#: kafka-python 2.0.2 and kafka-python-ng (whose plain send and consume work on both).
#: Not 4.4.0: Maven Central has no kafka-tools-api jar of it.
VERSIONS = {"4": "4.3.1", "3": "3.9.2"}

# Quick and small: no waiting for more group members, short sessions allowed, few internal partitions, one replica.
# Nothing is thrown away: every five minutes a broker looks for records whose own timestamp is too old, and tests write
# such.
_PROPERTIES = """process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={folder}/data
auto.create.topics.enable=true
log.retention.ms=-1
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""

# A broker for tests lives seconds: the quick compiler and the collector without threads start it sooner.
_JVM = [
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]


class KafkaBroker(Service):
    """A running broker: `bootstrap_servers`, `host`, `port`, `version`. Topics appear on first use (1 partition)."""

    host = "127.0.0.1"

    def __init__(self, major: str = "4") -> None:
        if major not in VERSIONS:
            raise ValueError(f"Kafka {major!r}: choose one of {', '.join(VERSIONS)}")
        self.version = VERSIONS[major]
        self.name = f"kafka-{self.version}"
        self.port = 0

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.host}:{self.port}"

    def addresses(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers}

    def _launch(self, folder: Path) -> Server:
        jars = maven.jars(f"kafka-{self.version}", _artifacts(self.version))
        java = [maven.program("java"), *_JVM, "-cp", f"{jars}/*"]
        self.port, controller_port = free_ports(2)
        settings = folder / "kafka.properties"
        settings.write_text(_PROPERTIES.format(port=self.port, controller_port=controller_port, folder=folder))
        cluster_id = "autotraceRealPartsKafk"  # 22 characters of URL-safe base64: a UUID as Kafka writes it
        run_to_end([*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", settings])
        return Server([*java, "kafka.Kafka", settings], folder)

    def _answers(self) -> bool:
        return serves_clients(self.host, self.port)


def real_or_mock(major: str = "4") -> KafkaBroker | MockBroker:
    """A started broker: Apache Kafka, else, said loudly (see cache.require_real), librdkafka's mock cluster."""
    try:
        return KafkaBroker(major).start()
    except Unavailable as reason:
        require_real("Apache Kafka", reason, "librdkafka's mock cluster is used instead")
        return MockBroker().start()


def _artifacts(version: str) -> list[str]:
    return [f"org.apache.kafka:kafka_2.13:{version}", "org.slf4j:slf4j-simple:1.7.36"]


if __name__ == "__main__":
    run_in_foreground(KafkaBroker(*sys.argv[1:2]))

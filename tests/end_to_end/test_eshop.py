"""The eshop as six processes on a real broker and a real database: one checkout is exactly one trace."""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
from contextlib import ExitStack, closing

import psycopg2
import pytest
from kafka import KafkaProducer

from examples.eshop.demo import ANSWER
from examples.eshop.places import TABLES, TOPIC
from examples.eshop.story import STEPS, faults
from examples.harness.places import Database
from test_services.jaeger import Jaeger
from test_services.kafka_python_versions import library_path
from test_services.receiver import Receiver
from tests.end_to_end import read_back
from tests.end_to_end.backends import Backends


class TestOneCheckoutIsOneTrace:
    @pytest.mark.parametrize("convention", ["both", "opentracing", "otel"])
    def test_over_http_in_each_convention(self, backends: Backends, opened: ExitStack, convention: str) -> None:
        receiver = opened.enter_context(Receiver())
        settings = {"AUTOTRACE_ENDPOINT": receiver.http_url, "AUTOTRACE_CONVENTIONS": convention}
        shop = backends.shop(opened, settings)
        assert shop.checkout().decode() == ANSWER
        spans = receiver.wait(len(STEPS), seconds=30)
        assert faults(spans, backends.places(shop), convention) == []

    def test_over_udp(self, backends: Backends, opened: ExitStack) -> None:
        receiver = opened.enter_context(Receiver())
        agent = {"JAEGER_AGENT_HOST": "127.0.0.1", "JAEGER_AGENT_PORT": str(receiver.udp_port)}
        shop = backends.shop(opened, agent)
        assert shop.checkout().decode() == ANSWER
        spans = receiver.wait(len(STEPS), seconds=30)
        assert faults(spans, backends.places(shop)) == []
        assert receiver.packets and not receiver.bodies

    @pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", *(["2.0.2", "ng"] if sys.version_info < (3, 12) else [])])
    def test_with_every_kafka_python_in_use(self, backends: Backends, opened: ExitStack, version: str) -> None:
        receiver = opened.enter_context(Receiver())
        library = str(library_path(version))
        shop = backends.shop(opened, {"AUTOTRACE_ENDPOINT": receiver.http_url, "PYTHONPATH": library})
        assert shop.checkout().decode() == ANSWER
        spans = receiver.wait(len(STEPS), seconds=30)
        assert faults(spans, backends.places(shop)) == []
        (client,) = [span.tags["messaging.client.id"] for span in spans if span.tags["span.kind"] == "consumer"]
        assert client == f"kafka-python-{library.rpartition('-')[2]}"

    def test_every_checkout_is_a_trace_of_its_own(self, backends: Backends, opened: ExitStack) -> None:
        """Nothing of the first one is left in a consumer, a thread or a connection when the second one comes."""
        receiver = opened.enter_context(Receiver())
        shop = backends.shop(opened, {"AUTOTRACE_ENDPOINT": receiver.http_url})
        for _ in range(3):
            shop.checkout()
        spans = receiver.wait(3 * len(STEPS), seconds=30)
        traces = {span.trace_id for span in spans}
        assert len(traces) == 3
        for trace in traces:
            assert faults([span for span in spans if span.trace_id == trace], backends.places(shop)) == []

    def test_a_record_that_an_earlier_run_left_is_none_of_the_story(
        self, backends: Backends, opened: ExitStack
    ) -> None:
        """A consumer that is stopped before it commits leaves one."""
        with closing(KafkaProducer(bootstrap_servers=backends.kafka)) as earlier:
            earlier.send(TOPIC, b"left").get(30)
        receiver = opened.enter_context(Receiver())
        shop = backends.shop(opened, {"AUTOTRACE_ENDPOINT": receiver.http_url})
        shop.checkout()
        assert faults(receiver.wait(len(STEPS), seconds=30), backends.places(shop)) == []

    def test_jaeger_itself_tells_the_same_story(self, backends: Backends, opened: ExitStack, jaeger: Jaeger) -> None:
        """Jaeger's query API gives the same tree, reference and tags, and a graph with the edge over Kafka."""
        shop = backends.shop(opened, {"JAEGER_ENDPOINT": jaeger.endpoint})
        assert shop.checkout().decode() == ANSWER
        trace = jaeger.trace(_checkout_at(shop.urls["eshop"], jaeger), spans=len(STEPS), seconds=30)
        assert faults(read_back.spans(trace), backends.places(shop)) == []
        assert read_back.warnings(trace) == []
        edges = {(edge["parent"], edge["child"]) for edge in jaeger.dependencies()}
        asked = {("eshop", name) for name in ("inventory", "billing", "delivery")}
        assert asked | {("eshop", "consumer"), ("consumer", "notification")} <= edges


def _checkout_at(url: str, jaeger: Jaeger, seconds: float = 30) -> str:
    """The id of the trace of the checkout that was asked of the shop at `url`."""
    tags = urllib.parse.quote(json.dumps({"http.url": f"{url}/checkout"}))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = jaeger.query(f"/api/traces?service=eshop&tags={tags}")["data"]
        if found:
            return str(found[0]["traceID"])
        time.sleep(0.1)
    raise AssertionError("Jaeger has no trace of the checkout")


class TestHarmless:
    def test_with_nobody_to_send_to_the_shop_works_on(self, backends: Backends, opened: ExitStack) -> None:
        shop = backends.shop(opened, {"AUTOTRACE_ENDPOINT": "http://127.0.0.1:9/api/traces"})
        before = len(_rows(backends.database)["eshop_emails"])
        assert shop.checkout() == shop.checkout() == ANSWER.encode()
        _emails_come_to(backends.database, before + 2)

    def test_with_and_without_autotrace_the_shop_answers_and_does_the_same(self, backends: Backends) -> None:
        """The bytes of the answer, the rows of all services: the consumer's too, which come over Kafka."""
        rows = []
        for settings in (None, {"AUTOTRACE_EXPORTER": "none"}):
            with ExitStack() as one:
                before = _rows(backends.database)
                assert backends.shop(one, settings).checkout() == ANSWER.encode()
                _emails_come_to(backends.database, len(before["eshop_emails"]) + 1)
                after = _rows(backends.database)
                rows.append({table: after[table][len(before[table]) :] for table in TABLES})
        assert rows[0] == rows[1] == {table: [value] for table, value in _ONE_CHECKOUT.items()}


_ONE_CHECKOUT = {"eshop_payments": (4200,), "eshop_emails": ("ada@example.org",)}


def _rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with closing(psycopg2.connect(database.url)) as connection, connection, connection.cursor() as cursor:
        found = {}
        for table, column in TABLES.items():
            cursor.execute(f"SELECT {column.split()[0]} FROM {table} ORDER BY id")
            found[table] = cursor.fetchall()
        return found


def _emails_come_to(database: Database, count: int, seconds: float = 30) -> None:
    """The consumer has worked: there are at least `count` e-mails."""
    deadline = time.monotonic() + seconds
    while len(_rows(database)["eshop_emails"]) < count:
        assert time.monotonic() < deadline, f"fewer than {count} e-mails after {seconds:g} s"
        time.sleep(0.05)

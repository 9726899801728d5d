"""`make demo` as its user sees it: what it prints, its exit code, and that nothing of it is left."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from examples.eshop.shop import SERVICES
from examples.harness.screen import WIDTH
from test_services.jaeger import Jaeger
from tests.end_to_end.backends import Backends
from tests.programs import ROOT, Done, bare, environment

DEMO = "examples.eshop.demo"
# The demo with one thing wrong in the services: a setting of autotrace.
_BROKEN = """
import sys
from examples.eshop import demo
demo.PATIENCE = 3
demo.SETTINGS.update({%r: %r})
sys.exit(demo.main())
"""
_NO_KAFKA = """
import sys
from examples.eshop import demo
from examples.harness import real
def start(self):
    raise real.Unavailable("no Java here")
real.KafkaBroker.start = start
sys.exit(demo.main())
"""
# A shell's background job ignores Ctrl-C, and so would everything that is started from it.
_INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from examples.eshop import demo
sys.exit(demo.main())
"""


@pytest.fixture
def own(backends: Backends) -> dict[str, str]:
    """The user's own broker and database."""
    return {"KAFKA_BOOTSTRAP_SERVERS": backends.kafka, "DATABASE_URL": backends.database.url}


def demo(**variables: str) -> Done:
    return bare(sys.executable, "-m", DEMO, cwd=ROOT, **variables)


def broken(setting: str, value: str, **variables: str) -> Done:
    return bare(sys.executable, "-c", _BROKEN % (setting, value), cwd=ROOT, **variables)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_short_and_knows_nothing_of_tracing(service: str) -> None:
    text = (ROOT / "examples" / "eshop" / f"{service}.py").read_text()
    assert len(text.splitlines()) <= 40
    assert not re.search("trac|opentel|jaeger|span|b3|examples|header", text, re.IGNORECASE)


class TestTheDemoOfARightTrace:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, backends: Backends) -> Done:
        return demo(KAFKA_BOOTSTRAP_SERVERS=backends.kafka, DATABASE_URL=backends.database.url)

    def test_it_succeeds_and_says_so(self, done: Done) -> None:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1].startswith("The trace is exactly right: 13 spans")

    def test_it_shows_the_answer_the_tree_and_both_graphs(self, done: Done) -> None:
        squeezed = " ".join(done.stdout.split())
        for shown in (
            "The order is created.<BR>The payment is done.<BR>The delivery is arranged.",
            "13 spans of 6 services",
            "eshop GET /checkout server",
            "inventory │ └ GET /createOrder server",
            "INSERT INTO eshop_payments (cents)",
            "consumer ╰▷ process eshop-topic consumer",
            "FOLLOWS_FROM the span above",
            "eshop ──▶ consumer topic eshop-topic",
        ):
            assert shown in squeezed
        left, right = (squeezed.count(f"{service} ──▶ kafka") for service in ("eshop", "consumer"))
        assert (left, right) == (1, 1)

    def test_it_fits_and_has_no_colours_in_a_file(self, done: Done) -> None:
        assert max(map(len, done.stdout.splitlines())) <= WIDTH
        assert "\033" not in done.stdout


class TestTheDemoOfAWrongTrace:
    @pytest.mark.parametrize(
        ("setting", "value", "line"),
        [
            ("AUTOTRACE_DISABLED_PATCHES", "kafka", "eshop, producer eshop-topic: missing"),
            ("AUTOTRACE_CONSUMER_RELATION", "link", "consumer, consumer eshop-topic: in another trace"),
            ("AUTOTRACE_CONSUMER_RELATION", "child_of", "CHILD_OF its parent, expected is FOLLOWS_FROM"),
            ("AUTOTRACE_CONVENTIONS", "otel", "billing, server /payment: no tag component, http.method, http.url"),
        ],
    )
    def test_it_names_the_fault_and_shows_the_logs(
        self, own: dict[str, str], setting: str, value: str, line: str
    ) -> None:
        done = broken(setting, value, **own)
        assert done.returncode == 1
        assert line in done.stdout
        assert "The trace is not right:" in done.stdout and "exactly right" not in done.stdout
        assert "log of eshop\n* Serving Flask app 'eshop'" in done.stdout

    def test_without_any_span_it_says_that(self, own: dict[str, str]) -> None:
        done = broken("AUTOTRACE_EXPORTER", "none", **own)
        assert done.returncode == 1
        assert "Traceback" not in done.stdout + done.stderr
        assert done.stdout.count(": missing\n") == 13


class TestWithoutApacheKafka:
    def test_the_mock_cluster_stands_in_and_one_line_says_so(self, own: dict[str, str]) -> None:
        done = bare(sys.executable, "-c", _NO_KAFKA, cwd=ROOT, DATABASE_URL=own["DATABASE_URL"])
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("mock cluster stands in: no Java here\n") == 1
        assert "eshop        ──▶ consumer     topic eshop-topic" in done.stdout


class TestTheUsersOwnParts:
    def test_jaeger_gets_the_trace_too(self, own: dict[str, str], jaeger: Jaeger) -> None:
        done = demo(**own, JAEGER_ENDPOINT=jaeger.endpoint)
        assert done.returncode == 0
        last = done.stdout.splitlines()[-1]
        trace_id = last.partition("trace ")[2].partition(",")[0]
        assert last == f"Your Jaeger has it too: trace {trace_id}, sent to {jaeger.endpoint}"
        assert len(jaeger.trace(trace_id, spans=13)["spans"]) == 13

    def test_a_jaeger_that_is_not_there_is_named(self, own: dict[str, str]) -> None:
        done = demo(**own, JAEGER_ENDPOINT="http://127.0.0.1:9/api/traces")
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1].startswith("JAEGER_ENDPOINT=http://127.0.0.1:9/api/traces: ")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("DATABASE_URL", "postgresql://app@127.0.0.1:9/app"), ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")],
    )
    def test_a_wrong_address_is_one_clear_line(self, own: dict[str, str], name: str, value: str) -> None:
        done = demo(**{**own, name: value})
        assert done.returncode == 1
        assert f"The demo cannot run: {name}={value}: " in done.stdout
        assert "Traceback" not in done.stdout + done.stderr

    @pytest.mark.parametrize(
        "url", ["postgresql://app:s3cret@127.0.0.1:9/app", "host=127.0.0.1 port=9 password=s3cret"]
    )
    def test_a_password_is_not_shown(self, own: dict[str, str], url: str) -> None:
        done = demo(**{**own, "DATABASE_URL": url})
        assert done.returncode == 1
        assert "port" in done.stdout and "s3cret" not in done.stdout + done.stderr

    def test_other_settings_of_the_shell_do_not_change_the_story(self, own: dict[str, str]) -> None:
        done = demo(**own, OTEL_TRACES_SAMPLER="always_off", AUTOTRACE_CONVENTIONS="otel", JAEGER_DISABLED="true")
        assert done.returncode == 0, done.stdout


class TestNothingIsLeft:
    def test_tables_that_the_demo_made_go_and_those_that_were_there_stay(self, own: dict[str, str]) -> None:
        with closing(psycopg2.connect(own["DATABASE_URL"])) as connection, connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE eshop_payments")
        assert demo(**own).returncode == 0
        with closing(psycopg2.connect(own["DATABASE_URL"])) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('eshop_payments'), to_regclass('eshop_emails') IS NULL")
            assert cursor.fetchone() == (None, False)
            cursor.execute("CREATE TABLE eshop_payments (id serial PRIMARY KEY, cents int)")

    @pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
    @pytest.mark.parametrize("when", ["services start", "services run"])
    def test_an_end_from_outside_leaves_no_process_and_no_folder(
        self, own: dict[str, str], tmp_path: Path, how: signal.Signals, code: int, when: str
    ) -> None:
        with subprocess.Popen(
            [sys.executable, "-u", "-c", _INTERRUPTIBLE],
            cwd=ROOT,
            env=environment(**own, TMPDIR=str(tmp_path)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            if when == "services run":
                while "GET /checkout" not in process.stdout.readline():
                    assert process.poll() is None
            while not list(tmp_path.glob("autotrace-eshop-*/server.log")):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(how)
            rest = process.stdout.read()
        assert process.returncode == code, rest
        assert "Traceback" not in rest
        assert _started_with(f"TMPDIR={tmp_path}") == []
        assert list(tmp_path.iterdir()) == []


def _started_with(variable: str) -> list[str]:
    """Command lines of the processes that have this variable."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
        except OSError:  # ended meanwhile
            pass
    return found

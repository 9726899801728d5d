"""The budgets: the most that autotrace may add (`must`), what it aims at (`aim`), and how each is measured.

They are differences to bare from the same run, on CPython 3.11, with every span kept and exported. The machine on which
they were set needs 13 ms of CPU for `python -c pass`.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.measures import Benchmark, Burst, Exit, Memory, Operation, Process, Runner

APP = "import requests, kafka, sqlite3, psycopg2, flask"

BENCHMARKS: dict[str, Benchmark] = {
    "pass": Process("pass"),
    "memory": Memory(),
    "runner": Runner(),
    "import_requests": Process("import requests"),
    "import_app": Process(APP),
    "sqlite3": Operation("sqlite3_execute"),
    "psycopg2": Operation("psycopg2_execute"),
    "kafka_send": Operation("kafka_send"),
    "kafka_iterate": Operation("kafka_iterate"),
    "kafka_poll": Operation("kafka_poll"),
    "confluent_produce": Operation("confluent_produce"),
    "confluent_poll": Operation("confluent_poll"),
    "confluent_consume": Operation("confluent_consume"),
    "aiokafka_iterate": Operation("aiokafka_iterate"),
    "requests": Operation("requests_get"),
    "flask": Operation("flask_request"),
    "wsgi": Operation("wsgi_request"),
    "submit": Operation("executor_submit", sends=False, others=("opentelemetry",)),
    "span": Operation("span", others=()),
    "not_sampled": Operation("span", sends=False, sampler="always_off", others=()),
    "burst": Burst(),
    "burst_paced": Burst(rate=25_000),
    "exit_refused": Exit("refuses"),
    "exit_hangs": Exit("hangs"),
}


class Budget(NamedTuple):
    """A figure of a benchmark: how it is called, its unit, and what autotrace may add to it; None: told, not judged."""

    benchmark: str
    figure: str
    what: str
    unit: str
    must: float | None
    aim: float | None


PROCESS, THREAD = "process CPU", "application thread"

BUDGETS = (
    Budget("pass", "cpu", "`python -c pass`, folder on PYTHONPATH", "ms", 6, 2),
    Budget("memory", "memory", "memory of that process", "MiB", 1.5, 0.5),
    Budget("runner", "cpu", "the runner until its exec; bare: an interpreter", "ms", 25 - 13, 18 - 13),
    Budget("import_requests", "cpu", "`import requests`", "ms", 60, 20),
    Budget("import_app", "cpu", "app: requests, kafka, sqlite3, psycopg2, flask", "ms", 80, 40),
    Budget("sqlite3", "process", f"sqlite3 execute, {PROCESS}", "µs", 10, 7),
    Budget("sqlite3", "thread", f"sqlite3 execute, {THREAD}", "µs", 4, 3),
    Budget("psycopg2", "process", f"psycopg2 execute, {PROCESS}", "µs", 25, 15),
    Budget("psycopg2", "thread", f"psycopg2 execute, {THREAD}", "µs", 15, 8),
    Budget("kafka_send", "process", f"kafka-python send, {PROCESS}", "µs", 38, 25),
    Budget("kafka_send", "thread", f"kafka-python send, {THREAD}", "µs", 18, 12),
    Budget("kafka_iterate", "process", f"kafka-python iterate a record, {PROCESS}", "µs", 30, 18),
    Budget("kafka_iterate", "thread", f"kafka-python iterate a record, {THREAD}", "µs", 20, 12),
    Budget("kafka_poll", "process", f"kafka-python poll, a record, {PROCESS}", "µs", None, None),
    Budget("kafka_poll", "thread", f"kafka-python poll, a record, {THREAD}", "µs", None, None),
    Budget("confluent_produce", "process", f"confluent-kafka produce, {PROCESS}", "µs", 20, 12),
    Budget("confluent_produce", "thread", f"confluent-kafka produce, {THREAD}", "µs", None, None),
    Budget("confluent_poll", "process", f"confluent-kafka poll a record, {PROCESS}", "µs", None, None),
    Budget("confluent_poll", "thread", f"confluent-kafka poll a record, {THREAD}", "µs", None, None),
    Budget("confluent_consume", "process", f"confluent-kafka consume(500), a record, {PROCESS}", "µs", 20, 12),
    Budget("confluent_consume", "thread", f"confluent-kafka consume(500), a record, {THREAD}", "µs", None, None),
    Budget("aiokafka_iterate", "process", f"aiokafka iterate a record, {PROCESS}", "µs", None, None),
    Budget("aiokafka_iterate", "thread", f"aiokafka iterate a record, {THREAD}", "µs", None, None),
    Budget("requests", "process", f"requests GET, {PROCESS}", "µs", 80, 40),
    Budget("requests", "thread", f"requests GET, {THREAD}", "µs", 60, 30),
    Budget("flask", "process", f"Flask request (WSGI callable), {PROCESS}", "µs", 50, 30),
    Budget("flask", "thread", f"Flask request (WSGI callable), {THREAD}", "µs", 40, 20),
    Budget("wsgi", "process", f"plain WSGI callable under wsgiref, {PROCESS}", "µs", 50, 30),
    Budget("wsgi", "thread", f"plain WSGI callable under wsgiref, {THREAD}", "µs", 40, 20),
    Budget("submit", "thread", "ThreadPoolExecutor.submit", "µs", 3, 1.5),
    Budget("span", "thread", "span start+activate+end, 6 facts", "µs", 4, 2.5),
    Budget("not_sampled", "thread", "not sampled", "µs", 1.5, 0.7),
    Budget("span", "export", "export per span: the whole export thread", "µs", 6, 4),
    Budget("burst", "cpu", "burst of 200,000 spans flat out, a span", "µs", 15, 10),
    Budget("burst", "grown", "burst flat out, memory grown", "MiB", 8, 4),
    Budget("burst", "lost", "burst flat out, spans lost", "spans", None, None),
    Budget("burst_paced", "cpu", "burst paced at 25,000 a second, a span", "µs", 15, 10),
    Budget("burst_paced", "grown", "burst paced, memory grown", "MiB", 8, 4),
    Budget("burst_paced", "lost", "burst paced, spans lost", "spans", 0, 0),
    Budget("exit_refused", "seconds", "exit, collector refuses", "s", 0.3, 0.1),
    Budget("exit_hangs", "seconds", "exit, collector hangs", "s", 1.2, 1.0),
)

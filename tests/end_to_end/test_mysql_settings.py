"""AUTOTRACE_TRACE_CONNECTS and AUTOTRACE_TRACE_TRANSACTIONS with the drivers of MySQL, each in its own process."""

from __future__ import annotations

import json

import pytest

from test_services import cache
from test_services.built_drivers import driver, search_path
from test_services.mariadb import MariaDB
from tests.end_to_end.mysql_cases import DRIVERS
from tests.programs import on_path, python

PROGRAM = """
import importlib, json, sys, opentelemetry.trace
from autotrace.tracing.span import Span
spans = []; Span.sink = staticmethod(spans.append)
name, port, more = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
driver = importlib.import_module(name)
conn = driver.connect(host="127.0.0.1", port=port, user="app", password="pw", database="app", **more)
cur = conn.cursor(); cur.execute("DO 1"); conn.commit(); conn.rollback()
try: driver.connect(host="127.0.0.1", port=1, user="app", password="pw", database="app", **more)
except driver.Error: pass
for span in spans: print(span.name, *(["error"] if span.failure else []), span.shared.facts["remote"][0])
"""


@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "DO, connect error"),
        ({"AUTOTRACE_TRACE_CONNECTS": "true"}, "connect, DO, connect error"),
        ({"AUTOTRACE_TRACE_TRANSACTIONS": "true"}, "DO, commit, rollback, connect error"),
    ],
    ids=["off", "connects", "transactions"],
)
def test_connects_and_the_ends_of_transactions_have_spans_if_asked_for(
    name: str, settings: dict[str, str], expected: str, mariadb: MariaDB
) -> None:
    if name in ("MySQLdb", "mariadb"):
        try:
            driver(name)
        except cache.Unavailable as reason:
            cache.require_real(name, reason, "its settings are not tested")
            pytest.skip(f"{name} cannot be had")
    more = json.dumps(DRIVERS[name])
    done = on_path(*python(PROGRAM), name, str(mariadb.port), more, PYTHONPATH=search_path(), **settings)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"{span} 127.0.0.1" for span in expected.split(", ")]

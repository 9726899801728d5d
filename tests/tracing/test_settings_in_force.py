"""Each module takes what it needs from the settings in force, once, when it is imported."""

from __future__ import annotations

from tests.programs import on_path, python

PROGRAM = """
from autotrace.databases import sql_comments, transactions
from autotrace.semantics import database, peer, span_reader, topics, url
from autotrace.tracing import new_span, propagate, tracer
print(database.limit, database.masked, transactions.enabled(), sql_comments.mode())
print(peer.names, span_reader.convention, topics.commits, topics.excluded('audit'), topics.excluded('orders'))
print(url.redacted('http://h/?pin=1&token=2'))
print(new_span.decide(0), new_span.decide((1 << 64) - 1), new_span.parent_based, new_span.trace_id_bits)
print(propagate.propagator.headers(new_span.start_from_parent(None, None, None, {}, None))[0][0])
print('x-tenant' in propagate.propagator.readable, propagate.is_target('Billing'), propagate.is_target('other'))
print(propagate.is_excluded('/health'), tracer.consumer_relation)
"""


def test_every_setting_reaches_the_module_that_needs_it() -> None:
    done = on_path(
        *python(PROGRAM),
        AUTOTRACE_STATEMENT_LIMIT="9",
        AUTOTRACE_MASK_STATEMENTS="false",
        AUTOTRACE_SQL_COMMENTS="full",
        AUTOTRACE_TRACE_TRANSACTIONS="true",
        AUTOTRACE_PEER_NAMES="10.0.0.1=db",
        AUTOTRACE_CONVENTIONS="otel",
        AUTOTRACE_KAFKA_COMMITS="true",
        AUTOTRACE_KAFKA_EXCLUDED_TOPICS="audit",
        AUTOTRACE_SECRET_PARAMETERS="pin",
        AUTOTRACE_SAMPLER="traceidratio",
        AUTOTRACE_SAMPLER_ARG="0.5",
        AUTOTRACE_TRACEID_128BIT="false",
        AUTOTRACE_PROPAGATORS="jaeger",
        AUTOTRACE_FORWARD_HEADERS="X-Tenant",
        AUTOTRACE_PROPAGATION_TARGETS="BILLING",
        AUTOTRACE_EXCLUDED_URLS="/health",
        AUTOTRACE_CONSUMER_RELATION="child_of",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "9 False True full",
        "{'10.0.0.1': 'db'} otel True True False",
        "http://h/?pin=REDACTED&token=2",
        "True False False 64",
        "uber-trace-id",
        "True True False",
        "True child_of",
    ]

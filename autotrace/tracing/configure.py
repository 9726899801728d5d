"""begin(): settings into the tracer, once per process, and the tracer into the OpenTelemetry API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace

from autotrace.semantics import database, peer, span_reader, topics, url
from autotrace.sql import comments
from autotrace.tracing import kept, propagate, tracer

if TYPE_CHECKING:
    from autotrace.settings import Settings


def begin(settings: Settings) -> None:
    tracer.configure(settings.sampler, settings.sampler_arg, settings.trace_id_128)
    propagate.configure(settings.propagators, settings.forward_headers, settings.propagation_targets)
    propagate.exclude(settings.excluded_urls)
    topics.configure(settings.kafka_excluded_topics, settings.kafka_commits)
    kept.configure(settings.attribute_limit)
    tracer.consumer_relation = settings.consumer_relation
    span_reader.convention = settings.conventions
    peer.names = settings.peer_names
    url.configure(settings.secret_parameters)
    database.limit, database.masked = settings.statement_limit, settings.mask_statements
    database.connects, database.transactions = settings.trace_connects, settings.trace_transactions
    comments.configure(settings.sql_comments, settings.service_name)
    # Not by set_tracer_provider(): that may be called once only, and the once is the program's.
    if trace._TRACER_PROVIDER is None:
        trace._TRACER_PROVIDER = tracer.provider

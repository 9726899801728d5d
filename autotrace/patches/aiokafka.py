"""aiokafka: producer spans that end with the acknowledgement; consumer spans active around each record, in its task."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from opentelemetry.context.context import Context

from autotrace.containment import contained
from autotrace.messaging import attribute_records, carry
from autotrace.messaging.acknowledgement import end_with_future
from autotrace.messaging.async_consumer import AsyncConsumerIterator, AsyncConsumerState
from autotrace.messaging.client_slot import SLOT, kept_by_client
from autotrace.messaging.commits import wrap_commit
from autotrace.messaging.consumer_calls import wrap_close, wrap_fetch, wrap_iter
from autotrace.messaging.draft import Draft
from autotrace.messaging.producing import before_send
from autotrace.messaging.size_limit import removable, within_limit
from autotrace.patching import MARK, Plan, require
from autotrace.patching.subclasses import shown_as
from autotrace.semantics import topics
from autotrace.semantics.kafka import client_facts
from autotrace.tracing import propagate
from autotrace.tracing.current import get, put
from autotrace.tracing.traced_call import argument, traced_await

SEND, SEND_BATCH, APPEND = "AIOKafkaProducer.send", "AIOKafkaProducer.send_batch", "BatchBuilder.append"


def producer(module: Any, plan: Plan) -> None:
    Producer = require(module, "AIOKafkaProducer")
    BatchBuilder = require(sys.modules.get("aiokafka.producer.message_accumulator"), "BatchBuilder")
    # send(): send_and_wait() goes through it. One PRODUCER span, which ends when the future that it returns is done.
    plan.method(Producer, "send", _send, parameters=("topic", "key", "headers"))
    # create_batch(), append(): the program fills a batch itself. One PRODUCER span for all its records, because each
    # carries it; it starts with the first. append() of the library's own batches, which send() fills, is left alone.
    plan.method(Producer, "create_batch", _create_batch)
    plan.method(BatchBuilder, "append", _append, parameters=("headers",))
    # send_batch(): that span becomes active, and ends when the future is done.
    plan.method(Producer, "send_batch", _send_batch, parameters=("batch", "topic", "partition"))
    # estimate_size_in_bytes(): send() refuses a record by it. Older versions do not count the headers. No span.
    calls = sys.modules.get(Producer.__module__)
    kind = getattr(calls, "DefaultRecordBatchBuilder", None)
    if kind is not None and not hasattr(kind, MARK):
        plan.value(calls, kind.__name__, _measuring(kind))
    # start(): makes the tasks that serve every caller. No span.
    plan.method(Producer, "start", _start)


def consumer(module: Any, plan: Plan) -> None:
    Consumer = require(module, "AIOKafkaConsumer")
    ConsumerRecord = require(sys.modules.get("aiokafka.structs"), "ConsumerRecord")
    # getone(): every single record comes through it, those of `async for` too. The record's CONSUMER span opens.
    plan.method(Consumer, "getone", wrap_fetch(_state, AsyncConsumerState.on_record, awaited=True))
    # __aiter__(): our iterator, which is dropped when the loop is left. No span of its own.
    plan.method(Consumer, "__aiter__", wrap_iter(_state, AsyncConsumerIterator))
    # getmany(): lists that open each record's span in turn.
    plan.method(Consumer, "getmany", wrap_fetch(_state, attribute_records.deliver_lists, awaited=True))
    # commit(), stop(): the program is done with the record that getone() gave. A commit() has a CLIENT span if
    # AUTOTRACE_KAFKA_COMMITS asks for it.
    plan.method(Consumer, "commit", wrap_commit(_state, "AIOKafkaConsumer.commit", awaited=True))
    plan.method(Consumer, "stop", wrap_close(_state, awaited=True))
    # start(): makes the tasks that serve every caller. No span.
    plan.method(Consumer, "start", _start)
    carry.register(plan, ConsumerRecord, attribute_records.ADAPTER)


# The producer ---------------------------------------------------------------------------------------------------------


def _send(original: Any) -> Any:
    return traced_await(original, SEND, before_send(_shared, 6, _injected), end_with_future)


def _injected(client: Any, headers: Any, span: Any) -> Any:
    injected = _with_trace(headers, span) if _takes_headers(client.client) else None
    if injected is not None:
        removable(span, injected, headers, client._max_request_size)
    return injected


def _with_trace(headers: Any, span: Any) -> Any:
    if headers and not isinstance(
        headers, (list, tuple)
    ):  # the client refuses such headers; the program shall see that
        return None
    return propagate.inject_kafka(headers or None, span)


def _measuring(kind: Any) -> type:
    """The class by which send() measures a record. It is a C type, so a subclass takes its name in that module."""
    measure = within_limit(require(kind, "estimate_size_in_bytes"), 2)
    return shown_as(kind.__name__, (kind,), {"estimate_size_in_bytes": staticmethod(measure), MARK: kind})


def _takes_headers(client: Any) -> bool:
    """Up to 0.12 the client knows old brokers, for which it refuses headers. Later versions refuse such brokers."""
    version = getattr(client, "api_version", None)
    return not isinstance(version, tuple) or version >= (0, 11)


# Batches that the program fills ---------------------------------------------------------------------------------------


def _create_batch(original: Any) -> Any:
    def create_batch(*args: Any, **kwargs: Any) -> Any:
        batch = original(*args, **kwargs)
        try:
            # The topic comes with send_batch(), after the records. They stay as they are if it might be an excluded
            # topic.
            takes_headers = _takes_headers(args[0].client) and not topics.any_excluded()
            batch.__dict__[SLOT] = Draft(_shared(args[0]), takes_headers)
        except Exception:
            contained(SEND_BATCH)
        return batch

    return create_batch


def _append(original: Any) -> Any:
    def append(self: Any, *args: Any, **kwargs: Any) -> Any:
        draft = self.__dict__.get(SLOT)
        if draft is not None:
            try:
                given = kwargs.get("headers")
                span = draft.span_for(given)
                headers = None if span is None or not draft.takes_headers else _with_trace(given, span)
                kwargs = kwargs if headers is None else {**kwargs, "headers": headers}
            except Exception:
                contained(APPEND)
        return original(self, *args, **kwargs)

    return append


def _send_batch(original: Any) -> Any:
    return traced_await(original, SEND_BATCH, _before_send_batch, end_with_future)


def _before_send_batch(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    topic = argument(args, kwargs, 2, "topic")
    batch = argument(args, kwargs, 1, "batch")
    draft = batch.__dict__.get(SLOT)
    if draft is None or topics.excluded(topic):
        return None
    span = draft.taken()
    if span is None:
        return None
    span.facts.update(topic=topic, count=batch.record_count())
    return span, args, kwargs


# The consumer and both ------------------------------------------------------------------------------------------------


def _partition_state(subscription: Any, partition: Any) -> Any:
    return subscription.subscription.assignment.state_value(partition)


def _start(original: Any) -> Any:
    """The tasks that start() makes, and the listeners that they call, outlive the span that is active now."""

    async def start(*args: Any, **kwargs: Any) -> Any:
        outer, empty = get(), Context()
        try:
            try:
                put(empty)
                return await original(*args, **kwargs)
            finally:
                if get() is empty:  # else another task drops this coroutine
                    put(outer)
        except BaseException:  # it may have struck within `finally`
            if get() is empty:
                put(outer)
            raise

    return start


def _client(client: Any, **more: Any) -> Any:
    return client_facts("aiokafka", client._bootstrap_servers, client._client_id, **more)


def _made_state(client: Any) -> AsyncConsumerState:
    adapter = attribute_records.adapter_with_lag(partial(_partition_state, client._subscription))
    return AsyncConsumerState(adapter, _client(client._client, group=client._group_id, operation="process"))


_shared = kept_by_client(lambda producer: _client(producer.client, operation="send"), SEND)
_state = kept_by_client(_made_state, "AIOKafkaConsumer")

"""aiokafka: producer spans that end when the broker answers, consumer spans around the record in work, each in its task."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.messaging import attribute_records, commits, consumer_span
from autotrace.messaging.async_consumer import TaskLoop, TaskWork
from autotrace.patching import Plan, require
from autotrace.semantics import messaging, topics
from autotrace.semantics.family import SharedFacts
from autotrace.semantics.kafka import first_server, short_key
from autotrace.tracing import propagate, tracer
from autotrace.tracing.current import leave, put
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced_await, with_argument

SLOT = "_autotrace"
"""Where a client of the library, and a batch, keeps what is ours: in its __dict__."""
SEND, SEND_BATCH, APPEND = "AIOKafkaProducer.send", "AIOKafkaProducer.send_batch", "BatchBuilder.append"
COMMIT, CONSUMER = "AIOKafkaConsumer.commit", "AIOKafkaConsumer"


def producer(module: Any, plan: Plan) -> None:
    Producer = require(module, "AIOKafkaProducer")
    BatchBuilder = require(sys.modules.get("aiokafka.producer.message_accumulator"), "BatchBuilder")
    # send(): send_and_wait() goes through it. One PRODUCER span, which ends when the future that it returns is done.
    plan.method(Producer, "send", _send, parameters=("topic", "key", "headers"))
    # create_batch(), append(): what the program fills itself. One PRODUCER span for all of it, begun with the first record, since
    # each carries it. append() of the library's own batches, which send() fills, is left alone.
    plan.method(Producer, "create_batch", _create_batch)
    plan.method(BatchBuilder, "append", _append, parameters=("headers",))
    # send_batch(): that span becomes current, and ends when the future is done.
    plan.method(Producer, "send_batch", _send_batch, parameters=("batch", "topic", "partition"))
    # start(): makes the tasks that serve whoever comes. No span.
    plan.method(Producer, "start", _start)


def consumer(module: Any, plan: Plan) -> None:
    Consumer = require(module, "AIOKafkaConsumer")
    ConsumerRecord = require(sys.modules.get("aiokafka.structs"), "ConsumerRecord")
    # getone(): every single record comes through it, those of `async for` too. The record's CONSUMER span opens.
    plan.method(Consumer, "getone", _getone)
    # __aiter__(): our iterator, which is dropped when the loop is left. No span of its own.
    plan.method(Consumer, "__aiter__", _aiter)
    # getmany(): lists that open each record's span in turn.
    plan.method(Consumer, "getmany", _getmany)
    # commit(), stop(): the program is done with the record that getone() gave. A CLIENT span where commits are asked for.
    plan.method(Consumer, "commit", _commit)
    plan.method(Consumer, "stop", _stop)
    # start(): makes the tasks that serve whoever comes. No span.
    plan.method(Consumer, "start", _start)
    consumer_span.readings[ConsumerRecord] = attribute_records.READING


# The producer ---------------------------------------------------------------------------------------------------------


class Sent:
    """The callback of a future: the broker's answer ends the span. A future that is dropped without one ends it too."""

    __slots__ = ("span",)

    def __init__(self, span: Any) -> None:
        self.span = span

    def __call__(self, future: Any) -> None:
        try:
            # Not exception(): that would tell asyncio that somebody has seen it.
            error = getattr(future, "_exception", None)
            if error is not None:
                self.span.fail(error)
            elif not future.cancelled():
                metadata = future.result()
                if metadata is not None:  # acks=0: there was no answer
                    self.span.facts["partition"] = metadata.partition
                    if metadata.offset >= 0:
                        self.span.facts["offset"] = metadata.offset
            self.span.end()
        except Exception:
            contained(SEND)

    def __del__(self) -> None:
        try:
            self.span.end()
        except Exception:
            contained(SEND)


def _answered(span: Any, future: Any) -> object:
    from contextvars import Context as ExecutionContext

    future.add_done_callback(Sent(span), context=ExecutionContext())
    return LEAVE_OPEN


def _send(original: Any) -> Any:
    return traced_await(original, SEND, _before_send, _answered)


def _before_send(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    topic = argument(args, kwargs, 1, "topic")
    if topics.excluded(topic):
        return None
    facts = {"topic": topic, "key": short_key(argument(args, kwargs, 3, "key"))}
    span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, _shared(args[0]))
    if span is None:
        return None
    headers = argument(args, kwargs, 6, "headers")
    if _takes_headers(args[0].client) and (
        not headers or isinstance(headers, (list, tuple))
    ):  # else it shall be refused
        args, kwargs = with_argument(args, kwargs, 6, "headers", _with_trace(headers, span))
    return span, args, kwargs


def _takes_headers(client: Any) -> bool:
    """Up to 0.12 the client knows old brokers, for which it would refuse them; later ones refuse such brokers."""
    version = getattr(client, "api_version", None)
    return not isinstance(version, tuple) or version >= (0, 11)


def _with_trace(headers: Any, span: Any) -> Any:
    return propagate.inject_kafka(headers or None, span)


def _shared(client: Any) -> SharedFacts:
    shared: SharedFacts | None = client.__dict__.get(SLOT)
    if shared is None:
        shared = client.__dict__[SLOT] = SharedFacts({**_client(client.client), "operation": "send"})
    return shared


# Batches that the program fills ---------------------------------------------------------------------------------------


class Draft:
    """What a batch keeps for us until it is sent."""

    __slots__ = ("shared", "span", "takes_headers")

    def __init__(self, client: Any) -> None:
        self.shared = _shared(client)
        self.takes_headers = _takes_headers(client.client)
        self.span: Any = None

    def begun(self) -> Any:
        if self.span is None:
            self.span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, {}, self.shared)
        return self.span

    def taken(self) -> Any:
        """For one try to send it; the next try has a span of its own."""
        span, self.span = self.begun(), None
        return span


def _create_batch(original: Any) -> Any:
    def create_batch(*args: Any, **kwargs: Any) -> Any:
        batch = original(*args, **kwargs)
        try:
            batch.__dict__[SLOT] = Draft(args[0])
        except Exception:
            contained(SEND_BATCH)
        return batch

    return create_batch


def _append(original: Any) -> Any:
    def append(self: Any, *args: Any, **kwargs: Any) -> Any:
        draft = self.__dict__.get(SLOT)
        if draft is not None:
            try:
                span = draft.begun()
                headers = kwargs.get("headers")
                if span is not None and draft.takes_headers and (not headers or isinstance(headers, (list, tuple))):
                    kwargs = {**kwargs, "headers": _with_trace(headers, span)}
            except Exception:
                contained(APPEND)
        return original(self, *args, **kwargs)

    return append


def _send_batch(original: Any) -> Any:
    return traced_await(original, SEND_BATCH, _before_send_batch, _answered)


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


# The consumer ---------------------------------------------------------------------------------------------------------


def _state(subscription: Any, partition: Any) -> Any:
    return subscription.subscription.assignment.state_value(partition)


def _ours(client: Any) -> TaskWork | None:
    """None only where ours cannot be made: then the client works untraced."""
    ours: TaskWork | None = client.__dict__.get(SLOT)
    if ours is None:
        try:
            reading = attribute_records.reading(partial(_state, client._subscription))
            facts = {**_client(client._client), "group": client._group_id, "operation": "process"}
            ours = client.__dict__[SLOT] = TaskWork(reading, SharedFacts(facts))
        except Exception:
            contained(CONSUMER)
    return ours


def _getone(original: Any) -> Any:
    async def getone(*args: Any, **kwargs: Any) -> Any:
        ours = _ours(args[0]) if args else None
        if ours is None:
            return await original(*args, **kwargs)
        ours.turn()
        record = await original(*args, **kwargs)
        ours.deliver(record)
        return record

    return getone


def _aiter(original: Any) -> Any:
    def __aiter__(self: Any) -> Any:
        result = original(self)
        ours = _ours(self)
        return TaskLoop(self, ours) if result is self and ours is not None else result

    return __aiter__


def _getmany(original: Any) -> Any:
    async def getmany(*args: Any, **kwargs: Any) -> Any:
        ours = _ours(args[0]) if args else None
        if ours is None:
            return await original(*args, **kwargs)
        ours.turn()
        polled = await original(*args, **kwargs)
        try:
            attribute_records.listed(polled, ours)
        except Exception:
            contained(CONSUMER)
        return polled

    return getmany


def _commit(original: Any) -> Any:
    told = traced_await(original, COMMIT, commits.before(_shared_by_records))

    async def commit(*args: Any, **kwargs: Any) -> Any:
        ours = _ours(args[0]) if args else None
        if ours is not None:
            ours.committed()
        return await told(*args, **kwargs)

    return commit


def _shared_by_records(client: Any) -> SharedFacts | None:
    ours = _ours(client)
    return None if ours is None else ours.scope.shared


def _stop(original: Any) -> Any:
    async def stop(*args: Any, **kwargs: Any) -> Any:
        ours = _ours(args[0]) if args else None
        if ours is not None:
            ours.finish()
        return await original(*args, **kwargs)

    return stop


# Both -----------------------------------------------------------------------------------------------------------------


def _start(original: Any) -> Any:
    """Its tasks outlive the span that is current at this moment, and so do the listeners that they call."""

    async def start(*args: Any, **kwargs: Any) -> Any:
        token = put(Context())
        try:
            return await original(*args, **kwargs)
        finally:
            leave(token)

    return start


def _client(client: Any) -> dict[str, Any]:
    return {
        "component": "aiokafka",
        "service": "kafka",
        "remote": first_server(client._bootstrap_servers),
        "client": client._client_id,
    }

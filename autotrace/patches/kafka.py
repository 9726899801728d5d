"""kafka-python and its forks: producer spans that end when the broker answers, consumer spans around the record in work."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.messaging import attribute_records, commits, consumer_span
from autotrace.messaging.acknowledgement import Answer, context_of
from autotrace.messaging.consumer import Work
from autotrace.messaging.consumer_span import Loop
from autotrace.patching import MARK, Plan, Unpatchable, require
from autotrace.semantics import messaging, topics
from autotrace.semantics.family import SharedFacts
from autotrace.semantics.kafka import first_server, short_key
from autotrace.tracing import propagate, run_in_context, tracer
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced, with_argument

SLOT = "_autotrace"
"""Where a client of the library keeps what is ours: in its __dict__."""
SEND, CONSUMER = "KafkaProducer.send", "KafkaConsumer"


def producer(module: Any, plan: Plan) -> None:
    Future = require(module, "FutureRecordMetadata")
    # send(): the only way in. One PRODUCER span, which ends when the future is done.
    parameters = ("topic", "key", "headers")
    plan.method(require(module, "KafkaProducer"), "send", _traced_send(Future), parameters=parameters)
    # add_callback(), add_errback(): on the class of what send() returns and not on its base, which serves every request of the
    # library. No span: the program's acknowledgement runs with the producer's span current.
    plan.method(Future, "add_callback", _with_context)
    plan.method(Future, "add_errback", _with_context)


def consumer(module: Any, plan: Plan) -> None:
    Consumer = require(module, "KafkaConsumer")
    try:
        from kafka.consumer.fetcher import ConsumerRecord
    except ImportError as reason:
        raise Unpatchable(str(reason)) from None
    require(ConsumerRecord, "topic", "partition", "offset", "timestamp", "key", "headers")
    # __next__(): every record of every loop comes through it. The record's CONSUMER span opens.
    plan.method(Consumer, "__next__", _next)
    # __iter__(): our iterator, which is dropped when the loop is left. No span of its own.
    plan.method(Consumer, "__iter__", _iter)
    # poll(): lists that open each record's span in turn.
    plan.method(Consumer, "poll", _poll, parameters=("update_offsets",))
    # commit(), commit_async(), close(): the program is done with the record that next() gave. No span, but for a commit() where
    # AUTOTRACE_KAFKA_COMMITS asks for it.
    plan.method(Consumer, "commit", _commit_and_wait)
    plan.method(Consumer, "commit_async", _commit)
    plan.method(Consumer, "close", _close)
    consumer_span.readings[ConsumerRecord] = attribute_records.READING


# The producer ---------------------------------------------------------------------------------------------------------


def _traced_send(Future: Any) -> Any:
    """What makes the replacement of send(). Its own callbacks go by the futures' bare methods."""
    add_callback = _bare(require(Future, "add_callback"))
    add_errback = _bare(require(Future, "add_errback"))

    def after(span: Any, future: Any) -> object:
        answer = Answer(span, span.shared.facts["acks"] != 0)
        add_callback(future, answer.sent)
        add_errback(future, answer.refused)
        if future.is_done and span.end_time is None:
            # Up to 2.0.2 a callback that is added while the future completes can be lost.
            if future.exception is None:
                answer.sent(future.value)
            else:
                answer.refused(future.exception)
        return LEAVE_OPEN

    return lambda original: traced(original, SEND, _before_send, after)


def _bare(function: Any) -> Any:
    return getattr(function, MARK, function)


def _before_send(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    client, topic = args[0], argument(args, kwargs, 1, "topic")
    if topics.excluded(topic):
        return None
    shared = client.__dict__.get(SLOT)
    if shared is None:
        shared = client.__dict__[SLOT] = SharedFacts(
            {**_client(client), "operation": "send", "acks": client.config.get("acks")}
        )
    facts = {"topic": topic, "key": short_key(argument(args, kwargs, 3, "key"))}
    span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, shared)
    if span is None:
        return None
    # The client knows whether the broker takes headers; where it does not, it would refuse the record.
    if client.config["api_version"] >= (0, 11):
        headers = argument(args, kwargs, 4, "headers")
        if headers is None or isinstance(headers, list):  # the client refuses anything else, and shall
            args, kwargs = with_argument(args, kwargs, 4, "headers", _headers(headers, span))
    return span, args, kwargs


def _headers(headers: Any, span: Any) -> Any:
    made = propagate.inject_kafka(headers, span)
    if headers is None or type(headers) is list:
        return made
    own = copy.copy(headers)  # a list of the program's own class: 2.0.2 refuses it, later ones do not
    own[:] = made
    return own


def _with_context(original: Any) -> Any:
    def add(*args: Any, **kwargs: Any) -> Any:
        try:
            context = _context_of(args[0]) if len(args) > 1 and callable(args[1]) else None
        except Exception:
            context = None
            contained(f"FutureRecordMetadata.{original.__name__}")
        if context is None:
            return original(*args, **kwargs)
        return original(args[0], run_in_context.run_in_context, context, *args[1:], **kwargs)

    return add


def _context_of(future: Any) -> Any:
    """The context of the send() that gave this future; None for one that we did not see, and for one that has failed already."""
    for callback in future._callbacks or ():
        answer = getattr(callback, "__self__", None)
        if type(answer) is Answer and answer.context is not None:
            return answer.context
    return context_of(future.value) if future.is_done else None


# The consumer ---------------------------------------------------------------------------------------------------------


def _state(subscription: Any, partition: Any) -> Any:
    return subscription.assignment[partition]


def _work(client: Any) -> Work | None:
    """What the consumer has given to the program. None only where it cannot be made: then the client works untraced."""
    work: Work | None = client.__dict__.get(SLOT)
    if work is None:
        try:
            reading = attribute_records.reading(partial(_state, client._subscription))
            facts = {**_client(client), "group": client.config.get("group_id"), "operation": "process"}
            work = client.__dict__[SLOT] = Work(reading, SharedFacts(facts))
        except Exception:
            contained(CONSUMER)
    return work


def _next(original: Any) -> Any:
    def __next__(self: Any) -> Any:
        work = _work(self)
        if work is None:
            return original(self)
        work.turn()
        record = original(self)
        work.scope.deliver(record)
        return record

    return __next__


def _iter(original: Any) -> Any:
    def __iter__(self: Any) -> Any:
        result = original(self)
        work = _work(self)
        return Loop(self, work.scope) if result is self and work is not None else result

    return __iter__


def _poll(original: Any) -> Any:
    def poll(*args: Any, **kwargs: Any) -> Any:
        # update_offsets=False is how the library's iterator polls; it is not part of the interface.
        work = _work(args[0]) if args and argument(args, kwargs, 3, "update_offsets", True) else None
        if work is None:
            return original(*args, **kwargs)
        work.turn()
        polled = original(*args, **kwargs)
        if polled:
            try:
                attribute_records.listed(polled, work)
            except Exception:
                contained(CONSUMER)
        return polled

    return poll


def _commit(original: Any) -> Any:
    def commit(*args: Any, **kwargs: Any) -> Any:
        work = _work(args[0]) if args else None
        if work is not None:
            work.committed()
        return original(*args, **kwargs)

    return commit


def _commit_and_wait(original: Any) -> Any:
    return _commit(traced(original, "KafkaConsumer.commit", commits.before(_shared_by_records)))


def _shared_by_records(client: Any) -> SharedFacts | None:
    work = _work(client)
    return None if work is None else work.scope.shared


def _close(original: Any) -> Any:
    def close(*args: Any, **kwargs: Any) -> Any:
        work = _work(args[0]) if args else None
        if work is not None:
            work.finish()
        return original(*args, **kwargs)

    return close


# Both -----------------------------------------------------------------------------------------------------------------


def _client(client: Any) -> dict[str, Any]:
    config = client.config
    return {
        "component": "kafka-python",
        "service": "kafka",
        "remote": first_server(config["bootstrap_servers"]),
        "client": config.get("client_id"),
    }

"""confluent_kafka.aio: what asyncio programs send and take, in the context of their tasks; its threads work for nobody in particular.

Limits: a message of AIOProducer carries no headers (librdkafka's batches take none), so no consumer joins its trace. A poll() in a
task of its own (`asyncio.wait_for` before Python 3.12) leaves the message current there, not in the task that waits.
"""

from __future__ import annotations

import sys
from typing import Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.messaging.consumer import ending_awaited, giving_awaited, turning_awaited
from autotrace.patching import Plan, Unpatchable, require
from autotrace.semantics import messaging, topics
from autotrace.semantics.kafka import short_key
from autotrace.tracing import tracer

SLOT = "_autotrace"
"""Where a client keeps what is ours, and where a message of AIOProducer keeps its span until it is produced."""

_relisting: list[type] = []
"""Consumers that make a new list of what AIOConsumer.consume() gives them."""


def producer(module: Any, plan: Plan) -> None:
    _needs_the_clients()
    # add_message(): called by produce() in the program's task; produce_batch() sends it later, from another. One PRODUCER span,
    # which ends when the message is reported.
    Manager = require(module, "ProducerBatchManager")
    plan.method(Manager, "add_message", _add_message, parameters=("msg_data", "future"))


def consumer(module: Any, plan: Plan) -> None:
    _needs_the_clients()
    Consumer = require(module, "AIOConsumer")
    # __init__(): what the consumer in the threads keeps for us is taken from it, so that it opens nothing there.
    plan.method(Consumer, "__init__", _init)
    # poll(): the message's CONSUMER span opens in the task, until the program turns to something else.
    plan.method(
        Consumer, "poll", giving_awaited(_work, lambda work, self, message: work.deliver(self._consumer, message))
    )
    # consume(): a list that opens each message's span in turn.
    plan.method(Consumer, "consume", giving_awaited(_unless_relisted, _deliver_all))
    # commit(), unsubscribe(), close(): the program is done with the message that poll() gave. No span.
    plan.method(Consumer, "commit", turning_awaited(_work))
    plan.method(Consumer, "unsubscribe", turning_awaited(_work))
    plan.method(Consumer, "close", ending_awaited(_work))


def deserializing(module: Any, plan: Plan) -> None:
    _needs_the_clients()
    Consumer = require(module, "AsyncDeserializingConsumer")
    # consume(): it iterates AIOConsumer's list to make its own, and that is the program's.
    plan.method(Consumer, "consume", giving_awaited(_work, _deliver_all))
    _relisting.append(Consumer)


def _needs_the_clients() -> None:
    clients = sys.modules.get("confluent_kafka.cimpl")
    if not hasattr(getattr(clients, "Producer", None), SLOT):
        raise Unpatchable("confluent_kafka, on which it stands, is not patched")


def _work(consumer: Any) -> Any:
    return consumer.__dict__.get(SLOT)


def _unless_relisted(consumer: Any) -> Any:
    return None if isinstance(consumer, tuple(_relisting)) else _work(consumer)


def _deliver_all(work: Any, consumer: Any, messages: Any) -> Any:
    return work.deliver_all(consumer._consumer, messages)


def _add_message(original: Any) -> Any:
    def add_message(self: Any, msg_data: Any, future: Any) -> Any:
        try:
            reports = getattr(self._kafka_executor._producer, SLOT, None)
            if reports is not None and SLOT not in msg_data and not topics.excluded(msg_data["topic"]):
                facts = {"topic": msg_data["topic"], "key": short_key(msg_data["key"])}
                span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, reports.shared)
                if span is not None:
                    msg_data[SLOT] = span  # the library's own dictionary, of which it sends a copy
                    reports.waiting.add(span)
        except Exception:
            contained("AIOProducer.produce")
        return original(self, msg_data, future)

    return add_message


def _init(original: Any) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            work = getattr(self._consumer, SLOT, None)
            if work is not None:
                self.__dict__[SLOT] = work
                delattr(self._consumer, SLOT)
        except Exception:
            contained("AIOConsumer")

    return __init__

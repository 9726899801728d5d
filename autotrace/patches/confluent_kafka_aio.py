"""confluent_kafka.aio: asyncio programs send and fetch in the context of their tasks; its threads work in no context.

Limits: a message of AIOProducer carries no headers (librdkafka's batches take none), so no consumer joins its trace. A
task of its own may poll (`asyncio.wait_for` before Python 3.12): the message's span is active there, not in the
waiting task.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from autotrace.containment import contained
from autotrace.messaging.client_slot import SLOT, slot_of
from autotrace.messaging.consumer_calls import wrap_close, wrap_fetch, wrap_release
from autotrace.messaging.producing import start_span
from autotrace.patching import Plan, Unpatchable, require
from autotrace.semantics.kafka import short_key

_relisting: list[type] = []
"""Consumers that make a new list from the result of AIOConsumer.consume()."""


def producer(module: Any, plan: Plan) -> None:
    _needs_the_clients()
    # add_message(): produce() calls it in the program's task; another task sends the message later, by
    # produce_batch(). One PRODUCER span, which ends with the delivery report.
    Manager = require(module, "ProducerBatchManager")
    plan.method(Manager, "add_message", _add_message, parameters=("msg_data", "future"))


def consumer(module: Any, plan: Plan) -> None:
    _needs_the_clients()
    Consumer = require(module, "AIOConsumer")
    # __init__(): takes the state from the consumer that works in the threads, so that no span opens there.
    plan.method(Consumer, "__init__", _init)
    # poll(): the message's CONSUMER span opens in the task, until the program turns to something else.
    plan.method(Consumer, "poll", wrap_fetch(_state, _deliver, awaited=True))
    # consume(): a list that opens each message's span in turn.
    plan.method(Consumer, "consume", wrap_fetch(_unless_relisting, _deliver_list, awaited=True))
    # commit(), unsubscribe(), close(): the program is done with the message that poll() gave. No span.
    plan.method(Consumer, "commit", wrap_release(_state, awaited=True))
    plan.method(Consumer, "unsubscribe", wrap_release(_state, awaited=True))
    plan.method(Consumer, "close", wrap_close(_state, awaited=True))


def deserializing(module: Any, plan: Plan) -> None:
    _needs_the_clients()
    Consumer = require(module, "AsyncDeserializingConsumer")
    # consume(): it iterates AIOConsumer's list to make its own, and the program gets that one.
    plan.method(Consumer, "consume", wrap_fetch(_state, _deliver_list, awaited=True))
    if Consumer not in _relisting:
        plan.step(partial(_relisting.append, Consumer), partial(_relisting.remove, Consumer), "its own consume()")


def _needs_the_clients() -> None:
    clients = sys.modules.get("confluent_kafka.cimpl")
    if not hasattr(getattr(clients, "Producer", None), SLOT):
        raise Unpatchable("confluent_kafka, on which it stands, is not patched")


def _state(consumer: Any) -> Any:
    return consumer.__dict__.get(SLOT)


def _unless_relisting(consumer: Any) -> Any:
    return None if isinstance(consumer, tuple(_relisting)) else _state(consumer)


def _deliver(state: Any, consumer: Any, message: Any) -> Any:
    return state.on_record(consumer._consumer, message)


def _deliver_list(state: Any, consumer: Any, messages: Any) -> Any:
    return state.on_list(consumer._consumer, messages)


def _add_message(original: Any) -> Any:
    def add_message(self: Any, msg_data: Any, future: Any) -> Any:
        try:
            pending = slot_of(self._kafka_executor._producer)
            if pending is not None and SLOT not in msg_data:
                span = start_span({"topic": msg_data["topic"], "key": short_key(msg_data["key"])}, pending.shared)
                if span is not None:
                    msg_data[SLOT] = span  # the library's own dictionary, of which it sends a copy
                    pending.waiting.add(span)
        except Exception:
            contained("AIOProducer.produce")
        return original(self, msg_data, future)

    return add_message


def _init(original: Any) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            state = slot_of(self._consumer)
            if state is not None:
                self.__dict__[SLOT] = state
                delattr(self._consumer, SLOT)
        except Exception:
            contained("AIOConsumer")

    return __init__

"""kafka-python and its forks: producer spans end with the acknowledgement; consumer spans surround each record."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from autotrace.containment import contained
from autotrace.messaging import attribute_records, carry
from autotrace.messaging.acknowledgement import Acknowledgement, context_of_send
from autotrace.messaging.client_slot import kept_by_client
from autotrace.messaging.commits import wrap_commit
from autotrace.messaging.consumer import ConsumerIterator, ConsumerState
from autotrace.messaging.consumer_calls import wrap_close, wrap_fetch, wrap_iter, wrap_release
from autotrace.messaging.producing import before_send
from autotrace.messaging.size_limit import removable, within_limit
from autotrace.patching import MARK, Plan, Unpatchable, require
from autotrace.semantics.kafka import client_facts
from autotrace.tracing import propagate, run_in_context
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced


def producer(module: Any, plan: Plan) -> None:
    Future = require(module, "FutureRecordMetadata")
    # send(): the only way in. One PRODUCER span, which ends when the future is done.
    Producer = require(module, "KafkaProducer")
    plan.method(Producer, "send", _traced_send(Future), parameters=("topic", "key", "headers"))
    # _estimate_size_in_bytes(): send() refuses a record by it. No span.
    plan.method(Producer, "_estimate_size_in_bytes", partial(within_limit, position=3), parameters=("headers",))
    # add_callback(), add_errback(): on the class that send() returns, because its base serves every request of the
    # library. No span: the program's callback runs with the producer span active.
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
    plan.method(Consumer, "__iter__", wrap_iter(_state, ConsumerIterator))
    # poll(): lists that open each record's span in turn.
    plan.method(Consumer, "poll", _poll, parameters=("update_offsets",))
    # commit(), commit_async(), close(): the program is done with the record that next() gave. Only commit() has a
    # span, and only if AUTOTRACE_KAFKA_COMMITS asks for it.
    plan.method(Consumer, "commit", wrap_commit(_state, "KafkaConsumer.commit"))
    plan.method(Consumer, "commit_async", wrap_release(_state))
    plan.method(Consumer, "close", wrap_close(_state))
    carry.register(plan, ConsumerRecord, attribute_records.ADAPTER)


# The producer ---------------------------------------------------------------------------------------------------------


def _traced_send(Future: Any) -> Any:
    """Makes the replacement of send(). Our own callbacks are added by the original methods of `Future`."""
    add_callback, add_errback = (
        getattr(method, MARK, method) for method in (require(Future, "add_callback"), require(Future, "add_errback"))
    )

    def after(span: Any, future: Any) -> object:
        acknowledgement = Acknowledgement(span, span.shared.facts["acks"] != 0)
        if not future.is_done:
            add_callback(future, acknowledgement.succeeded)
            add_errback(future, acknowledgement.failed)
        if future.is_done and span.end_time is None:
            # Not by a callback: the library catches all that a callback of a completed future raises, also a timeout of
            # the program's. And up to 2.0.2 it can lose a callback that is added while the future completes.
            if future.exception is None:
                acknowledgement.succeeded(future.value)
            else:
                acknowledgement.failed(future.exception)
        return LEAVE_OPEN

    return lambda original: traced(original, "KafkaProducer.send", before_send(_shared, 4, _injected), after)


def _injected(client: Any, headers: Any, span: Any) -> Any:
    # The client knows the broker's version. For a broker too old for headers, it would refuse the record.
    # The client also refuses headers that are no list; the program shall see that.
    if client.config["api_version"] < (0, 11) or not (headers is None or isinstance(headers, list)):
        return None
    injected = propagate.inject_kafka(headers, span)
    if not (headers is None or type(headers) is list):
        same_class = copy.copy(headers)  # of the program's own class: 2.0.2 refuses it, later versions do not
        same_class[:] = injected
        injected = same_class
    limit = client.config.get("max_request_size")
    if limit is not None:
        removable(span, injected, headers, limit)
    return injected


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
    """The context of the send() that returned this future. None if we did not see that send(), or if it has failed."""
    for callback in future._callbacks or ():
        acknowledgement = getattr(callback, "__self__", None)
        if type(acknowledgement) is Acknowledgement and acknowledgement.context is not None:
            return acknowledgement.context
    return context_of_send(future.value) if future.is_done else None


# The consumer ---------------------------------------------------------------------------------------------------------


def _partition_state(subscription: Any, partition: Any) -> Any:
    return subscription.assignment[partition]


def _next(original: Any) -> Any:
    # wrap_fetch(), written out: a record costs less without arguments.
    def __next__(self: Any) -> Any:
        state = _state(self)
        if state is None:
            return original(self)
        try:
            state.on_fetch()
            return state.on_record(self, original(self))
        except BaseException:
            state.on_failure()
            raise

    return __next__


def _poll(original: Any) -> Any:
    fetch = wrap_fetch(_state, attribute_records.deliver_lists)(original)

    def poll(*args: Any, **kwargs: Any) -> Any:
        # update_offsets=False is how the library's own iterator polls. It is not part of the interface.
        return (fetch if argument(args, kwargs, 3, "update_offsets", True) else original)(*args, **kwargs)

    return poll


# Both -----------------------------------------------------------------------------------------------------------------


def _client(client: Any, **more: Any) -> Any:
    config = client.config
    return client_facts("kafka-python", config["bootstrap_servers"], config.get("client_id"), **more)


def _made_shared(client: Any) -> Any:
    return _client(client, operation="send", acks=client.config.get("acks"))


def _made_state(client: Any) -> ConsumerState:
    adapter = attribute_records.adapter_with_lag(partial(_partition_state, client._subscription))
    return ConsumerState(adapter, _client(client, group=client.config.get("group_id"), operation="process"))


_shared = kept_by_client(_made_shared, "KafkaProducer")
_state = kept_by_client(_made_state, "KafkaConsumer")

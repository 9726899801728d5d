"""confluent-kafka: producer spans that end with the delivery report, consumer spans active around each message.

Its classes are C types. Subclasses take their names while the module is imported, so that SerializingProducer and the
program's own classes derive from them. Limit: a module that was imported before autotrace's activation is left alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from autotrace.containment import contained, reraise_interruption, say
from autotrace.messaging import carry, method_messages
from autotrace.messaging.batches import TracedList, traced_copy
from autotrace.messaging.client_slot import SLOT
from autotrace.messaging.commits import trace_commit, wrap_commit
from autotrace.messaging.consumer_calls import wrap_close, wrap_fetch, wrap_release
from autotrace.messaging.delivery_batches import wrap_produce_batch
from autotrace.messaging.delivery_reports import DeliveryReport, PendingDeliveries
from autotrace.messaging.method_messages import MessageConsumerState
from autotrace.messaging.producing import before_send
from autotrace.messaging.size_limit import fits
from autotrace.patching import Plan, Unpatchable, require
from autotrace.patching.subclasses import subclass
from autotrace.propagation.context import SAMPLED
from autotrace.semantics.kafka import client_facts
from autotrace.tracing import propagate
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced, with_argument

TOO_LATE = "it was imported before autotrace was activated; activate autotrace first, or use autotrace-run"
_MISSING: Any = object()


def clients(module: Any, plan: Plan) -> None:
    Producer, Consumer = require(module, "Producer"), require(module, "Consumer")
    Message = require(module, "Message")
    require(Message, "topic", "partition", "offset", "timestamp", "key", "headers", "error")
    if hasattr(Producer, SLOT):
        return
    makers = {
        Producer: _producer(require(module, "KafkaException")),
        Consumer: _consumer(_high_watermark(Consumer, require(module, "TopicPartition"))),
    }
    ShareConsumer = getattr(module, "ShareConsumer", None)  # since 2.16
    if ShareConsumer is not None:
        makers[ShareConsumer] = _share_consumer()
    # A module that holds the library's class by now would make objects that are no instances of the name in `module`.
    if not getattr(module.__spec__, "_initializing", False):
        say(f"confluent_kafka is not traced: {TOO_LATE}")
        raise Unpatchable(TOO_LATE)
    for kind, methods in makers.items():
        plan.value(module, kind.__name__, _traced(kind, methods))
    carry.register(plan, Message, method_messages.ADAPTER)


# The producer ---------------------------------------------------------------------------------------------------------


def _producer(failure: Any) -> dict[str, Any]:
    return {
        # __init__(): has the configured servers and callback. No span.
        "__init__": _init(
            lambda config: PendingDeliveries(_client(config, operation="send"), _callback(config), _limit(config))
        ),
        # produce(): the only way in, but for batches. One PRODUCER span, which ends with the delivery report.
        "produce": lambda original: traced(
            original, "Producer.produce", _before_produce(failure), lambda span, result: LEAVE_OPEN
        ),
        # produce_batch(): librdkafka's batches carry no headers. One PRODUCER span for a whole batch.
        "produce_batch": wrap_produce_batch(_state, partial(_given_callback, position=4), failure),
        # close(), and __exit__(), which does not call it: no report comes after them. No span.
        "close": _closing,
        "__exit__": _closing,
    }


def _callback(config: dict[str, Any]) -> Any:
    """The configured callback. librdkafka's binding takes this one name in upper and lower case."""
    return next((value for name, value in config.items() if name.lower() == "on_delivery"), None)


def _limit(config: dict[str, Any]) -> int:
    return int(config.get("message.max.bytes", 1_000_000))  # the library has accepted its configuration


def _shared(producer: Any) -> Any:
    pending = getattr(producer, SLOT, None)  # _state(), written out: this is a hot path
    return pending.shared if type(pending) is PendingDeliveries else None


def _before_produce(failure: Any) -> Any:
    start = before_send(_shared, 8, _injected)

    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        started = start(args, kwargs)
        if started is None:
            return None
        given, given_kwargs = args, kwargs
        span, args, kwargs = started
        pending = getattr(args[0], SLOT)
        if not _fits(pending.limit, args, kwargs, argument(given, given_kwargs, 8, "headers")):
            args, kwargs = given, given_kwargs
        callback = _given_callback(args, kwargs, pending, 5)
        if callback is not None or span.flags & SAMPLED:
            report = DeliveryReport(span, pending, callback, failure)
            args, kwargs = with_argument(args, kwargs, 5, "callback", report)
        return span, args, kwargs

    return before


def _fits(limit: int, args: Any, kwargs: Any, given: Any) -> bool:
    injected = argument(args, kwargs, 8, "headers")
    if injected is given:
        return True
    return fits(limit, argument(args, kwargs, 2, "value"), argument(args, kwargs, 3, "key"), given, injected)


def _injected(producer: Any, headers: Any, span: Any) -> Any:
    if not (headers is None or type(headers) is list or type(headers) is dict):
        # Of a class of the program's own: read as C code reads it, which calls none of its methods.
        if isinstance(headers, list):
            headers = list.copy(headers)
        elif isinstance(headers, dict):
            headers = dict.copy(headers)
        else:  # the library refuses such headers; the program shall see that
            return None
    return propagate.inject_kafka(headers, span)


def _given_callback(args: Any, kwargs: Any, pending: PendingDeliveries, position: int) -> Any:
    """The callback that the library would call: `on_delivery` only if `callback` is not given. None counts as given."""
    given = argument(args, kwargs, position, "callback", _MISSING)
    if given is _MISSING:
        given = argument(args, kwargs, position + 1, "on_delivery")
    return pending.callback if given is None else given


def _closing(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        pending = _state(self)
        if pending is not None:
            pending.give_up()
        return result

    return close


# The consumers --------------------------------------------------------------------------------------------------------


def _consumer(high_watermark: Any) -> dict[str, Any]:
    return {
        # __init__(): has the configured servers, group and client id. No span.
        "__init__": _keeping_state(high_watermark),
        # poll(): the message's CONSUMER span opens, until the program turns to something else.
        "poll": wrap_fetch(_state, MessageConsumerState.on_record),
        # consume(): a list that opens each message's span in turn.
        "consume": wrap_fetch(_state, MessageConsumerState.on_list),
        # commit(), unsubscribe(): the program is done with the message that poll() gave. Only a commit() that waits has
        # a span, and only if AUTOTRACE_KAFKA_COMMITS asks for it.
        "commit": wrap_commit(_state, "Consumer.commit", _waits),
        "unsubscribe": wrap_release(_state),
        # close(), and __exit__(), which does not call it. No span.
        "close": wrap_close(_state),
        "__exit__": wrap_close(_state),
    }


def _waits(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return not argument(args, kwargs, 3, "asynchronous", True)


def _share_consumer() -> dict[str, Any]:
    return {
        # __init__(): as a consumer's. A share consumer does not know the end of its partitions.
        "__init__": _keeping_state(lambda *_: None),
        # poll(): as consume() of a consumer, but its list stands in an object. acknowledge() leaves the message open.
        "poll": wrap_fetch(_unless_iterating, _deliver_batch),
        # commit_sync(): waits for the broker. A span if AUTOTRACE_KAFKA_COMMITS asks for it.
        "commit_sync": trace_commit(_state, "ShareConsumer.commit_sync"),
        "close": wrap_close(_state),
        "__exit__": wrap_close(_state),
    }


_iterating: list[type] = []
"""Share consumers that iterate the result of ShareConsumer.poll() before the program gets it."""


def share_batches(module: Any, plan: Plan) -> None:
    Consumer, Messages = require(module, "DeserializingShareConsumer"), require(module, "Messages")
    if not hasattr(Consumer, SLOT):
        raise Unpatchable("confluent_kafka.cimpl, on which it stands, is not patched")
    # poll(): it iterates the result of ShareConsumer.poll(), and then gives it to the program.
    plan.method(Consumer, "poll", wrap_fetch(_state, _deliver_batch), parameters=("timeout",))
    # records(): a list of the messages, which opens the same spans as the batch itself.
    plan.method(Messages, "records", _records)
    if Consumer not in _iterating:
        plan.step(partial(_iterating.append, Consumer), partial(_iterating.remove, Consumer), "its own poll()")


def _unless_iterating(consumer: Any) -> Any:
    return None if isinstance(consumer, tuple(_iterating)) else _state(consumer)


def _deliver_batch(state: MessageConsumerState, consumer: Any, batch: Any) -> Any:
    try:
        batch._records = state.on_list(consumer, batch._records)
    except Exception:
        contained("ShareConsumer.poll")
    return batch


def _records(original: Any) -> Any:
    def records(self: Any) -> Any:
        batch, first = self, None
        try:
            if type(self._records) is TracedList:  # the library copies by iterating, which would open the spans
                batch, first = self[:], self._records
        except Exception:
            contained("Messages.records")
        messages = original(batch)
        return messages if first is None else traced_copy(messages, first)

    return records


def _high_watermark(kind: Any, TopicPartition: Any) -> Any:
    get_watermark_offsets = require(kind, "get_watermark_offsets")

    def high_watermark(consumer: Any, topic: str, partition: int) -> int | None:
        try:
            found = get_watermark_offsets(consumer, TopicPartition(topic, partition), cached=True)
        except Exception:  # closed meanwhile, or the partition was taken away
            reraise_interruption()
            return None
        return None if found is None else int(found[1])

    return high_watermark


# All of them ----------------------------------------------------------------------------------------------------------

NEWER = {"Producer": ("produce_batch", "close", "__exit__"), "Consumer": ("__exit__",)}
"""Class -> methods that older versions lack."""


def _traced(kind: type, makers: dict[str, Any]) -> type:
    newer = NEWER.get(kind.__name__, ())
    there = {name: make for name, make in makers.items() if hasattr(kind, name) or name not in newer}
    return subclass(kind, there, (SLOT,))


def _state(client: Any) -> Any:
    """The PendingDeliveries or MessageConsumerState of a client. None if it was not made."""
    found = getattr(client, SLOT, None)
    return found if isinstance(found, (MessageConsumerState, PendingDeliveries)) else None  # a mock has every attribute


def _keeping_state(high_watermark: Any) -> Any:
    return _init(
        lambda config: MessageConsumerState(
            _client(config, group=config.get("group.id"), operation="process"), high_watermark
        )
    )


def _init(make_state: Any) -> Any:
    """Makes the replacement of __init__() in all its forms: a dictionary, keywords, both."""

    def make(original: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            if kwargs:
                original(self, *args, **kwargs)
            else:
                original(self, *args)  # to C, no keywords are not the same as none given
            try:
                setattr(self, SLOT, make_state({**(args[0] if args else {}), **kwargs}))
            except Exception:
                contained(type(self).__name__)

        return __init__

    return make


def _client(config: dict[str, Any], **more: Any) -> Any:
    servers = config.get("bootstrap.servers") or config.get("metadata.broker.list")
    return client_facts("confluent-kafka", servers, config.get("client.id", "rdkafka"), **more)  # the library's default

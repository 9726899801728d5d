"""confluent-kafka: producer spans that end with the delivery report, consumer spans around the message in work.

Its classes are C types: subclasses take their names while the module is imported, so that SerializingProducer and the program's own
derive from them; later, late_classes does what can be done, and clients that exist by then keep it from doing anything.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import SpanKind

from autotrace.containment import contained
from autotrace.late_classes import Aside, take_places
from autotrace.messaging import commits, consumer_span, delivery_batches, method_messages
from autotrace.messaging.batches import Records
from autotrace.messaging.consumer import ending, giving, turning
from autotrace.messaging.delivery_reports import Report, Reports
from autotrace.messaging.method_messages import Work
from autotrace.patching import Plan, Unpatchable, require
from autotrace.patching.subclasses import subclass
from autotrace.propagation.context import SAMPLED
from autotrace.semantics import messaging, topics
from autotrace.semantics.family import SharedFacts
from autotrace.semantics.kafka import first_server, short_key
from autotrace.tracing import propagate, tracer
from autotrace.tracing.traced_call import LEAVE_OPEN, argument, traced, with_argument

SLOT = "_autotrace"
"""Where a client of the library keeps what is ours, and where a message of AIOProducer keeps its span."""
PRODUCE, PRODUCE_BATCH = "Producer.produce", "Producer.produce_batch"
_MISSING: Any = object()


def clients(module: Any, plan: Plan) -> None:
    Producer, Consumer = require(module, "Producer"), require(module, "Consumer")
    Message = require(module, "Message")
    require(Message, "topic", "partition", "offset", "timestamp", "key", "headers", "error")
    if hasattr(Producer, SLOT):
        return
    late = not getattr(module.__spec__, "_initializing", False)
    places = {
        Producer: _traced(Producer, _producer(require(module, "KafkaException")), late),
        Consumer: _traced(Consumer, _consumer(_high(Consumer, require(module, "TopicPartition"))), late),
    }
    ShareConsumer = getattr(module, "ShareConsumer", None)  # since 2.16
    if ShareConsumer is not None:
        places[ShareConsumer] = _traced(ShareConsumer, _share_consumer(), late)
    if late:
        take_places(places, plan, "confluent_kafka")
    else:
        for kind, ours in places.items():
            plan.value(module, kind.__name__, ours)
    consumer_span.readings[Message] = method_messages.READING


# The producer ---------------------------------------------------------------------------------------------------------


def _producer(failure: Any) -> dict[str, Any]:
    return {
        # __init__(): tells the servers and the callback that are configured. No span.
        "__init__": _init(
            lambda config: Reports(SharedFacts({**_client(config), "operation": "send"}), _callback(config))
        ),
        # produce(): the only way in, but for batches. One PRODUCER span, which ends when the message is reported.
        "produce": lambda original: traced(
            original, PRODUCE, _before_produce(failure), lambda span, result: LEAVE_OPEN
        ),
        # produce_batch(): librdkafka's batches carry no headers. One PRODUCER span for all of one.
        "produce_batch": lambda original: _produce_batch(original, failure),
        # close(), and __exit__() which is its own way to it: no report comes after them. No span.
        "close": _closed,
        "__exit__": _closed,
    }


def _callback(config: dict[str, Any]) -> Any:
    """The configured one; librdkafka's binding takes this one name in any case."""
    return next((value for name, value in config.items() if name.lower() == "on_delivery"), None)


def _before_produce(failure: Any) -> Any:
    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        reports = getattr(args[0], SLOT, None)
        if reports is None:
            return None
        topic = argument(args, kwargs, 1, "topic")
        if topics.excluded(topic):
            return None
        facts = {"topic": topic, "key": short_key(argument(args, kwargs, 3, "key"))}
        span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, reports.shared)
        if span is None:
            return None
        callback = _given(args, kwargs, 5, reports)
        if callback is not None or span.flags & SAMPLED:
            args, kwargs = with_argument(args, kwargs, 5, "callback", Report(span, reports, callback, failure))
        headers = argument(args, kwargs, 8, "headers")
        if headers is None or isinstance(headers, (list, dict)):  # the library refuses anything else, and shall
            args, kwargs = with_argument(args, kwargs, 8, "headers", propagate.inject_kafka(_as_read(headers), span))
        return span, args, kwargs

    return before


def _as_read(headers: Any) -> Any:
    """Headers of a class of the program's own, as C code reads them: its methods are not asked."""
    if headers is None or type(headers) is list or type(headers) is dict:
        return headers
    return list.copy(headers) if isinstance(headers, list) else dict.copy(headers)


def _produce_batch(original: Any, failure: Any) -> Any:
    def produce_batch(*args: Any, **kwargs: Any) -> Any:
        messages = argument(args, kwargs, 2, "messages")
        copies: list[Any] = []
        try:
            reports = getattr(args[0], SLOT, None) if args else None
            if reports is not None and isinstance(messages, list) and messages:
                topic, default = argument(args, kwargs, 1, "topic"), _given(args, kwargs, 4, reports)
                copies = delivery_batches.copies(topic, messages, default, reports, failure, own=SLOT)
                args, kwargs = with_argument(args, kwargs, 2, "messages", copies)
        except Exception:
            copies = []
            contained(PRODUCE_BATCH)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            delivery_batches.raised(copies, error, PRODUCE_BATCH)
            raise
        try:
            delivery_batches.refused(messages, copies, note="_error")
        except Exception:
            contained(PRODUCE_BATCH)
        return result

    return produce_batch


def _given(args: Any, kwargs: Any, position: int, reports: Reports) -> Any:
    """The callback as the library finds it: `callback` counts, also if it is None, and `on_delivery` only where that is not given."""
    given = argument(args, kwargs, position, "callback", _MISSING)
    if given is _MISSING:
        given = argument(args, kwargs, position + 1, "on_delivery")
    return reports.callback if given is None else given


def _closed(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        reports = getattr(self, SLOT, None)
        if reports is not None:
            reports.give_up()
        return result

    return close


# The consumers --------------------------------------------------------------------------------------------------------


def _work(consumer: Any) -> Any:
    return getattr(consumer, SLOT, None)


def _consumer(high: Any) -> dict[str, Any]:
    return {
        # __init__(): tells the servers, the group and the client's name. No span.
        "__init__": _keeping_work(high),
        # poll(): the message's CONSUMER span opens, until the program turns to something else.
        "poll": giving(_work, Work.deliver),
        # consume(): a list that opens each message's span in turn.
        "consume": giving(_work, Work.deliver_all),
        # commit(), unsubscribe(): the program is done with the message that poll() gave. No span, but for a commit() that waits, where
        # AUTOTRACE_KAFKA_COMMITS asks for it.
        "commit": lambda original: turning(_work)(traced(original, "Consumer.commit", _before_commit(_waits))),
        "unsubscribe": turning(_work),
        # close(), and __exit__() which is its own way to it. No span.
        "close": ending(_work),
        "__exit__": ending(_work),
    }


def _share_consumer() -> dict[str, Any]:
    return {
        # __init__(): as of a consumer. It does not know how far its partitions reach.
        "__init__": _keeping_work(lambda *_: None),
        # poll(): what consume() is to a consumer, in an object with a list of its own. acknowledge() names a message and leaves it in work.
        "poll": giving(_unless_again, _deliver_batch),
        # commit_sync(): waits for the broker. A span where AUTOTRACE_KAFKA_COMMITS asks for it.
        "commit_sync": lambda original: traced(original, "ShareConsumer.commit_sync", _before_commit()),
        "close": ending(_work),
        "__exit__": ending(_work),
    }


_iterating: list[type] = []
"""Share consumers that iterate what ShareConsumer.poll() gives them, before the program does."""


def share_batches(module: Any, plan: Plan) -> None:
    Consumer, Messages = require(module, "DeserializingShareConsumer"), require(module, "Messages")
    if not hasattr(Consumer, SLOT):
        raise Unpatchable("confluent_kafka.cimpl, on which it stands, is not patched")
    # poll(): it iterates what ShareConsumer.poll() gives it, and then gives it to the program.
    plan.method(Consumer, "poll", giving(_work, _deliver_batch), parameters=("timeout",))
    # records(): a list of the messages, which opens their spans in turn as the batch itself does.
    plan.method(Messages, "records", _records)
    _iterating.append(Consumer)


def _unless_again(consumer: Any) -> Any:
    return None if isinstance(consumer, tuple(_iterating)) else _work(consumer)


def _deliver_batch(work: Work, consumer: Any, batch: Any) -> Any:
    try:
        batch._records = work.deliver_all(consumer, batch._records)
    except Exception:
        contained("ShareConsumer.poll")
    return batch


def _records(original: Any) -> Any:
    def records(self: Any) -> Any:
        batch, first = self, None
        try:
            if type(self._records) is Records:  # it copies by iterating, and that is the program's
                batch, first = self[:], self._records
        except Exception:
            contained("Messages.records")
        messages = original(batch)
        return messages if first is None else method_messages.again(messages, first)

    return records


def _high(kind: Any, TopicPartition: Any) -> Any:
    get_watermark_offsets = require(kind, "get_watermark_offsets")

    def high(consumer: Any, topic: str, partition: int) -> int | None:
        try:
            found = get_watermark_offsets(consumer, TopicPartition(topic, partition), cached=True)
        except Exception:  # closed meanwhile, or the partition was taken away
            return None
        return None if found is None else int(found[1])

    return high


def _before_commit(waits: Any = None) -> Any:
    return commits.before(lambda client: getattr(getattr(_work(client), "scope", None), "shared", None), waits)


def _waits(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return not argument(args, kwargs, 3, "asynchronous", True)


# All of them ----------------------------------------------------------------------------------------------------------

NEWER = {"Producer": ("produce_batch", "close", "__exit__"), "Consumer": ("__exit__",)}
"""Class -> methods that older versions lack."""


def _traced(kind: type, makers: dict[str, Any], late: bool) -> type:
    newer = NEWER.get(kind.__name__, ())
    there = {name: make for name, make in makers.items() if hasattr(kind, name) or name not in newer}
    if not late:
        return subclass(kind, there, (SLOT,))
    aside = Aside()
    return subclass(kind, there, beside={SLOT: aside, "__del__": aside.finalizer()})


def _keeping_work(high: Any) -> Any:
    return _init(
        lambda config: Work(
            SharedFacts({**_client(config), "group": config.get("group.id"), "operation": "process"}), high
        )
    )


def _init(ours: Any) -> Any:
    """What makes the replacement of __init__(), in all its forms: a dict, keywords, both."""

    def make(original: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            if kwargs:
                original(self, *args, **kwargs)
            else:
                original(self, *args)  # to C, no keywords are not the same as none given
            try:
                setattr(self, SLOT, ours({**(args[0] if args else {}), **kwargs}))
            except Exception:
                contained(type(self).__name__)

        return __init__

    return make


def _client(config: dict[str, Any]) -> dict[str, Any]:
    servers = config.get("bootstrap.servers") or config.get("metadata.broker.list")
    return {
        "component": "confluent-kafka",
        "service": "kafka",
        "remote": first_server(servers),
        "client": config.get("client.id", "rdkafka"),  # the library's own default
    }

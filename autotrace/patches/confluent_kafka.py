"""confluent-kafka: producer spans that end with the delivery report, consumer spans around the message in work. Share consumers: untraced.

Its classes are C types: subclasses take their names while the module is imported, so that SerializingProducer and the program's own
derive from them. Imported before autotrace is activated, it is left alone and `autotrace check` says so.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import SpanKind

from autotrace import consumer_work, kafka_commit, record_scope
from autotrace.containment import contained
from autotrace.delivery_report import Batch, Part, Report, Reports
from autotrace.patching import Plan, Unpatchable, require
from autotrace.propagation.context import SAMPLED
from autotrace.record_scope import Reading
from autotrace.semantics import messaging, topics
from autotrace.semantics.family import SharedFacts
from autotrace.semantics.kafka import age, first_server, short_key
from autotrace.subclassing import subclass
from autotrace.tracing import boundary, tracer
from autotrace.tracing.around import KEEP, argument, failed, traced, with_argument

SLOT = "_autotrace"
"""Where a client of the library keeps what is ours: a slot that the subclass adds."""
LATE = "it was imported before autotrace was activated, and its C classes cannot be changed: activate first, or use autotrace-run"
PRODUCE, PRODUCE_BATCH, CONSUMER = "Producer.produce", "Producer.produce_batch", "Consumer"
_MISSING: Any = object()


def clients(module: Any, plan: Plan) -> None:
    Producer, Consumer = require(module, "Producer"), require(module, "Consumer")
    Message = require(module, "Message")
    require(Message, "topic", "partition", "offset", "timestamp", "key", "headers", "error")
    if hasattr(Producer, SLOT):
        return
    if not getattr(module.__spec__, "_initializing", False):
        raise Unpatchable(LATE)
    plan.value(module, "Producer", _producer_class(Producer, require(module, "KafkaException")))
    plan.value(module, "Consumer", _consumer_class(Consumer, require(module, "TopicPartition")))
    record_scope.readings[Message] = READING


# The producer ---------------------------------------------------------------------------------------------------------


def _producer_class(kind: type, failure: Any) -> type:
    makers = {
        # __init__(): tells the servers and the callback that are configured. No span.
        "__init__": _init(
            lambda config: Reports(SharedFacts({**_client(config), "operation": "send"}), _callback(config))
        ),
        # produce(): the only way in, but for batches. One PRODUCER span, which ends when the message is reported.
        "produce": lambda original: traced(original, PRODUCE, _before_produce(failure), lambda span, result: KEEP),
        # produce_batch(): librdkafka's batches carry no headers. One PRODUCER span for all of one.
        "produce_batch": lambda original: _produce_batch(original, failure),
        # close(), and __exit__() which is its own way to it: no report comes after them. No span.
        "close": _closed,
        "__exit__": _closed,
    }
    return _subclass(kind, makers, newer=("produce_batch", "close", "__exit__"))


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
            args, kwargs = with_argument(args, kwargs, 8, "headers", boundary.into_kafka(_as_read(headers), span))
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
                copies = _copies(args, kwargs, messages, reports, failure)
                args, kwargs = with_argument(args, kwargs, 2, "messages", copies)
        except Exception:
            copies = []
            contained(PRODUCE_BATCH)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            for callback in map(_ours, copies):
                if callback is not None:
                    failed(callback.span, error, PRODUCE_BATCH)
            raise
        try:
            _refused(messages, copies)
        except Exception:
            contained(PRODUCE_BATCH)
        return result

    return produce_batch


def _copies(args: Any, kwargs: Any, messages: list[Any], reports: Reports, failure: Any) -> list[Any]:
    """The caller's messages with our callbacks in place of theirs. Messages of AIOProducer bring spans of their own, others share one."""
    shared = sum(SLOT not in message for message in messages if isinstance(message, dict))
    batch = None
    topic = argument(args, kwargs, 1, "topic")
    if shared and not topics.excluded(topic):
        facts = {"topic": topic, "count": shared}
        span = tracer.start(messaging.PRODUCER, SpanKind.PRODUCER, facts, reports.shared)
        batch = None if span is None else Batch(span, reports, failure)
    default = _given(args, kwargs, 4, reports)
    copies: list[Any] = []
    for message in messages:
        copy = dict.copy(message) if isinstance(message, dict) else message
        own = copy.pop(SLOT, None) if copy is not message else None
        if copy is not message:
            callback = default if copy.get("callback") is None else copy["callback"]
            if own is not None:
                copy["callback"] = Report(own, reports, callback, failure)
            elif batch is not None:
                copy["callback"] = Part(batch, callback)
        copies.append(copy)
    return copies


def _given(args: Any, kwargs: Any, position: int, reports: Reports) -> Any:
    """The callback as the library finds it: `callback` counts, also if it is None, and `on_delivery` only where that is not given."""
    given = argument(args, kwargs, position, "callback", _MISSING)
    if given is _MISSING:
        given = argument(args, kwargs, position + 1, "on_delivery")
    return reports.callback if given is None else given


def _refused(messages: Any, copies: list[Any]) -> None:
    """The library notes in a message why it did not take it: that belongs into the caller's own."""
    for message, copy in zip(messages if copies else (), copies, strict=False):
        if isinstance(copy, dict) and copy.get("_error") is not message.get("_error"):
            message["_error"] = copy["_error"]
            callback = _ours(copy)
            if callback is not None:
                callback.told(copy["_error"], None)


def _ours(message: Any) -> Report | Part | None:
    callback = message.get("callback") if isinstance(message, dict) else None
    return callback if isinstance(callback, (Report, Part)) else None


def _closed(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        reports = getattr(self, SLOT, None)
        if reports is not None:
            reports.give_up()
        return result

    return close


# The consumer ---------------------------------------------------------------------------------------------------------


def _consumer_class(kind: type, TopicPartition: Any) -> type:
    high = _high(require(kind, "get_watermark_offsets"), TopicPartition)
    makers = {
        # __init__(): tells the servers, the group and the client's name. No span.
        "__init__": _init(lambda config: Work(config, high)),
        # poll(): the message's CONSUMER span opens, until the program turns to something else.
        "poll": _poll,
        # consume(): a list that opens each message's span in turn.
        "consume": _consume,
        # commit(), unsubscribe(): the program is done with the message that poll() gave. No span, but for a commit() that waits, where
        # AUTOTRACE_KAFKA_COMMITS asks for it.
        "commit": _commit,
        "unsubscribe": _turned,
        # close(), and __exit__() which is its own way to it. No span.
        "close": _done,
        "__exit__": _done,
    }
    return _subclass(kind, makers, newer=("__exit__",))


def _facts(message: Any) -> dict[str, Any]:
    facts = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "key": short_key(message.key()),
    }
    timestamp = message.timestamp()[1]
    if timestamp > 0:
        facts["age"] = age(timestamp)
    return facts


def _coordinates(message: Any) -> Any:
    return message.topic(), message.partition(), message.offset(), message.timestamp()


def _headers_of(message: Any) -> Any:
    return message.headers()


def _remote(headers: Any) -> Any:
    return boundary.from_kafka(headers)


READING = Reading(_facts, _coordinates, _headers_of, _remote)


class Work(consumer_work.Work):
    """What a consumer keeps for us."""

    __slots__ = ("high",)

    def __init__(self, config: dict[str, Any], high: Any) -> None:
        super().__init__(
            READING, SharedFacts({**_client(config), "group": config.get("group.id"), "operation": "process"})
        )
        self.high = high

    def deliver(self, consumer: Any, message: Any) -> None:
        """A message of poll(). An error in a message's clothes is none."""
        try:
            if message is None or message.error() is not None:
                return
            self.scope.deliver(message)
            if self.scope.work is not None:
                facts = self.scope.work.span.facts
                facts["lag"] = _lag(self.high(consumer, facts["topic"], facts["partition"]), facts["offset"])
        except Exception:
            contained(CONSUMER)

    def deliver_all(self, consumer: Any, messages: Any) -> Any:
        """The list of consume(), as one that opens each message's scope."""
        try:
            delivered = [message for message in messages if message.error() is None]
            if not delivered or type(messages) is not list:
                return messages
            places = {(message.topic(), message.partition()) for message in delivered}
            topics = {topic for topic, _ in places}
            facts = {"operation": "receive", "topic": topics.pop() if len(topics) == 1 else None}
            if len(places) == 1:
                ((_, facts["partition"]),) = places
            made = self.listed(messages, _with_lag({place: self.high(consumer, *place) for place in places}), facts)
            if len(delivered) < len(messages):
                for message in messages:
                    if message.error() is not None:
                        del made._batch.waiting[id(message)]
            return made
        except Exception:
            contained(CONSUMER)
            return messages


def _high(get_watermark_offsets: Any, TopicPartition: Any) -> Any:
    def high(consumer: Any, topic: str, partition: int) -> int | None:
        """The end of a partition as last heard of; the network is not asked. None where the client does not know."""
        try:
            found = get_watermark_offsets(consumer, TopicPartition(topic, partition), cached=True)
        except Exception:  # closed meanwhile, or the partition was taken away
            return None
        return None if found is None else int(found[1])

    return high


def _lag(high: int | None, offset: int) -> int | None:
    return high - offset - 1 if high is not None and high > offset else None


def _with_lag(highs: dict[Any, int | None]) -> Reading:
    def facts(message: Any) -> dict[str, Any]:
        found = _facts(message)
        found["lag"] = _lag(highs.get((found["topic"], found["partition"])), found["offset"])
        return found

    return READING._replace(facts=facts)


def _poll(original: Any) -> Any:
    def poll(self: Any, *args: Any, **kwargs: Any) -> Any:
        work = getattr(self, SLOT, None)
        if work is None:
            return original(self, *args, **kwargs)
        work.turn()
        message = original(self, *args, **kwargs)
        work.deliver(self, message)
        return message

    return poll


def _consume(original: Any) -> Any:
    def consume(self: Any, *args: Any, **kwargs: Any) -> Any:
        work = getattr(self, SLOT, None)
        if work is None:
            return original(self, *args, **kwargs)
        work.turn()
        messages = original(self, *args, **kwargs)
        return work.deliver_all(self, messages) if messages else messages

    return consume


def _commit(original: Any) -> Any:
    return _turned(traced(original, "Consumer.commit", kafka_commit.before(_shared_by_messages, _waits)))


def _shared_by_messages(client: Any) -> SharedFacts | None:
    work = getattr(client, SLOT, None)
    return None if work is None else work.scope.shared


def _waits(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return not argument(args, kwargs, 3, "asynchronous", True)


def _turned(original: Any) -> Any:
    def turned(self: Any, *args: Any, **kwargs: Any) -> Any:
        work = getattr(self, SLOT, None)
        if work is not None:
            work.scope.close()
        return original(self, *args, **kwargs)

    return turned


def _done(original: Any) -> Any:
    def done(self: Any, *args: Any, **kwargs: Any) -> Any:
        work = getattr(self, SLOT, None)
        if work is not None:
            work.finish()
        return original(self, *args, **kwargs)

    return done


# Both -----------------------------------------------------------------------------------------------------------------


def _subclass(kind: type, makers: dict[str, Any], newer: tuple[str, ...]) -> type:
    """`newer`: methods that older versions lack."""
    lacking = [name for name in newer if not hasattr(kind, name)]
    return subclass(kind, {name: make for name, make in makers.items() if name not in lacking}, (SLOT,))


def _init(ours: Any) -> Any:
    """What makes the replacement of __init__(), in all its forms: a dict, keywords, both."""

    def make(original: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
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

"""Exporter `jaeger`: spans to a Jaeger collector (HTTP, binary Thrift) or agent (UDP, compact or binary Thrift).

Limits: nobody confirms what comes over UDP, so `sent` counts the spans that the socket took. Links lose their
attributes, because Jaeger's Thrift has no place for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.containment import contained, say
from autotrace.export.jaeger import thrift_binary, thrift_compact
from autotrace.export.jaeger.encoder import Encoder
from autotrace.export.jaeger.endpoint import Agent, endpoint
from autotrace.export.transport import Rejected, udp
from autotrace.export.transport.http import Http
from autotrace.export.transport.udp import Udp

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.export.jaeger.thrift import Thrift
    from autotrace.export.resource import Resource
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

POST_LIMIT = 1 << 20
"""Bytes of one POST: small enough for any proxy, and large enough to be worth its headers."""
LIST_HEAD = 8
"""Bytes that the head of the list of spans may take at most."""


class Exporter:
    """export() raises if spans were not taken. `sent`, `refused` and `dropped` count spans in any case."""

    def __init__(
        self, thrift: Thrift, frame: Callable[[bytes, list[bytes]], bytes], transport: Http | Udp, limit: int
    ) -> None:
        """`frame` makes the bytes to send, at most `limit`, of the process and the spans."""
        self.sent = 0
        self.refused = 0
        self.dropped = 0
        self.limit = limit
        self._frame = frame
        self._transport = transport
        self._encoder = Encoder(thrift)
        self._resource: Resource | None = None
        self._process = b""

    def export(self, spans: list[Span], resource: Resource, deadline: float) -> None:
        """Encode and send. What is sent or dropped is removed from `spans`, so that a failure leaves the others in it.

        `deadline` is a monotonic() time. Raises the transport's exceptions, whose text is one line.
        """
        process = self._process_of(resource)
        room = self.limit - len(self._frame(process, [])) - LIST_HEAD
        refusals: list[Rejected] = []
        bodies: list[bytes] = []
        size = 0
        for span in list(spans):
            body = self._body(span, room)
            if body is None:
                del spans[len(bodies)]  # at once, or it would be dropped and counted again after a failure
                continue
            if size + len(body) > room:
                self._send(process, bodies, deadline, refusals)
                del spans[: len(bodies)]
                bodies, size = [], 0
            bodies.append(body)
            size += len(body)
        if bodies:
            self._send(process, bodies, deadline, refusals)
            del spans[: len(bodies)]
        if refusals:
            raise refusals[0]

    def close(self) -> None:
        self._transport.close()

    def _send(self, process: bytes, bodies: list[bytes], deadline: float, refusals: list[Rejected]) -> None:
        """A refused message goes to `refusals`, because what comes after it may be taken."""
        try:
            self._transport.send(self._frame(process, bodies), deadline)
            self.sent += len(bodies)
        except Rejected as refusal:
            self.refused += len(bodies)
            refusals.append(refusal)

    def _body(self, span: Span, room: int) -> bytes | None:
        """None if the span cannot be encoded, or not in `room` bytes: it is dropped, and the others are sent."""
        try:
            body = self._encoder.encode_within(span, room)
        except Exception:
            contained("the exporter jaeger")
            body = None
        else:
            if body is None and not self.dropped:
                say(f"a span of over {self.limit} bytes is dropped, though its texts were cut; so are others like it")
        if body is None:
            self.dropped += 1
        return body

    def _process_of(self, resource: Resource) -> bytes:
        """Encoded once. It takes half of a packet at most, so that tags of the process are cut before spans are."""
        if resource is not self._resource:
            most = None
            self._process = self._encoder.process(resource.service_name, resource.tags)
            while len(self._process) > self.limit // 2:
                most = self.limit // 4 if most is None else most // 2
                self._process = self._encoder.process(resource.service_name, resource.tags if most > 8 else {}, most)
            self._resource = resource
        return self._process


def make(settings: Settings) -> Exporter:
    where = endpoint(settings)
    if isinstance(where, Agent):
        thrift: Thrift = thrift_binary if where.binary else thrift_compact
        return Exporter(thrift, thrift.message, Udp(where.host, where.port), udp.LIMIT)
    return Exporter(thrift_binary, thrift_binary.batch, Http(where.url, "application/x-thrift"), POST_LIMIT)

"""Exporter `jaeger`: spans to a Jaeger collector (HTTP, binary Thrift) or agent (UDP, compact or binary Thrift).

Limits: over UDP nobody confirms anything, and `sent` counts the spans that the socket took. Links lose their attributes,
because Jaeger's Thrift has no place for them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from autotrace.containment import contained, say
from autotrace.export.jaeger import thrift_binary, thrift_compact
from autotrace.export.jaeger.encoder import Encoder
from autotrace.export.jaeger.endpoint import Agent, endpoint
from autotrace.export.transport import udp
from autotrace.export.transport.http import Http

if TYPE_CHECKING:
    from autotrace.export.jaeger.thrift import Thrift
    from autotrace.export.resource import Resource
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

POST_LIMIT = 1 << 20
"""Bytes of one POST: small enough for any proxy, large enough to be worth its headers."""
LIST_HEAD = 8
"""Bytes that the head of the list of spans may take at most."""
PACKET_PAUSE = 0.001
"""Seconds between two packets. A receiver's buffer holds three of them by default, and a packet that is lost is not repeated."""


class Exporter:
    """export() raises if spans were not taken. `sent` and `dropped` count spans in any case."""

    def __init__(self, thrift: Thrift, limit: int) -> None:
        self.sent = 0
        self.dropped = 0
        self.limit = limit
        self.thrift = thrift
        self._encoder = Encoder(thrift)
        self._resource: Resource | None = None
        self._process = b""

    def export(self, spans: list[Span], resource: Resource, deadline: float) -> None:
        """Encode and send. Spans that are sent or dropped are removed from `spans`: after a failure it holds the others.

        `deadline` is a time.monotonic(). Raises the transport's exceptions, whose text is one line.
        """
        process = self._process_of(resource)
        room = self.limit - len(self._frame(process, [])) - LIST_HEAD
        bodies: list[bytes] = []
        size = done = 0
        for span in list(spans):
            body = self._body(span, room)
            if body is not None:
                if size + len(body) > room:
                    self._send(process, bodies, deadline)
                    del spans[:done]
                    bodies, size, done = [], 0, 0
                bodies.append(body)
                size += len(body)
            done += 1
        if bodies:
            self._send(process, bodies, deadline)
        del spans[:done]

    def close(self) -> None:
        raise NotImplementedError

    def _frame(self, process: bytes, bodies: list[bytes]) -> bytes:
        raise NotImplementedError

    def _transmit(self, frame: bytes, deadline: float) -> None:
        raise NotImplementedError

    def _send(self, process: bytes, bodies: list[bytes], deadline: float) -> None:
        self._transmit(self._frame(process, bodies), deadline)
        self.sent += len(bodies)

    def _body(self, span: Span, room: int) -> bytes | None:
        """None if the span cannot be encoded, or not in `room` bytes: it is dropped, and the others are sent."""
        try:
            body = self._encoder.encode_within(span, room)
        except Exception:
            contained("the exporter jaeger")
            body = None
        else:
            if body is None and not self.dropped:
                say(f"a span is dropped because it takes more than {self.limit} bytes, even with its texts cut")
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


class ToCollector(Exporter):
    def __init__(self, url: str) -> None:
        super().__init__(cast("Thrift", thrift_binary), POST_LIMIT)
        self._http = Http(url)

    def _frame(self, process: bytes, bodies: list[bytes]) -> bytes:
        return self.thrift.batch(process, bodies)

    def _transmit(self, frame: bytes, deadline: float) -> None:
        self._http.post(frame, "application/x-thrift", deadline)

    def close(self) -> None:
        self._http.close()


class ToAgent(Exporter):
    def __init__(self, agent: Agent) -> None:
        thrift = thrift_binary if agent.binary else thrift_compact
        super().__init__(cast("Thrift", thrift), udp.LIMIT)
        self._udp = udp.Udp(agent.host, agent.port)
        self._last = 0.0

    def _frame(self, process: bytes, bodies: list[bytes]) -> bytes:
        return self.thrift.message(process, bodies)

    def _transmit(self, frame: bytes, deadline: float) -> None:
        if time.monotonic() - self._last < PACKET_PAUSE:
            time.sleep(PACKET_PAUSE)
        self._udp.send(frame, deadline)
        self._last = time.monotonic()

    def close(self) -> None:
        self._udp.close()


def make(settings: Settings) -> Exporter:
    where = endpoint(settings)
    return ToAgent(where) if isinstance(where, Agent) else ToCollector(where.url)

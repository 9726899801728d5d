"""Datagrams to one host. Nobody confirms that they arrive; the host's kernel reports a closed port, a little later."""

from __future__ import annotations

from autotrace.export.transport import Rejected, Transport, Unavailable, reason, sockets
from autotrace.tracing.clock import monotonic

LIMIT = 65000
"""Bytes of one datagram that a Jaeger agent takes."""

PAUSE = 0.001
"""Seconds between two datagrams, because a receiver's buffer holds three long ones by default and loses more."""
REFUSAL_SECONDS = 0.02
"""How long the kernel's report of a closed port is waited for."""


class Udp(Transport):
    """The kernel's report is waited for after the first datagram, and after each one that follows a refusal."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"udp://{f'[{host}]' if ':' in host else host}:{port}")
        self.host, self.port = host, port
        self._port_is_open = False
        self._last = 0.0

    def send(self, datagram: bytes, deadline: float) -> None:
        """Raises Unavailable, or Rejected for a datagram that is too long."""
        if len(datagram) > LIMIT:
            raise Rejected(f"{self.target}: {len(datagram)} bytes are more than the {LIMIT} of one datagram")
        if monotonic() - self._last < PAUSE:
            sockets.sleep(PAUSE)
        try:
            if self.connection is not None and not self.connection.usable():
                self.close()
            if self.connection is None:
                self.connection = sockets.Connection(self.host, self.port, sockets.UDP, deadline)
            self.connection.send(datagram, deadline)
            if not self._port_is_open:
                self._await_refusal(self.connection, deadline)
                self._port_is_open = True
        except Exception as failure:
            self._port_is_open = False
            self.close()
            raise Unavailable(f"{self.target}: {reason(failure)}") from failure
        self._last = monotonic()

    def _await_refusal(self, connection: sockets.Connection, deadline: float) -> None:
        try:
            connection.receive(min(monotonic() + REFUSAL_SECONDS, deadline), 1)
        except TimeoutError:
            pass

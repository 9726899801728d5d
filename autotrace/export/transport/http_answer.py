"""The answer to one POST, read within a deadline. Its status decides what became of the spans; the rest is
for people.
"""

from __future__ import annotations

from autotrace.export.transport import first_line
from autotrace.export.transport.sockets import Connection

_MOST = 1 << 16
"""Bytes of a head, and of a body, that are read at most. A longer answer costs the connection."""


class Closed(ConnectionError):
    """The server closed the connection before it sent any byte."""


class BadStatusLine(Exception):
    """What answered does not speak HTTP."""


class Answer:
    """`status`, `phrase`, and whether the connection can be used again."""

    def __init__(self, connection: Connection, deadline: float) -> None:
        """Reads the head. An answer of 1xx announces another."""
        self._connection = connection
        self._received = b""
        self.status = 100
        while 100 <= self.status < 200:
            self._read_head(deadline)

    def body(self, deadline: float) -> bytes:
        """The first bytes of it. After a 2xx the spans have arrived, so that no failure counts any more."""
        try:
            while not self._is_complete():
                received = b"" if len(self._received) > _MOST else self._connection.receive(deadline)
                if not received:
                    self.will_close = True
                    break
                self._received += received
        except Exception:
            self.will_close = True
        return self._received.partition(b"\r\n")[2] if self._chunked else self._received

    def _is_complete(self) -> bool:
        if self._chunked:
            return self._received.endswith(b"\r\n0\r\n\r\n") or self._received == b"0\r\n\r\n"
        if self._length is None:  # its end is the connection's, which need not be waited for
            self.will_close = True
            return 200 <= self.status < 300
        return len(self._received) >= self._length

    def _read_head(self, deadline: float) -> None:
        while b"\r\n\r\n" not in self._received:
            received = b"" if len(self._received) > _MOST else self._connection.receive(deadline)
            if not received:
                raise (
                    BadStatusLine(first_line(self._received))
                    if self._received
                    else Closed(0, "it closed the connection before it answered")
                )
            self._received += received
            if not self._received.startswith(b"HTTP/"[: len(self._received)]):
                raise BadStatusLine(first_line(self._received))
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        version, _, rest = status_line.partition(b" ")
        status, _, phrase = rest.partition(b" ")
        if not status.isdigit():
            raise BadStatusLine(first_line(status_line))
        self.status, self.phrase = int(status), first_line(phrase)
        self._read_headers(version, dict(_header(line) for line in reversed(lines)))

    def _read_headers(self, version: bytes, headers: dict[bytes, bytes]) -> None:
        connection = headers.get(b"connection", b"").lower()
        self.will_close = b"close" in connection or (version != b"HTTP/1.1" and b"keep-alive" not in connection)
        length = headers.get(b"content-length", b"")
        self._length = 0 if self.status in (204, 304) else int(length) if length.isdigit() else None
        self._chunked = b"chunked" in headers.get(b"transfer-encoding", b"") and self._length != 0


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()

"""HTTP POSTs to one URL over one kept connection. A POST is repeated only if the kept connection proves closed."""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autotrace.export.transport import Rejected, Transport, Unavailable, first_line, reason, seconds_left

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

_READ_AT_MOST = 1 << 16  # bytes of a response that are read to keep the connection; a longer response costs it
_RETRYABLE = (408, 425, 429)


class Http(Transport):
    """User and password of the URL become Basic authorization. `target` is the URL without them.

    Raises ValueError for a URL that is none.
    """

    def __init__(self, url: str, content_type: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not a URL such as http://host:14268/api/traces")
        super().__init__(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
        self.host, self.port, self.secure = parts.hostname, parts.port, parts.scheme == "https"
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.headers = {"Content-Type": content_type, **_authorization(parts)}
        self._client: Any = __import__("http.client", fromlist=["client"])  # 10 ms and more: not before it is needed

    def send(self, body: bytes, deadline: float) -> None:
        """Returns after a 2xx response. Raises Unavailable (not reached, too late, 408, 425, 429, 5xx) or Rejected."""
        try:
            response = self._exchange(body, deadline)
            text = response.read(_READ_AT_MOST)
            # A longer response is not worth reading. A connection that the server closes is not worth keeping.
            if response.will_close or not response.isclosed():
                self.close()
        except (OSError, self._client.HTTPException) as failure:
            self.close()
            raise Unavailable(f"{self.target}: {reason(failure)}") from failure
        except BaseException:
            self.close()  # it stopped in the middle of an exchange and cannot be used again
            raise
        if not 200 <= response.status < 300:
            message = f"{self.target}: {response.status} {response.reason} {first_line(text)}".rstrip()
            retryable = response.status in _RETRYABLE or response.status >= 500
            raise (Unavailable if retryable else Rejected)(message)

    def _exchange(self, body: bytes, deadline: float) -> HTTPResponse:
        """Once; a second time if the server had closed the kept connection before it sent any byte of a response."""
        if self.connection is not None:
            try:
                return self._request(self.connection, body, deadline)
            except ConnectionError:  # http.client.RemoteDisconnected is one
                self.close()
        self.connection = self._connect(deadline)
        return self._request(self.connection, body, deadline)

    def _connect(self, deadline: float) -> HTTPConnection:
        kind = self._client.HTTPSConnection if self.secure else self._client.HTTPConnection
        connection: HTTPConnection = kind(self.host, self.port, timeout=seconds_left(deadline))
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _request(self, connection: Any, body: bytes, deadline: float) -> HTTPResponse:
        connection.sock.settimeout(seconds_left(deadline))
        # A socket's timeout starts again with every packet; a server that trickles would pass any deadline.
        connection.response_class = lambda sock, *args, **named: self._client.HTTPResponse(
            _DeadlineSocket(sock, deadline), *args, **named
        )
        connection.request("POST", self.path, body, self.headers)
        response: HTTPResponse = connection.getresponse()
        return response


class _DeadlineSocket:
    """A socket as HTTPResponse sees it. Each read may take as long as is left until the deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock, self.deadline = sock, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self.sock, self.deadline))


class _DeadlineReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock, self.deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(seconds_left(self.deadline))
        return self.sock.recv_into(buffer)


def _authorization(parts: Any) -> dict[str, str]:
    if parts.username is None:
        return {}
    from base64 import b64encode
    from urllib.parse import unquote

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}

"""Bytes to a collector within a deadline: HTTP POST over one kept connection, and UDP. Knows no format; retries nothing but a stale connection."""

from __future__ import annotations

import io
import socket
import time
import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autotrace.tracing import forks

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

UDP_LIMIT = 65000
"""Bytes of one datagram that a Jaeger agent takes."""

REFUSAL_SECONDS = 0.02
_DRAINED = 1 << 16  # bytes of an answer that are read to keep the connection; a longer answer costs it
_FOR_LATER = (408, 425, 429)


class Unavailable(OSError):
    """Nobody took the bytes, and the same bytes may be taken later."""


class Rejected(Exception):
    """The collector answered that it does not want these bytes: sending them again is of no use."""


class Http:
    """POSTs to one URL. `headers` go with every request; user and password of the URL become Basic authorization.

    Raises ValueError for a URL that is none. Its messages name `target`, the URL without user and password.
    """

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not a URL such as http://host:14268/api/traces")
        self.host, self.port, self.secure = parts.hostname, parts.port, parts.scheme == "https"
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.target = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self.headers = {**(headers or {}), **_authorization(parts)}
        self.connection: HTTPConnection | None = None
        self._client: Any = __import__("http.client", fromlist=["client"])  # 10 ms and more: not before it is needed
        _open.add(self)

    def post(self, body: bytes, content_type: str, deadline: float) -> None:
        """Returns when a 2xx answer is there. Raises Unavailable (not reached, too late, 408, 425, 429, 5xx) or Rejected."""
        try:
            answer = self._exchange(body, content_type, deadline)
            text = answer.read(_DRAINED)
            # A longer answer is not worth reading; neither is a connection that the server says it closes.
            if answer.will_close or not answer.isclosed():
                self.close()
        except (OSError, self._client.HTTPException) as failure:
            self.close()
            raise Unavailable(f"{self.target}: {_reason(failure)}") from failure
        except BaseException:
            self.close()  # in the middle of an exchange: it cannot be used again
            raise
        if not 200 <= answer.status < 300:
            told = f"{self.target}: {answer.status} {answer.reason} {_first_line(text)}".rstrip()
            later = answer.status in _FOR_LATER or answer.status >= 500
            raise (Unavailable if later else Rejected)(told)

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def _exchange(self, body: bytes, content_type: str, deadline: float) -> HTTPResponse:
        """Once; and once more on a new connection where a kept one turns out to be closed before any byte of an answer."""
        if self.connection is not None:
            try:
                return self._request(self.connection, body, content_type, deadline)
            except ConnectionError:  # http.client.RemoteDisconnected is one
                self.close()
        self.connection = self._connection(deadline)
        return self._request(self.connection, body, content_type, deadline)

    def _connection(self, deadline: float) -> HTTPConnection:
        kind = self._client.HTTPSConnection if self.secure else self._client.HTTPConnection
        connection: HTTPConnection = kind(self.host, self.port, timeout=_left(deadline))
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _request(self, connection: Any, body: bytes, content_type: str, deadline: float) -> HTTPResponse:
        connection.sock.settimeout(_left(deadline))
        # A timeout of the socket counts anew for every packet; a server that trickles would pass any deadline.
        connection.response_class = lambda sock, *args, **named: self._client.HTTPResponse(
            _Until(sock, deadline), *args, **named
        )
        connection.request("POST", self.path, body, {"Content-Type": content_type, **self.headers})
        answer: HTTPResponse = connection.getresponse()
        return answer


class Udp:
    """Datagrams to one host. Whether they arrive nobody says; that no such port is open the host's kernel says, a little later.

    That answer is waited for after the first datagram, and after each one until a refusal has passed.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.target = f"udp://{f'[{host}]' if ':' in host else host}:{port}"
        self.connection: socket.socket | None = None
        self._proven = False
        _open.add(self)

    def send(self, datagram: bytes, deadline: float) -> None:
        """Raises Unavailable, Rejected for a datagram that is too long."""
        if len(datagram) > UDP_LIMIT:
            raise Rejected(f"{self.target}: {len(datagram)} bytes are more than the {UDP_LIMIT} of one datagram")
        try:
            if self.connection is None:
                self.connection = _connected(self.host, self.port)
            self.connection.settimeout(_left(deadline))
            self.connection.send(datagram)
            if not self._proven:
                self._await_refusal(self.connection, deadline)
                self._proven = True
        except OSError as failure:
            self._proven = False
            self.close()
            raise Unavailable(f"{self.target}: {_reason(failure)}") from failure

    def _await_refusal(self, connection: socket.socket, deadline: float) -> None:
        connection.settimeout(min(REFUSAL_SECONDS, _left(deadline)))
        try:
            connection.recv(1)
        except TimeoutError:
            pass

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


class _Until:
    """A socket as HTTPResponse sees it, each read of which may take only what is left until the deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock, self.deadline = sock, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self.sock, self.deadline))


class _Reads(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock, self.deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(_left(self.deadline))
        return self.sock.recv_into(buffer)


def _connected(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _authorization(parts: Any) -> dict[str, str]:
    if parts.username is None:
        return {}
    from base64 import b64encode
    from urllib.parse import unquote

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


def _reason(failure: BaseException) -> str:
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    if isinstance(failure, OSError) and failure.strerror:
        return str(failure.strerror)
    return f"{type(failure).__name__}: {_first_line(str(failure).encode())}"


def _first_line(text: bytes) -> str:
    return text.strip().partition(b"\n")[0][:200].decode("utf-8", "replace").strip()


_open: weakref.WeakSet[Http | Udp] = weakref.WeakSet()


def _forget() -> None:
    """A forked child lets go of its parent's connections without a word on them."""
    for sender in list(_open):
        try:
            sender.close()
        except Exception:
            pass


forks.in_child(_forget)

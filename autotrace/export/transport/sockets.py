"""Sockets of our own: no guard, mock or SOCKS class that the program puts into `socket` or `ssl` sees them, nor is met
by them.

They are those of C. Where gevent or eventlet have made threads greenlets, theirs are used, because others would block
all greenlets.
"""

from __future__ import annotations

import _socket
import _thread
import os
import sys
import time
from typing import Any

from autotrace.export.transport import seconds_left
from autotrace.tracing import clock

TCP, UDP = _socket.SOCK_STREAM, _socket.SOCK_DGRAM


def module() -> Any:
    """`_socket`, or the module of the same shape that serves greenlets."""
    start_thread: Any = _thread.start_new_thread
    if type(start_thread) is type(len):
        return _socket
    modules = sys.modules
    return modules.get("gevent.socket") or modules.get("eventlet.green.socket") or modules["socket"]


def sleep(seconds: float) -> None:
    """Past the mocks that stand in for time.sleep(), but not past that of greenlets."""
    (clock.sleep if module() is _socket else time.sleep)(seconds)


class Connection:
    """A connected socket. It is known by its inode too, because a program may close descriptors that it has not opened.

    Whatever file has the descriptor's number then is the program's: it is neither written nor closed.
    """

    def __init__(self, host: str, port: int, kind: int, deadline: float) -> None:
        """To the first address of `host` that answers. Raises OSError."""
        self.module = module()
        failure: OSError | None = None
        # As bytes, because C would import a codec for a host in str.
        name = host.encode("ascii" if host.isascii() else "idna")
        for family, type_, protocol, _, address in self.module.getaddrinfo(name, port, 0, kind):
            try:
                self._open(family, type_, protocol, address, deadline)
                return
            except OSError as error:
                failure = error
        raise failure or OSError(f"{host} has no address")

    def _open(self, family: int, kind: int, protocol: int, address: Any, deadline: float) -> None:
        self._socket = self.module.socket(family, kind, protocol)
        self._inode = os.fstat(self._socket.fileno()).st_ino
        try:
            self._socket.settimeout(seconds_left(deadline))
            self._socket.connect(address)
            if kind == TCP:
                self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except BaseException:
            self.close()
            raise

    def usable(self) -> bool:
        """It is open, and made for the kind of threads that there is now."""
        return self._is_ours() and self.module is module()

    def send(self, data: bytes, deadline: float) -> None:
        self._ready(deadline).sendall(data)

    def receive(self, deadline: float, most: int = 1 << 16) -> bytes:
        """What has arrived, b"" at the end."""
        received: bytes = self._ready(deadline).recv(most)
        return received

    def close(self) -> None:
        if self._is_ours():
            self._socket.close()
        else:
            self._socket.detach()

    def _ready(self, deadline: float) -> Any:
        if not self._is_ours():
            raise ConnectionError("the program closed the connection")
        self._socket.settimeout(seconds_left(deadline))
        return self._socket

    def is_idle(self) -> bool:
        """Nothing has arrived unasked: neither the end nor a farewell, such as 408."""
        return self._arrived() is None

    def _arrived(self) -> bytes | None:
        try:
            self._socket.settimeout(0)
            first: bytes = self._socket.recv(1, _socket.MSG_PEEK)
            return first
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _is_ours(self) -> bool:
        try:
            return os.fstat(self._socket.fileno()).st_ino == self._inode
        except OSError:
            return False


class TlsConnection(Connection):
    """TLS by `ssl`'s memory buffers, so that the socket beneath is ours."""

    def __init__(self, host: str, port: int, context: Any, deadline: float) -> None:
        super().__init__(host, port, TCP, deadline)
        from _ssl import MemoryBIO

        self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
        try:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
            self._step(self._tls.do_handshake, deadline)
        except BaseException:
            self.close()
            raise

    def send(self, data: bytes, deadline: float) -> None:
        sent = 0
        while sent < len(data):
            sent += self._step(lambda: self._tls.write(memoryview(data)[sent : sent + 65536]), deadline)  # noqa: B023

    def receive(self, deadline: float, most: int = 1 << 16) -> bytes:
        from ssl import SSLEOFError, SSLZeroReturnError

        try:
            received: bytes = self._step(lambda: self._tls.read(most), deadline)
            return received
        except (SSLZeroReturnError, SSLEOFError):
            return b""

    def is_idle(self) -> bool:
        return self._arrived() != b""  # other bytes may be the protocol's own, such as a session ticket

    def _step(self, operation: Any, deadline: float) -> Any:
        """Do `operation`, moving bytes between the socket and the buffers as long as it asks for more."""
        from ssl import SSLWantReadError

        while True:
            try:
                result = operation()
                wants = False
            except SSLWantReadError:
                wants = True
            if self._outgoing.pending:
                super().send(self._outgoing.read(), deadline)
            if not wants:
                return result
            received = super().receive(deadline)
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()

"""A small HTTP/2 server on a plain socket (prior knowledge, no TLS): answers every request and keeps its headers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events


class Http2Peer:
    """`received`: the headers of each request, pseudo-headers included. For the path `/reset` it resets the stream."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.received: list[dict[str, str]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            connection = h2.connection.H2Connection(h2.config.H2Configuration(False, header_encoding="utf-8"))
            connection.initiate_connection()
            sock.sendall(connection.data_to_send())
            while data := sock.recv(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        headers: dict[str, str] = dict(event.headers or ())  # type: ignore[arg-type]
                        self._answer(connection, event.stream_id or 0, headers)
                sock.sendall(connection.data_to_send())

    def _answer(self, connection: h2.connection.H2Connection, stream: int, headers: dict[str, str]) -> None:
        self.received.append(headers)
        if headers[":path"] == "/reset":
            connection.reset_stream(stream)
            return
        connection.send_headers(stream, [(":status", "200"), ("x-path", headers[":path"])])
        connection.send_data(stream, b"hello", end_stream=True)


@contextlib.contextmanager
def peer() -> Iterator[Http2Peer]:
    server = Http2Peer()
    try:
        yield server
    finally:
        server.listener.close()

"""An HTTPS server and a tunnelling proxy on plain sockets, so that no patch traces them. They keep requests' heads."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import trustme


class TlsPeer:
    """`url`: the server's; `proxy`: the proxy's. `received`, `tunnels`: the heads of the requests to each, as text."""

    def __init__(self, authority: trustme.CA, ca_file: Path) -> None:
        self.ca_file = str(ca_file)
        authority.cert_pem.write_to_path(self.ca_file)
        self.context = ssl.create_default_context(cafile=self.ca_file)
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(serving)
        self.received: list[str] = []
        self.tunnels: list[str] = []
        self.port = _listen(lambda client: self._serve(serving.wrap_socket(client, server_side=True)))
        self.proxy_port = _listen(self._tunnel)
        self.url = f"https://localhost:{self.port}/x"
        self.proxy = f"http://127.0.0.1:{self.proxy_port}"

    def _serve(self, client: socket.socket) -> None:
        while head := _head(client):
            self.received.append(head)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    def _tunnel(self, client: socket.socket) -> None:
        head = _head(client)
        self.tunnels.append(head)
        server = socket.create_connection(("127.0.0.1", int(head.split()[1].rpartition(":")[2])))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        _pump(server, client)


def _listen(serve: Callable[[socket.socket], None]) -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def one(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            serve(client)

    def accept() -> None:
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def _head(client: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(65536)
        if not data:
            return ""
        head += data
    return head.decode()


def _pump(source: socket.socket, drain: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            drain.sendall(data)
        drain.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def peer(folder: Path) -> Iterator[TlsPeer]:
    yield TlsPeer(trustme.CA(), folder / "ca.pem")

"""examples/w3c, asked through a plain socket so that every byte of the headers is ours; and what its requests carry."""

from __future__ import annotations

import json
import re
import socket
from typing import NamedTuple

from tests.http_client.http_peer import Peer, Received

TRACE, PARENT = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"
VALID = f"00-{TRACE}-{PARENT}-01"
Lines = tuple[str, ...]


class Service(NamedTuple):
    """`heard`: what it calls. `b3`: is B3 in its set?"""

    port: int
    heard: Peer
    b3: bool

    def url(self, path: str = "/test") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def call(self, *lines: str, target: str = "/") -> Received:
        """The one request that it sends when it is asked with these header lines."""
        (sent,) = self.calls(lines, [{"url": self.heard.url + target, "arguments": []}], target)
        return sent

    def calls(self, lines: Lines, arguments: list[object], target: str = "/") -> list[Received]:
        """Those of its requests that went to `target`, which no other caller may use meanwhile."""
        before = len(self._to(target))
        assert answer(self.port, lines, arguments).startswith(b"HTTP/1.1 200 ")
        return self._to(target)[before:]

    def _to(self, target: str) -> list[Received]:
        return [sent for sent in self.heard.received if sent.target == target]


def answer(port: int, lines: Lines, arguments: list[object]) -> bytes:
    body = json.dumps(arguments).encode()
    framing = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close")
    head = "\r\n".join(("POST /test HTTP/1.1", "Host: 127.0.0.1", *lines, *framing, "", ""))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.encode("latin-1", "replace") + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


class Sent(NamedTuple):
    trace: str
    parent: str
    flags: str
    state: str | None


def context(service: Service, sent: Received) -> Sent:
    """The context that a request carries: always a valid traceparent. B3, if it is in the set, says the same."""
    found = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])", sent.header("traceparent") or "")
    assert found and set(found[1]) != {"0"} and set(found[2]) != {"0"}
    state = sent.header("tracestate")
    assert state != ""
    if service.b3:
        assert (sent.header("x-b3-traceid"), sent.header("x-b3-spanid")) == (found[1], found[2])
        assert sent.header("x-b3-sampled") == str(int(found[3], 16) & 1)
    else:
        assert not [name for name, _ in sent.headers if name.lower().startswith(("x-b3-", "b3", "uber"))]
    return Sent(found[1], found[2], found[3], state)


def is_new(sent: Sent) -> bool:
    """A trace of the service's own: nothing of what came is in it."""
    return sent.trace != TRACE and sent.parent != PARENT and sent.state is None


def continues(sent: Sent) -> bool:
    return sent.trace == TRACE and sent.parent != PARENT

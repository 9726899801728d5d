"""The promises of every asynchronous HTTP server beside contracts/http_server.py. Inherit AsyncHttpServer.

The server serves these paths as well:
/slow/<name>       as /hello/<name>, after others had their turn
/later             answers `soon`, and goes on working after that: a span `background`
/ws/<name>         a websocket: accepts, answers one message with `hello <name>`, in a span `inside`
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from websockets.sync.client import connect

from tests.contracts.http_server import B3, TRACE, HttpServer, connection_to, finished, untraced
from tests.recorded import Recorded, is_child, tags


def wait_for(spans: Recorded, name: str) -> Any:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for span in list(spans):
            if span.name == name:
                return span
        time.sleep(0.005)
    raise AssertionError([span.name for span in spans])


class AsyncHttpServer(HttpServer):
    websocket_route = "/ws/{name}"
    hello_route = "/hello/{name}"

    def websocket(self, url: str, path: str, headers: dict[str, str] | None = None) -> str:
        with connect(url.replace("http", "ws", 1) + path, additional_headers=headers, proxy=None) as socket:
            socket.send("hi")
            return str(socket.recv(timeout=5))

    def test_requests_that_wait_for_each_other_do_not_mix(self, url: str, spans: Recorded) -> None:
        ids = [f"{n:032x}" for n in range(1, 9)]
        threads = [
            threading.Thread(target=self.ask, args=(url, "/slow/bob", {**B3, "X-B3-TraceId": trace})) for trace in ids
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        servers = finished(spans, 8)
        assert sorted(f"{span.trace_id:032x}" for span in servers) == ids
        inside = {span.trace_id: span for span in spans if span.name == "inside"}
        assert all(is_child(inside[server.trace_id], server) for server in servers)

    def test_work_after_the_answer_is_in_the_trace_but_not_in_the_time(self, url: str, spans: Recorded) -> None:
        assert self.ask(url, "/later") == (200, "soon")
        (server,) = finished(spans, 1)
        background = wait_for(spans, "background")
        assert is_child(background, server)
        assert server.end_time <= background.end_time
        assert tags(server)["http.status_code"] == 200

    def test_a_websocket_has_the_span_of_its_handshake(self, url: str, spans: Recorded) -> None:
        with connect(url.replace("http", "ws", 1) + "/ws/bob", additional_headers=B3, proxy=None) as socket:
            (server,) = finished(spans, 1)
            assert server.name == self.named("GET", self.websocket_route), "known while the connection is open"
            socket.send("hi")
            assert socket.recv(timeout=5) == "hello bob"
        assert f"{server.trace_id:032x}" == TRACE
        known = tags(server)
        assert (known["http.status_code"], known["http.method"], known["component"]) == (101, "GET", self.component)
        assert "error" not in known
        inside = wait_for(spans, "inside")
        assert is_child(inside, server)
        assert server.end_time <= inside.start_time

    def test_several_requests_of_one_connection_are_none_of_each_other(self, url: str, spans: Recorded) -> None:
        with untraced(), contextlib.closing(connection_to(url)) as connection:
            for name in ("a", "b", "c"):
                connection.request("GET", f"/hello/{name}")
                assert connection.getresponse().read().decode() == f"hello {name}"
        servers = finished(spans, 3)
        assert [server.parent_id for server in servers] == [0, 0, 0]
        assert len({server.trace_id for server in servers}) == 3

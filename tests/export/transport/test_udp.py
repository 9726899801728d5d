"""UDP within a deadline, to a port that is open, and to one that is not."""

from __future__ import annotations

import socket
import time

import pytest

from autotrace.export.transport import Rejected, Unavailable
from autotrace.export.transport.udp import LIMIT, Udp
from test_services.processes import free_ports


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_datagrams_arrive_as_they_were_given() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        udp = Udp("127.0.0.1", receiver.getsockname()[1])
        for datagram in (b"small", b"x" * LIMIT):
            udp.send(datagram, soon())
            assert receiver.recv(70_000) == datagram
        udp.close()


def test_a_datagram_too_long_is_rejected_by_its_size() -> None:
    with pytest.raises(Rejected, match="65001 bytes"):
        Udp("127.0.0.1", 1).send(b"x" * (LIMIT + 1), soon())


def test_a_missing_agent_is_noticed_each_time_until_it_listens() -> None:
    port = free_ports(1, socket.SOCK_DGRAM)[0]
    udp = Udp("127.0.0.1", port)
    for _ in range(3):
        with pytest.raises(Unavailable, match="Connection refused"):
            udp.send(b"x", soon())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", port))
        receiver.settimeout(10)
        udp.send(b"at last", soon())
        assert receiver.recv(100) == b"at last"
    udp.close()

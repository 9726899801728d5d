"""A private Redis on a free port: no password, nothing written to disk.

Uses the machine's redis-server, else Debian's package (root only). `python -m test_services.redis` runs one in the
foreground.
"""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from test_services import debian
from test_services.cache import Unavailable
from test_services.processes import Server, free_ports
from test_services.service import Service, run_in_foreground


class Redis(Service):
    """Running: `host`, `port`, `url`."""

    name = "redis"
    host = "127.0.0.1"
    port = 0

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def addresses(self) -> dict[str, str]:
        return {"REDIS_URL": self.url}

    def _launch(self, folder: Path) -> Server:
        (self.port,) = free_ports(1)
        listen = ["--bind", self.host, "--port", str(self.port), "--dir", str(folder)]
        return Server([_program(), *listen, "--save", "", "--appendonly", "no"], folder)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


def _program() -> str:
    """The path of redis-server."""
    if not shutil.which("redis-server"):
        debian.install("redis-server")
    found = shutil.which("redis-server")
    if found is None:
        raise Unavailable("no redis-server on PATH")
    return found


if __name__ == "__main__":
    run_in_foreground(Redis())

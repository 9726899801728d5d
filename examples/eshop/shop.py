"""The six services as processes: under autotrace-run, or bare. Their logs are in a temporary folder, gone at the end."""

from __future__ import annotations

import os
import socket
import sys
import sysconfig
import tempfile
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from real_parts.processes import Server, free_ports, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

HTTP_SERVICES = ("inventory", "billing", "delivery", "notification", "eshop")
SERVICES = (*HTTP_SERVICES, "consumer")

_RUNNER = Path(sysconfig.get_path("scripts")) / "autotrace-run"
_FOREIGN = ("AUTOTRACE_", "OTEL_", "JAEGER_")  # what the user's shell may have set is not part of the story
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Shop:
    """Running while entered. `settings`: autotrace's environment variables for every service; None: without autotrace-run.

    `urls`: service -> its base URL. Unavailable, with the service's log, where one does not come up.
    """

    def __init__(self, kafka: str, database: str, settings: Mapping[str, str] | None) -> None:
        ports = free_ports(len(HTTP_SERVICES))
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(HTTP_SERVICES, ports, strict=True)}
        self._settings = settings
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "DATABASE_URL": database,
            **{f"{name.upper()}_URL": url for name, url in self.urls.items()},
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        self._running: dict[str, Server] = {}

    def checkout(self) -> bytes:
        """The answer to GET /checkout; urllib.error.HTTPError where it is not 200."""
        with _direct.open(self.urls["eshop"] + "/checkout", timeout=30) as answer:
            return bytes(answer.read())

    def log(self, service: str) -> str:
        """The last lines that a service wrote."""
        return self._running[service].log_tail()

    def __enter__(self) -> Self:
        try:
            for service in SERVICES:
                self._start(service)
            for service, url in self.urls.items():
                self._running[service].wait_until(partial(_listens, _port(url)))
            # It may hear of the checkout later too, but then the demo waits where nobody sees why.
            self._running["consumer"].wait_until(
                lambda: "newly assigned partitions" in self.log("consumer"), seconds=90
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with uninterrupted():
            while self._running:
                self._running.popitem()[1].stop()

    def _start(self, service: str) -> None:
        port = {"PORT": str(_port(self.urls[service]))} if service in self.urls else {}
        program = [sys.executable, str(Path(__file__).with_name(f"{service}.py"))]
        settings: Mapping[str, str] = {}
        if self._settings is not None:
            program = [str(_RUNNER), "--service", service, *program]
            settings = {"AUTOTRACE_ENABLED": "true", **self._settings}
        with uninterrupted():
            folder = Path(tempfile.mkdtemp(prefix=f"autotrace-eshop-{service}-"))
            self._running[service] = Server(_with(settings, program), folder, environment={**self._environment, **port})


def _with(settings: Mapping[str, str], program: list[str]) -> list[str]:
    """`program` under env(1), with these settings of autotrace and no others: Server switches it off for its own."""
    foreign = [name for name in ("AUTOTRACE_ENABLED", *os.environ) if name.startswith(_FOREIGN)]
    unset = [word for name in foreign for word in ("-u", name)]
    return ["env", *unset, *(f"{name}={value}" for name, value in settings.items()), *program]


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _listens(port: int) -> bool:
    """Somebody accepts connections; nothing is asked, for that would be traced."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

"""The services of an example as processes, under autotrace-run or bare. Their logs are in temporary folders."""

from __future__ import annotations

import os
import re
import socket
import sys
import sysconfig
import tempfile
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from test_services.processes import Server, free_ports, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

_RUNNER = Path(sysconfig.get_path("scripts")) / "autotrace-run"
_FOREIGN = ("AUTOTRACE_", "OTEL_", "JAEGER_")  # what the user's shell may have set is not part of the story
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Services:
    """Running while entered. `servers` listen on a PORT and get each other's <NAME>_URL; `consumers` join a group.

    `folder` holds their programs, one file each. `settings`: autotrace's variables for every service; None: without
    autotrace-run. `urls`: server -> its base URL. Unavailable, with the service's log, if one does not start.
    """

    def __init__(
        self,
        folder: Path,
        servers: Sequence[str],
        consumers: Sequence[str],
        environment: Mapping[str, str],
        settings: Mapping[str, str] | None,
    ) -> None:
        self.names = (*servers, *consumers)
        self.urls = {
            name: f"http://127.0.0.1:{port}" for name, port in zip(servers, free_ports(len(servers)), strict=True)
        }
        self._folder = folder
        self._consumers = consumers
        self._settings = settings
        self._environment = {
            **environment,
            **{f"{name.upper()}_URL": url for name, url in self.urls.items()},
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        self._running: dict[str, Server] = {}

    def get(self, server: str, path: str) -> bytes:
        """The answer to a GET; urllib.error.HTTPError where it is not 200."""
        with _direct.open(self.urls[server] + path, timeout=30) as answer:
            return bytes(answer.read())

    def log(self, service: str) -> str:
        """The last lines that a service wrote."""
        return self._running[service].log_tail()

    def __enter__(self) -> Self:
        try:
            for service in self.names:
                self._start(service)
            for service, url in self.urls.items():
                self._running[service].wait_until(partial(_listens, _port(url)))
            for consumer in self._consumers:
                # It may hear of the story later too, but then the demo waits where nobody sees why.
                self._running[consumer].wait_until(partial(self._assigned, consumer), seconds=90)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with uninterrupted():
            while self._running:
                self._running.popitem()[1].stop()

    def _assigned(self, consumer: str) -> bool:
        # Of none, while another member that is gone has not been missed yet.
        return re.search(r"newly assigned partitions .*TopicPartition", self.log(consumer)) is not None

    def _start(self, service: str) -> None:
        port = {"PORT": str(_port(self.urls[service]))} if service in self.urls else {}
        program = [sys.executable, str(self._folder / f"{service}.py")]
        settings: Mapping[str, str] = {}
        if self._settings is not None:
            program = [str(_RUNNER), "--service", service, *program]
            settings = {"AUTOTRACE_ENABLED": "true", **self._settings}
        with uninterrupted():
            folder = Path(tempfile.mkdtemp(prefix=f"autotrace-{self._folder.name}-{service}-"))
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

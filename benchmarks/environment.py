"""The environment of the measured processes: the sink, real services, a core of their own, and notes on failures."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

from benchmarks.sink import Sink
from test_services import cache
from test_services.kafka_broker import real_or_mock
from test_services.postgresql import PostgreSQL
from test_services.processes import free_ports
from test_services.service import Service

SERVICES: dict[str, tuple[str, Callable[[], Service]]] = {
    "kafka": ("KAFKA_BOOTSTRAP_SERVERS", real_or_mock),
    "postgresql": ("DATABASE_URL", lambda: PostgreSQL().start()),
}
"""Need of a benchmark -> the variable that names the user's own server, and the function that starts one of ours."""
PROCFS = "procfs"
"""Needed for memory: /proc, which Linux has."""


class Environment:
    """A context manager. With two cores or more, the measured processes have the last one, the servers the others."""

    def __init__(self, needs: set[str]) -> None:
        self.needs = needs
        self.sink = Sink()
        self.addresses: dict[str, str] = {}
        self.missing: set[str] = set()
        self.notes: list[str] = []
        self.nobody: dict[str, str] = {}
        """Collectors that do not answer: how -> URL."""
        self.pinned = False
        self._stack = ExitStack()

    def __enter__(self) -> Environment:
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        with self._stack:
            if len(cores) > 1:
                self._stack.callback(os.sched_setaffinity, 0, cores)
                os.sched_setaffinity(0, cores[:-1])
            self._begin(self.sink.start())
            for name in sorted(self.needs):
                self._real(name)
            self.nobody = {"refuses": self._refusing(), "hangs": self._hanging()}
            if len(cores) > 1:
                os.sched_setaffinity(0, cores[-1:])
                self.pinned = True
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def note(self, text: str) -> None:
        """Once, on stderr and in the report."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"benchmarks: {text}", file=sys.stderr, flush=True)

    def _begin(self, service: Service) -> None:
        self._stack.callback(service.stop)
        self.addresses.update(service.addresses())

    def _real(self, name: str) -> None:
        if name == PROCFS:
            if not os.path.exists("/proc/self/status"):
                self.note("no /proc here: memory is not measured")
                self.missing.add(name)
            return
        variable, start = SERVICES[name]
        if os.environ.get(variable):
            self.addresses[variable] = os.environ[variable]
            return
        try:
            self._begin(start())
        except cache.Unavailable as reason:
            cache.require_real(name, reason, "its benchmarks are left out")
            self.note(f"{name} cannot be had: its benchmarks are left out")
            self.missing.add(name)

    def _refusing(self) -> str:
        return f"http://127.0.0.1:{free_ports(1)[0]}"

    def _hanging(self) -> str:
        """Connections are made by the kernel; nobody ever accepts them."""
        listening = socket.create_server(("127.0.0.1", 0))
        self._stack.callback(listening.close)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

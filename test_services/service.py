"""What every service of the tests is: a context manager with addresses, that can also run alone in the foreground."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from test_services.cache import Unavailable
from test_services.processes import Server

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class Service:
    """A server of our own: `start()` returns when it answers, else raises Unavailable; `stop()` leaves nothing behind.

    A subclass names itself and implements `_launch` (return a started Server), `_answers` and `addresses`.
    """

    name = "service"
    _server: Server | None = None

    def _launch(self, folder: Path) -> Server:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def addresses(self) -> dict[str, str]:
        """What a client needs: name of the address -> address."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._running.pid

    @property
    def folder(self) -> Path:
        """The running server's private folder: data and log; gone after stop()."""
        return self._running.folder

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError(f"{self.name} is not running: start() it first")
        return self._server

    def start(self) -> Self:
        """Start a new server and wait until it answers."""
        folder = Path(tempfile.mkdtemp(prefix=f"autotrace-{self.name}-"))
        try:
            self._server = self._launch(folder)
            self._server.wait_until(self._answers)
        except BaseException as error:
            self.stop()
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, Unavailable):
                raise Unavailable(f"{self.name}: {error}") from error
            raise
        return self

    def stop(self) -> None:
        """Stop the server and remove its folder; nothing happens if it does not run."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run_in_foreground(service: Service) -> None:
    """Start it, print `NAME=ADDRESS` lines, stop it on SIGTERM or Ctrl-C. Exit code 1 if it cannot be had."""

    def leave(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    try:
        with service:
            for name, address in service.addresses().items():
                print(f"{name}={address}", flush=True)
            while True:
                signal.pause()
    except Unavailable as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None

"""Run other programs: one to its end, or a server in the background with its own folder and log.

A server never outlives this process, not even when this process is killed: a shell waits on a pipe that only we hold.
Limit: a port is free when it is chosen; another program may still take it before the server does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from test_services.cache import Unavailable

# Argument 0 is the server's process id, 1 its folder. A line on the pipe: stopped in order. The pipe's end: we died.
_WATCH = 'read line || { kill -KILL "$0"; rm -rf "$1"; }'


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """`count` different port numbers that are free on 127.0.0.1 now (UDP ones with SOCK_DGRAM)."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def run_to_end(
    command: Sequence[str | Path],
    *,
    seconds: float = 120,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    text: str | None = None,
) -> str:
    """Run a program, `text` on its stdin, and return its output, both streams.

    Unavailable, with the tail of the output, if the program is missing, late or fails.
    """
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            check=False,
            input=text or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            cwd=cwd,
            **_environment(environment, user),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        raise Unavailable(f"{command[0]} ended with {done.returncode}:\n{_tail(done.stdout)}")
    return done.stdout


def _environment(environment: Mapping[str, str] | None, user: str | None) -> dict[str, Any]:
    """Arguments of Popen: our environment with changes, never instrumented by autotrace; another user only if named."""
    changed = {**os.environ, **(environment or {}), "AUTOTRACE_ENABLED": "0"}
    return {"env": changed, **({"user": user, "extra_groups": []} if user else {})}


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block: no process is started and forgotten, none is left half stopped.

    In the main thread only, as signals are. Handlers and not a mask: children would inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    held = {one: signal.signal(one, lambda number, _: came.append(number)) for one in signals}
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


class Server:
    """A program in the background. It owns `folder` (log inside), which goes when the server is stopped.

    `user` is a name to drop to (only when root). The child is never instrumented by autotrace.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._stop_signal = stop_signal
        self._log = folder / "server.log"
        with uninterrupted(), open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle, in order
                **_environment(environment, user),
            )
            self.pid = self._process.pid
            self._watch = subprocess.Popen(
                ["sh", "-c", _WATCH, str(self.pid), str(folder)], stdin=subprocess.PIPE, cwd="/", start_new_session=True
            )

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Return when `ready()`; Unavailable with the log's tail when the server ends or the seconds are over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None:
                raise Unavailable(f"ended with {self._process.returncode} while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise Unavailable(f"not ready after {seconds:g} s:\n{self.log_tail()}")
            time.sleep(0.03)

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        return _tail(self._log.read_text(errors="replace")) if self._log.exists() else "(no log)"

    def stop(self, seconds: float = 10) -> None:
        """Ask, then kill (and say so on stderr); remove the folder. Harmless when called twice."""
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                late = f"did not end {seconds:g} s after {self._stop_signal.name}: killed"
                print(f"test_services: {self.folder.name} {late}", file=sys.stderr, flush=True)
                self._process.kill()
                self._process.wait()
        if self._watch.poll() is None:
            try:
                self._watch.communicate(b"stopped\n")
            except BrokenPipeError:
                self._watch.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _tail(text: str, lines: int = 25) -> str:
    return "\n".join(text.strip().splitlines()[-lines:]) or "(nothing written)"

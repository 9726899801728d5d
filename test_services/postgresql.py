"""A private PostgreSQL on a free port: user and database `app`, no password, nothing written through to disk.

Uses the machine's programs, else Debian's package (root only). Started by root it runs as `nobody`: it refuses root.
`python -m test_services.postgresql` runs one in the foreground.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
from pathlib import Path

from test_services import debian
from test_services.cache import Unavailable
from test_services.processes import Server, free_ports, run_to_end
from test_services.service import Service, run_in_foreground

# It lives for minutes and its data is worthless: trade safety for speed.
_SETTINGS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB"]
_STARTUP = struct.pack(">i", 196608) + b"user\0app\0database\0app\0\0"  # protocol 3.0


class PostgreSQL(Service):
    """Running: `dsn` (libpq's words), `url`, `host`, `port`, `user`, `database`; `socket_folder` (Unix socket)."""

    name = "postgresql"
    host = "127.0.0.1"
    port = 0
    user = "app"
    database = "app"

    @property
    def dsn(self) -> str:
        return f"host={self.host} port={self.port} user={self.user} dbname={self.database}"

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"

    @property
    def socket_folder(self) -> str:
        return str(self.folder)

    def addresses(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}

    def _launch(self, folder: Path) -> Server:
        programs = _programs()
        owner = "nobody" if os.geteuid() == 0 else None
        if owner:
            shutil.chown(folder, owner)
        data = folder / "data"
        initdb: list[str | Path] = [programs / "initdb", "-D", data, "-U", self.user, "-A", "trust"]
        run_to_end([*initdb, "-E", "UTF8", "--no-locale", "--no-sync"], cwd=folder, user=owner)
        alone: list[str | Path] = [programs / "postgres", "--single", "-D", data, "-c", "fsync=off", "postgres"]
        run_to_end(alone, cwd=folder, user=owner, text=f"CREATE DATABASE {self.database}\n")
        (self.port,) = free_ports(1)
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *_SETTINGS]
        options = [word for setting in settings for word in ("-c", setting)]
        # SIGTERM would wait for the clients to leave; SIGINT is PostgreSQL's "fast" shutdown
        return Server([programs / "postgres", "-D", data, *options], folder, stop_signal=signal.SIGINT, user=owner)

    def _answers(self) -> bool:
        """A start-up packet for our database gets AuthenticationOk, not "the database system is starting up"."""
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                connection.sendall(struct.pack(">i", len(_STARTUP) + 4) + _STARTUP)
                return connection.recv(1) == b"R"
        except OSError:
            return False


def _programs() -> Path:
    """The folder that holds initdb and postgres, the newest where several are installed."""
    found = _installed()
    if not found:
        debian.install("postgresql")
        found = _installed()
    if not found:
        raise Unavailable("no folder with initdb and postgres, neither on PATH nor in /usr/lib/postgresql")
    return found


def _installed() -> Path | None:
    debian_folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: float(f.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    # a link or a wrapper on PATH may stand alone, so it counts only if the server is beside what it points to
    candidates = ([Path(on_path).resolve().parent] if on_path else []) + debian_folders
    return next((f for f in candidates if (f / "initdb").exists() and (f / "postgres").exists()), None)


if __name__ == "__main__":
    run_in_foreground(PostgreSQL())

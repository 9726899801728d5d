"""A private MariaDB on a free port: user `app` with password `pw`, database `app`, nothing written through to disk.

Uses the machine's programs, else Debian's package (root only). Started by root it runs as `nobody`: it refuses root.
`python -m test_services.mariadb` runs one in the foreground.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from test_services import debian
from test_services.cache import Unavailable
from test_services.processes import Server, free_ports, run_to_end
from test_services.service import Service, run_in_foreground

# It lives for minutes and its data is worthless: trade safety for speed.
_QUICK = ["--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=4M", "--innodb-use-native-aio=0"]
_SMALL = ["--innodb-buffer-pool-size=8M", "--performance-schema=OFF", "--skip-log-bin", "--skip-name-resolve"]
_PLACES = ["/usr/sbin", "/usr/libexec", "/usr/local/sbin"]
"""Where Debian keeps mariadbd; an ordinary user's PATH has none of them."""


class MariaDB(Service):
    """Running: `host`, `port`, `user`, `password`, `database`, `url`, and `socket`, on which `app` has no password."""

    name = "mariadb"
    host = "127.0.0.1"
    port = 0
    user = "app"
    password = "pw"
    database = "app"

    @property
    def url(self) -> str:
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    @property
    def socket(self) -> str:
        return str(self.folder / "s.sock")

    def addresses(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url, "SOCKET": self.socket}

    def _launch(self, folder: Path) -> Server:
        server, install_db = _programs()
        owner = "nobody" if os.geteuid() == 0 else None
        if owner:
            shutil.chown(folder, owner)
        data = folder / "data"
        make: list[str | Path] = [install_db, "--no-defaults", f"--datadir={data}", "--skip-test-db", *_QUICK]
        run_to_end([*make, "--auth-root-authentication-method=normal"], cwd=folder, user=owner)
        first = folder / "first.sql"
        first.write_text(self._first(), encoding="utf-8")
        first.chmod(0o644)
        (self.port,) = free_ports(1)
        places = [f"--datadir={data}", f"--socket={folder}/s.sock", f"--pid-file={folder}/pid", f"--tmpdir={folder}"]
        listen = [f"--port={self.port}", f"--bind-address={self.host}", f"--init-file={first}"]
        command: list[str | Path] = [server, "--no-defaults", *places, *listen, *_QUICK, *_SMALL]
        return Server(command, folder, user=owner)

    def _first(self) -> str:
        """What the server runs before it listens: one line, one statement."""
        lines = [f"CREATE DATABASE {self.database};"]
        for host, password in (("127.0.0.1", self.password), ("localhost", "")):
            lines.append(f"CREATE USER {self.user}@'{host}' IDENTIFIED BY '{password}';")
            lines.append(f"GRANT ALL ON {self.database}.* TO {self.user}@'{host}';")
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        """It greets: four bytes of packet header, then protocol version 10.

        A server that is not ready closes, or sends 255.
        """
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                return connection.recv(5)[4:] == b"\x0a"
        except OSError:
            return False


def _programs() -> tuple[str, str]:
    """mariadbd and mariadb-install-db."""
    if not _installed():
        debian.install("mariadb-server")
    found = _installed()
    if not found:
        raise Unavailable("no mariadbd and mariadb-install-db, neither on PATH nor in " + " or ".join(_PLACES))
    return found


def _installed() -> tuple[str, str] | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_PLACES])
    found = tuple(shutil.which(program, path=path) for program in ("mariadbd", "mariadb-install-db"))
    return found if all(found) else None  # type: ignore[return-value]


if __name__ == "__main__":
    run_in_foreground(MariaDB())

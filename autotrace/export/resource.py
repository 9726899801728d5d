"""The process that sends: its service name and tags, as Jaeger and Kiali look for them. Asks nobody on the network."""

from __future__ import annotations

import _io
import _socket
import os
import sys
from typing import TYPE_CHECKING

import autotrace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotrace.settings import Settings

NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
_MEANINGLESS = ("__main__", "main")
_SUFFIXES = (".py", ".pyw", ".pyc", ".pyz", ".exe")


class Resource:
    """It describes the process that made it. After a fork the child makes another."""

    __slots__ = ("service_name", "tags")

    def __init__(self, settings: Settings) -> None:
        self.service_name: str = settings.service_name or _in_namespace(settings.namespace)
        self.tags: dict[str, str | int] = _process_tags()
        if settings.cluster_id:
            self.tags["istio.cluster_id"] = settings.cluster_id
        self.tags.update(settings.tags)
        self.tags.pop("service.name", None)  # OTEL_RESOURCE_ATTRIBUTES may hold it, but it is no tag


def _in_namespace(namespace: str) -> str:
    """`<program>.<namespace>`, because Kiali knows a workload's service by this name."""
    if not namespace:
        try:
            with _io.open(NAMESPACE_FILE, encoding="utf-8") as file:
                namespace = file.read(256).strip()
        except (OSError, ValueError):
            namespace = ""
    name = program_name(sys.orig_argv, getattr(sys, "argv", []))
    return f"{name}.{namespace}" if namespace else name


def program_name(command: Sequence[str], argv: Sequence[str] = ()) -> str:
    """The name by which people know the program. `command` is sys.orig_argv, because programs rewrite sys.argv.

    `python app.py` and /usr/bin/app: app. `-m shop.billing`: billing. `-m shop` and `shop/__main__.py`: shop.
    `-c` and `-`: python, but a spawned child of multiprocessing (`-c`, with its parent's argv) has its parent's name.
    A program that embeds Python has its own name.
    """
    if not command:
        return _of_path(argv[0] if argv else "") or "python"
    if not os.path.basename(command[0]).lower().startswith(("python", "pypy")):
        return _of_path(command[0]) or "python"
    rest = iter(command[1:])
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif word.startswith("--"):
            continue
        elif word == "-" or not word.startswith("-"):
            return _of_path(word) or "python"
        else:
            # Short options may be joined: -Im shop, -uc "...", -mshop. X and W take the rest of their word.
            letter = next((letter for letter in word[1:] if letter in "cmWX"), "")
            if letter == "m":
                return _of_module(word.partition("m")[2] or next(rest, ""))
            if letter == "c":
                break
    return (_of_path(argv[0]) if argv and argv[0] != "-c" else "") or "python"


def _of_module(name: str) -> str:
    parts = [part for part in name.split(".") if part]
    while len(parts) > 1 and parts[-1] in _MEANINGLESS:
        parts.pop()
    return parts[-1] if parts else "python"


def _of_path(path: str) -> str:
    """The file's name without its suffix, or the folder's name for a __main__.py. '' if there is none."""
    folder, name = os.path.split(path.rstrip("/\\"))
    root, suffix = os.path.splitext(name)
    name = root if suffix.lower() in _SUFFIXES else name
    name = name.removesuffix("-script")
    if name == "__main__":
        return os.path.basename(os.path.abspath(folder)) or "python"
    return "" if name in ("-", ".", "..") else name


def _process_tags() -> dict[str, str | int]:
    host = _socket.gethostname()
    tags: dict[str, str | int] = {
        # Kiali finds the workload by `hostname`, which Jaeger 2 renames to `host.name` unless both are there.
        "hostname": host,
        "host.name": host,
        "process.pid": os.getpid(),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": "%d.%d.%d" % sys.version_info[:3],
        "telemetry.sdk.name": "autotrace",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": autotrace.__version__,
    }
    ip = _own_address()
    if ip:
        tags["ip"] = ip
    return tags


def _own_address() -> str:
    """The address of the interface that leads outside, '' without a route.

    Connecting a UDP socket only looks into the routing table; it sends nothing.
    """
    try:
        # From C: programs put guards and mocks into the module `socket`.
        probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 of RFC 5737, which belongs to nobody
            return str(probe.getsockname()[0])
        finally:
            probe.close()
    except Exception:  # no route, or an audit hook of the program's
        return ""

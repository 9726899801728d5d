"""`autotrace check`: which patches are on, and why others are not; the settings; whether the collector answers."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from importlib import metadata
from typing import TYPE_CHECKING

from autotrace import __version__, activation, containment, registry
from autotrace.settings import TABLE, in_force

if TYPE_CHECKING:
    from typing import TextIO

    from autotrace.settings import Settings


def report(out: TextIO) -> int:
    """Write the report. 1 if a patch is refused or a setting is wrong, else 0."""
    activation.activate()
    settings = in_force()
    out.write(f"autotrace {__version__}, Python {sys.version.split()[0]}, {_version('opentelemetry-api')}\n")
    if not settings.enabled:
        out.write("switched off by " + settings.chosen.get("enabled", "a setting") + "\n")
        return 0
    if activation.refusal:
        out.write(activation.refusal + "\n")
        return 1
    wrong = _patches(out, settings)
    _settings(out, settings)
    wrong += _problems(out, settings)
    return 1 if wrong else 0


def _patches(out: TextIO, settings: Settings) -> int:
    out.write("\npatches\n")
    wrong = 0
    for library, modules in {**registry.PATCHES, **registry.dbapi_rows(settings.dbapi), **registry.CARRIERS}.items():
        state = _state(library, list(modules))
        wrong += state.startswith(("refused", "failed"))
        out.write(f"  {library:20} {state}\n")
    return wrong


def _state(library: str, modules: list[str]) -> str:
    top = library.partition(".")[0]
    if all(registry.states.get((library, module)) == registry.DISABLED for module in modules):
        return "off: " + registry.DISABLED
    if library == "uwsgi" and library not in sys.modules:
        return "off: applies inside uWSGI, which creates this module itself"
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        return "off: not installed"
    there, refusal = [], ""
    for module in modules:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # nobody has chosen these libraries here
                importlib.import_module(module)
        except Exception as failure:
            absent = failure.name if isinstance(failure, ModuleNotFoundError) else None
            if absent and "." in absent and f"{module}.".startswith(f"{absent}."):
                continue  # this version lacks the module, or has it elsewhere
            refusal = f"refused: {module} does not import ({type(failure).__name__}: {failure})"
            if not absent or absent.partition(".")[0] == top:
                return refusal
            continue  # a part of the library that needs a package which is not installed
        there.append(module)
    if not there:
        return refusal or "off: not part of the installed version"
    states = [registry.states.get((library, module), registry.NOT_IMPORTED) for module in there]
    bad = [state for state in states if state != registry.ON]
    return bad[0] if bad else f"on   {_distribution(top)}"


def _distribution(top: str) -> str:
    """The installed package that a module belongs to, with its version; '' for the standard library."""
    if top in sys.stdlib_module_names:
        return ""
    return ", ".join(_version(name) for name in sorted(set(metadata.packages_distributions().get(top, ()))))


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return f"{distribution}: not installed"


def _settings(out: TextIO, settings: Settings) -> None:
    out.write("\nsettings that are set (all others have their default)\n")
    for row in TABLE:
        if row.attribute in settings.chosen:
            value = _shown(getattr(settings, row.attribute))
            out.write(f"  {row.attribute:20} {value}   from {settings.chosen[row.attribute]}\n")
    if not settings.chosen:
        out.write("  none\n")
    if "secret_parameters" not in settings.chosen:
        out.write("\nsecret_parameters (too many for the README)\n")
        out.write(f"  {_shown(settings.secret_parameters)}\n")
    out.write("\nexport\n")
    out.write(f"  {settings.exporter:20} {_destination(settings)}\n")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={content}" for key, content in value.items())
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _destination(settings: Settings) -> str:
    """Where spans are sent, and whether a server answers there within a second."""
    if not settings.exporter.startswith("jaeger"):
        return ""
    target = importlib.import_module("autotrace.export.jaeger.endpoint").endpoint(settings)
    if hasattr(target, "host"):
        return f"udp://{target.host}:{target.port} (UDP has no answer, so that this cannot be checked)"
    from urllib.parse import urlsplit

    parts = urlsplit(target.url)
    reached = _reach(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    return f"{target.url} {reached}"


def _reach(host: str | None, port: int) -> str:
    import socket

    try:
        socket.create_connection((host or "", port), timeout=1).close()
    except OSError as failure:
        return f"does not answer: {failure.strerror or failure}"
    return "answers"


def _problems(out: TextIO, settings: Settings) -> int:
    problems = list(settings.problems)
    problems += [f"{place}: {first} ({count} times)" for place, (count, first) in containment.failures.items()]
    if problems:
        out.write("\nproblems\n")
    for problem in problems:
        out.write(f"  {problem}\n")
    return len(problems)

"""OpenTelemetry's package opentelemetry-exporter-jaeger-thrift, made importable again beside an SDK that has moved on.

opentelemetry-sdk 1.40 removed seven names that it imports, and it does not declare that it needs the package `deprecated`.
Both are lent to it for the length of the import and taken away again, so that the program's own imports find what they
would find without us.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "opentelemetry.exporter.jaeger.thrift"
CONSTANTS = tuple(
    f"OTEL_EXPORTER_JAEGER_{word}"
    for word in (
        "AGENT_HOST",
        "AGENT_PORT",
        "AGENT_SPLIT_OVERSIZED_BATCHES",
        "ENDPOINT",
        "PASSWORD",
        "TIMEOUT",
        "USER",
    )
)


def load(module: str = "") -> Any:
    """The package, or a module inside it. ImportError where it is not installed."""
    with _lent():
        return import_module(NAME + module)


def new_exporter(**arguments: Any) -> Any:
    """A JaegerExporter. ImportError where the package is not installed.

    Its constructor asks the SDK's detectors for the service's name, which each span brings along anyway; they need a
    thread pool, and a program whose exit has begun (short ones send only then) gets none.
    """
    package = load()
    theirs = package.Resource
    package.Resource = SimpleNamespace(create=lambda: theirs({}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is deprecated is no news to who asks for it by name
            return package.JaegerExporter(**arguments)
    finally:
        package.Resource = theirs


@contextmanager
def _lent() -> Iterator[None]:
    environment: Any = import_module("opentelemetry.sdk.environment_variables")
    missing = [name for name in CONSTANTS if not hasattr(environment, name)]
    for name in missing:
        setattr(environment, name, name)
    alone = "deprecated" not in sys.modules and find_spec("deprecated") is None
    if alone:
        sys.modules["deprecated"] = _deprecated()
    try:
        yield
    finally:
        for name in missing:
            delattr(environment, name)
        if alone:
            sys.modules.pop("deprecated", None)


def _deprecated() -> ModuleType:
    """Its one name that the package uses: a decorator that here says nothing."""
    module: Any = ModuleType("deprecated")
    module.deprecated = lambda *args, **kwargs: lambda function: function
    return module  # type: ignore[no-any-return]

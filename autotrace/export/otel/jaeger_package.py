"""OpenTelemetry's package opentelemetry-exporter-jaeger-thrift, made importable again beside an SDK that has moved on.

opentelemetry-sdk 1.40 removed seven names that the package imports, and the package does not declare that it needs
`deprecated`. Both are lent to it while it is imported. Then they are taken away, because the program's own imports must
find the same as without autotrace.
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
    """The package, or a module inside it. ImportError if it is not installed."""
    with _lent():
        return import_module(NAME + module)


def new_exporter(**arguments: Any) -> Any:
    """A JaegerExporter. ImportError if the package is not installed.

    Its constructor asks the SDK's detectors for the service's name, although each span has it. The detectors need a
    thread pool, and a program that is exiting gets none. Short programs send their spans only then.
    """
    package = load()
    sdk_resource = package.Resource
    package.Resource = SimpleNamespace(create=lambda: sdk_resource({}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever asks for the package by name knows that it is deprecated
            return package.JaegerExporter(**arguments)
    finally:
        package.Resource = sdk_resource


@contextmanager
def _lent() -> Iterator[None]:
    environment: Any = import_module("opentelemetry.sdk.environment_variables")
    missing = [name for name in CONSTANTS if not hasattr(environment, name)]
    for name in missing:
        setattr(environment, name, name)
    lend_deprecated = "deprecated" not in sys.modules and find_spec("deprecated") is None
    if lend_deprecated:
        sys.modules["deprecated"] = _deprecated()
    try:
        yield
    finally:
        for name in missing:
            delattr(environment, name)
        if lend_deprecated:
            sys.modules.pop("deprecated", None)


def _deprecated() -> ModuleType:
    """The package uses one name of it, a decorator; this one does nothing."""
    module: Any = ModuleType("deprecated")
    module.deprecated = lambda *args, **kwargs: lambda function: function
    return module  # type: ignore[no-any-return]

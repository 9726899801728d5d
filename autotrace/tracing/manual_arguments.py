"""Arguments of the program's own calls of OpenTelemetry's API, which takes anything: what is not of its kind is left
out.
"""

from __future__ import annotations

from typing import Any

from autotrace.containment import reraise_interruption
from autotrace.tracing import clock


def text_of(given: object) -> str:
    """A name that a program gave, as text whatever it is."""
    if isinstance(given, str):
        return given
    try:
        return str(given)
    except Exception:
        reraise_interruption()
        return type(given).__name__


def moment(given: object) -> int:
    """ns since the epoch; the present if that is not what was given."""
    return given if isinstance(given, int) and given > 0 else clock.time_ns()


def attributes_of(attributes: Any) -> dict[str, Any]:
    """A copy of what is a mapping, its keys as text, else {}."""
    try:
        return {text_of(key): value for key, value in attributes.items()} if attributes else {}
    except Exception:
        reraise_interruption()
        return {}

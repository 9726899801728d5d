"""Read an ended span: its name, tags, error and events in the convention in force. Every exporter starts from these."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

from autotrace.settings import in_force

if TYPE_CHECKING:
    from collections.abc import Mapping

convention = in_force().conventions

STACK_LIMIT = 8192
"""Characters of a stack trace."""


def name(span: Any) -> str:
    """The given name, else the family's."""
    if span.given_name is not None:
        return str(span.given_name)
    if span.family is None:
        return ""
    return str(span.family.name(all_facts(span), convention))


def all_facts(span: Any) -> Mapping[str, Any]:
    return {**span.shared.facts, **span.facts} if span.shared is not None else span.facts


def tags(span: Any) -> list[tuple[str, Any]]:
    """[(key, value)]: the family's tags, then the program's own attributes, which win."""
    found: list[tuple[str, Any]] = []
    if span.family is not None:
        if span.shared is not None:
            found += span.family.tags(span.shared.facts, convention)
        found += span.family.tags(span.facts, convention)
    found += error_tags(span)
    if span.attributes:
        own = span.attributes
        found = [tag for tag in found if tag[0] not in own]
        found += own.items()
    return found


def error_tags(span: Any) -> list[tuple[str, Any]]:
    kind = error_type(span)
    if not kind:
        return []
    named = convention != "opentracing" and kind != "error"
    return [("error", True), ("error.type", kind)] if named else [("error", True)]


def error_type(span: Any) -> str:
    """'' for a span without an error; else an exception's type, a status code, or `error`."""
    if span.status is not None:
        if span.status[0].name == "OK":
            return ""
        if span.failure is None:
            return "error"
    if span.failure is not None:
        return str(span.failure.type)
    if span.family is not None and span.family.failure is not None:
        return str(span.family.failure(all_facts(span), convention))
    return ""


def status_text(span: Any) -> str | None:
    """OpenTelemetry's status description of a span with an error."""
    if span.status is not None and span.status[1]:
        return str(span.status[1])
    return f"{span.failure.type}: {span.failure.message}" if span.failure is not None else None


def events(span: Any) -> list[tuple[str, int, Mapping[str, Any]]]:
    """[(name, ns, attributes)], the failure as the last one."""
    found = [(event.name, event.time, event.attributes) for event in span.events or ()]
    if span.failure is not None:
        failure = span.failure
        found.append(("exception" if convention == "otel" else "error", failure.time, failure_fields(failure)))
    return found


def failure_fields(failure: Any) -> dict[str, Any]:
    """The attributes of a failure's event: OpenTracing's log fields, OpenTelemetry's attributes, or both."""
    fields: dict[str, Any] = {}
    if convention != "otel":
        fields = {
            "event": "error",
            "error.kind": failure.type,
            "message": failure.message,
            "stack": stack(failure),
        }
    if convention != "opentracing":
        fields.update(exception(failure))
    return fields


def exception(failure: Any) -> dict[str, Any]:
    return {
        "exception.type": failure.type,
        "exception.message": failure.message,
        "exception.stacktrace": stack(failure),
    }


def stack(failure: Any) -> str:
    """The traceback as Python prints it. Source lines are read here, on the export thread."""
    lines = ["Traceback (most recent call last):"]
    for file, line, function in failure.frames:
        lines.append(f'  File "{file}", line {line}, in {function}')
        source = linecache.getline(file, line).strip()
        if source:
            lines.append(f"    {source}")
    lines.append(f"{failure.type}: {failure.message}")
    return "\n".join(lines)[:STACK_LIMIT]

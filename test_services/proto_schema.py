"""A JSON schema for the YAML form of a protobuf message, read from its .proto file. It refuses unknown fields.

Limits: a type that another file declares may be anything, and a `oneof` may have several of its fields.
"""

from __future__ import annotations

import re
from typing import Any

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r"""(?:map\s*<[^>]*>|[\w.]+|"[^"]*"|[{}=;\[\],])""")
_PLAIN = {"string": "string", "bool": "boolean", "double": "number", "float": "number"}
_PLAIN.update(dict.fromkeys(("int32", "int64", "uint32", "uint64"), "integer"))


def json_schema(proto: str, message: str) -> dict[str, Any]:
    """The schema of `message`. The other messages of the file are its definitions."""
    tokens = _TOKEN.findall(_COMMENT.sub("", proto))
    definitions: dict[str, Any] = {}
    position = 0
    while position < len(tokens):
        if tokens[position] in ("message", "enum") and tokens[position + 2] == "{":
            position = _declaration(tokens, position, "", definitions)
        else:
            position += 1
    for name, known in definitions.items():
        for field, type_ in list(known.get("properties", {}).items()):
            known["properties"][field] = _typed(type_, name, definitions)
    return {"$ref": f"#/definitions/{message}", "definitions": definitions}


def _declaration(tokens: list[str], position: int, outer: str, definitions: dict[str, Any]) -> int:
    """Add the message or enum at `position`, and those inside it, to `definitions`. Returns the position after it."""
    kind, name = tokens[position], f"{outer}{tokens[position + 1]}"
    position += 3
    if kind == "enum":
        end = tokens.index("}", position)
        names = [tokens[at - 1] for at in range(position, end) if tokens[at] == "="]
        definitions[name] = {"type": "string", "enum": names}
        return end + 1
    properties: dict[str, Any] = {}
    definitions[name] = {"type": "object", "properties": properties, "additionalProperties": False}
    while tokens[position] != "}":
        if tokens[position] in ("message", "enum"):
            position = _declaration(tokens, position, f"{name}.", definitions)
        elif tokens[position] == "oneof":
            end = tokens.index("}", position)
            _fields(tokens[position + 3 : end], properties)
            position = end + 1
        else:
            end = tokens.index(";", position)
            _fields(tokens[position : end + 1], properties)
            position = end + 1
    return position + 1


def _fields(tokens: list[str], properties: dict[str, Any]) -> None:
    """Add each `[repeated] type name = number [options];` to `properties`: its name in JSON -> (type, repeated?)."""
    field: list[str] = []
    for token in tokens:
        if token != ";":
            field.append(token)
            continue
        if "=" in field and field[0] not in ("option", "reserved"):
            at = field.index("=")
            properties[_camel(field[at - 1])] = (field[at - 2], "repeated" in field[:at])
        field = []


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


def _typed(field: tuple[str, bool], message: str, definitions: dict[str, Any]) -> dict[str, Any]:
    name, repeated = field
    known: dict[str, Any] = {"type": _PLAIN[name]} if name in _PLAIN else {}
    if not known:
        scope = message.split(".")
        for depth in range(len(scope), -1, -1):  # the innermost scope that has it
            full = ".".join([*scope[:depth], name])
            if full in definitions:
                known = {"$ref": f"#/definitions/{full}"}
                break
    return {"type": "array", "items": known} if repeated else known

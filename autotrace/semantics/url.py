"""URLs without secrets: no user:password, no values of secret query parameters. Never raises."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from autotrace.settings import in_force

REDACTED = "REDACTED"


def values_of(parameters: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that finds the values of these query parameters. Upper and lower case are equal."""
    names = "|".join(re.escape(name) for name in parameters)
    return re.compile(rf"(?i)((?:^|[?&;])(?:{names})=)[^&;#]*" if names else r"(?!)()")


_secret = values_of(in_force().secret_parameters)


def redacted(raw: object) -> str:
    """The URL with userinfo and secret values replaced. The fragment is left out, because it is never sent."""
    text = raw if isinstance(raw, str) else str(raw)
    text = text.partition("#")[0]
    scheme, separator, rest = text.partition("://")
    if separator:
        end = len(rest)
        for stop in "/?":
            found = rest.find(stop)
            if found != -1:
                end = min(end, found)
        user, at, host = rest[:end].rpartition("@")
        if at:
            user = f"{REDACTED}:{REDACTED}" if ":" in user else REDACTED
        text = f"{scheme}://{user}{at}{host}{rest[end:]}"
    return _secret.sub(rf"\1{REDACTED}", text) if "=" in text else text


def path(raw: object) -> str | None:
    try:
        return urlsplit(str(raw)).path or "/"
    except ValueError:
        return None


def query(raw: object) -> str | None:
    found = str(raw).partition("#")[0].partition("?")[2]
    return (_secret.sub(rf"\1{REDACTED}", found) or None) if found else None


def scheme(raw: object) -> str | None:
    found, separator, _ = str(raw).partition("://")
    return found if separator else None

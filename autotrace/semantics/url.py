"""URLs as they may be shown: no user:password, no values of parameters that look like secrets. Never raises.

Parameters of the query, of path segments (`;name=value`) and of a URL within a value. Limit: what is encoded twice.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from autotrace.settings import in_force

REDACTED = "REDACTED"

_IN_QUERY = re.compile(r"([&;])")
_IN_PATH = re.compile(r"([/;])")
_NAME = re.compile(r"(?:^|[?/,]|%3[Ff]|%26|%3[Bb]|%2[FfCc])((?:(?!%3[DdFfBb]|%26|%2[FfCc])[^=?/,])+)(?:=|%3[Dd])")
"""The name of a parameter: at the start of one, or within its value, encoded or not."""
_USER = re.compile(r"(?i)(://|%3a%2f%2f)(?:(?!%2f|%3f|%40)[^/?&;@])+(@|%40)")
"""The user of a URL within a value."""
_UNSPELLED = re.compile(r"[\W_]+")


def _unspelled(name: str) -> str:
    """`access_token`, `access-token` and `accessToken` are one name."""
    return _UNSPELLED.sub("", name).lower()


def secret_names(parameters: tuple[str, ...]) -> frozenset[str]:
    """The names of these parameters (AUTOTRACE_SECRET_PARAMETERS), of which any spelling is secret."""
    return frozenset(map(_unspelled, parameters)) - {""}


_secrets = secret_names(in_force().secret_parameters)


@lru_cache(maxsize=256)
def _is_secret(name: str, secrets: frozenset[str]) -> bool:
    """`user[password]` and `user.password` are secret, because `password` is."""
    name = unquote(name)
    return not secrets.isdisjoint(map(_unspelled, (name, *re.split(r"[\[\].:$]", name))))


def _masked(text: str, separators: re.Pattern[str]) -> str:
    """`text`, a query or a path, without the values of its secret parameters: the rest of a parameter is replaced."""
    if "=" not in text and "%3" not in text:
        return text
    text = _USER.sub(rf"\1{REDACTED}\2", text)
    parts = separators.split(text)
    for place, part in enumerate(parts):
        for found in _NAME.finditer(part):
            if _is_secret(found[1], _secrets):
                parts[place] = part[: found.end()] + REDACTED
                break
    return "".join(parts)


def redacted(raw: object) -> str:
    """The URL with userinfo and secret values replaced. The fragment is left out, because it is never sent."""
    text = raw if isinstance(raw, str) else str(raw)
    text = text.partition("#")[0]
    scheme, separator, rest = text.partition("://")
    if separator and "/" not in scheme and "?" not in scheme:
        end = len(rest)
        for stop in "/?":
            found = rest.find(stop)
            if found != -1:
                end = min(end, found)
        user, at, host = rest[:end].rpartition("@")
        if at:
            user = f"{REDACTED}:{REDACTED}" if ":" in user else REDACTED
        return f"{scheme}://{user}{at}{host}{_masked_target(rest[end:])}"
    return _masked_target(text)


def _masked_target(target: str) -> str:
    path, mark, query = target.partition("?")
    return f"{_masked(path, _IN_PATH)}{mark}{_masked(query, _IN_QUERY)}"


def path(raw: object) -> str | None:
    try:
        return _masked(urlsplit(str(raw)).path, _IN_PATH) or "/"
    except ValueError:
        return None


def query(raw: object) -> str | None:
    found = str(raw).partition("#")[0].partition("?")[2]
    return _masked(found, _IN_QUERY) or None


def scheme(raw: object) -> str | None:
    found, separator, _ = str(raw).partition("://")
    return found if separator else None

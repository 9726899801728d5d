"""Which topics are left alone (AUTOTRACE_KAFKA_EXCLUDED_TOPICS), and whether commits are told (AUTOTRACE_KAFKA_COMMITS). Knows no client."""

from __future__ import annotations

import re
from fnmatch import translate

commits = False
"""Do commits that wait for the broker get spans?"""
_excluded: re.Pattern[str] | None = None


def configure(patterns: tuple[str, ...], tell_commits: bool) -> None:
    """`patterns`: as of files (`*.internal`), upper and lower case told apart, as Kafka does."""
    global commits, _excluded
    commits = tell_commits
    _excluded = re.compile("|".join(map(translate, patterns))) if patterns else None


def excluded(topic: object) -> bool:
    """Is this topic left alone: no spans, and headers as the program gave them? False for what is no topic."""
    return _excluded is not None and isinstance(topic, str) and _excluded.match(topic) is not None

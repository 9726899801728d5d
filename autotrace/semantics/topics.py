"""Excluded topics (AUTOTRACE_KAFKA_EXCLUDED_TOPICS), and whether commits have spans (AUTOTRACE_KAFKA_COMMITS)."""

from __future__ import annotations

import re
from fnmatch import translate

commits = False
"""Do commits that wait for the broker get spans?"""
_excluded: re.Pattern[str] | None = None


def configure(patterns: tuple[str, ...], tell_commits: bool) -> None:
    """`patterns`: as of file names (`*.internal`); case counts, as in Kafka."""
    global commits, _excluded
    commits = tell_commits
    _excluded = re.compile("|".join(map(translate, patterns))) if patterns else None


def excluded(topic: object) -> bool:
    """Does this topic get no spans, and keep its headers as the program gave them? False for anything but a topic."""
    return _excluded is not None and isinstance(topic, str) and _excluded.match(topic) is not None

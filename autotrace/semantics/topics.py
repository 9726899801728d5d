"""Excluded topics (AUTOTRACE_KAFKA_EXCLUDED_TOPICS), and whether commits have spans (AUTOTRACE_KAFKA_COMMITS)."""

from __future__ import annotations

from autotrace.setting_types import any_of
from autotrace.settings import in_force

commits = in_force().kafka_commits
"""Do commits that wait for the broker get spans?"""
_excluded = any_of(in_force().kafka_excluded_topics)


def excluded(topic: object) -> bool:
    """Is this topic left alone: no spans, and headers as the program gave them? False for anything but a topic."""
    return _excluded is not None and isinstance(topic, str) and _excluded.match(topic) is not None


def any_excluded() -> bool:
    """Is some topic left alone? Then a record whose topic is not known yet must stay as the program gave it."""
    return _excluded is not None

"""The bounded mapping."""

from __future__ import annotations

from autotrace.messaging.recent import Recent


def test_recent_keeps_the_newest_and_forgets_the_rest() -> None:
    recent = Recent(10)
    for number in range(100):
        recent.put(number, number)
        assert recent.get(number) == number
    assert [number for number in range(100) if recent.get(number) is not None] == list(range(90, 100))
    recent.put("more", "more")
    assert recent.get(95) == 95
    assert len(recent.young) + len(recent.old) <= 20

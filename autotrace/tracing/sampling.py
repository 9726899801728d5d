"""Samplers: is a trace kept? A parent-based one follows the remote parent. Debug traces are always kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Decide = Callable[[int], bool]


def decision(name: str, argument: float) -> tuple[Decide, bool]:
    """(trace id -> is it kept?, is it parent-based?) of a sampler of settings.SAMPLERS."""
    kind = name.removeprefix("parentbased_")
    parent_based = kind != name
    if kind == "always_on":
        return _always, parent_based
    if kind == "always_off":
        return _never, parent_based
    if kind == "ratelimiting":
        return RateLimit(argument), parent_based
    return _ratio(argument), parent_based


def _always(trace_id: int) -> bool:
    return True


def _never(trace_id: int) -> bool:
    return False


def _ratio(ratio: float) -> Decide:
    """OpenTelemetry's TraceIdRatioBased: the id's low 64 bits against a bound, so that every service decides alike."""
    if ratio >= 1:
        return _always
    if ratio <= 0:
        return _never
    bound = round(ratio * (1 << 64))
    return lambda trace_id: trace_id & 0xFFFFFFFFFFFFFFFF < bound


class RateLimit:
    """Jaeger's ratelimiting: at most `rate` new traces a second. The bucket holds one second's traces, at least one."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.most = max(rate, 1.0)
        self.balance = self.most
        self.clock = clock
        self.last = clock()

    def __call__(self, trace_id: int) -> bool:
        # Two threads that race here let one trace too many through. That is harmless, and cheaper than a lock.
        moment = self.clock()
        self.balance = min(self.most, self.balance + (moment - self.last) * self.rate)
        self.last = moment
        if self.balance < 1:
            return False
        self.balance -= 1
        return True

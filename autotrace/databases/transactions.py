"""Commits and rollbacks that a program makes by calls: a span each with AUTOTRACE_TRACE_TRANSACTIONS. Knows no driver.

The setting is read when a library is patched. Without it the methods stay the driver's own and cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.databases.traced_methods import StatementCall, itself, traced_method
from autotrace.settings import in_force

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver, Make
    from autotrace.patching import Plan

ENDS = ("commit", "rollback")


def enabled() -> bool:
    return in_force().trace_transactions


def traced_ends(
    driver: Driver,
    traced: Callable[[Driver, StatementCall], Make] = traced_method,
    connection: Callable[[Any], Any] = itself,
) -> dict[str, Make]:
    """Name of a method -> the function that gives the method a span; none without the setting.

    traced: traced_coroutine, if the methods are `async def`. connection(self) -> the argument of facts_of().
    """
    if not enabled():
        return {}
    return {name: traced(driver, StatementCall(_operation(name), connection)) for name in ENDS}


def trace(
    plan: Plan, owner: Any, driver: Driver, traced: Callable[[Driver, StatementCall], Make] = traced_method
) -> None:
    """Trace commit() and rollback() of `owner`, a class of connections."""
    for name, make in traced_ends(driver, traced).items():
        plan.method(owner, name, make)


def _operation(name: str) -> Any:
    """Reads a call that has no statement: its name is its only fact."""
    return lambda self, args, kwargs: {"operation": name}

"""Ends of transactions that a program makes by calls: spans if AUTOTRACE_TRACE_TRANSACTIONS asks for them. Knows no driver.

The setting is asked when a library is patched: switched off, the methods stay the driver's own and cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.databases.traced_methods import StatementCall, itself, traced_method
from autotrace.settings import in_force

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.databases.driver import Driver
    from autotrace.patching import Plan

    Make = Callable[[Any], Any]

ENDS = ("commit", "rollback")


def wanted() -> bool:
    return in_force().trace_transactions


def makers(
    driver: Driver,
    traced: Callable[[Driver, StatementCall], Make] = traced_method,
    connection: Callable[[Any], Any] = itself,
) -> dict[str, Make]:
    """Name of a method -> what gives it a span; empty unless AUTOTRACE_TRACE_TRANSACTIONS asks for it.

    traced: traced_coroutine where the methods are `async def`. connection(self) -> what the driver's facts_of() takes.
    """
    if not wanted():
        return {}
    return {name: traced(driver, StatementCall(_operation(name), connection)) for name in ENDS}


def trace(
    plan: Plan, owner: Any, driver: Driver, traced: Callable[[Driver, StatementCall], Make] = traced_method
) -> None:
    """makers() into `owner`, a class of connections."""
    for name, make in makers(driver, traced).items():
        plan.method(owner, name, make)


def _operation(name: str) -> Any:
    """The end of a transaction has nothing but a name."""
    return lambda self, args, kwargs: {"operation": name}

"""A program: applies the patches of each installed package, undoes them, and says what is not as it was before.

One line of JSON a package: did the patches change anything, what they left, why they refused it. Limit: it compares the
modules and classes of the package itself, and the tables of autotrace's families.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from typing import Any

from autotrace import registry
from autotrace.patching import Plan, Unpatchable

FAMILIES = tuple(f"autotrace.{name}" for name in ("messaging", "databases", "http_client", "http_server"))
Row = tuple[str, str, str]
State = dict[tuple[str, str], Any]


def packages() -> dict[str, list[Row]]:
    """Top-level package -> its rows (library, module, function), in the registry's order."""
    found: dict[str, list[Row]] = {}
    for table in (registry.PATCHES, registry.CARRIERS):
        for library, modules in table.items():
            for module, function in modules.items():
                found.setdefault(module.partition(".")[0], []).append((library, module, function))
    return found


def imported(rows: list[Row]) -> list[tuple[types.ModuleType, Any]]:
    """(module, its patch) of the rows whose module is installed."""
    found = []
    for library, module, function in rows:
        patch = importlib.import_module("autotrace.patches." + library.replace(".", "_"))
        try:
            if module.startswith("django."):
                importlib.import_module("django.conf").settings.configure()
        except (ImportError, RuntimeError):  # not installed; configured already
            pass
        try:
            found.append((importlib.import_module(module), getattr(patch, function)))
        except ImportError:
            continue
    return found


def state(*prefixes: str) -> State:
    """(owner, name) -> value, or a copy of a table, of every module and class of these packages."""
    found: State = {}
    for name, module in list(sys.modules.items()):
        if isinstance(module, types.ModuleType) and f"{name}.".startswith(tuple(f"{prefix}." for prefix in prefixes)):
            top = name.partition(".")[0]
            classes = [value for value in vars(module).values() if isinstance(value, type)]
            for owner in [module, *(kind for kind in classes if kind.__module__.partition(".")[0] == top)]:
                for key, value in list(vars(owner).items()):
                    if not isinstance(value, types.ModuleType) and key != "__builtins__":
                        found[f"{name}:{owner.__name__}", key] = copied(value)
    return found


def copied(value: Any) -> Any:
    """What a table holds; an object itself."""
    if type(value) in (list, set):
        return [id(item) for item in value]
    if type(value) is dict:
        return {id(key): id(item) for key, item in value.items()}
    return value


def differing(before: State, after: State) -> list[str]:
    found = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        same = type(old) is type(new) and old == new if isinstance(old, (list, dict)) else old is new
        if not same:
            found.append(" ".join(key))
    return sorted(found)


def apply_all(patches: list[tuple[types.ModuleType, Any]]) -> tuple[list[Plan], str]:
    """(the plans that were applied, why a patch refused its module)."""
    plans = []
    for module, patch in patches:
        plan = Plan()
        try:
            patch(module, plan)
            plan.apply()
        except Unpatchable as reason:
            return plans, str(reason)
        plans.append(plan)
    return plans, ""


def undo_all(plans: list[Plan]) -> None:
    for plan in reversed(plans):
        plan.undo()


for package, rows in packages().items():
    patches = imported(rows)
    if patches:
        tables = state(*FAMILIES)
        undo_all(apply_all(patches)[0])  # the first time, patches import what they need
        before = state(package)
        plans, refusal = apply_all(patches)
        changed = differing(before, state(package))
        undo_all(plans)
        left = differing(before, state(package)) + differing(tables, state(*FAMILIES))
        print(json.dumps([package, bool(changed), left, refusal]), flush=True)

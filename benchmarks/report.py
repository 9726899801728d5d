"""The results as a table, for a terminal and in Markdown for docs/benchmarks.md; and the budgets that are not met."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.agents import Agent
from benchmarks.budgets import BENCHMARKS, BUDGETS, Budget
from benchmarks.rounds import Added, Results, added, verdict

BEGIN, END = "<!-- results: written by `python -m benchmarks --markdown` -->", "<!-- end of results -->"
HEAD = ["what", "unit", "bare", "autotrace", "added", "±", "ratio", "must", "aim", "verdict"]


def rows(results: Results, others: Sequence[Agent] = ()) -> list[list[str]]:
    """One row for each budget that was measured; two more columns for each other agent.

    The first is what it adds. The second is how many times as much as autotrace; of another checkout, this one's less
    its own, with ±.
    """
    compared = {True: "change", False: "times ours"}
    table = [HEAD + [column for agent in others for column in (f"{agent.name} adds", compared[agent.autotrace])]]
    for budget in BUDGETS:
        autotrace = added(results, budget.benchmark, budget.figure, "autotrace")
        if autotrace is None:
            continue
        row = [
            budget.what,
            budget.unit,
            *map(shown, (autotrace.bare, autotrace.traced, autotrace.added, autotrace.spread)),
        ]
        row += [f"{autotrace.ratio:.2f}" if autotrace.ratio < 1000 else "", shown(budget.must), shown(budget.aim)]
        row.append(verdict(autotrace.added, budget.must, budget.aim))
        table.append(row + [cell for agent in others for cell in _compared(results, budget, agent, autotrace)])
    return table


def _compared(results: Results, budget: Budget, other: Agent, autotrace: Added) -> tuple[str, str]:
    able = other.autotrace or other.name in BENCHMARKS[budget.benchmark].others
    if able and (budget.benchmark, other.name) not in results:
        return "FAILS", ""
    if not traced(results, budget.benchmark, other.name):
        return "NOT TRACED", ""
    theirs = added(results, budget.benchmark, budget.figure, other.name)
    if theirs is None:
        return "", ""
    change = added(results, budget.benchmark, budget.figure, "autotrace", other.name) if other.autotrace else None
    compared = f"{change.added:+.2f} ±{shown(change.spread)}" if change else times(theirs.added, autotrace.added)
    return shown(theirs.added), compared


def traced(results: Results, benchmark: str, agent: str) -> bool:
    """Whether the agent sent something for each operation, in every round."""
    return all(figures.get("traced", True) for figures in results.get((benchmark, agent), ()))


def missed(results: Results) -> list[str]:
    """A line for each budget that is not met."""
    lines = []
    for budget in BUDGETS:
        autotrace = added(results, budget.benchmark, budget.figure, "autotrace")
        if autotrace is not None and verdict(autotrace.added, budget.must, budget.aim) == "MISSED":
            lines.append(
                f"{budget.what}: {with_unit(autotrace.added, budget)} added, must {with_unit(budget.must, budget)}"
            )
    return lines


def with_unit(value: float | None, budget: Budget) -> str:
    return f"{shown(value)} {budget.unit}"


def shown(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}" if abs(value) < 99.95 else f"{value:,.0f}"


def times(theirs: float, autotrace: float) -> str:
    if autotrace <= 0 or theirs <= 0:
        return ""
    return f"{theirs / autotrace:.1f}" if theirs < 10 * autotrace else f"{theirs / autotrace:.0f}"


def text(table: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column > 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def markdown(table: list[list[str]]) -> str:
    head, *body = table
    rule = ["---", "---", *["---:"] * (len(head) - 2)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


def put_into(document: str, results: str) -> str:
    """`document` with what stands between its two markers replaced; the results alone where it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{results}\n{end}{after}" if end else results + "\n"

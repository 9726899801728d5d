"""README, CHANGELOG and docs/: links, paths and settings exist; sentences are short and plain; lines fit a screen.

Tables and code blocks are no prose. The settings table of the README has its own test, in tests/start_up/test_settings.py.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from autotrace.settings import TABLE

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LATER = ("kafka.md", "databases.md", "http.md", "adding_a_library.md")
"""Pages whose prose still breaks the limits below; take a page out once it keeps them."""
WORDS = 35
COLUMNS = 120

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_finished_page = pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in LATER], ids=lambda page: page.name
)


def prose(page: Path) -> list[str]:
    """The lines of a page; tables, code blocks and generated results are replaced by empty lines."""
    text = re.sub(r"<!-- results.*?<!-- end of results -->|^```.*?^```$", blank, page.read_text(), flags=re.S | re.M)
    return ["" if line.lstrip().startswith("|") else line for line in text.splitlines()]


def blank(found: re.Match[str]) -> str:
    return "\n" * found.group().count("\n")


def sentences(page: Path) -> list[str]:
    """A code span counts as one word, a link as its text; a heading or a list item ends the sentence before it."""
    parts: list[str] = []
    for line in prose(page):
        if not line.strip() or line.startswith("#"):
            parts.append("")
        elif re.match(r"\s*([-*]|\d+\.) ", line):
            parts.extend(("", re.sub(r"^\s*([-*]|\d+\.) ", "", line)))
        else:
            parts.append(line.strip())
    found = []
    for filled, lines in groupby(parts, bool):
        if filled:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "`code`", " ".join(lines)))
            found.extend(re.split(r"(?<=[.!?])\**\s+", text))
    return found


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    relative = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in relative if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    """A code span that looks like a path is one from the root of the repository, or the end of one (`patches/kafka.py`)."""
    spans = re.findall(r"`([\w./*-]+)(?:::\w+)?`", "\n".join(page.read_text().splitlines()))
    folders = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    paths = [span for span in spans if span.endswith(".py") or span.startswith(folders)]
    assert [path for path in paths if not is_a_file(path)] == []


def is_a_file(path: str) -> bool:
    return any(ROOT.glob(path)) or any(any((ROOT / top).rglob(path)) for top in ("autotrace", "tests", "examples"))


@every_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {name for row in TABLE for name in row.variables}
    assert set(re.findall(r"\bAUTOTRACE_\w+", page.read_text())) - known == set()


@every_finished_page
def test_no_sentence_is_too_long_to_be_read_once(page: Path) -> None:
    assert [text for text in sentences(page) if len(re.findall(r"\w[\w'-]*", text)) > WORDS] == []


@every_finished_page
def test_no_sentence_is_a_riddle(page: Path) -> None:
    """It names its actor and its thing: it neither begins with What, That, One that nor ends in a pronoun."""
    riddles = re.compile(r"(What|That|One that|Those that)\b(?!.*\?$)|.*\b(it|them|one|ones|this|that|those|theirs|ours)\.$")
    assert [text for text in sentences(page) if riddles.match(text)] == []


@every_finished_page
def test_a_line_fits_a_screen(page: Path) -> None:
    assert [line for line in prose(page) if len(line) > COLUMNS and " " in line.strip()] == []


def test_a_decision_is_told_with_its_problem_and_what_was_refused_or_is_its_price() -> None:
    entries = re.split(r"^### ", (ROOT / "docs" / "rationale.md").read_text(), flags=re.M)[1:]
    assert len(entries) > 50
    for entry in entries:
        words = re.findall(r"^\*\*(\w+)\.\*\*", entry, re.M)
        assert words in (
            ["Problem", "Decision", "Refused"],
            ["Problem", "Decision", "Price"],
            ["Problem", "Decision", "Refused", "Price"],
        ), entry.partition("\n")[0]

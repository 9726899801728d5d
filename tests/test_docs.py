"""README, CHANGELOG and docs/: links, files and settings exist; sentences are short and plain; lines fit a screen.

Tables and code blocks are no prose. The settings table of the README has its own test, in
tests/start_up/test_settings.py.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from autotrace.settings import TABLE

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
WORDS = 35
COLUMNS = 120
RIDDLE = re.compile(r"(What|That|Those that|One that)\b(?!.*\?$)|.*\b(it|them|this|that|those|ones?|ours|theirs)\.$")
ITEM = re.compile(r"\s*([-*]|\d+\.) ")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_finished_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(page: Path) -> list[str]:
    """The lines of a page. A line of a table, a code block or generated results is empty here."""
    text = re.sub(r"<!-- results.*?<!-- end of results -->|^```.*?^```$", blank, page.read_text(), flags=re.S | re.M)
    return ["" if line.lstrip().startswith("|") else line for line in text.splitlines()]


def blank(found: re.Match[str]) -> str:
    return "\n" * found.group().count("\n")


def sentences(page: Path) -> list[str]:
    """A code span counts as one word, a link as its text. A heading or a list item ends the sentence before it."""
    parts: list[str] = []
    for line in prose(page):
        if ITEM.match(line):
            parts.extend(("", ITEM.sub("", line, count=1)))
        else:
            parts.append("" if line.startswith("#") else line.strip())
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
    """A code span that looks like a path is a path from the root of the repository, or its end (`patches/kafka.py`)."""
    folders = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    spans = re.findall(r"`(\w[\w./*-]*)(?:::\w+)?`", page.read_text())
    paths = [span for span in spans if span.endswith(".py") or span.startswith(folders)]
    assert [path for path in paths if not is_a_file(path)] == []


def is_a_file(path: str) -> bool:
    tops = (ROOT / top for top in ("autotrace", "tests", "examples"))
    return any(ROOT.glob(path)) or any(any(top.rglob(path)) for top in tops)


@every_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {name for row in TABLE for name in row.variables}
    assert set(re.findall(r"\bAUTOTRACE_\w+", page.read_text())) - known == set()


@every_finished_page
def test_no_sentence_is_too_long_to_be_read_once(page: Path) -> None:
    assert [text for text in sentences(page) if len(re.findall(r"\w[\w'-]*", text)) > WORDS] == []


@every_finished_page
def test_no_sentence_is_a_riddle(page: Path) -> None:
    """A sentence names its thing: it does not begin with What, That or One that, and does not end in a pronoun."""
    assert [text for text in sentences(page) if RIDDLE.match(text)] == []


@every_finished_page
def test_a_line_fits_a_screen(page: Path) -> None:
    assert [line for line in prose(page) if len(line) > COLUMNS and " " in line.strip()] == []


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.parent.name for path in (ROOT / "autotrace").glob("*/__init__.py")]
    assert [room for room in rooms if f"| `{room}/` |" not in text] == []


def test_the_architecture_names_every_file_of_a_family_and_of_export() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = ("messaging", "databases", "http_client", "http_server", "export")
    files = [path for room in rooms for path in (ROOT / "autotrace" / room).glob("*.py") if path.stem != "__init__"]
    assert [path.name for path in files if f"{path.name}`" not in text] == []


def test_a_decision_stands_with_its_problem_and_with_its_alternatives_or_its_price() -> None:
    entries = re.split(r"^### ", (ROOT / "docs" / "rationale.md").read_text(), flags=re.M)[1:]
    assert len(entries) > 50
    for entry in entries:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", entry, re.M)
        assert parts[:2] == ["Problem", "Decision"], entry
        assert parts[2:] in (["Refused"], ["Price"], ["Refused", "Price"]), entry

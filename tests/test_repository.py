"""The repository as a stranger finds it: what its files say about each other is true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.programs import ROOT

SUFFIXES = (".py", ".md", ".yaml", ".yml", ".toml")
FOLDERS = ("autotrace", "benchmarks", "bootstrap", "docs", "examples", "fuzz", "test_services", "tests", ".github")
ELSEWHERE = {"thrift-compact-protocol.md", "table.md"}
"""Markdown files of other projects, or made by a test."""


def files() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.suffix in SUFFIXES or path.name == "Makefile")
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES)


def installs_a_namesake(line: str) -> bool:
    """`autotrace` on the package index is somebody else's package of 2018; ours is `autotrace-agent`."""
    command = re.search(r"\bpip3?\W+install\b([^`#;&|]*)", line)
    words = re.split(r"[\s,\"']+", command[1]) if command else []
    return any(re.fullmatch(r"autotrace(\[[\w,]+\]|[=<>~!].*)?\]?", word) for word in words)


@pytest.mark.parametrize(
    "arguments",
    ["{}", "{}[jaeger_thrift]", "--target /x {}", "-U '{}>=1'", '"{}==0.1"', "--target, /x, {}]", "flask {}"],
)
def test_the_next_test_knows_such_a_command(arguments: str) -> None:
    for name, found in (("autotrace", True), ("autotrace-agent", False), ("/autotrace", False), (".", False)):
        assert installs_a_namesake("pip install " + arguments.format(name)) is found


def test_no_file_says_to_install_somebody_elses_package() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in files()
        if path != Path(__file__)
        for line in path.read_text(encoding="utf-8").splitlines()
        if installs_a_namesake(line)
    ]
    assert wrong == []


def test_every_page_that_a_file_names_is_there() -> None:
    pages = {path.name for path in files() if path.suffix == ".md"} | ELSEWHERE
    named = {
        (str(path.relative_to(ROOT)), page)
        for path in files()
        for page in re.findall(r"[\w-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert {(path, page) for path, page in named if page not in pages} == set()


def test_every_make_target_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (path.name, target)
        for path in files()
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if path.suffix == ".md"
    }
    assert {(page, target) for page, target in named if target not in targets} == set()
    assert ("README.md", "demo") in named


def test_the_hooks_before_a_commit_run_what_make_lint_runs() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    hooks = [" ".join([hook["entry"], *hook["args"]]) for hook in local["hooks"]]
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    lint = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()[1:]]
    assert hooks == lint


def test_the_constraints_hold_a_version_for_everything_that_the_tests_need() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    held = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    needed = [Requirement(text) for text in requires("autotrace-agent") or ()]
    assert len(needed) > 40
    for requirement in needed:
        if requirement.name != "autotrace-agent" and "release" not in str(requirement.marker):
            assert requirement.specifier.contains(held[canonicalize_name(requirement.name)]), requirement

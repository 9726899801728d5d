"""The layers of docs/architecture.md: a file imports only from rows above its own, or from the left in its own row."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "autotrace"

# Rows from the top; in a row, from left to right. A name covers the file or the folder of that name.
START_UP = (
    "setting_types",
    "setting_aliases",
    "settings",
    "interruption",
    "containment",
    "registry",
    "own_imports",
    "import_hook",
    "activation",
    "check",
    "cli",
)
CORE = (
    "patching",
    "propagation",
    "sql",
    "semantics",
    "tracing",
)
FAMILIES = ("messaging", "databases", "http_client", "http_server")
ROWS = (START_UP, CORE, FAMILIES, ("export", "viewer"), ("patches",))
COMMANDS = ("check.py",)  # reports in a process of their own, which may cost what it takes
HEAVY = {"logging", "typing", "dataclasses", "importlib.metadata", "inspect", "re", "contextlib", "enum", "json"}


def place(module: str) -> tuple[int, int] | None:
    """(row, column) of `autotrace.<module>…`; None for what is not ours."""
    words = module.split(".")
    if words[0] != "autotrace" or len(words) == 1:
        return None
    for row, names in enumerate(ROWS):
        if words[1] in names:
            return row, names.index(words[1])
    raise AssertionError(f"{module} has no place in ROWS")


def imports(path: Path) -> list[tuple[str, bool, str]]:
    """(module, at module level?, module.name) of every name imported outside `if TYPE_CHECKING`."""
    found = []

    def visit(node: ast.AST, top: bool) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, top, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(path, node)
            names = [alias.name for alias in node.names if alias.name != "__version__"]
            of_package = module == "autotrace"
            found.extend((f"{module}.{name}" if of_package else module, top, f"{module}.{name}") for name in names)
        deeper = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, deeper)

    visit(ast.parse(path.read_text()), True)
    return found


def absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["autotrace", *path.relative_to(ROOT).parts[: -node.level]]
    return ".".join([*package, *([node.module] if node.module else [])])


FILES = sorted(path for path in ROOT.rglob("*.py") if "bootstrap" not in path.parts)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("autotrace", *(part for part in parts if part != "__init__")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_above_or_from_the_left(path: Path) -> None:
    own = place(module_of(path))
    for module, _, _ in imports(path):
        other = place(module)
        if own is None or other is None or module.split(".")[:2] == module_of(path).split(".")[:2]:
            continue
        assert other < own, f"{path.name} may not import {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_family_never_imports_another_family(path: Path) -> None:
    family = path.relative_to(ROOT).parts[0]
    if family not in FAMILIES:
        return
    others = [f"autotrace.{name}" for name in FAMILIES if name != family]
    assert [module for module, _, _ in imports(path) if module.startswith(tuple(others))] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions count. Imports by a string do not: start-up loads tracing by name, without
    knowing it.
    """
    graph = {module_of(path): files_imported_by(path) for path in FILES}
    while free := [module for module, names in graph.items() if not names]:
        for module in free:
            del graph[module]
        for names in graph.values():
            names.difference_update(free)
    assert graph == {}


def files_imported_by(path: Path) -> set[str]:
    known = set(map(module_of, FILES))
    found = {submodule if submodule in known else module for module, _, submodule in imports(path)}
    return found & known - {module_of(path)}


@pytest.mark.parametrize(
    "path", [path for path in FILES if (place(module_of(path)) or (9, 9))[0] == 0], ids=lambda p: p.name
)
def test_start_up_imports_nothing_heavy(path: Path) -> None:
    if path.name in COMMANDS:
        return
    heavy = {
        module for module, top, _ in imports(path) if top and (module in HEAVY or module.startswith("opentelemetry"))
    }
    assert not heavy


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "patches"], ids=lambda path: path.name)
def test_a_patch_knows_no_other_patch_no_exporter_and_no_environment(path: Path) -> None:
    for module, _, _ in imports(path):
        assert not module.startswith(("autotrace.patches", "autotrace.export", "autotrace.settings")), module
    assert "os.environ" not in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_first_line_of_a_file_says_its_idea(path: Path) -> None:
    assert path.read_text().startswith('"""'), path


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_settings_reads_the_environment(path: Path) -> None:
    if path.name in ("settings.py", "cli.py"):  # the cli hands an environment on
        return
    source = path.read_text()
    assert "os.environ" not in source
    assert "getenv" not in source


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_wrapt_is_imported_late(path: Path) -> None:
    """wrapt may import asyncio, which costs a hundred milliseconds. A function that needs a proxy imports it."""
    assert "wrapt" not in {module.partition(".")[0] for module, top, _ in imports(path) if top}

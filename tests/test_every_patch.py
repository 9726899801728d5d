"""Every row of the registry has its file, function, tests and README line, refuses lookalikes, and can be undone."""

from __future__ import annotations

import importlib
import json
import sys
import types
from pathlib import Path

import pytest

from autotrace import patching, registry
from tests.programs import bare

ROOT = Path(__file__).parent.parent
ROWS = [
    (library, module, function)
    for table in (registry.PATCHES, registry.CARRIERS)
    for library, modules in table.items()
    for module, function in modules.items()
]
LIBRARIES = sorted({library for library, _, _ in ROWS})
SILENT = ("opentelemetry",)  # replaces nothing: that it was imported is all it waits for
OUR_OWN = ("time_machine",)  # changes a module of autotrace, nothing of the library
WHILE_IMPORTED = ("confluent_kafka",)  # refuses a library that the program has imported already


def file_of(library: str) -> Path:
    return ROOT / "autotrace" / "patches" / f"{library.replace('.', '_')}.py"


@pytest.mark.parametrize(("library", "module", "function"), ROWS)
def test_a_row_names_a_function_that_exists(library: str, module: str, function: str) -> None:
    patches = importlib.import_module("autotrace.patches." + library.replace(".", "_"))
    assert callable(getattr(patches, function))


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_has_its_tests(library: str) -> None:
    assert (ROOT / "tests" / "patches" / f"test_{library.replace('.', '_')}.py").is_file()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_stands_in_the_readme(library: str) -> None:
    assert f"`{library}`" in (ROOT / "README.md").read_text()


def test_every_patch_file_has_a_row() -> None:
    files = {path for path in (ROOT / "autotrace" / "patches").glob("*.py") if path.name != "__init__.py"}
    assert files == {file_of(library) for library in LIBRARIES}


@pytest.mark.parametrize(("library", "module", "function"), [row for row in ROWS if row[0] not in SILENT])
def test_a_module_that_merely_has_the_name_is_refused_whole(library: str, module: str, function: str) -> None:
    patches = importlib.import_module("autotrace.patches." + library.replace(".", "_"))
    lookalike = types.ModuleType(module)
    before = dict(vars(lookalike))
    plan = patching.Plan()
    with pytest.raises((patching.Unpatchable, AttributeError, ImportError)):
        getattr(patches, function)(lookalike, plan)
    assert vars(lookalike) == before
    assert plan._undo == []


@pytest.mark.parametrize(("library", "module", "function"), ROWS)
def test_importing_a_patch_imports_no_library(library: str, module: str, function: str) -> None:
    """The patch file itself must be importable where its library is absent: only the function may need it."""
    import subprocess

    program = (
        f"import sys; before = set(sys.modules); import autotrace.patches.{library.replace('.', '_')}\n"
        f"top = {module.partition('.')[0]!r}\n"
        "print([name for name in sys.modules if name.partition('.')[0] == top and name not in before])"
    )
    if module.partition(".")[0] in sys.stdlib_module_names or library == "opentelemetry":
        return  # the standard library is always there, and the tracing core stands on the API
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_patches_that_are_undone_leave_their_libraries_as_they_were() -> None:
    """On all that is installed, in a process without autotrace: tests/patching/undone.py."""
    done = bare(sys.executable, "-m", "tests.patching.undone", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {package for package, changed, _, _ in rows if not changed} == {*SILENT, *OUR_OWN, *WHILE_IMPORTED}
    assert {package for package, _, _, refusal in rows if refusal} == {*WHILE_IMPORTED}
    assert [name for _, _, left, _ in rows for name in left] == []


OWED = {
    "asyncpg": ("CursorIterator.__anext__ getfullargspec",),
    "oracledb": ("oracledb.connection.connect_async getfullargspec",),
    "psycopg": (
        *(f"{kind}.copy getfullargspec" for kind in ("Cursor", "AsyncCursor")),
        *(
            f"psycopg.connect {view}"
            for view in (
                "signature",
                "__module__",
                "__annotations__",
                "__defaults__",
                "__kwdefaults__",
                "getfullargspec",
            )
        ),
    ),
}
"""What replaced functions still show otherwise than the library's own. Only ever fewer."""


def test_inspect_sees_the_librarys_own_functions() -> None:
    """Signatures, defaults, kinds and names of all that is replaced in all that is installed:
    tests/patching/inspected.py.
    """
    done = bare(sys.executable, "-W", "ignore", "-m", "tests.patching.inspected", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(number for _, number, _ in rows) > 150
    new = [
        f"{package}: {name} {view}"
        for package, _, differing in rows
        for name, view in differing
        if f"{name} {view}" not in OWED.get(package, ())
    ]
    assert new == []

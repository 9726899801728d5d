"""The import watcher: called once for every import of a watched module, and invisible in the module."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrace import import_hook
from tests.programs import on_path, python


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A package `made_up` with a watched module `made_up.inner`; what the watcher hears of it."""
    package = tmp_path / "made_up"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("import sys\nLOADER = __loader__\nSPEC_LOADER = __spec__.loader\nRUN = 1\n")
    (package / "data.txt").write_text("data")
    monkeypatch.syspath_prepend(tmp_path)
    heard: list[str] = []
    watcher = import_hook.Watcher(lambda: True)
    watcher.watched = {"made_up.inner": ("made_up", "function")}
    monkeypatch.setattr(watcher, "imported", lambda name, module: heard.append(f"{name}:{module.RUN}"))
    monkeypatch.setattr(sys, "meta_path", [watcher, *sys.meta_path])
    yield heard
    for name in ("made_up", "made_up.inner"):
        sys.modules.pop(name, None)


def test_every_way_of_importing_is_heard_once_after_the_module_has_run(heard: list[str]) -> None:
    import made_up.inner  # type: ignore[import-not-found]
    from made_up import inner  # type: ignore[import-not-found]

    assert heard == ["made_up.inner:1"]
    assert inner is made_up.inner


def test_a_probe_does_not_use_the_patch_up(heard: list[str]) -> None:
    assert importlib.util.find_spec("made_up.inner") is not None
    assert importlib.util.find_spec("made_up.inner") is not None
    assert heard == []
    importlib.import_module("made_up.inner")
    assert heard == ["made_up.inner:1"]


def test_the_module_has_its_real_loader_while_it_runs_and_after(heard: list[str]) -> None:
    inner = importlib.import_module("made_up.inner")
    for loader in (inner.LOADER, inner.SPEC_LOADER, inner.__loader__, inner.__spec__.loader):
        assert type(loader).__name__ == "SourceFileLoader"


def test_sources_resources_and_pickles_of_the_module_work(heard: list[str]) -> None:
    import inspect
    import pkgutil

    inner = importlib.import_module("made_up.inner")
    assert "LOADER" in inspect.getsource(inner)
    assert pkgutil.get_data("made_up", "data.txt") == b"data"
    assert importlib.reload(inner) is inner
    assert heard == ["made_up.inner:1", "made_up.inner:1"]


def test_running_it_as_a_program_works(tmp_path: Path) -> None:
    """`python -m` asks the loader for code and never executes the module through it."""
    done = on_path(sys.executable, "-m", "http.server", "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_that_fails_raises_its_own_error_and_can_be_tried_again(heard: list[str], tmp_path: Path) -> None:
    source = tmp_path / "made_up" / "inner.py"
    source.write_text("raise LookupError('first')")
    with pytest.raises(LookupError, match="first"):
        importlib.import_module("made_up.inner")
    assert heard == []
    source.write_text("RUN = 2  # another length")
    importlib.invalidate_caches()
    assert importlib.import_module("made_up.inner").RUN == 2
    assert heard == ["made_up.inner:2"]


def test_finders_that_the_program_added_are_asked(heard: list[str]) -> None:
    """Ask all other finders, not only the path: the module may come from a zip, a database, memory."""

    class Memory:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> object:
            if name != "made_up.inner":
                return None
            return importlib.util.spec_from_loader(name, Loader())

    class Loader:
        @staticmethod
        def create_module(spec: object) -> None:
            return None

        @staticmethod
        def exec_module(module: types.ModuleType) -> None:
            module.RUN = 7  # type: ignore[attr-defined]

    sys.meta_path.insert(1, Memory)  # type: ignore[arg-type]
    assert importlib.import_module("made_up.inner").RUN == 7
    assert heard == ["made_up.inner:7"]


def test_another_watcher_that_asks_us_back_does_not_recurse(heard: list[str]) -> None:
    """wrapt's and ddtrace's finders call importlib.util.find_spec from within find_spec."""

    class Asking:
        busy = False

        @classmethod
        def find_spec(cls, name: str, path: object = None, target: object = None) -> object:
            if cls.busy or name != "made_up.inner":
                return None
            cls.busy = True
            try:
                return importlib.util.find_spec(name)
            finally:
                cls.busy = False

    for position in (0, 2):
        sys.modules.pop("made_up.inner", None)
        sys.meta_path.insert(position, Asking)  # type: ignore[arg-type]
        importlib.import_module("made_up.inner")
        sys.meta_path.remove(Asking)  # type: ignore[arg-type]
    assert heard[-1] == "made_up.inner:1"


def test_a_missing_module_is_missing_as_without_us(heard: list[str], tmp_path: Path) -> None:
    (tmp_path / "made_up" / "inner.py").unlink()
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'made_up\.inner'"):
        importlib.import_module("made_up.inner")


def test_threads_that_import_at_once_hear_once(heard: list[str]) -> None:
    threads = [threading.Thread(target=importlib.import_module, args=("made_up.inner",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert heard == ["made_up.inner:1"]


STATES = "import autotrace.registry as r; print(sorted({k[0]: v for k, v in r.states.items()}.items()))"


def test_a_local_module_that_shares_a_librarys_name_is_left_alone(tmp_path: Path) -> None:
    """The program's own kafka.py, requests.py, flask.py, psycopg2.py."""
    for name in ("kafka", "requests", "flask", "psycopg2"):
        (tmp_path / f"{name}.py").write_text("def send(): return 'mine'\n")
    program = (
        "import kafka, requests, flask, psycopg2; print(kafka.send(), requests.send(), flask.send(), psycopg2.send())"
    )
    done = on_path(*python(program), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine mine mine mine\n", "")


def test_a_disabled_patch_leaves_the_library_untouched() -> None:
    program = "import sqlite3, http.server; print(sqlite3.connect.__module__)\n" + STATES
    disabled = on_path(*python(program), AUTOTRACE_DISABLED_PATCHES="sqlite3,http.server").stdout
    assert disabled.startswith("_sqlite3" if sys.version_info < (3, 11) else "sqlite3") or "_sqlite3" in disabled
    assert "('sqlite3', 'disabled by AUTOTRACE_DISABLED_PATCHES')" in disabled
    assert "('http.server', 'disabled by AUTOTRACE_DISABLED_PATCHES')" in disabled
    assert "('kafka', 'not imported')" in disabled


def test_a_library_that_was_imported_before_activation_is_patched_at_once() -> None:
    program = "import requests.adapters as a\nimport autotrace; autotrace.activate()\nprint(hasattr(a.HTTPAdapter.send, '__autotrace_original__'))"
    from tests.programs import bare

    assert bare(*python(program), AUTOTRACE_EXPORTER="none").stdout == "True\n"


def test_without_a_usable_opentelemetry_api_the_program_runs_after_one_line(tmp_path: Path) -> None:
    package = tmp_path / "opentelemetry"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('broken on purpose')")
    program = "import requests, sqlite3; print(sqlite3.connect(':memory:').execute('select 1').fetchone())"
    done = on_path(*python(program), PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "(1,)\n")
    assert done.stderr.splitlines() == [
        "autotrace: tracing cannot start (ImportError: broken on purpose); the program runs without traces"
    ]


def test_no_library_is_imported_that_the_program_did_not_ask_for() -> None:
    program = "import requests, sys; print([n for n in ('kafka', 'psycopg2', 'flask', 'wrapt', 'sqlite3', 'opentelemetry.sdk') if n in sys.modules])"
    assert on_path(*python(program)).stdout == "[]\n"


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        ("None.missing", "failed: AttributeError"),
        ("plan.missing", "failed: AttributeError"),
        ("1 / 0", "failed: ZeroDivisionError"),
        ("__import__('autotrace.missing')", "failed: ModuleNotFoundError"),
        ("module.missing", "refused: partially initialized module 'wsgiref.handlers' has no attribute"),
        ("module.BaseHandler.missing", "refused: type object 'BaseHandler' has no attribute 'missing'"),
        ("__import__('wsgiref.missing')", "refused: No module named 'wsgiref.missing'"),
    ],
)
def test_a_fault_of_ours_is_said_and_a_library_of_another_shape_is_refused(failure: str, state: str) -> None:
    program = (
        "import opentelemetry.trace\nimport autotrace.patches.wsgiref as patch\n"
        f"patch.handlers = lambda module, plan: {failure}\n"
        "import wsgiref.handlers\nfrom autotrace.registry import states\nprint(states['wsgiref', 'wsgiref.handlers'])"
    )
    done = on_path(*python(program))
    assert done.stdout.startswith(state)
    assert ("internal error in the patch of wsgiref" in done.stderr) is state.startswith("failed")

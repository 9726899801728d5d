"""The folder for PYTHONPATH: it activates autotrace, hides nothing, and if it cannot work, the program runs on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import BOOTSTRAP, ROOT, bare, environment, on_path, python

OURS = "import sys; print(sorted(name for name in sys.modules if name.partition('.')[0] == 'autotrace'))"


def modules(*flags: str, **variables: str) -> set[str]:
    done = on_path(sys.executable, *flags, "-c", "import sys; print(*sys.modules)", **variables)
    return set(done.stdout.split())


def test_a_process_that_uses_no_library_pays_for_row_one_alone() -> None:
    """`pass` imports only autotrace's first row, `__future__` and the built-in `atexit` more than without autotrace."""
    added = modules() - set(bare(*python("import sys; print(*sys.modules)")).stdout.split())
    assert added - {"__future__", "atexit"} == {
        "autotrace",
        "autotrace.activation",
        "autotrace.containment",
        "autotrace.import_hook",
        "autotrace.registry",
        "autotrace.setting_types",
        "autotrace.setting_aliases",
        "autotrace.settings",
        "sitecustomize",
    }


@pytest.mark.parametrize(
    "variables",
    [
        {"AUTOTRACE_ENABLED": "false"},
        {"AUTOTRACE_ENABLED": "0"},
        {"OTEL_SDK_DISABLED": "true"},
        {"JAEGER_DISABLED": "1"},
    ],
    ids=str,
)
def test_the_off_switch_imports_nothing_of_ours(variables: dict[str, str]) -> None:
    assert on_path(*python(OURS), **variables).stdout == "[]\n"


def test_our_own_switch_wins_over_others() -> None:
    assert "activation" in on_path(*python(OURS), AUTOTRACE_ENABLED="true", OTEL_SDK_DISABLED="true").stdout


def test_the_sitecustomize_it_hides_still_runs_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("MINE = 1\nprint('mine', __name__, __file__)")
    program = python("import sitecustomize; print(sitecustomize.MINE)")
    expected = f"mine sitecustomize {tmp_path}/sitecustomize.py\n1\n"
    assert bare(*program, PYTHONPATH=str(tmp_path)).stdout == expected
    assert on_path(*program, PYTHONPATH=str(tmp_path)).stdout == expected
    assert on_path(*program, PYTHONPATH=str(tmp_path), AUTOTRACE_ENABLED="0").stdout == expected


def test_a_hidden_sitecustomize_that_fails_fails_as_without_us(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('broken')")
    theirs = bare(*python("print('on')"), PYTHONPATH=str(tmp_path))
    ours = on_path(*python("print('on')"), PYTHONPATH=str(tmp_path))
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_a_usercustomize_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "usercustomize.py").write_text("print('user')")
    assert (
        on_path(*python("pass"), PYTHONPATH=str(tmp_path)).stdout
        == bare(*python("pass"), PYTHONPATH=str(tmp_path)).stdout
    )


def test_isolated_python_is_left_alone() -> None:
    assert modules("-I") == set(bare(sys.executable, "-I", "-c", "import sys; print(*sys.modules)").stdout.split())


def copy_of_the_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "lonely" / "bootstrap"
    shutil.copytree(BOOTSTRAP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def without_autotrace(
    tmp_path: Path, interpreter: str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A Python that has no autotrace: -S keeps site-packages away, so the folder's file is run by hand."""
    folder = copy_of_the_folder(tmp_path)
    return subprocess.run(
        [
            interpreter,
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(folder)!r}); import sitecustomize; print('on')",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(**variables),
    )


def test_a_missing_autotrace_is_one_line_and_the_program_runs(tmp_path: Path) -> None:
    done = without_autotrace(tmp_path)
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert len(done.stderr.splitlines()) == 1
    assert "No module named 'autotrace'" in done.stderr
    assert "the program runs without traces" in done.stderr


def test_a_child_that_cannot_be_instrumented_stays_silent(tmp_path: Path) -> None:
    """Its parent was started by autotrace-run, so the variable names another process."""
    done = without_autotrace(tmp_path, AUTOTRACE_RUN_PID="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")


def test_a_broken_autotrace_is_one_line_and_the_program_runs(tmp_path: Path) -> None:
    package = tmp_path / "autotrace"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "activation.py").write_text("1/0")
    done = on_path(*python("print('on')"), PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert len(done.stderr.splitlines()) == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9"])
def test_an_unsupported_python_runs_its_program_after_one_line(version: str, tmp_path: Path) -> None:
    interpreter = older_python(version)
    if interpreter is None:
        assert parses_on_old_pythons()
        return
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.stdout.write('mine ')")
    path = os.pathsep.join((str(BOOTSTRAP), str(tmp_path)))
    done = subprocess.run(
        [interpreter, "-c", "print('on')"], capture_output=True, text=True, env=environment(PYTHONPATH=path)
    )
    mine = "" if version == "2.7" else "mine "
    assert (done.returncode, done.stdout) == (0, f"{mine}on\n"), done.stderr
    assert (
        done.stderr
        == f"autotrace: Python {version} is not supported (3.10 or later is needed); the program runs without traces\n"
    )


WINDOWS = "import os; os.name = 'nt'; "


def test_on_windows_the_program_runs_after_one_line() -> None:
    program = f"import sys; {WINDOWS}sys.path.insert(0, {str(BOOTSTRAP)!r}); import sitecustomize, sqlite3; print('on')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=environment())
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert done.stderr == "autotrace: Windows is not supported; the program runs without traces\n"


@pytest.mark.parametrize(
    "variables", [{"AUTOTRACE_LOG": "off"}, {"AUTOTRACE_ENABLED": "0"}, {"AUTOTRACE_RUN_PID": "1"}]
)
def test_on_windows_too_it_is_silent_where_it_should_be(variables: dict[str, str]) -> None:
    done = bare(
        *python(f"{WINDOWS}import autotrace, sys; autotrace.activate(); print(len(sys.meta_path))"), **variables
    )
    expected = bare(*python("import sys; print(len(sys.meta_path))"))
    assert (done.stdout, done.stderr) == (expected.stdout, "")


def older_python(version: str) -> str | None:
    """An interpreter of that version on this machine that really runs (a version manager's shim may not)."""
    candidates = [
        shutil.which(f"python{version}"),
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
    ]
    for candidate in filter(None, candidates):
        asked = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
        )
        if asked.stdout.strip() == version:
            return candidate
    return None


def parses_on_old_pythons() -> bool:
    """Where there is no old interpreter: the file at least keeps to syntax that Python 3.4 knew."""
    import ast

    source = (BOOTSTRAP / "sitecustomize.py").read_text()
    ast.parse(source, feature_version=(3, 4))
    return 'f"' not in source and "f'" not in source


def test_the_programs_own_versions_win_over_the_bundle(tmp_path: Path) -> None:
    """The packages that `pip install --target` puts beside the folder come last on sys.path."""
    bundle = tmp_path / "bundle"
    shutil.copytree(ROOT / "autotrace", bundle / "autotrace", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(BOOTSTRAP, bundle / "autotrace" / "bootstrap", ignore=shutil.ignore_patterns("__pycache__"))
    (bundle / "colorsys.py").write_text("raise RuntimeError('the one of the bundle')")
    program = (
        f"import sys; sys.path.insert(0, {str(bundle / 'autotrace' / 'bootstrap')!r}); import sitecustomize\n"
        "import colorsys, autotrace; print(sys.path[-1], autotrace.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment()
    )
    assert done.stdout.split() == [str(bundle), str(bundle / "autotrace" / "__init__.py")], done.stderr


def test_another_environments_packages_are_never_lent(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    shutil.copytree(ROOT / "autotrace", site / "autotrace", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(BOOTSTRAP, site / "autotrace" / "bootstrap", ignore=shutil.ignore_patterns("__pycache__"))
    program = f"import sys; sys.path.insert(0, {str(site / 'autotrace' / 'bootstrap')!r}); import sitecustomize; print(len(sys.path))"
    bare_length = "import sys; print(len(sys.path))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment()
    )
    plain = subprocess.run(
        [sys.executable, "-S", "-c", bare_length], capture_output=True, text=True, cwd=tmp_path, env=environment()
    )
    assert done.stdout == plain.stdout
    assert "No module named 'autotrace'" in done.stderr

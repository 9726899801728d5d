"""`autotrace check`: which patch is on, and if not, why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.programs import RUNNER, bare, environment, python

CHECK = str(RUNNER.with_name("autotrace"))


def check(*, code: int = 0, **variables: str) -> list[str]:
    done = subprocess.run([CHECK, "check"], capture_output=True, text=True, env=environment(**variables))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout.splitlines()


def row(lines: list[str], name: str) -> str:
    found = [line.split(maxsplit=1)[1] for line in lines if line.split()[:1] == [name]]
    assert len(found) == 1, lines
    return found[0].strip()


def test_what_is_installed_is_on_and_says_its_version() -> None:
    lines = check()
    assert lines[0].startswith("autotrace ")
    assert row(lines, "kafka").startswith("on   kafka-python ")
    assert row(lines, "psycopg2").startswith("on   psycopg2-binary ")
    assert row(lines, "sqlite3") == "on"
    assert row(lines, "threading") == "on"


def test_what_is_switched_off_says_by_what() -> None:
    lines = check(AUTOTRACE_DISABLED_PATCHES="flask,sqlite3")
    assert row(lines, "flask") == "off: disabled by AUTOTRACE_DISABLED_PATCHES"
    assert row(lines, "requests").startswith("on")


def test_what_is_not_installed_and_what_is_another_library_of_the_name_say_so(tmp_path: Path) -> None:
    (tmp_path / "psycopg2.py").write_text("def connect(): ...")
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "__init__.py").write_text("")
    (tmp_path / "flask" / "app.py").write_text("class Flask: ...")
    lines = check(code=1, PYTHONPATH=str(tmp_path))
    assert row(lines, "psycopg2").startswith("refused: ")
    assert row(lines, "flask").startswith("refused: ")


def test_uwsgi_s_module_is_told_of_and_not_looked_for(tmp_path: Path) -> None:
    """Programs have a stand-in of that name, to be imported outside of uWSGI."""
    (tmp_path / "uwsgi.py").write_text("")
    assert (
        row(check(PYTHONPATH=str(tmp_path)), "uwsgi") == "off: applies inside uWSGI, which creates this module itself"
    )
    assert row(check(AUTOTRACE_DISABLED_PATCHES="uwsgi"), "uwsgi").startswith("off: disabled")


def test_a_library_that_does_not_import_says_why(tmp_path: Path) -> None:
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "__init__.py").write_text("raise RuntimeError('broken install')")
    lines = check(code=1, PYTHONPATH=str(tmp_path))
    assert row(lines, "flask") == "refused: flask.app does not import (RuntimeError: broken install)"


def test_settings_say_where_they_come_from_and_what_is_wrong_with_them() -> None:
    lines = check(code=1, JAEGER_SERVICE_NAME="shop", AUTOTRACE_SAMPLER="sometimes")
    assert row(lines, "service_name") == "shop   from JAEGER_SERVICE_NAME"
    assert any(line.strip().startswith("AUTOTRACE_SAMPLER='sometimes'") for line in lines)


def test_a_collector_that_does_not_answer_is_named() -> None:
    lines = check(AUTOTRACE_ENDPOINT="http://127.0.0.1:9/api/traces")
    assert row(lines, "jaeger").startswith("http://127.0.0.1:9/api/traces does not answer")
    assert "UDP" in row(check(AUTOTRACE_ENDPOINT="udp://127.0.0.1:6831"), "jaeger")


def test_on_windows_it_says_so() -> None:
    program = (
        "import os, sys; from autotrace import activation, check; os.name = 'nt'; activation.activate(); "
        "os.name = 'posix'; sys.exit(check.report(sys.stdout))"
    )
    done = bare(*python(program))
    assert (done.returncode, done.stdout.splitlines()[1:]) == (1, [done.stderr.strip().removeprefix("autotrace: ")])


def test_switched_off_it_says_so() -> None:
    assert check(AUTOTRACE_ENABLED="0")[1] == "switched off by AUTOTRACE_ENABLED"


def test_help_and_wrong_words() -> None:
    assert subprocess.run([CHECK, "--help"], capture_output=True, text=True).stdout.startswith("usage: autotrace check")
    wrong = subprocess.run([CHECK, "chekc"], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (2, "autotrace: 'chekc' is not a command")


def test_run_is_the_other_command() -> None:
    done = subprocess.run(
        [CHECK, "run", sys.executable, "-c", "import sys; print('autotrace.activation' in sys.modules)"],
        capture_output=True,
        text=True,
        env=environment(AUTOTRACE_EXPORTER="none"),
    )
    assert done.stdout == "True\n"


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{CHECK}' check | true"],
        capture_output=True,
        text=True,
        env=environment(AUTOTRACE_EXPORTER="none"),
    )
    assert done.stderr == ""


def test_the_secret_parameters_are_listed_set_or_not() -> None:
    """The README refers to this list."""
    lines = check()
    assert "password,passwd" in lines[lines.index("secret_parameters (too many for the README)") + 1]
    assert row(check(AUTOTRACE_SECRET_PARAMETERS="pin"), "secret_parameters").startswith("pin ")

"""What autotrace imports late is the standard library's and its own, and a program's files and sys.modules stay the
program's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.programs import bare, on_path, python

WORK = "import sqlite3\nsqlite3.connect(':memory:').execute('create table traced (a)')\n"


def run(folder: Path, program: str, name: str = "program.py") -> tuple[str, str]:
    """(stdout, stderr) of a program in `folder`, with console spans."""
    (folder / name).write_text(program)
    done = on_path(sys.executable, str(folder / name), cwd=folder, AUTOTRACE_EXPORTER="console")
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("name", ["random", "inspect", "copy", "email", "json"])
def test_a_file_beside_the_script_is_not_run_unless_the_program_imports_it(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("print('side effect')\n")
    out, err = run(tmp_path, WORK)
    assert out == ""
    assert "traced" in err
    assert "autotrace:" not in err


def test_a_package_beside_the_script_is_not_run_either(tmp_path: Path) -> None:
    (tmp_path / "email").mkdir()
    (tmp_path / "email" / "__init__.py").write_text("print('side effect')\n")
    out, err = run(tmp_path, WORK)
    assert (out, "traced" in err) == ("", True)


@pytest.mark.parametrize("name", ["random", "email"])
def test_the_program_gets_its_own_file_when_it_imports_it_later(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("mine = 1\n")
    out, err = run(tmp_path, WORK + f"import {name}; print({name}.mine)\n")
    assert (out, "traced" in err) == ("1\n", True)


@pytest.mark.parametrize("name", ["token", "platform"])
def test_a_script_with_the_name_of_a_standard_module_runs_once(tmp_path: Path, name: str) -> None:
    assert run(tmp_path, "print('once')\n" + WORK, f"{name}.py")[0] == "once\n"


def test_what_the_program_imports_through_a_traced_call_is_its_own(tmp_path: Path) -> None:
    """A file that the program's own code imports within a call that autotrace wraps."""
    (tmp_path / "calendar.py").write_text("mine = 1\n")
    program = WORK + (
        "from threading import Thread\n"
        "def work():\n    import calendar\n    print(calendar.mine)\n"
        "thread = Thread(target=work); thread.start(); thread.join()\n"
    )
    assert run(tmp_path, program)[0] == "1\n"


RESTORED = {
    "mock.patch.dict": "from unittest import mock\nwith mock.patch.dict('sys.modules', {'some': mock.Mock()}):\n    import sqlite3\n"
    "    sqlite3.connect(':memory:').execute('create table within (a)')\n",
    "a reloader": "import sys\nbefore = set(sys.modules)\nimport sqlite3\n"
    "sqlite3.connect(':memory:').execute('create table within (a)')\n"
    "for name in set(sys.modules) - before: del sys.modules[name]\n",
    "a reloader of everything": "import sys\nimport sqlite3\n"
    "sqlite3.connect(':memory:').execute('create table within (a)')\n"
    "for name in [n for n in sys.modules if n.startswith(('autotrace', 'sqlite3', 'opentelemetry'))]: del sys.modules[name]\n",
}


@pytest.mark.parametrize("way", RESTORED)
def test_spans_arrive_though_the_program_puts_sys_modules_back(tmp_path: Path, way: str) -> None:
    out, err = run(tmp_path, RESTORED[way] + WORK)
    assert out == ""
    assert "within" in err
    assert "traced" in err
    assert "Traceback" not in err


def test_a_second_copy_of_opentelemetrys_api_has_our_provider_and_our_spans(tmp_path: Path) -> None:
    program = WORK + (
        "import sys\nfrom opentelemetry import trace as first\n"
        "for name in [n for n in sys.modules if n.startswith('opentelemetry')]: del sys.modules[name]\n"
        "from opentelemetry import trace as second\nassert second is not first\n"
        "with first.get_tracer('a').start_as_current_span('outer') as outer:\n"
        "    print(second.get_current_span().get_span_context().span_id == outer.get_span_context().span_id)\n"
        "    with second.get_tracer('a').start_as_current_span('inner') as inner:\n"
        "        print(first.get_current_span() is inner, second.get_current_span() is inner,\n"
        "            inner.get_span_context().trace_id == outer.get_span_context().trace_id)\n"
    )
    assert run(tmp_path, program)[0] == "True\nTrue True True\n"


FORKED = """
import os, signal, sys, threading
nth, where = int(sys.argv[1]), threading.get_ident()
reached, forked = threading.Event(), threading.Event()
class Stop:
    count = 0
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if threading.get_ident() != where:
            cls.count += 1
            if cls.count == nth:
                reached.set()
                forked.wait(20)
thread = threading.Thread(target=lambda: __import__("sqlite3"))
sys.meta_path.insert(0, Stop)
thread.start()
while thread.is_alive() and not reached.wait(0.01):
    pass
pid = os.fork()
if not pid:
    signal.alarm(10)
    import http.client, sqlite3
    from opentelemetry import trace
    from autotrace.tracing import tracer
    sqlite3.connect(":memory:").execute("select 1")
    ours = trace.get_tracer_provider() is tracer.provider and hasattr(http.client.HTTPConnection.endheaders, "__autotrace_original__")
    os._exit(0 if ours else 3)
forked.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), reached.is_set())
"""


@pytest.mark.parametrize("nth", [1, 2, 4, 12, 40, 90])
def test_a_child_that_is_forked_while_another_thread_starts_tracing_can_import_and_is_traced(nth: int) -> None:
    """The `nth` import on the way of the first patch is under way when the program forks."""
    done = on_path(sys.executable, "-W", "ignore", "-c", FORKED, str(nth))
    assert done.stdout.split()[:1] == ["0"], done.stderr


def test_threads_that_import_watched_libraries_at_once_all_return_and_all_are_patched() -> None:
    program = (
        "import threading, sys, time\n"
        "names = ['sqlite3', 'opentelemetry.trace', 'http.client', 'urllib.request', 'concurrent.futures.thread', 'wsgiref.handlers']\n"
        "barrier = threading.Barrier(len(names))\n"
        "def load(name):\n    barrier.wait()\n    __import__(name)\n"
        "threads = [threading.Thread(target=load, args=(name,), daemon=True) for name in names]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join(20)\n"
        "from autotrace import registry\n"
        "print([t.name for t in threads if t.is_alive()], "
        "[key for key, state in registry.states.items() if key[1] in names and state != 'on'])"
    )
    for _ in range(3):
        done = on_path(*python(program))
        assert (done.stdout, done.stderr) == ("[] []\n", "")


def test_an_import_that_a_signal_interrupts_while_tracing_starts_is_tried_again() -> None:
    program = (
        "import sys\n"
        "class Timeout(Exception): pass\n"
        "def strike(frame, event, arg):\n"
        "    if frame.f_globals.get('__name__') == 'autotrace.tracing.span' and frame.f_code.co_name == '<module>':\n"
        "        sys.settrace(None)\n        raise Timeout\n"
        "sys.settrace(strike)\n"
        "try:\n    import http.client\n"
        "except Timeout: print('timeout')\n"
        "import http.client\nfrom autotrace.registry import states\nprint(states['http.client', 'http.client'])"
    )
    done = on_path(*python(program))
    assert (done.stdout, done.stderr) == ("timeout\non\n", "")


def test_a_subinterpreter_is_left_alone() -> None:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    run = "i.exec" if sys.version_info >= (3, 13) else "i.run_string"
    program = (
        f"import {name} as i\n"
        f"{run}(i.create(), 'import sys, sqlite3, threading; print(type(sys.meta_path[0]).__name__, sqlite3.connect.__module__)')\n"
    )
    traced, untraced = on_path(*python(program)), bare(*python(program))
    assert (traced.stdout, traced.stderr) == (untraced.stdout, untraced.stderr)

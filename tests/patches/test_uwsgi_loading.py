"""uWSGI, from start to workers: files that it runs, forks that Python never hears of, the wait for its module."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from autotrace import import_hook
from autotrace.patches import uwsgi as patch
from autotrace.patching import MARK
from autotrace.tracing import forks
from tests import programs
from tests.patches.uwsgi_stand_in import app, ask, loaded, patched, stand_in
from tests.recorded import Recorded


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    yield from patched(monkeypatch)


# A file, run as uWSGI runs it -----------------------------------------------------------------------------------------


def run_file(source: str, name: str = "uwsgi_file_mine") -> Any:
    execute = ctypes.pythonapi.PyImport_ExecCodeModule
    execute.restype, execute.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.py_object]
    try:
        return execute(name.encode(), compile(source, "mine.py", "exec"))
    finally:
        sys.modules.pop(name, None)


def test_a_file_s_application_is_traced_as_soon_as_the_file_has_run(server: Any, spans: Recorded) -> None:
    source = (
        "import sys; seen = sys.getprofile(), sys.gettrace()\n"
        "from tests.patches.uwsgi_stand_in import app as application"
    )
    module = run_file(source)
    assert module.seen == (None, None), "the file itself runs at its own speed"
    assert hasattr(module.application, MARK)
    ask(module.application)
    assert len(spans.servers) == 1


def test_a_file_that_fails_fails_as_without_us(server: Any, spans: Recorded) -> None:
    with pytest.raises(ZeroDivisionError):
        run_file("application = 1\n1 / 0")


def test_other_modules_that_are_run_so_are_left_alone(server: Any) -> None:
    from_c = "from tests.patches.uwsgi_stand_in import app as application"
    assert run_file(from_c, "vim_file").application is app


def test_a_debugger_within_the_file_goes_on(server: Any, spans: Recorded) -> None:
    source = "import sys\nlines = []\ndef note(frame, event, arg):\n    lines.append(event)\n    return note\n"
    before = sys.gettrace()
    try:
        module = run_file(
            source + "sys.settrace(note)\ndef f():\n    return 1\nf()\nsys.settrace(None)\napplication = f"
        )
    finally:
        sys.settrace(before)
    assert "line" in module.lines


def test_a_profiler_that_is_there_first_is_left_alone(server: Any) -> None:
    events: list[str] = []
    sys.setprofile(lambda frame, event, arg: events.append(event))
    try:
        module = run_file("from tests.patches.uwsgi_stand_in import app as application; y = 1")
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert module.application is app
    assert events


# Forks that Python never hears of ------------------------------------------------------------------------------------


def test_the_hook_of_a_new_worker_is_ours_and_then_the_program_s(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(forks, "_in_child", [lambda: done.append("ours")])
    monkeypatch.setattr(patch, "getpid", lambda: 1)
    server.post_fork_hook = lambda: done.append("theirs")  # uwsgidecorators does
    loaded(application=app)
    server.post_fork_hook()
    assert done == ["theirs"], "the same process: nothing has been forked"
    monkeypatch.setattr(patch, "getpid", lambda: 2)
    server.post_fork_hook()
    assert done == ["theirs", "ours", "theirs"]
    hook = server.post_fork_hook
    loaded(application=app)
    assert server.post_fork_hook is hook


@pytest.mark.parametrize(("worker", "prepared"), [(0, 1), (2, 0)])
def test_the_master_is_ready_to_fork_when_all_is_loaded(
    server: Any, monkeypatch: pytest.MonkeyPatch, worker: int, prepared: int
) -> None:
    done: list[int] = []
    monkeypatch.setattr(forks, "_before", [lambda: done.append(1)])
    server.worker_id = lambda: worker
    loaded(application=app)
    assert len(done) == prepared


def test_a_forked_child_that_is_told_so_draws_other_ids() -> None:
    """As after a fork in C: Python calls none of its hooks, and the patch calls autotrace's."""
    from autotrace.tracing import new_span

    state = new_span._random.getstate()
    first = new_span.bits(128)
    new_span._random.setstate(state)
    assert new_span.bits(128) == first
    new_span._random.setstate(state)
    next(work for work in forks._in_child if work.__module__ == new_span.__name__)()
    assert new_span.bits(128) != first


# The wait for its module ----------------------------------------------------------------------------------------------


def test_a_python_with_a_command_line_of_its_own_looks_out_for_nothing() -> None:
    program = (
        "import sys; from autotrace import activation\n"
        "print(activation.watcher.asked, 'autotrace.patches.uwsgi' in sys.modules)"
    )
    assert programs.traced(*programs.python(program)).stdout == "None False\n"


@pytest.mark.parametrize(("enabled", "imported"), [("false", "False False"), ("true", "True False")])
def test_an_embedded_one_imports_no_more_than_it_needs_to_look_out(enabled: str, imported: str) -> None:
    program = (
        "import sys; sys.orig_argv = []\n"
        "from autotrace import activation; activation.activate()\n"
        "print('autotrace.patches.uwsgi' in sys.modules, 'opentelemetry' in sys.modules)"
    )
    done = programs.bare(*programs.python(program), AUTOTRACE_ENABLED=enabled, AUTOTRACE_EXPORTER="none")
    assert (done.stdout, done.stderr) == (f"{imported}\n", "")


def test_an_embedded_one_hears_of_the_module_with_the_next_import(monkeypatch: pytest.MonkeyPatch) -> None:
    external: Any = sys.modules["_frozen_importlib_external"]
    monkeypatch.setattr(external, "_fix_up_module", external._fix_up_module)
    before = external._fix_up_module
    heard: list[str] = []
    watcher = import_hook.Watcher(lambda: True)
    watcher.watched["uwsgi"] = ("uwsgi", "server")
    monkeypatch.setattr(watcher, "imported", lambda name, module: heard.append(name))
    patch.look_out(watcher)
    assert external._fix_up_module is not before
    watcher.find_spec("json")
    assert heard == []
    monkeypatch.setitem(sys.modules, "uwsgi", stand_in())
    watcher.find_spec("json")
    watcher.find_spec("json")
    assert heard == ["uwsgi"]
    assert external._fix_up_module is before


@pytest.mark.parametrize("there", [True, False])
def test_an_embedded_one_hears_of_it_with_the_first_file(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    external: Any = sys.modules["_frozen_importlib_external"]
    monkeypatch.setattr(external, "_fix_up_module", external._fix_up_module)
    heard: list[str] = []
    watcher = import_hook.Watcher(lambda: True)
    watcher.watched["uwsgi"] = ("uwsgi", "server")
    monkeypatch.setattr(watcher, "imported", lambda name, module: heard.append(name))
    patch.look_out(watcher)
    if there:
        monkeypatch.setitem(sys.modules, "uwsgi", stand_in())
    assert run_file("x = 1").x == 1
    assert heard == ["uwsgi"] * there

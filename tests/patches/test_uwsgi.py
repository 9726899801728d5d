"""uWSGI: the contract in the real one (uwsgi_contract.py), and what is replaced where. Forked ones: end_to_end/test_prefork.py."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrace import activation, containment, embedding, import_hook
from autotrace.http_server import request as server_request
from autotrace.http_server import wsgi
from autotrace.patches import uwsgi as patch
from autotrace.patching import MARK, Plan, Unpatchable
from autotrace.tracing import forks
from test_services import cache, uwsgi
from tests import programs
from tests.http_client import http_peer
from tests.http_server import wsgi_story
from tests.recorded import Recorded, record, tags

HERE = Path(__file__).parent


def test_the_real_one_keeps_every_promise_of_a_server(tmp_path: Path) -> None:
    try:
        program = uwsgi.program()
    except cache.Unavailable as reason:
        cache.require_real("uWSGI", reason, "its contract is skipped")
        pytest.skip("uWSGI cannot be had")
    port, result, log = http_peer.free_port(), tmp_path / "result", tmp_path / "log"
    options = ["--http-socket", f"127.0.0.1:{port}", "--master", "--threads", "4", "--die-on-term", "--disable-logging"]
    command = [str(program), *options, "--virtualenv", sys.prefix, "--wsgi-file", str(HERE / "uwsgi_contract.py")]
    environ = programs.environment(
        AUTOTRACE_EXPORTER="none", UWSGI_URL=f"http://127.0.0.1:{port}", UWSGI_RESULT=str(result)
    )
    with log.open("wb") as out:
        process = subprocess.Popen([str(programs.RUNNER), *command], env=environ, stdout=out, stderr=out, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not (result.exists() and result.read_text()) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(10)
    assert result.exists() and result.read_text() == "0", log.read_text()


# What is replaced where, with a stand-in for uWSGI's module -----------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module as uWSGI makes it, and the patch on."""
    external: Any = sys.modules["_frozen_importlib_external"]
    module = stand_in()
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    monkeypatch.setattr(external, "_fix_up_module", external._fix_up_module)
    monkeypatch.setattr(activation, "watcher", import_hook.Watcher(lambda: True))
    plan = Plan()
    patch.server(module, plan)
    plan.apply()
    yield module
    assert sys.getprofile() is None


def stand_in(**options: Any) -> Any:
    module: Any = types.ModuleType("uwsgi")
    vars(module).update(opt=options, start_response=print, worker_id=lambda: 0, has_threads=1, applications=None)
    return module


def app(environ: Any, start_response: Any) -> Any:
    """Mine."""
    return wsgi_story.bare(environ, start_response)


def ask(application: Any, path: str = "/hello/bob") -> bytes:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": object(), "HTTP_HOST": "h"}
    environ |= {"wsgi.url_scheme": "http", "SERVER_NAME": "h", "SERVER_PORT": "80"}
    return b"".join(application(environ, lambda status, headers: None))


def loaded(**names: Any) -> Any:
    module: Any = types.ModuleType("mine")
    vars(module).update(names)
    plan = Plan()
    patch.application(module, plan)
    plan.apply()
    return module


@pytest.mark.parametrize(
    "options",
    [
        {"callable": b"mine"},
        {"module": b"pkg.mod:mine"},
        {"wsgi": b"pkg.mod:mine"},
        {"mount": b"/a=pkg.mod:mine"},
        {"callable": b"other", "module": b"pkg:mine"},
        {"module": b"pkg:mine", "mount": b"/b", "master": True},
    ],
)
def test_the_callable_has_the_name_that_the_configuration_gives_it(
    server: Any, spans: Recorded, options: dict[str, Any]
) -> None:
    server.opt = options
    module = loaded(mine=app, unnamed=app)
    assert ask(module.mine) == b"hello bob"
    assert tags(spans.servers[0])["component"] == "uwsgi"
    assert module.unnamed is app
    assert (module.mine.__name__, module.mine.__doc__) == ("app", "Mine.")


def test_without_a_name_it_is_application(server: Any, spans: Recorded) -> None:
    ask(loaded(application=app).application)
    assert len(spans.servers) == 1


def test_a_module_without_one_is_left_alone(server: Any) -> None:
    assert vars(loaded(application=7, other=app))["application"] == 7


def test_what_makes_an_application_makes_a_traced_one(server: Any, spans: Recorded) -> None:
    server.opt = {"module": b"pkg:create()"}
    module = loaded(create=lambda: app)
    assert ask(module.create()) == b"hello bob"
    assert len(spans.servers) == 1
    with pytest.raises(TypeError):
        module.create(1)


def test_an_object_is_the_same_object_and_its_class_is_traced_once(server: Any, spans: Recorded) -> None:
    class Middleware:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return self.inner(environ, start_response)

    stacked = Middleware(Middleware(app))
    assert loaded(application=stacked).application is stacked
    assert loaded(application=stacked).application is stacked
    assert ask(stacked) == b"hello bob"
    assert len(spans.servers) == 1


def test_flask_s_own_span_is_the_only_one(server: Any, spans: Recorded) -> None:
    flask_app = wsgi_story.flask_app()
    assert loaded(application=flask_app).application is flask_app
    stacked = loaded(application=flask_app.__call__).application
    assert stacked == flask_app.__call__

    def middleware(environ: Any, start_response: Any) -> Any:
        return flask_app(environ, start_response)

    stacked = loaded(application=middleware).application
    assert ask(stacked) == b"hello bob"
    assert [tags(span)["component"] for span in spans.servers] == ["flask"]


def test_a_class_stays_what_it_is(server: Any) -> None:
    class Answer:
        def __init__(self, environ: Any, start_response: Any) -> None: ...

    assert loaded(application=Answer).application is Answer


def test_a_dictionary_of_applications_is_not_changed_but_replaced(server: Any, spans: Recorded) -> None:
    mine = {"": app, "/a": "application"}
    module = loaded(applications=mine)
    assert mine == {"": app, "/a": "application"}
    assert module.applications["/a"] == "application"
    ask(module.applications[""])
    assert len(spans.servers) == 1


def test_traced_twice_is_traced_once(server: Any) -> None:
    once = loaded(application=app).application
    assert loaded(application=once).application is once
    external: Any = sys.modules["_frozen_importlib_external"]
    before = external._fix_up_module
    plan = Plan()
    patch.server(server, plan)
    plan.apply()
    assert external._fix_up_module is before


# A file, run as uWSGI runs it ------------------------------------------------------------------------------------------------


def run_file(source: str, name: str = "uwsgi_file_mine") -> Any:
    execute = ctypes.pythonapi.PyImport_ExecCodeModule
    execute.restype, execute.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.py_object]
    try:
        return execute(name.encode(), compile(source, "mine.py", "exec"))
    finally:
        sys.modules.pop(name, None)


def test_a_file_s_application_is_traced_as_soon_as_the_file_has_run(server: Any, spans: Recorded) -> None:
    source = (
        "import sys; seen = sys.getprofile(), sys.gettrace()\nfrom tests.patches.test_uwsgi import app as application"
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
    from_c = "from tests.patches.test_uwsgi import app as application"
    assert run_file(from_c, "vim_file").application is app


def test_a_debugger_within_the_file_goes_on(server: Any, spans: Recorded) -> None:
    source = "import sys\nlines = []\ndef note(frame, event, arg):\n    lines.append(event)\n    return note\nsys.settrace(note)\n"
    before = sys.gettrace()
    try:
        module = run_file(source + "def f():\n    return 1\nf()\nsys.settrace(None)\napplication = f")
    finally:
        sys.settrace(before)
    assert "line" in module.lines


def test_a_profiler_that_is_there_first_is_left_alone(server: Any) -> None:
    events: list[str] = []
    sys.setprofile(lambda frame, event, arg: events.append(event))
    try:
        module = run_file("from tests.patches.test_uwsgi import app as application; y = 1")
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert module.application is app
    assert events


# Forks that Python is not told of --------------------------------------------------------------------------------------------


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
    """As a fork in C: none of Python's own hooks is called. AUTOTRACE's are."""
    from autotrace.tracing import new_span

    state = new_span._random.getstate()
    first = new_span.bits(128)
    new_span._random.setstate(state)
    assert new_span.bits(128) == first
    new_span._random.setstate(state)
    forks._in_child[0]()
    assert new_span.bits(128) != first


# Refusals --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "name"), [(wsgi, "receive"), (server_request, "Request"), (server_request, "in_work")]
)
def test_when_our_code_fails_the_request_is_served(
    server: Any, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    application = loaded(application=app).application
    monkeypatch.setattr(owner, name, broken)
    with record():
        assert ask(application) == b"hello bob"
        with pytest.raises(ZeroDivisionError):
            ask(application, "/boom")
    assert containment.failures
    containment.failures.clear()


def test_ugreen_is_refused_because_requests_would_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "watcher", import_hook.Watcher(lambda: True))
    with pytest.raises(Unpatchable, match="ugreen"):
        patch.server(stand_in(ugreen=True), Plan())


def test_without_threads_one_line_says_what_to_add(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server.has_threads = 0
    patch.server(server, Plan())
    assert capsys.readouterr().err.count("enable-threads = true") == 1


def test_a_python_with_a_command_line_of_its_own_looks_out_for_nothing() -> None:
    program = "import sys; from autotrace import activation; print(activation.watcher.asked, 'autotrace.embedding' in sys.modules)"
    assert programs.traced(*programs.python(program)).stdout == "None False\n"


def test_an_embedded_one_hears_of_the_module_with_the_next_import(monkeypatch: pytest.MonkeyPatch) -> None:
    external: Any = sys.modules["_frozen_importlib_external"]
    monkeypatch.setattr(external, "_fix_up_module", external._fix_up_module)
    before = external._fix_up_module
    heard: list[str] = []
    watcher = import_hook.Watcher(lambda: True)
    watcher.watched["uwsgi"] = ("uwsgi", "server")
    monkeypatch.setattr(watcher, "imported", lambda name, module: heard.append(name))
    embedding.look_out(watcher)
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
    embedding.look_out(watcher)
    if there:
        monkeypatch.setitem(sys.modules, "uwsgi", stand_in())
    assert run_file("x = 1").x == 1
    assert heard == ["uwsgi"] * there


def test_a_module_of_the_program_s_with_that_name_is_refused() -> None:
    with pytest.raises(Unpatchable, match="opt"):
        patch.server(types.ModuleType("uwsgi"), Plan())

"""uWSGI: the contract in the real one (uwsgi_contract.py), and which callables are replaced by which.

Loading: test_uwsgi_loading.py. Forked workers: end_to_end/test_prefork.py.
"""

from __future__ import annotations

import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrace import activation, containment, import_hook
from autotrace.patches import uwsgi as patch
from autotrace.patching import Plan, Unpatchable
from test_services import cache, uwsgi
from tests import programs
from tests.http_client import http_peer
from tests.http_server import wsgi_story
from tests.patches.uwsgi_stand_in import app, ask, loaded, patched, stand_in
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
    (tmp_path / "venv").symlink_to(sys.prefix)  # uWSGI takes no virtualenv whose path is not ASCII
    options += ["--virtualenv", str(tmp_path / "venv"), "--wsgi-file", str(HERE / "uwsgi_contract.py")]
    environ = programs.environment(
        AUTOTRACE_EXPORTER="none", UWSGI_URL=f"http://127.0.0.1:{port}", UWSGI_RESULT=str(result)
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(programs.RUNNER), str(program), *options], env=environ, stdout=out, stderr=out, cwd=tmp_path
        )
    try:
        deadline = time.monotonic() + 60
        while not (result.exists() and result.read_text()) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(10)
    assert result.exists() and result.read_text() == "0", log.read_text()


# Which callables are replaced, with a stand-in for the module ---------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    yield from patched(monkeypatch)


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


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "autotrace.http_server.wsgi.start_or_adopt",
        "autotrace.http_server.request.Request",
        "autotrace.http_server.wsgi.current_request",
    ],
)
def test_when_our_code_fails_the_request_is_served(server: Any, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    application = loaded(application=app).application
    monkeypatch.setattr(target, broken)
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


def test_without_threads_one_line_says_what_to_add(server: Any, capfd: pytest.CaptureFixture[str]) -> None:
    server.has_threads = 0
    patch.server(server, Plan())
    assert capfd.readouterr().err.count("enable-threads = true") == 1


def test_a_module_of_the_program_s_with_that_name_is_refused() -> None:
    with pytest.raises(Unpatchable, match="opt"):
        patch.server(types.ModuleType("uwsgi"), Plan())

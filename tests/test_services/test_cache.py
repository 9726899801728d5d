"""The cache is where the environment says, is filled once, and never shows a half-made entry."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from test_services import cache
from tests.programs import ROOT, bare, python


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEST_SERVICES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TEST_SERVICES_CACHE": "/a", "XDG_CACHE_HOME": "/x"}, "/a"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/autotrace"),
        ({"TEST_SERVICES_CACHE": "", "XDG_CACHE_HOME": ""}, "/h/.cache/autotrace"),
    ],
)
def test_folder_follows_the_environment(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEST_SERVICES_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/h", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache.folder() == Path(expected)


def test_parallel_runs_make_an_entry_once(folder: Path) -> None:
    makers: list[Path] = []

    def make(scratch: Path) -> Path:
        makers.append(scratch)
        (scratch / "it").write_text("made")
        return scratch / "it"

    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(cache.obtain("thing", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(makers) == 1 and found == [folder / "thing"] * 8
    assert (folder / "thing").read_text() == "made"


def test_a_failed_make_leaves_no_entry_and_is_tried_again(folder: Path) -> None:
    def fail(scratch: Path) -> Path:
        (scratch / "it").mkdir()
        raise cache.Unavailable("network is down")

    with pytest.raises(cache.Unavailable, match="network is down"):
        cache.obtain("thing", fail)
    assert [path.name for path in folder.iterdir()] == ["thing.lock"]
    assert cache.obtain("thing", lambda scratch: _written(scratch / "it")).read_text() == "made"


def _written(path: Path) -> Path:
    path.write_text("made")
    return path


def test_the_switch_of_ci_reaches_this_process_and_no_agent() -> None:
    program = "import os; from test_services import cache; print(os.environ[cache.REQUIRE_REAL], *os.environ)"
    found = bare(*python(program), cwd=ROOT, AUTOTRACE_REQUIRE_REAL="1").stdout.split()
    assert found[0] == "1"
    assert "AUTOTRACE_REQUIRE_REAL" not in found

"""The service's name from whatever starts a Python program, and the process tags that Jaeger and Kiali look for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from autotrace.export import resource
from autotrace.export.resource import Resource, program_name
from autotrace.settings import Settings


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python app.py", "app"),
        ("python3.12 /srv/shop/app.py --port 80", "app"),
        ("/usr/bin/python -u -X dev -W error app.py", "app"),
        ("python -Xdev -Werror --check-hash-based-pycs always app.py", "app"),
        ("python -m shop", "shop"),
        ("python -m shop.billing", "billing"),
        ("python -m shop.__main__", "shop"),
        ("python -m shop.billing.main", "billing"),
        ("python -Im shop.billing -c x", "billing"),
        ("python -mshop", "shop"),
        ("/venv/bin/python /venv/bin/gunicorn app:app", "gunicorn"),
        ("python C/Scripts/flask-script.py run", "flask"),
        ("python shop/__main__.py", "shop"),
        ("python shop", "shop"),
        ("python shop.pyz", "shop"),
        ("python -c pass app.py", "python"),
        ("python -uc pass", "python"),
        ("python -", "python"),
        ("python", "python"),
        ("python -i", "python"),
        ("/usr/sbin/uwsgi --ini app.ini", "uwsgi"),
        ("", "python"),
    ],
)
def test_the_program_has_the_name_by_which_people_know_it(command: str, name: str) -> None:
    assert program_name(command.split()) == name


def test_a_spawned_child_of_multiprocessing_has_its_parents_name() -> None:
    command = ["python", "-c", "from multiprocessing.spawn import spawn_main; …", "--multiprocessing-fork"]
    assert program_name(command, ["/srv/app.py"]) == "app"
    assert program_name(command, ["-c"]) == "python"


def test_a_given_service_name_is_left_as_it_is() -> None:
    settings = Settings({"AUTOTRACE_SERVICE_NAME": "billing", "POD_NAMESPACE": "shop"})
    assert Resource(settings).service_name == "billing"


def test_a_namespace_is_appended_to_the_programs_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.orig_argv", ["python", "eshop.py"])
    assert Resource(Settings({"POD_NAMESPACE": "shop"})).service_name == "eshop.shop"


def test_the_namespace_of_the_service_account_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.orig_argv", ["python", "eshop.py"])
    monkeypatch.setattr(resource, "NAMESPACE_FILE", str(tmp_path / "namespace"))
    assert Resource(Settings({})).service_name == "eshop"
    (tmp_path / "namespace").write_text("mesh\n")
    assert Resource(Settings({})).service_name == "eshop.mesh"
    (tmp_path / "namespace").write_bytes(b"\xff\xfe")
    assert Resource(Settings({})).service_name == "eshop"


def test_kiali_finds_the_pod_by_both_names_of_the_host() -> None:
    tags = Resource(Settings({})).tags
    assert tags["hostname"] == tags["host.name"] == socket.gethostname()


def test_the_process_and_the_agent_are_described() -> None:
    tags = Resource(Settings({})).tags
    assert tags["process.pid"] == os.getpid()
    assert tags["telemetry.sdk.name"] == "autotrace"
    assert tags["telemetry.sdk.language"] == "python"
    assert tags["process.runtime.name"] == "cpython"
    assert str(tags["process.runtime.version"]).startswith("3.")
    assert "" not in tags.values()


def test_tags_of_the_settings_win_and_the_service_name_among_them_is_no_tag() -> None:
    settings = Settings({"OTEL_RESOURCE_ATTRIBUTES": "service.name=billing,team=red,host.name=node-7"})
    described = Resource(settings)
    assert described.service_name == "billing"
    assert described.tags["team"] == "red"
    assert described.tags["host.name"] == "node-7"
    assert described.tags["hostname"] == socket.gethostname()
    assert "service.name" not in described.tags

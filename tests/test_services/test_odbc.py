"""ODBC drivers of Debian's are where pyodbc can load them; one that cannot be had is named, and with AUTOTRACE_REQUIRE_REAL=1 its tests fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from test_services import cache, odbc
from test_services.built_drivers import driver
from test_services.cache import Unavailable
from test_services.postgresql import PostgreSQL
from tests.end_to_end import test_database_parity as parity


@pytest.mark.parametrize("server", odbc.LIBRARIES)
def test_a_library_is_a_file_of_its_package(server: str) -> None:
    try:
        path = Path(odbc.library(server))
    except Unavailable as reason:
        cache.require_real(f"the ODBC driver for {server}", reason, "its tests are skipped")
        pytest.skip("cannot be had")
    assert path.is_file() and path.name == odbc.LIBRARIES[server][1]


def test_the_connection_string_of_the_parity_cases_reaches_postgresql(postgresql: PostgreSQL) -> None:
    given = parity.connection_string(postgresql)
    if not given:
        pytest.skip("pyodbc or its driver cannot be had (told above)")
    connection = driver("pyodbc").connect(given)
    assert tuple(connection.execute("select current_user, current_database()").fetchone()) == ("app", "app")
    connection.close()


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odbc, "_installed", lambda name: None)
    monkeypatch.setattr("test_services.debian.os.geteuid", lambda: 1000)
    monkeypatch.setattr(cache, "missing", [])


@pytest.mark.usefixtures("missing")
def test_where_there_is_none_and_none_may_be_installed_the_package_is_named() -> None:
    with pytest.raises(Unavailable, match="install odbc-postgresql and unixodbc"):
        odbc.library("postgresql")


@pytest.mark.usefixtures("missing")
def test_without_it_the_cases_are_left_out_loudly_or_fail(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TEST_SERVICES_REQUIRE_REAL", raising=False)
    assert parity.connection_string(postgresql) == ""
    assert "NOT REAL: pyodbc cannot be had" in capsys.readouterr().err
    monkeypatch.setenv("TEST_SERVICES_REQUIRE_REAL", "1")
    with pytest.raises(Unavailable, match="pyodbc"):
        parity.connection_string(postgresql)

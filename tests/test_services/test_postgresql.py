"""A private PostgreSQL answers psycopg2 over TCP and over its Unix socket."""

from __future__ import annotations

import psycopg2
import pytest

from test_services.cache import Unavailable
from test_services.postgresql import PostgreSQL


def test_answers_select_1_in_its_own_database(postgresql: PostgreSQL) -> None:
    with psycopg2.connect(postgresql.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1, current_user, current_database()")
        assert cursor.fetchone() == (1, "app", "app")
    connection.close()


@pytest.mark.parametrize("words", ["url", "socket"])
def test_url_and_unix_socket_lead_to_the_same_server(postgresql: PostgreSQL, words: str) -> None:
    local = f"host={postgresql.socket_folder} port={postgresql.port} user=app dbname=app"
    connection = psycopg2.connect(postgresql.url if words == "url" else local)
    assert connection.info.port == postgresql.port
    connection.close()


def test_stops_in_order_under_an_open_connection_and_leaves_no_folder(
    postgresql: PostgreSQL, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fixture is asked for so that a machine without PostgreSQL is dealt with in one place."""
    with PostgreSQL() as second:
        assert second.port != postgresql.port
        folder, dsn = second.folder, second.dsn
        connection = psycopg2.connect(dsn)
    connection.close()
    assert not folder.exists()
    assert "killed" not in capsys.readouterr().err
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        psycopg2.connect(dsn)


def test_where_there_is_none_and_none_may_be_installed_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_services.postgresql._installed", lambda: None)
    monkeypatch.setattr("test_services.debian.os.geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="install postgresql"):
        PostgreSQL().start()

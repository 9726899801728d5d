"""A private MariaDB answers PyMySQL over TCP and over its Unix socket."""

from __future__ import annotations

import pymysql
import pytest

from test_services.cache import Unavailable
from test_services.mariadb import MariaDB


def test_answers_in_its_own_database(mariadb: MariaDB) -> None:
    with pymysql.connect(
        host=mariadb.host, port=mariadb.port, user=mariadb.user, password=mariadb.password, database=mariadb.database
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1, current_user(), database()")
        assert cursor.fetchone() == (1, "app@127.0.0.1", "app")


def test_its_unix_socket_asks_no_password(mariadb: MariaDB) -> None:
    with pymysql.connect(unix_socket=mariadb.socket, user=mariadb.user) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT current_user(), @@port")
        assert cursor.fetchone() == ("app@localhost", mariadb.port)


def test_stops_in_order_under_an_open_connection_and_leaves_no_folder(
    mariadb: MariaDB, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fixture is asked for so that a machine without MariaDB is dealt with in one place."""
    with MariaDB() as second:
        assert second.port != mariadb.port
        folder, port = second.folder, second.port
        connection = pymysql.connect(host=second.host, port=port, user="app", password="pw")
    assert not folder.exists()
    assert "killed" not in capsys.readouterr().err
    with pytest.raises(pymysql.OperationalError):
        pymysql.connect(host="127.0.0.1", port=port, user="app", password="pw")
    with pytest.raises(pymysql.Error):
        connection.cursor().execute("SELECT 1")


def test_where_there_is_none_and_none_may_be_installed_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_services.mariadb._installed", lambda: None)
    monkeypatch.setattr("test_services.debian.os.geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="install mariadb-server"):
        MariaDB().start()

"""Where the local services live: short, private, derived from DATA_DIR, the same for every process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from config.embedded import locations

LONG = Path("/srv") / ("Ünïversität mit Leerzeichen " * 8) / "var"


def test_sockets_fit_into_107_bytes_however_long_data_dir_is() -> None:
    assert len(os.fsencode(locations.postgres_socket_dir(LONG) / ".s.PGSQL.5432.lock")) <= 107
    assert len(os.fsencode(locations.valkey_socket(LONG))) <= 107


def test_two_data_dirs_never_share_an_address() -> None:
    assert locations.socket_dir(Path("/srv/a/var")) != locations.socket_dir(Path("/srv/b/var"))
    assert locations.socket_dir(Path("/srv/a/var")) == locations.socket_dir(Path("/srv/a/var"))


def test_a_relative_data_dir_counts_from_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", "elsewhere")
    assert locations.data_dir() == locations.PROJECT / "elsewhere"
    monkeypatch.setenv("DATA_DIR", "")
    assert locations.data_dir() == locations.PROJECT / "var"


def test_each_role_has_an_address_and_a_password_of_its_own(tmp_path: Path) -> None:
    app, owner = (conninfo_to_dict(url(tmp_path)) for url in (locations.database_url, locations.owner_database_url))
    assert (app["user"], owner["user"]) == ("hipwatch_app", "hipwatch_owner")
    assert app["host"] == owner["host"] == str(locations.postgres_socket_dir(tmp_path))
    assert len({app["password"], owner["password"], locations.secret("django", tmp_path)}) == 3


def test_processes_that_begin_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    ask = "from config.embedded import locations; print(locations.secret_key())"
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "new")}
    running = [
        subprocess.Popen([sys.executable, "-c", ask], env=environment, cwd=locations.PROJECT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in running}) == 1
    assert (tmp_path / "new" / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secrets.json"]


def test_a_folder_that_somebody_prepared_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(locations.UnsafeFolder):
        locations.ensure_private(tmp_path / "link")
    with pytest.raises(locations.UnsafeFolder):
        locations.ensure_private(tmp_path / "target", owner=os.getuid() + 1)


def test_a_folder_of_ours_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    assert locations.ensure_private(tmp_path / "open").stat().st_mode & 0o777 == 0o700

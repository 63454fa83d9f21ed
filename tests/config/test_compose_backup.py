"""The commands that the handbook gives for Docker Compose save a registry and bring it back, as they are written."""

import os
import re
import subprocess
from pathlib import Path

import psycopg
import pytest

from config import backup
from tests.config.test_backup import RESTORED, contents, empty, registry  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow  # dumps and restores whole databases
HANDBOOK = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
DOCKER = """#!/bin/sh
case "$*" in
    "compose exec -T postgres sh "*) shift 5; exec sh "$@" ;;
    "compose stop "* | "compose up "*) echo "$2" >> "$DOCKER_TOLD" ;;
    *) echo "unexpected: $*" >&2; exit 64 ;;
esac
"""


def commands():
    """What stands in the two blocks under *With Docker Compose*: saving, and restoring."""
    part = HANDBOOK.read_text().partition("**With Docker Compose**")[2].partition("**To a point in time.**")[0]
    save, restore = re.findall(r"```\n(.*?)```", part, re.DOTALL)
    return save, restore


@pytest.fixture
def shell(empty, tmp_path):  # noqa: F811
    """Runs commands of the handbook, with `docker compose exec postgres` where the tests' server is."""
    server = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(empty).items()}
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o700)
    for program in ("psql", "pg_dump", "pg_restore", "createdb", "dropdb", "vacuumdb"):
        (programs / program).symlink_to(backup._program(program))
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "POSTGRES_PASSWORD": server["password"],
        "PGHOST": server["host"],
        "PGPORT": server["port"],
        "DOCKER_TOLD": str(tmp_path / "told"),
    }

    def run(text, file=""):
        text = text.replace("hipwatch-….dump", file).replace("/srv/hipwatch", str(tmp_path))
        text = text.replace("/backups/", f"{tmp_path}/").replace("-U postgres", f"-U {server['user']}")
        text = re.sub(r"\bhipwatch(_restored|_before)?\b(?!-)", rf"{server['dbname']}\1", text)
        return subprocess.run(["sh", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture
def installation(registry, empty, tmp_path):  # noqa: F811
    """The address of a registry with patients, which may be replaced."""
    made = tmp_path / "first"
    backup.restore(made / backup.save(made, url=registry).file, url=empty)
    return empty


def saved(shell, folder):
    done = shell(commands()[0])
    assert done.returncode == 0, done.stderr
    [file] = folder.glob("hipwatch-*.dump")
    return file


def test_what_was_saved_comes_back_and_what_was_there_is_kept(installation, shell, tmp_path, services):
    file = saved(shell, tmp_path)
    with psycopg.connect(installation) as connection:
        [beats] = connection.execute("DELETE FROM monitoring_heartbeat WHERE name = 'backup' RETURNING note").fetchall()
    assert beats == ("",)
    before, former = contents(installation), services.admin_url_of(f"{RESTORED}_before")
    with psycopg.connect(installation) as connection:
        connection.execute("UPDATE patients_patient SET family_name = 'Lost'")
    after = contents(installation)
    done = shell(commands()[1], file.name)
    assert done.returncode == 0, done.stderr
    assert contents(installation) == before
    assert contents(former) == after
    assert (tmp_path / "told").read_text().split() == ["stop", "up"]
    again = shell(commands()[1], file.name)
    assert again.returncode and "already exists" in again.stderr
    assert contents(installation) == before and contents(former) == after


def test_a_damaged_file_changes_nothing(installation, shell, tmp_path):
    file = saved(shell, tmp_path)
    before = contents(installation)
    file.write_bytes(file.read_bytes()[:-100] + bytes(100))
    done = shell(commands()[1], file.name)
    assert done.returncode and "FAILED" in done.stdout
    assert contents(installation) == before and not (tmp_path / "told").exists()

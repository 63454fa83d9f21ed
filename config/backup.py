"""Backup: the whole database in one file that proves itself, and the way back.

    python -m config.backup save [FOLDER]          python -m config.backup restore FILE [--replace]

A backup is `hipwatch-TIME.dump` (pg_dump's custom format) with `hipwatch-TIME.json` beside it: the file's SHA-256 and
how many rows each table had in the snapshot that was dumped. A restore compares both. The server is that of
DATABASE_ADMIN_URL (a role that may make databases), or the embedded one; pg_dump is the embedded one or that of PATH.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.embedded import cluster, locations, postgres

KEPT = 14
OURS = ("patients_", "schedules_", "monitoring_", "pghistory_", "django_migrations")
HEARTBEAT = (
    "INSERT INTO monitoring_heartbeat (name, started_at, finished_at, behind, note) VALUES ('backup', %s, now(), 0, %s)"
    " ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at, finished_at = excluded.finished_at,"
    " behind = 0, note = excluded.note"
)
CHUNK = 1 << 20


class BackupError(RuntimeError):
    """A backup cannot be made, read or put back; the message says why and what was left as it was."""


@dataclass(frozen=True)
class Manifest:
    """What a backup is: of when, how large, with which digest, and the rows of each table."""

    file: str
    made_at: str
    server: str
    bytes: int
    sha256: str
    rows: dict[str, int]


def admin_url() -> str:
    """Where backups are made from and put back to."""
    given = os.environ.get("DATABASE_ADMIN_URL", "")
    if not given and os.environ.get("DATABASE_URL"):
        raise BackupError(
            "DATABASE_URL names a server of your own: set DATABASE_ADMIN_URL to a role that may make databases."
        )
    return given or locations.admin_database_url(None, locations.DATABASE)


def named(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def save(folder: Path, *, url: str, keep: int = KEPT) -> Manifest:
    """Write a backup into `folder`, check that it can be read, and drop all but the newest `keep`.

    The rows are counted in the snapshot that is dumped. The heartbeat `backup` beats when all is well. Raises
    BackupError; what is unfinished has another name and is removed.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    began = datetime.now(UTC)
    target = folder / f"hipwatch-{began:%Y%m%dT%H%M%SZ}.dump"
    draft = target.with_suffix(".unfinished")
    try:
        with psycopg.connect(url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            (snapshot,) = _one(connection, "SELECT pg_export_snapshot()")
            rows = count_rows(connection)
            (server,) = _one(connection, "SHOW server_version")
            _run("pg_dump", url, "--format=custom", "--compress=6", f"--snapshot={snapshot}", f"--file={draft}")
        _run("pg_restore", None, "--list", os.fspath(draft))
        manifest = Manifest(
            target.name, began.isoformat(timespec="seconds"), server, draft.stat().st_size, digest(draft), rows
        )
        draft.chmod(0o600)
        draft.rename(target)
        target.with_suffix(".json").write_text(json.dumps(asdict(manifest), indent=1) + "\n")
    except (psycopg.Error, OSError) as problem:
        raise BackupError(f"No backup was made: {problem}") from problem
    finally:
        draft.unlink(missing_ok=True)
    with psycopg.connect(url) as connection:
        connection.execute(HEARTBEAT, (began, f"{manifest.bytes} bytes"))
    _drop_old(folder, keep)
    return manifest


def restore(file: Path, *, url: str, replace: bool = False) -> Manifest:
    """Put a backup into the database of `url`, whole or not at all.

    It goes into a new database, whose rows are compared with the manifest and which takes the name only then. A
    database of that name must be empty, or with `replace` is kept under another. Raises BackupError; the one that was
    there is then untouched.
    """
    manifest = read_manifest(file)
    name = unquote(urlsplit(url).path[1:])
    draft = f"{name}_restored_{int(time.time())}"
    server = named(url, "postgres")
    with psycopg.connect(server, autocommit=True) as admin:
        exists = _one(admin, "SELECT count(*) FROM pg_database WHERE datname = %s", name)[0]
        if exists and not replace and not is_empty(url):
            raise BackupError(f"The database {name} is not empty; with --replace it is kept under another name.")
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER hipwatch_owner").format(sql.Identifier(draft))
        )
        try:
            _run("pg_restore", named(url, draft), "--exit-on-error", "--single-transaction", os.fspath(file))
            with psycopg.connect(named(url, draft)) as connection:
                connection.execute("ANALYZE")
                wrong = differences(manifest.rows, count_rows(connection))
            if wrong:
                raise BackupError(f"What was restored is not what was saved: {', '.join(wrong)}.")
        except (BackupError, psycopg.Error) as problem:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(draft)))
            raise BackupError(str(problem)) from problem
        if exists:
            kept = f"{name}_before_{int(time.time())}"
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                (name,),
            )
            _rename(admin, name, kept)
        _rename(admin, draft, name)
    return manifest


def read_manifest(file: Path) -> Manifest:
    """What is written beside the backup. Raises BackupError when it is missing or the file is another."""
    beside = file.with_suffix(".json")
    if not file.is_file() or not beside.is_file():
        raise BackupError(f"{file} and {beside.name} beside it are needed.")
    manifest = Manifest(**json.loads(beside.read_text()))
    if digest(file) != manifest.sha256:
        raise BackupError(f"{file} is damaged: its SHA-256 is not that of {beside.name}.")
    return manifest


def count_rows(connection: "psycopg.Connection[Any]") -> dict[str, int]:
    """How many rows each of our tables has, as this transaction sees them."""
    names = [
        row[0]
        for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        if row[0].startswith(OURS)
    ]
    counted = sql.SQL("SELECT count(*) FROM {}")
    return {name: connection.execute(counted.format(sql.Identifier(name))).fetchone()[0] for name in names}  # type: ignore[index]


def differences(saved: dict[str, int], found: dict[str, int]) -> list[str]:
    return [
        f"{name} has {found.get(name, 'no table')} rows of {saved.get(name, 'no table')}"
        for name in sorted(saved.keys() | found.keys())
        if saved.get(name) != found.get(name)
    ]


def is_empty(url: str) -> bool:
    """Whether nothing has been migrated into the database."""
    with psycopg.connect(url) as connection:
        return not _one(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")[0]


def digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(CHUNK):
            found.update(piece)
    return found.hexdigest()


def _one(connection: "psycopg.Connection[Any]", query: str, *values: Any) -> tuple[Any, ...]:
    return connection.execute(query, values).fetchone() or ()


def _rename(admin: "psycopg.Connection[Any]", old: str, new: str) -> None:
    admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def _drop_old(folder: Path, keep: int) -> None:
    for old in sorted(folder.glob("hipwatch-*.dump"))[:-keep]:
        old.unlink()
        old.with_suffix(".json").unlink(missing_ok=True)


def _run(program: str, url: str | None, *arguments: str) -> None:
    """One of PostgreSQL's programs. The address goes by environment, so that no list of processes shows a password."""
    command = [_program(program), *(["--dbname="] if program == "pg_restore" and url else []), *arguments]
    done = subprocess.run(command, check=False, env=_environment(url), capture_output=True)  # noqa: S603
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.decode(errors='replace').strip()[-2000:]}")


def _environment(url: str | None) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if url is None:
        return known
    told = psycopg.conninfo.conninfo_to_dict(url)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    more = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    return known | {variable: str(told[name]) for name, variable in (names | more).items() if told.get(name)}


def _program(name: str) -> str:
    """The embedded server's program where there is one: pg_dump must not be older than its server."""
    try:
        return os.fspath(cluster.locate().programs / name)
    except cluster.PostgresError:
        if found := shutil.which(name):
            return found
        raise BackupError(f"{name} was not found: install PostgreSQL's client programs.") from None


def main(arguments: list[str]) -> int:
    """save [FOLDER] | restore FILE [--replace]"""
    embedded = not os.environ.get("DATABASE_ADMIN_URL") and not os.environ.get("DATABASE_URL")
    was_running = embedded and postgres.server_pid(postgres.locate()) is not None
    if embedded:
        postgres.start()
    try:
        match arguments:
            case ["save", *folder] if len(folder) < 2:
                where = Path(*folder) if folder else locations.data_dir() / "backups"
                made = save(where, url=admin_url())
                _say(f"{where / made.file}: {made.bytes:,} bytes, {sum(made.rows.values()):,} rows")
            case ["restore", file, *options] if set(options) <= {"--replace"}:
                put = restore(Path(file), url=admin_url(), replace="--replace" in options)
                _say(f"Restored as of {put.made_at}: {sum(put.rows.values()):,} rows, each table as it was saved.")
            case _:
                _say(f"usage: python -m config.backup {main.__doc__}")
                return 2
    except BackupError as problem:
        _say(str(problem))
        return 1
    finally:
        if embedded and not was_running:
            postgres.stop()
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

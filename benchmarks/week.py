"""A week of operation in minutes: what a worker and a web process hold after all hints and pages of seven days.

    .venv/bin/python benchmarks/week.py [--days 7] [--patients 240] [--pages 1500] [--visits 40]

Makes a scratch folder with PostgreSQL and Valkey, simulates a registry, starts one real worker (sweep and mail, one
child) and one web process as production has them, and sends the worker every hint that beat would send in so many
days, in their order; meanwhile pages are asked for and visits recorded. The clock does not move: measured is the growth
of whoever lives through it, not what a later day asks for. After each day: resident memory, open files and threads of
both, connections of the database, Valkey's memory and keys, the database's size.
"""

import argparse
import contextlib
import heapq
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))

from benchmarks import mail

PROJECT = Path(__file__).resolve().parents[1]
DAY: Final = 86_400.0
WAITING: Final = 200  # hints in the broker; more are sent when the worker has taken some
MEGABYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Held:
    """What is held after a day. Memory is resident, in MB."""

    day: int
    hints: int
    worker_mb: float
    child_mb: float
    web_mb: float
    files: int
    threads: int
    connections: int
    valkey_mb: float
    keys: int
    database_mb: float


def hints(schedule: dict[str, dict[str, Any]], days: int) -> Iterator[tuple[float, str, str]]:
    """(second, task, queue) of every hint that beat sends in so many days, in order."""

    def one(entry: dict[str, Any]) -> Iterator[tuple[float, str, str]]:
        every = entry["schedule"]
        step = float(every) if isinstance(every, int | float) else DAY / max(len(every.hour), 1)
        count = int(days * DAY / step)
        return ((number * step, entry["task"], entry["options"].get("queue", "")) for number in range(1, count + 1))

    return heapq.merge(*(one(entry) for entry in schedule.values()))


# ---- Processes


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines)}


def resident(pid: int) -> float:
    return int(status_of(pid)["VmRSS"].split()[0]) * 1024 / MEGABYTE


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    from config.embedded import processes

    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=PROJECT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=processes.leash(signal.SIGKILL),
        )
    try:
        yield child.pid
    finally:
        processes.end(child, grace=30.0)


def wait(condition: Callable[[], Any], what: str) -> None:
    from config.embedded.processes import wait_until

    if not wait_until(condition, seconds=300, step=0.02):
        sys.exit(f"Waited five minutes until {what}.")


# ---- A day's work


def visit(number: int) -> None:
    """A visit of some patient with symptoms of both hips, evaluated as it is recorded."""
    from django.utils import timezone

    from patients import access, recording
    from patients.changes import Actor
    from patients.models import Patient, SymptomReport, Visit
    from patients.recording import today_at
    from patients.vocabulary import Side

    with access.system_run("benchmark"):
        living = Patient.objects.filter(died_on__isnull=True).order_by("id")
        patient = living[number % living.count()]
        today = today_at(patient.clinic, timezone.now())
        said = [(side, SymptomReport(on=today, source="clinician", symptomatic=False, pain_nrs=0)) for side in Side]
        recording.record_facts(patient.pk, said, by=Actor(name="Ada Okoye"), visit=Visit(on=today))


@dataclass(frozen=True)
class Site:
    port: int
    cookie: str
    pages: list[str]

    def ask(self, number: int) -> None:
        line = HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(line):
            line.request("GET", self.pages[number % len(self.pages)], headers={"Cookie": self.cookie})
            answer = line.getresponse()
            answer.read()
            if answer.status != 200:
                sys.exit(f"{self.pages[number % len(self.pages)]} answered {answer.status}.")


def measure(day: int, sent: int, worker: int, web: int, valkey: Any) -> Held:
    from django.db import connection

    child, served = children(worker), children(web)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_database_size(current_database()),"
            " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())"
        )
        size, connections = cursor.fetchone()  # type: ignore[misc]
    alive = [worker, *child, web, *served]
    return Held(
        day=day,
        hints=sent,
        worker_mb=resident(worker),
        child_mb=max(map(resident, child)),
        web_mb=max(map(resident, served)),
        files=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in alive),
        threads=sum(int(status_of(pid)["Threads"]) for pid in alive),
        connections=connections,
        valkey_mb=valkey.info("memory")["used_memory"] / MEGABYTE,
        keys=valkey.dbsize(),
        database_mb=size / MEGABYTE,
    )


def live(days: int, pages: int, visits: int, site: Site, worker: int, web: int, valkey: Any) -> Iterator[Held]:
    from config.celery import app

    app.finalize()
    waiting = valkey.llen
    sent = asked = recorded = 0
    coming = hints(app.conf.beat_schedule, days)
    following = next(coming, None)
    for day in range(1, days + 1):
        today = 0
        while following is not None and following[0] <= day * DAY:
            _second, task, queue = following
            app.send_task(task, **({"queue": queue} if queue else {}))
            sent, today, following = sent + 1, today + 1, next(coming, None)
            if today % 50 == 0:
                share = min(today / (DAY / 8), 1.0)  # a day has some 10,800 hints
                while asked < (day - 1 + share) * pages:
                    site.ask(asked)
                    asked += 1
                while recorded < (day - 1 + share) * visits:
                    visit(recorded)
                    recorded += 1
                wait(lambda: waiting("sweep") + waiting("mail") < WAITING, "the worker takes hints")
        wait(lambda: waiting("sweep") + waiting("mail") == 0, "the worker has taken the day's hints")
        time.sleep(2)
        yield measure(day, sent, worker, web, valkey)


HEAD: Final = "| " + " | ".join(field.name.replace("_", " ") for field in fields(Held)) + " |"


def line(held: Held) -> str:
    return (
        "| "
        + " | ".join(f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for value in astuple(held))
        + " |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--patients", type=int, default=240)
    parser.add_argument("--pages", type=int, default=1500, help="a day")
    parser.add_argument("--visits", type=int, default=40, help="recorded a day")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the scratch folder goes then, too
    with mail.scratch_folder() as scratch, mail.sink_running() as sink:
        data = scratch / "data"
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "HIPWATCH_ENV", "HIPWATCH_TESTING"):
            os.environ.pop(name, None)
        os.environ |= {"DATA_DIR": os.fspath(data), "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        with mail.servers_running(data):
            lived(asked, data)


def lived(asked: argparse.Namespace, data: Path) -> None:
    import django

    django.setup()
    import redis
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from config.embedded import locations
    from config.embedded.ports import hold_port, port_of
    from patients import access
    from patients.models import Clinic, Membership, Patient, User

    call_command("migrate", database="owner", verbosity=0)
    call_command("simulate_registry", patients=asked.patients, verbosity=0)
    user = User.objects.create_user(email="one@benchmark.example", password="a word nobody guesses", name="Ada Okoye")
    for clinic in Clinic.objects.all():
        Membership.objects.create(user=user, clinic=clinic, role="coordinator")
    settings.ALLOWED_HOSTS = ["testserver"]
    browser = Client()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = browser.cookies[settings.SESSION_COOKIE_NAME]
    with access.system_run("benchmark"):
        some = list(Patient.objects.order_by("id").values_list("id", flat=True)[:40])
    pages = [
        page for pk in some for page in ("/", "/worklist/overdue/", f"/patients/{pk}/", "/messages/", "/calendar/")
    ]
    environment = {**os.environ, "CELERY_BROKER": locations.broker_url(data), "PYTHONWARNINGS": "ignore"}
    held = hold_port(28300)
    port = port_of(held)
    held.close()
    work = ["celery", "--quiet", "-A", "config", "worker", "--queues", "sweep,mail", "--concurrency", "1"]
    serve = ["gunicorn", "--config", "python:config.serving", "config.wsgi:application", "--workers", "1"]
    with (
        running([*work, "--without-gossip", "--without-mingle"], environment, data / "worker.log") as worker,
        running([*serve, "--bind", f"127.0.0.1:{port}"], environment, data / "web.log") as web,
    ):
        wait(lambda: children(worker) and children(web), "both have started")
        time.sleep(5)
        valkey = redis.Redis.from_url(locations.redis_url(data))
        print(HEAD + "\n|" + "---|" * len(fields(Held)), flush=True)
        began = time.monotonic()
        print(line(measure(0, 0, worker, web, valkey)), flush=True)
        site = Site(port, f"{session.key}={session.value}", pages)
        for one in live(asked.days, asked.pages, asked.visits, site, worker, web, valkey):
            print(line(one), flush=True)
        print(f"{asked.days} days in {time.monotonic() - began:.0f} s, {asked.patients} patients, SYNTHETIC")


if __name__ == "__main__":
    main()

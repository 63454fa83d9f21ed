"""Reminders through real Celery workers and real SMTP, beside raw smtplib, django-post-office and django-mailer.

    .venv/bin/python benchmarks/mail.py [--mails 10000] [--rounds 3] [--only worker-k1,raw] [--json FILE]

Starts a database, a queue and an SMTP server of its own in a scratch folder and removes them afterwards. A synthetic
clinic has one reminder due for each patient; its mail is held for its unusual volume and released, as a person would.
In each round the same mails go out by every way, one way after the other: ours decides on each, writes it, sends it
and stores what came of it, with `k` mails to a claim; the peers send what was composed and queued for them before the
clock started; raw smtplib sends bytes over one connection and stores nothing. After each run every mail must have
reached the server exactly once. Ratios are taken within a round, then the median over the rounds.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
PARTS = PROJECT / "benchmarks" / "mailing"
sys.path.insert(0, os.fspath(PROJECT))

from benchmarks.figures import note  # noqa: E402

WARM_UP = 40  # mails through each worker before the clock starts: templates and connections are loaded then
WAIT = 900.0
OURS = ("patients_", "schedules_", "monitoring_")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Way:
    """One way of sending. `together` is ours: mails to a claim."""

    name: str
    peer: str = ""
    processes: int = 1
    together: int = 0

    @property
    def title(self) -> str:
        many = "" if self.processes == 1 else "es" if self.peer else "s"
        return f"{self.name}, {self.processes} {'process' if self.peer else 'worker'}{many}"


WAYS = {
    "raw": Way("raw smtplib, one connection", "raw"),
    "django": Way("Django backend, one connection", "django"),
    "k1": Way("Hipwatch, k=1", together=1),
    "k1x2": Way("Hipwatch, k=1", together=1, processes=2),
    "k10": Way("Hipwatch, k=10", together=10),
    "k10x2": Way("Hipwatch, k=10", together=10, processes=2),
    "k10x3": Way("Hipwatch, k=10", together=10, processes=3),
    "post_office": Way("django-post-office", "post_office"),
    "post_officex2": Way("django-post-office", "post_office", processes=2),
    "mailer": Way("django-mailer", "mailer"),
}


@dataclass(frozen=True)
class Run:
    """What one run took. CPU in ms a mail: of the senders, of the database, and of the whole machine, the receiving
    server and whatever else ran meanwhile among it.
    """

    way: str
    mails_per_s: float
    cpu_ms: float
    database_cpu_ms: float
    machine_cpu_ms: float
    load: float


CPU = ("cpu_ms", "database_cpu_ms", "machine_cpu_ms")


# ---- Servers


@dataclass(frozen=True)
class Sink:
    """The SMTP server's process, asked over its standard input."""

    process: "subprocess.Popen[str]"
    port: int

    def ask(self, what: str) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder through which PostgreSQL may pass when we are root: it refuses to run as root."""
    folder = Path(tempfile.mkdtemp(prefix="hipwatch-benchmark-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def sink_running() -> Iterator[Sink]:
    from config.embedded import processes

    process = subprocess.Popen(
        [sys.executable, os.fspath(PARTS / "sink.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=processes.leash(signal.SIGKILL),
    )
    try:
        assert process.stdout
        yield Sink(process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def servers_running(data: Path) -> Iterator[None]:
    """PostgreSQL as the product starts it, that is with fsync, and Valkey; the product's tables, and the peers'."""
    from config.embedded import postgres, redis

    postgres.start(data, leashed=True)
    redis.start(data, leashed=True)
    try:
        yield
    finally:
        redis.stop(data)
        postgres.stop(data)


def prepare_databases(data: Path, environment: dict[str, str]) -> None:
    import psycopg
    from django.core.management import call_command

    from config.embedded import locations

    call_command("migrate", database="owner", verbosity=0)
    with psycopg.connect(locations.admin_database_url(data), autocommit=True) as admin:
        admin.execute("CREATE DATABASE peers OWNER hipwatch_owner")
    subprocess.run(peer_command("migrate"), check=True, env=environment)


def peer_command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, os.fspath(PARTS / "peers.py"), name, *(arguments or ("-",))]


# ---- Patients and mails


def make_clinic(mails: int) -> Any:
    """A synthetic clinic in which each patient has a reminder due today."""
    from django.utils import timezone

    from patients import access
    from patients.models import Clinic, ContactWish, Hip, Patient
    from patients.recording import today_at
    from schedules.models import Plan, Reminder

    clinic = Clinic.objects.create(
        name="Benchmark",
        mail_name="Northside Clinic",
        telephone="+44 20 7946 0999",
        address="1 Canal Street\nLondon N1 1AA",
        opening_hours="Monday to Friday, 8 to 16",
        reply_to="desk@clinic.example",
        synthetic=True,
    )
    today = today_at(clinic, timezone.now())
    fixed = {"clinic": clinic, "cycle_on": today - timedelta(days=182), "due_on": today}
    for start in range(0, mails, 2000):
        with access.system_run("benchmark"):
            people = Patient.objects.bulk_create(
                Patient(
                    clinic=clinic,
                    record_number=f"B-{number:06d}",
                    family_name=f"Berg{number}",
                    given_name="Marta",
                    born_on=date(1980, 3, 10),
                    email=f"patient{number}@mail.example",
                    enrolled_on=today - timedelta(days=400),
                    synthetic=True,
                )
                for number in range(start, min(start + 2000, mails))
            )
            hips = Hip.objects.bulk_create(Hip(clinic=clinic, patient=one, side="left") for one in people)
            ContactWish.objects.bulk_create(
                ContactWish(clinic=clinic, patient=one, channel="email", allowed=True, how="on paper", on=today)
                for one in people
            )
            Plan.objects.bulk_create(
                Plan(
                    hip=hip,
                    patient_id=hip.patient_id,
                    pathway="watch",
                    because="benchmark",
                    protocol="benchmark",
                    opens_on=today - timedelta(days=28),
                    overdue_on=today + timedelta(days=28),
                    escalate_on=today + timedelta(days=60),
                    trace_on=today + timedelta(days=90),
                    gap_on=today + timedelta(days=300),
                    **fixed,
                )
                for hip in hips
            )
            Reminder.objects.bulk_create(
                Reminder(patient=one, step=Reminder.Step.DUE, send_on=today, **fixed) for one in people
            )
        if not start:
            tidy_up()  # what is planned for empty tables would read them from end to end for each of the others
    release(clinic, mails)
    return clinic


def release(clinic: Any, mails: int) -> None:
    """So many mails on a clinic's first day are held until a person has looked."""
    from django.utils import timezone

    from patients import access
    from patients.changes import Actor
    from schedules import volume

    now, by = timezone.now(), Actor(name="benchmark")
    with access.system_run("benchmark"):
        held = volume.hold_where_unusual({clinic.pk: mails}, by=by, now=now)
        if held:
            volume.release(clinic, by=by, now=now)


def plan_anew(only: int | None = None) -> None:
    """All reminders are due as if nothing had been sent; with `only`, so many of them, and the others are away."""
    from patients import access
    from schedules.models import Reminder

    with access.system_run("benchmark"):
        Reminder.objects.update(
            state="planned", reason="", attempts=0, decided_at=None, lease_until=None, claimed_by="", sent_to=""
        )
        if only is not None:
            waiting = Reminder.objects.order_by("send_on", "id").values("id")[only:]
            Reminder.objects.filter(id__in=waiting).update(state="cancelled")
    tidy_up()


def tidy_up() -> None:
    """Every run begins with tables that are vacuumed and counted."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        tables = [name for name in connections["owner"].introspection.table_names(cursor) if name.startswith(OURS)]
        cursor.execute(f"VACUUM (ANALYZE) {', '.join(tables)}")


def write_mails(path: Path) -> Counter[str]:
    """Every mail as the product composes it, for the peers; returns the Message-IDs that must arrive."""
    from patients import access
    from schedules.mail import compose
    from schedules.models import Reminder

    expected: Counter[str] = Counter()
    with path.open("w") as file, access.system_run("benchmark"):
        for reminder in Reminder.objects.select_related("patient", "clinic", "appointment").order_by("id").iterator():
            message = compose(reminder, reminder.patient, reminder.clinic)
            headers = {**message.extra_headers, "Reply-To": ", ".join(message.reply_to)}
            parts = {
                "sender": message.from_email,
                "recipient": message.to[0],
                "subject": message.subject,
                "text": message.body,
                "html": str(message.alternatives[0][0]),
                "headers": headers,
                "wire": message.message().as_bytes(linesep="\r\n").decode(),
            }
            file.write(json.dumps(parts) + "\n")
            expected[headers["Message-ID"]] += 1
    return expected


# ---- Judging


def cpu_of_session(leader: int) -> float:
    """CPU seconds of a process and its children, those that have ended included."""
    return sum(_cpu(fields) for pid, fields in _processes() if int(fields[3]) == leader or pid == leader)


def cpu_of_children(parent: int) -> float:
    return sum(_cpu(fields) for pid, fields in _processes() if int(fields[1]) == parent or pid == parent)


def cpu_of_machine() -> float:
    """CPU seconds of all processes and of the kernel since the machine came up; idling and waiting left out."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    return sum(int(fields[n]) for n in (0, 1, 2, 5, 6)) / TICKS  # user, nice, system, interrupts hard and soft


def _cpu(fields: Sequence[str]) -> float:
    return sum(int(field) for field in fields[11:15]) / TICKS


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield int(entry.name), (entry / "stat").read_text().rpartition(")")[2].split()


def check_arrivals(sink: Sink, expected: Counter[str]) -> None:
    """Raises SystemExit unless every mail came exactly once."""
    arrived = Counter(message_id for message_id, _recipient in sink.ask("take")["arrived"])
    if arrived != expected:
        doubled = sum(count - 1 for count in arrived.values())
        sys.exit(
            f"{(expected - arrived).total()} mails are lost, {doubled} doubled, {len(arrived - expected)} are not ours."
        )


def check_states(mails: int) -> None:
    from patients import access
    from schedules.models import Reminder

    with access.system_run("benchmark"):
        states = Counter(Reminder.objects.values_list("state", flat=True))
    if states != {"sent": mails}:
        sys.exit(f"The reminders are {dict(states)}; all {mails} should be sent.")


def count_states(*states: str) -> int:
    from patients import access
    from schedules.models import Reminder

    with access.system_run("benchmark"):
        return Reminder.objects.filter(state__in=states).count()


# ---- Running


@dataclass(frozen=True)
class Bench:
    data: Path
    sink: Sink
    environment: dict[str, str]
    mails: Path
    expected: Counter[str]
    postmaster: int

    def run(self, key: str) -> Run:
        way = WAYS[key]
        load = os.getloadavg()[0]
        seconds, *spent = self.send_by_peer(way) if way.peer else self.send_by_workers(way)
        check_arrivals(self.sink, self.expected)
        count = self.expected.total()
        return Run(key, count / seconds, *(1000 * cpu / count for cpu in spent), load)

    def send_by_peer(self, way: Way) -> tuple[float, float, float, float]:
        """Seconds by the clock, then of CPU as in `Run`."""
        command = peer_command(way.peer, os.fspath(self.mails), str(way.processes))
        with subprocess.Popen(
            command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as peer:
            assert peer.stdin and peer.stdout
            if peer.stdout.readline() != "ready\n":
                sys.exit(f"{way.title} did not start.")
            tidy_up()
            before, machine = cpu_of_children(self.postmaster), cpu_of_machine()
            peer.stdin.write("go\n")
            peer.stdin.close()
            told = json.loads(peer.stdout.read().splitlines()[-1])
        machine = cpu_of_machine() - machine
        return told["seconds"], told["cpu"], cpu_of_children(self.postmaster) - before, machine

    def send_by_workers(self, way: Way) -> tuple[float, float, float, float]:
        with contextlib.ExitStack() as running:
            workers = [running.enter_context(self.worker(number)) for number in range(way.processes)]
            plan_anew(only=WARM_UP * way.processes)
            self.ask_workers(way)
            wait_for(lambda: self.healthy() and not count_states("planned", "sending"), "the workers warm up")
            time.sleep(0.5)
            plan_anew()
            self.sink.ask("take")
            before = [cpu_of_session(worker) for worker in workers]
            database, machine = cpu_of_children(self.postmaster), cpu_of_machine()
            began = time.monotonic()
            self.ask_workers(way)
            many = self.expected.total()
            wait_for(lambda: self.healthy() and self.sink.ask("count")["count"] >= many, "all mails arrive")
            wait_for(lambda: count_states("sent") >= many, "all mails are stored as sent", every=0.01)
            seconds = time.monotonic() - began
            cpu = sum(cpu_of_session(worker) for worker in workers) - sum(before)
            database = cpu_of_children(self.postmaster) - database
            machine = cpu_of_machine() - machine
        check_states(many)
        return seconds, cpu, database, machine

    def healthy(self) -> bool:
        """True; raises SystemExit when a worker's log tells of a failure."""
        for log in self.data.glob("worker-*.log"):
            if " ERROR " in (told := log.read_text()):
                sys.exit(told)
        return True

    def ask_workers(self, way: Way) -> None:
        from celery import Celery

        with Celery(broker=self.environment["CELERY_BROKER"], set_as_current=False) as app:
            for _ in range(way.processes):
                app.send_task(
                    "schedules.tasks.deliver_due",
                    kwargs={"together": way.together},
                    queue="mail",
                    ignore_result=True,
                )

    @contextlib.contextmanager
    def worker(self, number: int) -> Iterator[int]:
        """One worker of the mail queue, as `make run` starts it; yields its process number once it is ready."""
        from config.embedded import processes

        log = self.data / f"worker-{number}.log"
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker", "--queues", "mail"]
        options = ["--hostname", f"mail{number}@%h", "--concurrency", "1", "--without-gossip", "--without-mingle"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *options, "--loglevel", "INFO"],
                cwd=PROJECT,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=processes.leash(signal.SIGKILL),
            )
        try:
            wait_for(lambda: " ready." in log.read_text() or process.poll() is not None, "a worker starts")
            if process.poll() is not None:
                sys.exit(log.read_text())
            yield process.pid
        finally:
            processes.end(process, grace=30.0)


def wait_for(condition: Any, what: str, every: float = 0.05) -> None:
    from config.embedded.processes import wait_until

    if not wait_until(condition, seconds=WAIT, step=every):
        sys.exit(f"Waited {WAIT:.0f} s until {what}.")


def measure(mails: int, rounds: int, ways: Sequence[str], keep: Path | None) -> list[dict[str, Run]]:
    with scratch_folder() as scratch, sink_running() as sink:
        data = scratch / "data"
        os.environ |= {"DATA_DIR": os.fspath(data), "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}", "LOG_LEVEL": "INFO"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "HIPWATCH_ENV", "MAIL_REHEARSAL_TO"):
            os.environ.pop(name, None)
        import django

        from config.embedded import locations, postgres

        with servers_running(data):
            environment = {
                **os.environ,
                "CELERY_BROKER": locations.broker_url(data),
                "PEERS_DATABASE_URL": locations.owner_database_url(data, "peers"),
                "PEERS_FOLDER": os.fspath(data),
                "SINK_PORT": str(sink.port),
                "PYTHONWARNINGS": "ignore:You're running the worker",
            }
            django.setup()
            prepare_databases(data, environment)
            make_clinic(mails)
            tidy_up()
            file = scratch / "mails.jsonl"
            expected = write_mails(file)
            postmaster = postgres.server_pid(postgres.locate(data))
            assert postmaster
            bench = Bench(data, sink, environment, file, expected, postmaster)
            return [one_round(bench, number, ways, keep) for number in range(1, rounds + 1)]


def one_round(bench: Bench, number: int, ways: Sequence[str], keep: Path | None) -> dict[str, Run]:
    """Raw smtplib is sent before the other ways and again after them; the mean of both stands for the round."""
    runs = {}
    for key in [*ways, *(["raw"] if "raw" in ways else [])]:
        run = bench.run(key)
        print(f"  round {number}: {describe(run)}", file=sys.stderr, flush=True)
        if keep:
            with keep.open("a") as file:
                file.write(json.dumps({"round": number, **asdict(run)}) + "\n")
        runs[key] = mean_of(runs[key], run) if key in runs else run
    return runs


def mean_of(one: Run, other: Run) -> Run:
    names = ("mails_per_s", *CPU, "load")
    return Run(one.way, **{name: (getattr(one, name) + getattr(other, name)) / 2 for name in names})


def describe(run: Run) -> str:
    return (
        f"{WAYS[run.way].title:38} {run.mails_per_s:7.0f} mails/s, {run.cpu_ms:5.2f} ms CPU a mail "
        f"(database {run.database_cpu_ms:.2f}, whole machine {run.machine_cpu_ms:.2f}), load {run.load:.1f}"
    )


# ---- Telling


def table(rounds: Sequence[dict[str, Run]]) -> str:
    """One row a way: medians over the rounds, and ratios taken within each round with their spread."""
    lines = [
        "| way | mails/s | CPU ms a mail, senders | and database | of the whole machine | and of raw's "
        "| mails/s of raw | of post_office | of mailer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key in rounds[0]:
        speed = statistics.median(one[key].mails_per_s for one in rounds)
        spent = [f"{statistics.median(getattr(one[key], name) for one in rounds):.2f}" for name in CPU]
        against = [ratio(rounds, key, baseline) for baseline in ("raw", "post_office", "mailer")]
        row = [WAYS[key].title, f"{speed:,.0f}", *spent, ratio(rounds, key, "raw", "machine_cpu_ms"), *against]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def ratio(rounds: Sequence[dict[str, Run]], key: str, baseline: str, of: str = "mails_per_s") -> str:
    if baseline not in rounds[0]:
        return "-"
    found = sorted(getattr(one[key], of) / getattr(one[baseline], of) for one in rounds)
    spread = f" [{found[0]:.2f}-{found[-1]:.2f}]" if len(found) > 1 else ""
    return f"{statistics.median(found):.2f}{spread}"


def circumstances(mails: int, rounds: int) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("Django", "celery", "psycopg", "django-post-office", "django-mailer")
    return (
        f"{mails:,} mails, {rounds} rounds; {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages)
        + f"; load {os.getloadavg()[0]:.1f} at the end"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(WAYS), help=f"some of {', '.join(WAYS)}")
    parser.add_argument("--json", type=Path, help="append each run to this file")
    chosen = parser.parse_args()
    ways = [key for key in WAYS if key in chosen.only.split(",")]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the scratch folder goes then, too
    rounds = measure(chosen.mails, chosen.rounds, ways, chosen.json)
    for key in (key for key in rounds[0] if key != "raw"):
        speeds = [one[key].mails_per_s for one in rounds]
        raw = statistics.median(one["raw"].mails_per_s for one in rounds) if "raw" in rounds[0] else None
        told = f"{WAYS[key].title}, {chosen.mails:,} mails"
        note("mail", told, "mails/s", statistics.median(speeds), baseline=raw, against="raw smtplib", of=speeds)
    print(circumstances(chosen.mails, chosen.rounds))
    print(table(rounds))


if __name__ == "__main__":
    main()

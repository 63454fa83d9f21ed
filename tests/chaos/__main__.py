"""Chaos: the whole system on this machine while its parts are killed, cut, flushed, frozen and lied to.

    python -m tests.chaos [--mails 600] [--together 1,10] [--seed 1] [--trouble 1] [--json FILE]

Everything is real and its own: PostgreSQL with fsync, Valkey, gunicorn, workers, two beats, an SMTP server that
misbehaves, in a scratch folder that is removed afterwards. One mail worker writes its log to a disk that is full, one
worker's machine has a wrong clock. A fifth of the mails goes in peace first; then faults come by seed until all mails
are sent, decided or put off. Clients write all the while and keep a ledger. Ends with 1 when a figure breaks its limit.

With --disk the folder is a disk of its own of so many megabytes, in memory, which is full now and then (for root).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import mail as benchmark

STABLE = 4.0  # seconds without a change after the last fault
MOST = 1800.0


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A DATA_DIR in that folder, on a disk of its own where `megabytes` are given."""
    data = folder / "data"
    if not megabytes:
        yield data
        return
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", data], check=True)
    try:
        yield data
    finally:
        subprocess.run(["umount", "--lazy", data], check=True)


@contextmanager
def world(data: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """PostgreSQL and Valkey of a DATA_DIR of our own, migrated; and the environment of its processes."""
    for name in (
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "REDIS_URL",
        "HIPWATCH_ENV",
        "MAIL_REHEARSAL_TO",
        "HIPWATCH_TESTING",
    ):
        os.environ.pop(name, None)
    os.environ |= {
        "DATA_DIR": os.fspath(data),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "EMAIL_TIMEOUT": "2",
        "API_CALLS_A_MINUTE": "100000",
        "PYTHONWARNINGS": "ignore",
    }
    import django

    from config.embedded import locations

    with benchmark.servers_running(data):
        django.setup()
        from django.core.management import call_command

        call_command("migrate", database="owner", verbosity=0)
        yield data, {**os.environ, "CELERY_BROKER": locations.broker_url(data)}


def make_desk() -> tuple[Any, str, dict[str, str], list[int]]:
    """The clinic that is written to: its token, a member of staff's cookies, and some patients."""
    from django.test import Client
    from django.utils import timezone

    from monitoring.api import tokens
    from patients import access, recording
    from patients.changes import Actor
    from patients.models import Clinic, Membership, User

    by = Actor(name="chaos")
    clinic = Clinic.objects.create(
        name="Desk", mail_name="Desk", telephone="+44 20 7946 0111", reply_to="d@clinic.example"
    )
    user = User.objects.create_user("desk@clinic.example", "correct horse battery", name="Desk")
    Membership.objects.create(user=user, clinic=clinic, role="coordinator")
    with access.system_run("chaos"):
        _token, secret = tokens.issue(name="chaos", clinic=clinic, scopes=["read", "record"], days=1, by=by)
        today = recording.today_at(clinic, timezone.now())
        known = {"given_name": "Marta", "enrolled_on": today - timedelta(days=300)}
        people = [
            recording.enrol_patient(clinic, by=by, record_number=f"D-{n}", family_name=f"Berg{n}", **known)
            for n in range(20)
        ]
    browser = Client()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
    return clinic, secret, cookies | {"csrftoken": "c" * 32}, [person.pk for person in people]


def make_mails(mails: int, name: str) -> Any:
    """A clinic in which each patient, enrolled long enough ago and never seen, has a reminder due today."""
    from django.utils import timezone

    from monitoring import pipeline
    from monitoring.models import PatientEvaluation
    from patients import access
    from patients.models import Clinic, ContactWish, Hip, Patient
    from patients.recording import today_at
    from schedules.models import Reminder

    told = {"mail_name": "Mails", "telephone": "+44 20 7946 0112", "reply_to": "m@clinic.example"}
    clinic = Clinic.objects.create(name=f"Mails {name}", synthetic=True, **told)
    today = today_at(clinic, timezone.now())
    with access.system_run("chaos"):
        known = PatientEvaluation.objects.filter(due_on__isnull=False).select_related("patient").first()
        assert known and known.due_on
        enrolled_on = today - (known.due_on - known.patient.enrolled_on)
        people = Patient.objects.bulk_create(
            Patient(
                clinic=clinic, record_number=f"M-{number:06d}", family_name=f"Berg{number}", given_name="Marta",
                email=f"patient{number}@mail.example", enrolled_on=enrolled_on, synthetic=True,
            )
            for number in range(mails)
        )  # fmt: skip
        Hip.objects.bulk_create(
            Hip(clinic=clinic, patient=one, side=side) for one in people for side in ("left", "right")
        )
        ContactWish.objects.bulk_create(
            ContactWish(clinic=clinic, patient=one, channel="email", allowed=True, how="on paper", on=enrolled_on)
            for one in people
        )
    pipeline.sweep(timezone.now())
    with access.system_run("chaos"):
        planned = Reminder.objects.filter(clinic=clinic, state="planned", send_on=today).count()
    if planned != mails:
        sys.exit(f"{planned} reminders are due today; each of {mails} patients should have one.")
    benchmark.release(clinic, mails)
    benchmark.tidy_up()
    return clinic


class Hints:
    """Messages to look for work, each twice, every second; what breaks the broker loses them."""

    def __init__(self, broker: str, together: int) -> None:
        self.broker, self.together, self.over = broker, together, threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        from celery import Celery

        app = Celery(broker=self.broker, set_as_current=False)
        app.conf.broker_transport_options = {"socket_connect_timeout": 1, "socket_timeout": 2}
        while not self.over.wait(1.0):
            try:
                for _ in range(2):  # whatever asks for work asks twice
                    together = {"together": self.together}
                    app.send_task("schedules.tasks.deliver_due", kwargs=together, queue="mail", retry=False, expires=30)
                    app.send_task("monitoring.tasks.sweep", queue="sweep", retry=False, expires=30)
            except Exception:  # the broker is away: a hint is lost, as the run wants it
                continue

    def stop(self) -> None:
        self.over.set()
        self.thread.join(10)


def waiting(clinic: Any) -> int | None:
    """Mails that may go now or are on their way by a worker that lives; None while the database is away."""
    from django.db import DatabaseError, connection
    from django.db.models import Q
    from django.utils import timezone

    from patients import access
    from patients.recording import today_at
    from schedules.models import Reminder

    try:
        with access.system_run("chaos"):
            today = today_at(clinic, timezone.now())
            ready = Q(not_before__isnull=True) | Q(not_before__lte=timezone.now() + timedelta(seconds=15))
            return Reminder.objects.filter(ready, clinic=clinic, state="planned", send_on__lte=today).count()
    except DatabaseError:
        connection.close()
        return None


def until(system: Any, condition: Any, *, act: Any = lambda: None) -> float:
    """Keep everything up and `act` until `condition` holds. Returns the seconds it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > MOST:
            sys.exit(f"Nothing has come to an end within {MOST:.0f} s.")
        act()
        system.keep_up()
        time.sleep(0.2)
    return time.monotonic() - began


class Storm:
    """Faults by seed: each kind at random moments about its own mean pause."""

    def __init__(self, system: Any, rng: Random, calm: float) -> None:
        self.rng = rng
        self.kinds = [(pause * calm, hurt) for pause, hurt in system.schedule()]
        now = time.monotonic()
        self.next = [now + rng.uniform(0.2, 1.0) * pause for pause, _hurt in self.kinds]

    def act(self) -> None:
        for place, (pause, hurt) in enumerate(self.kinds):
            if time.monotonic() >= self.next[place]:
                hurt()
                self.next[place] = time.monotonic() + self.rng.uniform(0.5, 1.5) * pause
                return


def one_round(
    data: Path, environment: dict[str, str], desk: Any, order: argparse.Namespace, together: int
) -> list[Any]:
    from django.db import connections

    from tests.chaos.load import Load
    from tests.chaos.reckoning import read_log, reckon, say, settle
    from tests.chaos.system import System

    seed = f"{order.seed}-{together}"
    clinic = make_mails(order.mails, seed)
    log = data.parent / f"arrived-{together}.log"  # the judge writes to a disk that is never full
    log.touch()
    told = {"CHAOS_SEED": seed, "AUDIT_SEAL_FILE": os.fspath(data / "seals")}
    system = System(data, {**environment, **told}, Random(seed), together, log, order.trouble, full=bool(order.disk))
    system.start()
    clinic_of_desk, token, cookies, patients = desk
    hints = Hints(environment["CELERY_BROKER"], together)
    load = Load(f"http://127.0.0.1:{system.web_port}", token, cookies, patients, seed)
    times: dict[str, float] = {}
    try:
        until(system, lambda: sum(read_log(log).kept.values()) >= 5)
        before, began = sum(read_log(log).kept.values()), time.monotonic()
        until(system, lambda: sum(read_log(log).kept.values()) >= order.mails // 5)
        arrived = sum(read_log(log).kept.values())
        times |= {"in peace": time.monotonic() - began, "mails in peace": arrived - before}
        say(f"k={together}: in peace {arrived} mails; now the storm")
        load.start()
        storm = Storm(system, system.rng, order.calm)
        times["under fire"] = until(system, lambda: waiting(clinic) == 0, act=storm.act)
        times["mails under fire"] = order.mails - arrived
        times["quiet"] = until(system, lambda: waiting(clinic) == 0) + _settled(system, clinic)
        ledger = load.stop()
        hints.stop()
        system.end()
        _decide_the_rest(clinic, system)
    finally:
        load.over.set()
        hints.stop()
        for name in list(system.commands):
            system.end_group(name)
        system.end_sink()
    figures = [*reckon(clinic, system, read_log(log), ledger, times), *settle([clinic, clinic_of_desk], data / "seals")]
    connections.close_all()  # the owner's was cut with the others
    for kind, count in sorted(system.counts.items()):
        say(f"  {count} x {kind}")
    say(f"  {times['under fire']:.0f} s under fire, {len(ledger.given_up)} writes given up by their clients")
    return figures


def _settled(system: Any, clinic: Any) -> float:
    """Workers come to the end of what they have begun."""
    from patients import access
    from schedules.models import Reminder

    def moving() -> dict[str, int]:
        with access.system_run("chaos"):
            return {state: Reminder.objects.filter(clinic=clinic, state=state).count() for state in ("sending", "sent")}

    began, last, since = time.monotonic(), moving(), time.monotonic()
    while time.monotonic() - since < STABLE:
        time.sleep(0.3)
        system.keep_up()
        if (now := moving()) != last:
            last, since = now, time.monotonic()
    return max(0.0, time.monotonic() - began - STABLE)


def _decide_the_rest(clinic: Any, system: Any) -> None:
    """Nobody waits fifteen minutes for a lease or half an hour for a second try: the clock is put forward."""
    from patients.clock import shared_now
    from schedules import channels, delivery

    delivery.recover_leases(now=shared_now() + delivery.LEASE)
    for hours in (1, 2, 3, 4):
        backend = channels.CarefulBackend(host="127.0.0.1", port=system.smtp_port, timeout=5)
        later = shared_now() + timedelta(hours=hours)
        delivery.drain(channels.BackendChannel(backend), seconds=60, clock=lambda later=later: later)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mails", type=int, default=600)
    parser.add_argument("--together", default="1,10", help="mails to a claim, one round for each")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--trouble", type=float, default=1.0, help="how often the mail server misbehaves; 0: never")
    parser.add_argument("--calm", type=float, default=1.0, help="longer pauses between the faults")
    parser.add_argument("--disk", type=int, default=0, help="megabytes of a disk that is full now and then (root only)")
    parser.add_argument("--json", type=Path)
    order = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the scratch folder and its disk go then, too
    rounds: dict[str, list[Any]] = {}
    with (
        benchmark.scratch_folder() as scratch,
        small_disk(scratch, order.disk) as folder,
        world(folder) as (data, environment),
    ):
        from tests.chaos.reckoning import say, table

        desk = make_desk()
        for together in (int(one) for one in order.together.split(",")):
            figures = rounds[f"k={together}"] = one_round(data, environment, desk, order, together)
            title = f"{order.mails:,} mails, k={together}, seed {order.seed}, trouble {order.trouble:g}"
            print(f"\n{title}\n\n{table(figures)}", flush=True)
    say(f"load {os.getloadavg()[0]:.1f}")
    if order.json:
        told = {name: [{**asdict(one), "holds": one.holds} for one in figures] for name, figures in rounds.items()}
        order.json.write_text(json.dumps(told, indent=1))
    return 0 if all(one.holds for figures in rounds.values() for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

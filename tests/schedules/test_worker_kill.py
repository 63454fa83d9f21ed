"""A real Celery worker is killed in the middle of a batch and started again; the mail server's own log is the judge."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.db import transaction
from django.utils import timezone

from patients import access
from schedules import delivery, desk
from schedules.models import Reminder
from tests.conftest import PROJECT
from tests.schedules.conftest import wait_for

MAILS = 40


def awake_zone() -> str:
    """A time zone in which it is about noon now, so that the test may run at any hour."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


@pytest.fixture
def sink_log(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    log = tmp_path / "arrived.log"
    log.touch()
    command = [sys.executable, "-m", "tests.schedules.smtp_sink", os.fspath(log), "0.05"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield log, int(process.stdout.readline())
    process.kill()
    process.wait()


@pytest.fixture(params=[1, 10])
def together(request: pytest.FixtureRequest) -> int:
    """Mails to a claim."""
    return int(request.param)


@pytest.fixture
def ask(process_environment: dict[str, str], together: int) -> Callable[[], None]:
    """Ask for delivery, twice: doubled hints do no harm."""
    broker = process_environment["CELERY_BROKER"]
    with Celery(broker=broker, set_as_current=False) as app, app.connection_for_write() as connection:
        connection.default_channel.queue_purge("mail")  # what another test asked for, and with other claims

    def send() -> None:
        with Celery(broker=broker, set_as_current=False) as app:
            for _ in range(2):
                app.send_task(
                    "schedules.tasks.deliver_due", kwargs={"together": together}, queue="mail", ignore_result=True
                )

    return send


@pytest.fixture
def start_worker(
    process_environment: dict[str, str], sink_log: tuple[Path, int], tmp_path: Path
) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts a worker of the mail queue in a process group of its own."""
    environment = {**process_environment, "EMAIL_URL": f"smtp://127.0.0.1:{sink_log[1]}"}
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "celery", "-A", "config", "-b", environment["CELERY_BROKER"], "worker"]
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as output:
            worker = subprocess.Popen(
                [*command, "-Q", "mail", "-c", "2", "--without-gossip", "--without-mingle", "--loglevel", "INFO"],
                cwd=PROJECT,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def arrivals(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def states() -> Counter[str]:
    with access.system_run("test"):
        return Counter(Reminder.objects.filter(step="due").values_list("state", flat=True))


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_sends_nothing_twice(
    planned_by_hand: None,
    ask: Callable[[], None],
    together: int,
    sink_log: tuple[Path, int],
    start_worker: Any,
    make_clinic: Any,
    enrol: Any,
    follow: Any,
    actor: Any,
) -> None:
    log, _port = sink_log
    now = timezone.now()
    with transaction.atomic():
        clinic = make_clinic("North", time_zone=awake_zone())
        today = now.astimezone(clinic.zone).date()
        addresses = []
        for _ in range(MAILS):
            person = enrol(clinic)
            follow(person, today, now=now, cycle_on=today - timedelta(days=180))
            addresses.append(person.email)

    worker = start_worker()
    ask()
    assert wait_for(lambda: len(arrivals(log)) >= 8 or worker.poll() is not None, 90)
    assert worker.poll() is None, (log.parent / "worker-0.log").read_text()
    os.killpg(worker.pid, signal.SIGKILL)  # the worker and both of its children, at any instruction
    worker.wait()
    time.sleep(0.3)
    in_flight = states()["sending"]
    assert len(arrivals(log)) < MAILS, "killed in the middle"
    assert in_flight <= 2 * together, "one claim a process"

    start_worker()

    def all_gone() -> bool:
        ask()  # as the clock does: what the dead worker had reserved is free again after a moment
        return states()["planned"] == 0

    assert wait_for(all_gone, 90)
    assert wait_for(lambda: states()["sending"] == in_flight, 30)
    assert delivery.recover_leases(now=timezone.now() + delivery.LEASE) == in_flight

    arrived = Counter(arrivals(log))
    assert max(arrived.values()) == 1, "nothing is sent twice"
    assert states() == Counter(sent=MAILS - in_flight, uncertain=in_flight) - Counter()
    with access.system_run("test"):
        doubtful = list(Reminder.objects.filter(state="uncertain").select_related("patient"))
        sent = set(Reminder.objects.filter(state="sent").values_list("sent_to", flat=True))
        assert sent <= set(arrived), "what is called sent has arrived"
        assert set(addresses) == sent | {row.patient.email for row in doubtful}, "nothing is lost"
        for row in doubtful:  # a person looks into the mailbox and decides
            desk.resolve_uncertain(row.pk, arrived=row.patient.email in arrived, by=actor)
    ask()
    assert wait_for(lambda: states() == Counter(sent=MAILS), 60)
    assert Counter(arrivals(log)) == Counter(addresses)


@pytest.mark.slow
def test_a_worker_that_is_asked_to_stop_finishes_the_mail_in_hand_and_leaves_the_rest(
    planned_by_hand: None,
    ask: Callable[[], None],
    sink_log: tuple[Path, int],
    start_worker: Any,
    make_clinic: Any,
    enrol: Any,
    follow: Any,
) -> None:
    log, _port = sink_log
    now = timezone.now()
    with transaction.atomic():
        clinic = make_clinic("North", time_zone=awake_zone())
        today = now.astimezone(clinic.zone).date()
        for _ in range(MAILS):
            follow(enrol(clinic), today, now=now, cycle_on=today - timedelta(days=180))
    worker = start_worker()
    ask()
    assert wait_for(lambda: len(arrivals(log)) >= 3 or worker.poll() is not None, 120)
    worker.terminate()
    assert worker.wait(90) == 0, "it ended by itself"
    left = states()
    assert left["sending"] == left["uncertain"] == 0, "nothing is in doubt"
    assert left["sent"] == len(arrivals(log)) and left["sent"] + left["planned"] == MAILS

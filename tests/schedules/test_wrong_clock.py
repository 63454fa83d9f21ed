"""Workers whose machines have the wrong time: no lease lasts longer for it, no mail is given up."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from monitoring import account_mail, staff_notices, tasks, webhook_delivery
from monitoring.models import AccountMail, StaffNotice, WebhookDelivery, WebhookEndpoint
from patients import access
from patients.clock import shared_clock, shared_now
from schedules import delivery
from schedules.leases import LEASE
from schedules.models import Reminder
from tests.conftest import PROJECT
from tests.schedules.conftest import wait_for
from tests.schedules.test_worker_kill import awake_zone

HOUR = timedelta(hours=1)
A_MOMENT = timedelta(minutes=1)


@pytest.fixture
def silent_server(tmp_path: Path) -> Iterator[int]:
    """A mail server that takes a mail and then says nothing."""
    log = tmp_path / "arrived.log"
    command = [sys.executable, "-m", "tests.schedules.smtp_sink", os.fspath(log), "600"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture
def shifted(process_environment: dict[str, str], silent_server: int) -> Iterator[Callable[..., Any]]:
    """`shifted(skew, what)` starts a process that lives by a wrong clock."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {**process_environment, "EMAIL_URL": f"smtp://127.0.0.1:{silent_server}"}

    def start(skew: timedelta, what: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.schedules.shifted", str(skew.total_seconds()), what]
        started.append(subprocess.Popen(command, cwd=PROJECT, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def due_now(committed_database: str, planned_by_hand: None, make_clinic: Any, enrol: Any, follow: Any) -> None:
    now = timezone.now()
    with transaction.atomic():
        clinic = make_clinic("North", time_zone=awake_zone())
        today = now.astimezone(clinic.zone).date()
        follow(enrol(clinic), today, now=now, cycle_on=today - timedelta(days=180))


def the_mail() -> Reminder:
    with access.system_run("test"):
        return Reminder.objects.get(step="due")


@pytest.mark.parametrize("skew", [HOUR, -HOUR])
def test_a_lease_ends_when_it_should_whatever_time_its_worker_believes_it_is(due_now, shifted, skew):
    worker = shifted(skew, "mail")
    assert wait_for(lambda: the_mail().state == "sending" or worker.poll() is not None, 60)
    worker.kill()
    left = the_mail().lease_until - shared_now()
    assert LEASE - A_MOMENT < left <= LEASE
    assert delivery.recover_leases(now=shared_now()) == 0
    assert delivery.recover_leases(now=shared_now() + LEASE) == 1


def test_who_believes_that_it_is_later_gives_up_no_mail_that_is_on_its_way(due_now, shifted):
    with access.system_run("test"):
        claim = {"state": "sending", "claimed_by": "worker", "sent_to": "a@b.example"}
        Reminder.objects.filter(step="due").update(**claim, lease_until=shared_now() + LEASE)
    assert shifted(HOUR, "recover").wait(60) == 0
    assert the_mail().state == "sending"


def test_staff_digests_webhooks_and_account_mail_are_not_taken_over_either(clinic, patient, make_user):
    soon = shared_now() + A_MOMENT
    claim = {"state": "sending", "claimed_by": "worker", "lease_until": soon}
    user = make_user(clinic, "coordinator")
    digest = StaffNotice.objects.create(
        user=user, clinic=clinic, day=soon.date(), sent_to=user.email, actor="test", **claim
    )
    endpoint = WebhookEndpoint.objects.create(
        clinic=clinic, name="E", url="https://x.example/", secret="s", events=["flag.opened"], created_at=soon
    )
    told = WebhookDelivery.objects.create(
        clinic=clinic, endpoint=endpoint, event="flag.opened", object_id=1, patient_id=patient.pk, hip_id=1,
        opened_at=soon, **claim,
    )  # fmt: skip
    letter = account_mail.Letter(subject="S", text="T", language="en")
    queued = account_mail.queue("test", "a@b.example", letter, now=shared_now())
    AccountMail.objects.filter(pk=queued.pk).update(state="sending", not_before=soon)
    with time_machine.travel(timezone.now() + HOUR):
        staff_notices.send_due()
        webhook_delivery.deliver_due()
        tasks.send_account_mail()
    for row in (digest, told, queued):
        row.refresh_from_db()
    assert (digest.state, told.state, queued.state) == ("sending", "sending", "sending")
    assert (digest.claimed_by, told.claimed_by, queued.attempts) == ("worker", "worker", 0)


def test_the_shared_clock_goes_on_by_itself_and_cannot_be_set(db):
    clock = shared_clock()
    before = clock()
    with time_machine.travel(timezone.now() + HOUR):
        assert timedelta(0) <= clock() - before < A_MOMENT
        assert abs(shared_now() - clock()) < A_MOMENT

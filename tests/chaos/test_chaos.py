"""The chaos runs: real processes are killed, cut, flushed and lied to; nothing is lost, doubled or unaudited."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta
from random import Random

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from patients import access
from patients.clock import shared_now
from schedules import channels, delivery
from schedules.models import Reminder
from tests.chaos.reckoning import read_log
from tests.chaos.system import CUT, System
from tests.conftest import PROJECT
from tests.schedules.conftest import follow, planned_by_hand  # noqa: F401
from tests.schedules.test_worker_kill import awake_zone

MAILS, STORM, KILLS = 40, 6.0, 2


@pytest.fixture
def due_mails(committed_database, planned_by_hand, make_clinic, enrol, follow):  # noqa: F811
    """Each of some patients has a reminder that is due now."""
    now = timezone.now()
    with transaction.atomic():
        clinic = make_clinic("North", time_zone=awake_zone())
        today = now.astimezone(clinic.zone).date()
        for _ in range(MAILS):
            follow(enrol(clinic), today, now=now, cycle_on=today - timedelta(days=180))


@pytest.fixture
def system(process_environment, tmp_path, together):
    """Three workers, one of them on a machine that is an hour ahead and one that is an hour behind."""
    log = tmp_path / "arrived.log"
    log.touch()
    environment = {**process_environment, "CHAOS_SEED": "11", "EMAIL_TIMEOUT": "2"}
    system = System(tmp_path, environment, Random(11), together, log, trouble=3.0)
    system.start_sink()
    environment["EMAIL_URL"] = f"smtp://127.0.0.1:{system.smtp_port}"
    for name, skew in (("mail1", "0"), ("mail2", "-3600"), ("skewed", "3600")):
        system.commands[name] = system.loop(skew, "mail")
    for name in system.commands:
        system.launch(name)
    yield system
    for name in system.commands:
        system.end_group(name)
    system.end_sink()


def the_mails():
    with access.system_run("test"):
        return list(Reminder.objects.filter(step="due").order_by("id"))


def put_the_clock_forward(system):
    """Nobody waits for leases and second tries."""
    for name in system.commands:
        system.end_group(name)
    delivery.recover_leases(now=shared_now() + delivery.LEASE)
    for hours in range(1, 13):
        backend = channels.CarefulBackend(host="127.0.0.1", port=system.smtp_port, timeout=2)
        later = shared_now() + timedelta(hours=hours)
        delivery.drain(channels.BackendChannel(backend), clock=lambda later=later: later)


@pytest.mark.parametrize("together", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_short_storm_loses_and_doubles_nothing(due_mails, system, services, process_environment, together):
    the_mails()  # opens our own connection, which is spared
    database = conninfo_to_dict(process_environment["DATABASE_URL"])["dbname"]
    own = connection.connection.info.backend_pid
    calm, limit, next_fault = time.monotonic() + STORM, time.monotonic() + 10 * STORM, time.monotonic() + 2

    def storming():
        waiting = any(mail.state == "planned" and not mail.attempts for mail in the_mails())
        return system.killed < KILLS or (waiting and time.monotonic() < calm)

    while storming() and time.monotonic() < limit:
        if time.monotonic() > next_fault:
            system.kill_worker()
            with closing(psycopg.connect(services.admin_url, autocommit=True)) as admin:
                admin.execute(f"{CUT} AND datname = %s AND pid <> %s", [database, own])
            next_fault = time.monotonic() + system.rng.uniform(0.3, 1.2)
        system.keep_processes_up()
        time.sleep(0.1)
    put_the_clock_forward(system)

    arrived, mails = read_log(system.sink_log), the_mails()
    states = Counter(mail.state for mail in mails)
    assert system.killed >= KILLS, "there was a storm"
    assert [mail.pk for mail in mails if mail.state == "sent" and not arrived.kept[mail.message_id]] == [], "lost"
    assert states["planned"] == states["sending"] == 0, states
    assert max(arrived.kept.values()) == 1, "nothing arrives twice"
    assert set(arrived.refused.values()) <= {1}, "nobody is addressed again after a 550"
    ended = system.killed + len(system.commands)
    assert states["uncertain"] <= arrived.dropped + sum(arrived.ambiguous.values()) + ended * together


@pytest.mark.slow
@pytest.mark.alone
def test_nothing_is_lost_or_doubled_while_everything_breaks(tmp_path):
    told = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "tests.chaos",
        "--mails",
        "300",
        "--together",
        "1,10",
        "--calm",
        "2",
        "--json",
        os.fspath(told),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=1200)
    assert told.exists(), run.stderr[-4000:]
    rounds = json.loads(told.read_text())
    broken = [f"{name}: {one}" for name, figures in rounds.items() for one in figures if not one["holds"]]
    assert broken == [], run.stderr[-4000:]
    names = {one["name"] for one in rounds["k=1"]}
    assert rounds.keys() == {"k=1", "k=10"} and {"R1", "R4", "R6", "R8", "R10", "W1", "W3", "C1"} <= names


def test_the_log_of_the_mail_server_is_read_word_by_word(tmp_path):
    log = tmp_path / "arrived.log"
    lines = [
        "kept a@mail.example <1@x> plain",
        "kept a@mail.example <1@x> ambiguous",
        "kept d@clinic.example <2@x> plain",
        "refused b@x.example",
        "dropped c@x.example",
    ]
    log.write_text("\n".join(lines))
    found = read_log(log)
    assert found.kept == {"<1@x>": 2} and found.ambiguous == {"<1@x>": 1}
    assert found.refused == {"b@x.example": 1} and (found.dropped, found.to_staff) == (1, 1)

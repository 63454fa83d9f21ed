"""The web while it is stopped and while it is crowded: no request in hand is cut, and connections have a bound."""

import errno
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
import requests
from django.db import connections, transaction
from django.test import Client

from monitoring.models import ContactAttempt
from patients import access
from tests.conftest import PROJECT, as_signed_in
from tests.schedules.conftest import wait_for

THREADS = 4
WEB = "web under test"  # as PostgreSQL knows its connections, beside those that another test's processes left behind
pytestmark = pytest.mark.slow


@pytest.fixture
def web(process_environment: dict[str, str]) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Gunicorn as it serves in production, one process; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.serving", "config.wsgi:application"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--log-level", "warning"]
    environment = {**process_environment, "HIPWATCH_PROCESS": "web", "PGAPPNAME": WEB}
    process = subprocess.Popen(command, cwd=PROJECT, env=environment)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{address}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    assert wait_for(answers, 60)
    yield address, process
    process.kill()
    process.wait()


@pytest.fixture
def desk(committed_database: str, make_clinic: Any, enrol: Any, make_user: Any) -> tuple[Any, dict[str, str]]:
    """A patient and the cookies of somebody who is signed in."""
    with transaction.atomic():
        clinic = make_clinic("North")
        person = enrol(clinic)
        browser = as_signed_in(Client(), make_user(clinic, "coordinator"))
    cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
    return person, cookies | {"csrftoken": "c" * 32}


def is_refused(address: str) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == errno.ECONNREFUSED


def call_noted(address: str, patient: int, cookies: dict[str, str], note: str, answers: list[Any]) -> None:
    form = {"outcome": "no_answer", "note": note, "csrfmiddlewaretoken": cookies["csrftoken"]}
    try:
        said = requests.post(
            f"{address}/worklist/{patient}/outcome/", data=form, cookies=cookies, timeout=60,
            headers={"Referer": address}, allow_redirects=False,
        )  # fmt: skip
        answers.append(said.status_code)
    except requests.RequestException as cut:
        answers.append(cut)


def at_work(services: Any, database: str, waiting: bool = False) -> int:
    """Connections of the web to this database; those that wait for a lock."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = %s"
    with closing(psycopg.connect(services.admin_url)) as admin:
        row = admin.execute(asked + (" AND wait_event_type = 'Lock'" if waiting else ""), [database, WEB]).fetchone()
    return int(row[0]) if row else 0


def test_what_is_in_hand_is_finished_when_the_web_is_asked_to_stop(web, desk, services, committed_database):
    (address, process), (person, cookies) = web, desk
    answers: list[Any] = []
    threads = [
        threading.Thread(target=call_noted, args=(address, person.pk, cookies, f"call {number}", answers))
        for number in range(3)
    ]
    with closing(psycopg.connect(services.admin_url_of(committed_database))) as other:
        other.execute("SELECT FROM patients_patient WHERE id = %s FOR UPDATE", [person.pk])
        for thread in threads:
            thread.start()
        assert wait_for(lambda: at_work(services, committed_database, waiting=True) == 3, 30)
        process.send_signal(signal.SIGTERM)
        assert wait_for(lambda: is_refused(address), 10), "who comes now is sent elsewhere at once"
        assert process.poll() is None, "it waits for what is in hand"
        other.rollback()
    for thread in threads:
        thread.join(60)
    assert answers == [302, 302, 302]
    assert process.wait(30) == 0
    with access.system_run("test"):
        assert sorted(ContactAttempt.objects.values_list("note", flat=True)) == ["call 0", "call 1", "call 2"]


def test_a_crowd_takes_no_more_connections_than_there_are_threads(web, desk, services, committed_database):
    (address, _process), (person, cookies) = web, desk
    connections.close_all()
    answers: list[Any] = []
    crowd = [
        threading.Thread(target=call_noted, args=(address, person.pk, cookies, f"call {number}", answers))
        for number in range(5 * THREADS)
    ]
    most = 0
    for thread in crowd:
        thread.start()
    while any(thread.is_alive() for thread in crowd):
        most = max(most, at_work(services, committed_database))
        time.sleep(0.01)
    assert answers == [302] * len(crowd), "who comes when all are busy waits"
    assert 1 < most <= THREADS

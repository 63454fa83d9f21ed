"""Limits: pages and migrations wait only so long, workers may not; connections and memory are bounded."""

import json
import os
import subprocess
import sys

import psycopg
import pytest

from config.celery import app as celery
from tests.conftest import PROJECT

ASKED = (
    "import json, django; django.setup(); from django.db import connections as c\n"
    "def told(alias):\n"
    "    with c[alias].cursor() as cursor:\n"
    "        cursor.execute(\"SELECT current_setting('statement_timeout'), current_setting('lock_timeout')\")\n"
    "        return cursor.fetchone()\n"
    "print(json.dumps([told('default'), told('owner')]))"
)


@pytest.mark.parametrize(("process", "limits"), [("web", ["30s", "10s"]), ("", ["0", "0"])])
def test_statements_of_pages_have_limits_and_those_of_workers_have_their_tasks(services, process, limits):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "HIPWATCH_PROCESS": process,
        "DATABASE_URL": services.app_url("postgres"),
        "DATABASE_OWNER_URL": services.owner_url("postgres"),
    }
    told = subprocess.run([sys.executable, "-c", ASKED], cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == [limits, ["0", "5s"]]


def test_a_statement_that_takes_too_long_is_ended_by_the_server(services):
    limited = {"options": "-c statement_timeout=50ms"}
    with psycopg.connect(services.app_url("postgres"), **limited) as asked, pytest.raises(psycopg.errors.QueryCanceled):
        asked.execute("SELECT pg_sleep(5)")


def test_a_worker_that_has_grown_is_replaced_after_its_task():
    assert 100_000 < celery.conf.worker_max_memory_per_child < 1_000_000
    assert celery.conf.task_acks_late and celery.conf.task_reject_on_worker_lost
    assert celery.conf.worker_prefetch_multiplier == 1

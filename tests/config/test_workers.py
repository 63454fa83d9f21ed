"""Workers end at once when their database role is not bound by row-level security."""

import os
import subprocess
import sys

import pytest

from config.embedded import locations
from tests.services import Services


def start_worker(services: Services, database_url: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "CELERY_BROKER": services.broker_url(),
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "config",
        "worker",
        "--pool",
        "solo",
        "--queues",
        "nobody-sends-here",
    ]
    return subprocess.Popen(
        [*command, "--loglevel", "INFO"], cwd=locations.PROJECT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.slow
def test_a_worker_does_not_start_as_a_superuser(services: Services) -> None:
    worker = start_worker(services, services.admin_url)
    try:
        said, _nothing = worker.communicate(timeout=90)
    finally:
        worker.kill()
    assert worker.returncode == 1
    assert "no superuser, has no BYPASSRLS and owns no table" in said
    assert " ready." not in said


@pytest.mark.slow
def test_a_worker_starts_as_the_application(services: Services) -> None:
    worker = start_worker(services, services.app_url("postgres"))
    assert worker.stdout is not None
    try:
        assert any(" ready." in line for line in worker.stdout)
    finally:
        worker.terminate()
        worker.wait(60)

"""Celery: the clock and the hands. What is due stands in rows; a message is only a hint to look."""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging, task_postrun, task_prerun, worker_init
from django.core.exceptions import ImproperlyConfigured

from config import collecting, logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

WORKER_KILOBYTES = 400_000  # a process that has grown beyond this is replaced after its task

app = Celery("hipwatch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    task_default_queue="sweep",
    task_routes={
        "schedules.tasks.*": {"queue": "mail"},
        "monitoring.tasks.send_digests": {"queue": "mail"},
        "monitoring.tasks.send_account_mail": {"queue": "mail"},
    },
    task_soft_time_limit=300,
    task_time_limit=360,
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    worker_max_memory_per_child=WORKER_KILOBYTES,
    db_reuse_max=500,
    timezone="UTC",
    beat_schedule={
        "sweep what changes today or is stale": {
            "task": "monitoring.tasks.sweep",
            "schedule": 120.0,
            "options": {"expires": 110},
        },
        "plan and deliver reminders": {
            "task": "schedules.tasks.deliver_due",
            "schedule": 60.0,
            "options": {"expires": 55},
        },
        "show mails whose worker died": {
            "task": "schedules.tasks.recover_leases",
            "schedule": 60.0,
            "options": {"expires": 55, "queue": "sweep"},
        },
        "read the mail that came back": {
            "task": "schedules.tasks.read_bounces",
            "schedule": 300.0,
            "options": {"expires": 280, "queue": "sweep"},
        },
        "send staff their digests": {
            "task": "monitoring.tasks.send_digests",
            "schedule": 120.0,  # each clinic's on its weekday mornings
            "options": {"expires": 110},
        },
        "send mail about accounts": {
            "task": "monitoring.tasks.send_account_mail",
            "schedule": 60.0,  # a worker is woken for each; this finds what it missed
            "options": {"expires": 55},
        },
        "forget forms that were kept for their hour": {
            "task": "monitoring.tasks.drop_kept_forms",
            "schedule": 900.0,
            "options": {"expires": 850},
        },
        "forget old mail about accounts": {
            "task": "monitoring.tasks.drop_old_account_mail",
            "schedule": 12 * 3600.0,
            "options": {"expires": 3600},
        },
        "tell other systems of flags and reviews": {
            "task": "monitoring.tasks.send_webhooks",
            "schedule": 30.0,
            "options": {"expires": 28},
        },
        "save imports": {
            "task": "monitoring.tasks.save_waiting_imports",
            "schedule": 60.0,
            "options": {"expires": 55},
        },
        "drop forgotten drafts": {
            "task": "monitoring.tasks.drop_forgotten_drafts",
            "schedule": 6 * 3600.0,
            "options": {"expires": 3600},
        },
        "seal the audit": {
            "task": "monitoring.tasks.seal_audit",
            "schedule": 600.0,
            "options": {"expires": 550},
        },
        "look for duplicates": {
            "task": "monitoring.tasks.search_duplicates",
            "schedule": crontab(minute=20, hour="0-5"),  # once a night; later hours where the first was missed
            "options": {"expires": 3000},
        },
        "forget what is kept no longer": {
            "task": "monitoring.tasks.keep_no_longer",
            "schedule": crontab(minute=50, hour=3),  # only what an administrator has switched on
            "options": {"expires": 3000},
        },
        "make the parts of coming months": {
            "task": "monitoring.tasks.keep_months",
            "schedule": 6 * 3600.0,  # there are parts for three months; what finds a table in use tries again
            "options": {"expires": 3600},
        },
        "take the census": {
            "task": "monitoring.tasks.take_census",
            "schedule": 600.0,  # whichever clinic has none of its day yet
            "options": {"expires": 550},
        },
    },
)
app.autodiscover_tasks(["monitoring", "schedules"])


@setup_logging.connect
def _log_as_the_site_does(**_signal: Any) -> None:
    """Being connected is enough: Celery then leaves the log to the settings, which keep patients out of it."""


@worker_init.connect
def _refuse_unsafe_role(**_signal: Any) -> None:
    """Celery logs what a signal's handler raises and goes on; SystemExit alone ends the worker."""
    from config.guard import refuse_public_key, refuse_unsafe_role  # needs the applications to be loaded
    from patients.access import UnsafeRole

    try:
        refuse_public_key()
        refuse_unsafe_role()
    except (ImproperlyConfigured, UnsafeRole) as refused:
        raise SystemExit(str(refused)) from refused


@worker_init.connect
def _settle(**_signal: Any) -> None:
    """Before the processes of the pool are made, which have all this from their parent."""
    collecting.settle(in_bulk=True)


@task_prerun.connect
def _name_run(task_id: str, **_signal: Any) -> None:
    """What a task logs, wherever, carries its id."""
    logs.run_id.set(task_id[:18])


@task_postrun.connect
def _forget_run(**_signal: Any) -> None:
    logs.run_id.set("")

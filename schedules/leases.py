"""Leases: by whom and how long a mail is claimed, and when it is tried again; for patients' mail and for staff's."""

import os
import random
import secrets
import socket
from datetime import datetime, timedelta

from django.utils.translation import gettext_noop as _

from .channels import AFTER_DOT

LEASE = timedelta(seconds=AFTER_DOT + 300)  # outlasts the longest wait for a server and a restart of the database
MARGIN = timedelta(seconds=AFTER_DOT + 60)  # a mail is begun only with this much of the lease left
DRAIN_FOR = 15.0  # seconds: less than a worker is given to stop, and a long run would starve the other tasks
MOST_ATTEMPTS = 3
BACK_OFF = (timedelta(minutes=5), timedelta(minutes=30))

WORKER_DIED = _("The worker stopped while this mail was on its way; it may or may not have arrived.")


def owner_name() -> str:
    """Whose claim it is: the host and process, and a name of this run's own."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(6)}"


def after_failure(attempts: int, now: datetime) -> datetime:
    """When a mail that failed for a passing reason is tried again: longer each time, give or take a fifth."""
    return now + BACK_OFF[min(max(attempts, 1), len(BACK_OFF)) - 1] * random.uniform(0.8, 1.2)


def after_server_fault(now: datetime) -> datetime:
    """When a mail may be tried again that a server's fault kept here: soon, and not all at once."""
    return now + timedelta(seconds=random.uniform(30, 90))

"""Tasks: Celery's calls into delivery. Each is a hint to look for work; doubled or lost, it changes nothing."""

import logging

from celery import shared_task

from patients.clock import shared_now

from . import bounce_mailbox, delivery

log = logging.getLogger(__name__)


@shared_task(soft_time_limit=840, time_limit=870)  # beyond the longest wait for a mail server's answer
def deliver_due(together: int = 1) -> None:
    """Send what is due, for a quarter of a minute; ask for another turn when there is more.

    `together`: mails to a claim. More are faster, and as many are in doubt when the worker is killed.
    """
    tally = delivery.drain(together=together)
    delivery.finish_run(tally, now=shared_now())
    log.info("mail: %s", tally)
    if tally.more and not tally.unreachable:
        deliver_due.apply_async(kwargs={"together": together}, expires=60)


@shared_task
def recover_leases() -> None:
    """Show to staff the mails that died with their worker."""
    if count := delivery.recover_leases(now=shared_now()):
        log.warning("%s mails are uncertain: their worker stopped while sending", count)


@shared_task(soft_time_limit=240, time_limit=280)
def read_bounces() -> None:
    """Record what came back to the return path, where there is a mailbox for it."""
    bounce_mailbox.poll_if_any(now=shared_now())

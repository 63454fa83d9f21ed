"""Tasks: shells around one call each, with the time by the clock that all share. A message is a hint; losing or
doubling it changes nothing.
"""

import logging

from celery import shared_task

from patients import access
from patients.clock import shared_now

from . import (
    account_mail,
    audit_seals,
    census,
    dead_man,
    drafts,
    kept_forms,
    merging,
    pipeline,
    staff_notices,
    status,
    tables,
    webhook_delivery,
)
from .imports import waiting
from .privacy import retention

MOST_HELPERS = 8
log = logging.getLogger(__name__)


@shared_task(name="monitoring.tasks.sweep")
def sweep() -> None:
    """Sweep for a third of a minute; ask for another turn when there is more, and others to help with much of it."""
    began = shared_now()
    turn = pipeline.take_turn(seconds=20)
    log.info("sweep: %s", turn)
    dead_man.tell_if_swept(since=began)
    if turn.left and turn.counts.patients:
        for _ in range(min(max(turn.planned - 1, 1), MOST_HELPERS)):
            sweep.apply_async(expires=60)


@shared_task(name="monitoring.tasks.take_census")
def take_census() -> None:
    census.take_census_where_due(shared_now())
    status.keep_size(shared_now())
    tables.keep_figures(tables.largest(shared_now()), shared_now())


@shared_task(name="monitoring.tasks.keep_months")
def keep_months() -> None:
    tables.keep_months(shared_now().date())


@shared_task(name="monitoring.tasks.drop_forgotten_drafts")
def drop_forgotten_drafts() -> None:
    with access.system_run("draft keeping"):
        drafts.drop_forgotten(now=shared_now())


@shared_task(name="monitoring.tasks.seal_audit")
def seal_audit() -> None:
    audit_seals.seal_settled(shared_now())


@shared_task(name="monitoring.tasks.search_duplicates", soft_time_limit=840, time_limit=870)
def search_duplicates() -> None:
    merging.search_where_due(shared_now())


@shared_task(name="monitoring.tasks.keep_no_longer", soft_time_limit=840, time_limit=870)
def keep_no_longer() -> None:
    retention.run_automatic(shared_now())


@shared_task(name="monitoring.tasks.save_waiting_imports")
def save_waiting_imports() -> None:
    waiting.save_waiting_imports()


@shared_task(name="monitoring.tasks.send_digests", soft_time_limit=840, time_limit=870)  # as long as a server may think
def send_digests() -> None:
    """Send staff what is due now, for a quarter of a minute; ask for another turn when there is more."""
    tally = staff_notices.send_due()
    log.info("digests: %s", tally)
    if tally.more and not tally.unreachable:
        send_digests.apply_async(expires=60)


@shared_task(name="monitoring.tasks.send_account_mail", soft_time_limit=840, time_limit=870)
def send_account_mail() -> None:
    account_mail.send_waiting(now=shared_now())


@shared_task(name="monitoring.tasks.drop_kept_forms")
def drop_kept_forms() -> None:
    kept_forms.drop_forgotten(now=shared_now())


@shared_task(name="monitoring.tasks.drop_old_account_mail")
def drop_old_account_mail() -> None:
    account_mail.drop_old(now=shared_now())


@shared_task(name="monitoring.tasks.send_webhooks")
def send_webhooks() -> None:
    if tally := webhook_delivery.deliver_due():
        log.info("webhooks: %s", ", ".join(f"{count} {state}" for state, count in sorted(tally.items())))

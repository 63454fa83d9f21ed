"""Webhook delivery: a row for each thing that a system is to be told, claimed, sent, tried again, at last given up.

A worker that dies leaves a lease that ends; the row is then sent again. A receiver tells a repetition by `webhook-id`.
"""

import logging
import secrets
import time as clocks
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from patients import access
from patients.clock import Clock, shared_clock
from schedules import outgoing
from schedules.leases import owner_name

from . import secrecy, webhooks
from .models import Flag, ReviewCase, WebhookDelivery, WebhookEndpoint
from .webhooks import Event, State

log = logging.getLogger(__name__)
RUN: Final = "webhooks"
DRAIN_FOR: Final = 15.0
LEASE: Final = timedelta(minutes=2)
LOOK_BACK: Final = timedelta(hours=1)  # longer than any transaction that opens flags
KEPT: Final = timedelta(days=90)
MOST_AT_ONCE: Final = 1000
# Hours add up to three days, as Standard Webhooks has it.
BACK_OFF: Final = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
GONE: Final = 410


def deliver_due(*, seconds: float = DRAIN_FOR, clock: Clock | None = None) -> Counter[str]:
    """Plan what is new and tell what is due, for at most `seconds`; whoever fails is left alone in this run."""
    clock, owner = clock or shared_clock(), owner_name()
    plan(clock())
    tally: Counter[str] = Counter()
    failing: set[int] = set()
    until = clocks.monotonic() + seconds
    while clocks.monotonic() < until and (claimed := _claim(owner, failing, clock())) is not None:
        delivery, endpoint = claimed
        ending, reason = _send(delivery, endpoint, clock())
        _settle(delivery, endpoint, owner, ending, reason, clock())
        tally[ending] += 1
        if ending != State.DELIVERED:
            failing.add(endpoint.pk)
    return tally


def plan(now: datetime) -> int:
    """A row for every flag and review that was opened since an endpoint was last looked after; returns how many."""
    made = 0
    with access.system_run(RUN):
        for endpoint in WebhookEndpoint.objects.filter(ended_at__isnull=True).order_by("id"):
            for event, opened in ((Event.FLAG, Flag), (Event.REVIEW, ReviewCase)):
                if event in endpoint.events:
                    made += _plan(endpoint, event, opened)
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(told_until=now)
        WebhookDelivery.objects.filter(state=State.DELIVERED, decided_at__lt=now - KEPT).delete()
    return made


def _plan(endpoint: WebhookEndpoint, event: str, opened: type[Flag] | type[ReviewCase]) -> int:
    since = max(endpoint.told_until - LOOK_BACK, endpoint.created_at)
    new = opened.objects.filter(clinic_id=endpoint.clinic_id, opened_at__gte=since, closed_at__isnull=True)
    rows = new.order_by("opened_at", "id").values_list("id", "patient_id", "hip_id", "opened_at")
    told = WebhookDelivery.objects.filter(endpoint=endpoint, event=event, opened_at__gte=since)
    known = set(told.values_list("object_id", "opened_at"))
    wanted = [
        WebhookDelivery(
            clinic_id=endpoint.clinic_id,
            endpoint=endpoint,
            event=event,
            object_id=pk,
            patient_id=patient,
            hip_id=hip,
            opened_at=moment,
        )
        for pk, patient, hip, moment in rows.iterator()
        if (pk, moment) not in known
    ]
    WebhookDelivery.objects.bulk_create(wanted, batch_size=MOST_AT_ONCE, ignore_conflicts=True)
    return len(wanted)


def _claim(owner: str, failing: set[int], now: datetime) -> tuple[WebhookDelivery, WebhookEndpoint] | None:
    """One transaction: the delivery that is due the longest, marked as being sent by us."""
    with access.system_run(RUN):
        due = WebhookDelivery.objects.filter(
            Q(state=State.WAITING, not_before__lte=now) | Q(state=State.SENDING, lease_until__lt=now)
        )
        due = due.exclude(endpoint__in=failing).select_related("endpoint")
        found = due.select_for_update(skip_locked=True, of=("self",)).order_by("not_before", "id").first()
        if found is None:
            return None
        found.state, found.claimed_by, found.lease_until = State.SENDING, owner, now + LEASE
        found.attempts += 1
        found.save(update_fields=["state", "claimed_by", "lease_until", "attempts"])
        return found, found.endpoint


def _send(delivery: WebhookDelivery, endpoint: WebhookEndpoint, now: datetime) -> tuple[str, str]:
    """Outside any transaction: how it ended, and why it did not go well."""
    if endpoint.ended_at is not None:
        return State.GIVEN_UP, endpoint.ended_because
    body = webhooks.body_of(delivery)
    try:
        answer = outgoing.call(
            "POST", endpoint.url, body=body, headers=webhooks.headers_of(delivery, endpoint, body, now)
        )
    except outgoing.NotAllowed as refused:
        reason = str(refused)[:200]
    except outgoing.Unreachable as fault:
        reason = f"No answer: {fault}"
    except secrecy.Unreadable:
        reason = "The secret cannot be read with the keys of this server."
    else:
        if 200 <= answer.status < 300:
            return State.DELIVERED, ""
        reason = f"The receiver said {answer.status}."
        if answer.status == GONE:
            return State.GIVEN_UP, reason
    return (State.WAITING if delivery.attempts <= len(BACK_OFF) else State.GIVEN_UP), reason


def _settle(
    delivery: WebhookDelivery, endpoint: WebhookEndpoint, owner: str, ending: str, reason: str, now: datetime
) -> None:
    """What came of it, unless another worker has taken the row over meanwhile."""
    with access.system_run(RUN):
        mine = WebhookDelivery.objects.filter(pk=delivery.pk, state=State.SENDING, claimed_by=owner)
        later = now + _with_spread(BACK_OFF[min(delivery.attempts, len(BACK_OFF)) - 1])
        decided = None if ending == State.WAITING else now
        mine.update(
            state=ending,
            reason=reason,
            lease_until=None,
            claimed_by="",
            decided_at=decided,
            **({"not_before": later} if ending == State.WAITING else {}),
        )
        if ending == State.GIVEN_UP and reason.endswith(f"{GONE}."):
            webhooks.close(endpoint, "The receiver said that it is gone (410).", now)
    if ending == State.GIVEN_UP:
        log.warning("webhook %s was given up: delivery %s", endpoint.pk, delivery.pk)


def _with_spread(wait: timedelta) -> timedelta:
    """Up to a tenth longer, so that what failed together does not come back together."""
    return wait * (1 + secrets.randbelow(100) / 1000)

"""Webhooks: which systems are told of new flags and reviews, and by which secrets they know that it is we.

After Standard Webhooks: `webhook-id`, `webhook-timestamp`, and in `webhook-signature` one signature for each secret
that counts. What is told are numbers; who may know more asks the API for them.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.access import Permission, Viewer
from patients.models import Clinic
from schedules import outgoing

from . import audit, secrecy
from .models import WebhookDelivery, WebhookEndpoint

Event = WebhookEndpoint.Event
State = WebhookDelivery.State
PREFIX: Final = "whsec_"
FORMER_LIVES: Final = timedelta(hours=24)
MOST_OF_A_CLINIC: Final = 10


class EndpointRefused(ValueError):
    """The endpoint cannot be as it was asked for; the message says why."""


@transaction.atomic
def make(*, clinic: Clinic, name: str, url: str, events: Sequence[str], viewer: Viewer) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which is shown once. Raises PermissionDenied, EndpointRefused."""
    viewer.check(Permission.ADMINISTER, clinic.pk)
    _check(url, events)
    if WebhookEndpoint.objects.filter(clinic=clinic, ended_at__isnull=True).count() >= MOST_OF_A_CLINIC:
        raise EndpointRefused(_("A clinic tells %(n)d systems at most.") % {"n": MOST_OF_A_CLINIC})
    secret = _new_secret()
    endpoint = WebhookEndpoint.objects.create(
        clinic=clinic,
        name=name.strip()[:80],
        url=url,
        events=[event for event in Event.values if event in events],
        secret=secrecy.encrypt(secret),
        created_by_id=viewer.actor.user_id,
    )
    _note(viewer, "make_webhook", endpoint, {"name": endpoint.name, "url": url, "events": endpoint.events})
    return endpoint, secret


def _check(url: str, events: Sequence[str]) -> None:
    if not events or set(events) - set(Event.values):
        raise EndpointRefused(_("Choose what the system is told of."))
    try:
        outgoing.judge(url)
    except outgoing.NotAllowed as refused:
        raise EndpointRefused(str(refused)) from refused


@transaction.atomic
def rotate(endpoint: WebhookEndpoint, *, viewer: Viewer, now: datetime | None = None) -> str:
    """A new secret; the present one signs beside it for a day. Raises PermissionDenied, EndpointRefused."""
    viewer.check(Permission.ADMINISTER, endpoint.clinic_id)
    locked = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    if locked.ended_at is not None:
        raise EndpointRefused(_("This system is told nothing any more."))
    secret = _new_secret()
    locked.former_secret, locked.former_until = locked.secret, (now or timezone.now()) + FORMER_LIVES
    locked.secret = secrecy.encrypt(secret)
    locked.save(update_fields=["secret", "former_secret", "former_until"])
    _note(viewer, "rotate_webhook", endpoint)
    return secret


@transaction.atomic
def end(endpoint: WebhookEndpoint, *, viewer: Viewer) -> bool:
    """The system is told nothing any more; what was waiting is given up. False where it had ended already."""
    viewer.check(Permission.ADMINISTER, endpoint.clinic_id)
    if not close(endpoint, _("Ended by an administrator."), timezone.now()):
        return False
    _note(viewer, "end_webhook", endpoint)
    return True


def close(endpoint: WebhookEndpoint, because: str, now: datetime) -> bool:
    """Within a transaction: no more deliveries to this endpoint. False where it had ended already."""
    standing = WebhookEndpoint.objects.filter(pk=endpoint.pk, ended_at__isnull=True)
    if not standing.update(ended_at=now, ended_because=because, secret="", former_secret=""):
        return False
    waiting = WebhookDelivery.objects.filter(endpoint=endpoint, state=State.WAITING)
    waiting.update(state=State.GIVEN_UP, reason=because, decided_at=now)
    return True


@transaction.atomic
def send_again(endpoint: WebhookEndpoint, *, viewer: Viewer) -> int:
    """What was given up waits once more; returns how much. Raises PermissionDenied, EndpointRefused."""
    viewer.check(Permission.ADMINISTER, endpoint.clinic_id)
    if not WebhookEndpoint.objects.filter(pk=endpoint.pk, ended_at__isnull=True).exists():
        raise EndpointRefused(_("This system is told nothing any more."))
    given_up = WebhookDelivery.objects.filter(endpoint=endpoint, state=State.GIVEN_UP)
    count = given_up.update(state=State.WAITING, attempts=0, not_before=timezone.now(), decided_at=None)
    _note(viewer, "send_webhooks_again", endpoint, {"deliveries": count})
    return count


def endpoints_for(viewer: Viewer) -> QuerySet[WebhookEndpoint]:
    """Those of the clinics that the viewer administers, the newest first."""
    mine = WebhookEndpoint.objects.filter(clinic__in=viewer.clinics_where(Permission.ADMINISTER))
    return mine.select_related("clinic", "created_by").order_by("-id")


def body_of(delivery: WebhookDelivery) -> bytes:
    """Numbers only: who is told cannot learn from it whom it is about."""
    thing = "flag" if delivery.event == Event.FLAG else "review"
    data = {
        thing: delivery.object_id,
        "patient": delivery.patient_id,
        "hip": delivery.hip_id,
        "clinic": delivery.clinic_id,
    }
    said = {"type": delivery.event, "timestamp": delivery.opened_at.isoformat(timespec="seconds"), "data": data}
    return json.dumps(said, separators=(",", ":")).encode()


def headers_of(delivery: WebhookDelivery, endpoint: WebhookEndpoint, body: bytes, now: datetime) -> dict[str, str]:
    """What proves to the receiver that the body is ours and new. Raises secrecy.Unreadable."""
    named, moment = f"msg_{delivery.pk.hex}", str(int(now.timestamp()))
    counting = [endpoint.secret]
    if endpoint.former_secret and endpoint.former_until and endpoint.former_until > now:
        counting.append(endpoint.former_secret)
    signed = f"{named}.{moment}.".encode() + body
    return {
        "webhook-id": named,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(_signature(secrecy.decrypt(kept), signed) for kept in counting),
        "Content-Type": "application/json",
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _note(viewer: Viewer, act: str, endpoint: WebhookEndpoint, after: dict[str, object] | None = None) -> None:
    audit.note(viewer.actor, act, clinic_id=endpoint.clinic_id, object=f"webhook-{endpoint.pk}", after=after)

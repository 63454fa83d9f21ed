"""Provider events: what a mail provider's webhook says, read into a report.

anymail has given the words of each provider one form. Whether a bounce is for good only the provider's own fields
tell, so those are read here.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason

from .answers import is_unknown_mailbox
from .feedback import Report
from .models import DeliveryEvent
from .return_path import METADATA

Kind = DeliveryEvent.Kind
KINDS = {
    EventType.DELIVERED: Kind.DELIVERED,
    EventType.BOUNCED: Kind.BOUNCED,
    EventType.FAILED: Kind.BOUNCED,
    EventType.REJECTED: Kind.BOUNCED,  # never left the provider, which is the same to the patient
    EventType.DEFERRED: Kind.DEFERRED,
    EventType.COMPLAINED: Kind.COMPLAINED,
    EventType.UNSUBSCRIBED: Kind.UNSUBSCRIBED,
}
CAME_BACK = (EventType.BOUNCED, EventType.FAILED, EventType.REJECTED)
SAID_NO = {RejectReason.SPAM: Kind.COMPLAINED, RejectReason.UNSUBSCRIBED: Kind.UNSUBSCRIBED}
SUPPRESSED = {"suppress-complaint": Kind.COMPLAINED, "suppress-unsubscribe": Kind.UNSUBSCRIBED}  # Mailgun
SPAM_REPORTED = "spam reporting address"  # SendGrid


def report_of(event: AnymailTrackingEvent, provider: str, *, now: datetime) -> Report | None:
    """What the event tells of a mail; None where it is of no concern here, such as who opened a mail."""
    kind = KINDS.get(event.event_type)
    if kind is None:
        return None
    raw = event.esp_event if isinstance(event.esp_event, Mapping) else {}
    if kind == Kind.BOUNCED:
        kind = _said_no(event, raw) or kind
    token = event.metadata.get(METADATA, "") if isinstance(event.metadata, Mapping) else ""
    return Report(
        kind=kind,
        at=event.timestamp or now,
        provider=provider,
        event_id=_event_id(event, kind),
        token=str(token),
        message_id=str(event.message_id or ""),
        address=event.recipient or "",
        permanent=kind == Kind.BOUNCED and _is_permanent(event, raw),
        words=_words(event),
    )


def _said_no(event: AnymailTrackingEvent, raw: Mapping[str, Any]) -> DeliveryEvent.Kind | None:
    """A provider does not send to who complained or unsubscribed earlier, and says so as if the mail had failed."""
    if str(raw.get("reason", "")).lower() == SPAM_REPORTED:
        return Kind.COMPLAINED
    of_mailgun = raw.get("event-data")
    if isinstance(of_mailgun, Mapping) and of_mailgun.get("reason") in SUPPRESSED:
        return SUPPRESSED[of_mailgun["reason"]]
    return SAID_NO.get(event.reject_reason)


def _is_permanent(event: AnymailTrackingEvent, raw: Mapping[str, Any]) -> bool:
    """Whether the address takes no mail at all: full, blocked or over a limit is not that."""
    match raw:
        case {"Type": str(kind), "RecordType": "Bounce"}:  # Postmark
            return kind in ("HardBounce", "BadEmailAddress", "ManuallyDeactivated")
        case {"SuppressionReason": str(reason)}:  # Postmark's list of addresses that it sends nothing to
            return reason == "HardBounce"
        case {"event-data": {"severity": str(severity)} as data}:  # Mailgun
            status = data.get("delivery-status") or {}
            said = f"{status.get('enhanced-code') or ''} {status.get('message') or ''}".strip()
            known = data.get("reason") in ("bounce", "suppress-bounce")
            return severity == "permanent" and (known or is_unknown_mailbox(int(status.get("code") or 0), said))
        case {"event": "bounce", "sg_event_id": str()}:  # SendGrid
            return raw.get("type") != "blocked"
        case {"event": "hard_bounce" | "invalid_email"}:  # Brevo
            return True
        case {"event": "soft_bounce" | "blocked" | "error"}:  # Brevo, and Mailjet's "blocked" that says no more
            return bool(raw.get("hard_bounce"))
        case {"hard_bounce": hard}:  # Mailjet
            return bool(hard)
    return event.event_type == EventType.REJECTED and event.reject_reason in (
        RejectReason.INVALID,
        RejectReason.BOUNCED,
    )


def _event_id(event: AnymailTrackingEvent, kind: str) -> str:
    """The provider's own, or, where it gives none, a digest of what makes two posts the same."""
    if event.event_id and len(event.event_id) <= 100:
        return f"{event.event_id}:{kind}"  # some name the mail, not the event
    at = event.timestamp.isoformat() if event.timestamp else ""
    said = "|".join(map(str, (event.event_id, event.message_id, event.recipient, event.event_type, at)))
    return hashlib.sha256(said.encode()).hexdigest()


def _words(event: AnymailTrackingEvent) -> str:
    said = str(event.mta_response or event.description or "").replace("\0", "")
    said = " ".join(said.removeprefix("smtp;").split())
    return f"The mail came back: {said}"[:200] if said and event.event_type in CAME_BACK else said[:200]

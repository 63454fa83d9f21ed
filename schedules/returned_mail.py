"""Returned mail: what a message in the bounce mailbox tells of a mail of ours. Reads bytes, touches nothing.

A delivery report (RFC 3464) says of each recipient what was done and, by a status code (RFC 3463), why. Such reports
name themselves automatic replies, just as notices of absence do, so only their form tells the two apart.
"""

import email
import email.policy
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage, MIMEPart
from email.utils import parsedate_to_datetime

from . import return_path
from .answers import is_unknown_mailbox
from .feedback import Report
from .models import DeliveryEvent

Kind = DeliveryEvent.Kind
MAILBOX = "mailbox"  # the provider's name of all that is read here
SENT_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "To", "Resent-To", "Cc")
ACTIONS = {"failed": Kind.BOUNCED, "delayed": Kind.DEFERRED, "delivered": Kind.DELIVERED}
COMPLAINTS = {"abuse": Kind.COMPLAINED, "fraud": Kind.COMPLAINED, "opt-out": Kind.UNSUBSCRIBED}
NO_WAY_THERE = "5.4.4"  # the domain has no mail server
_ENHANCED = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")
_CODE = re.compile(r"(?<![\d.])[45]\d\d(?![\d.])")


def reports_in(raw: bytes, *, now: datetime) -> list[Report]:
    """What the message tells of mails whose return path it was sent to; nothing where it is no report of one."""
    message = _parsed(raw.replace(b"\0", b""))  # which no column takes
    tokens = _tokens(message)
    if not tokens:
        return []
    kind = message.get_content_type(), str(message.get_param("report-type", "")).lower()
    if kind == ("multipart/report", "delivery-status"):
        found = list(_delivery_reports(message))
    elif kind == ("multipart/report", "feedback-report"):
        found = list(_complaints(message))
    elif message.get("X-Failed-Recipients"):
        found = [_in_prose(message)]
    else:
        return []
    at, digest = _when(message, now), hashlib.sha256(raw).hexdigest()[:40]
    return [
        Report(
            kind=told,
            at=at,
            provider=MAILBOX,
            event_id=f"{_id_of(message) or digest}:{token}:{place}"[-120:],
            token=token,
            permanent=permanent,
            words=words,
        )
        for token in tokens
        for place, (told, permanent, words) in enumerate(found)
    ]


def _tokens(message: EmailMessage) -> list[str]:
    """Of the return path that the message came to, once each. A complaint carries it in the report itself."""
    fields = [str(value) for name in SENT_TO for value in message.get_all(name, [])]
    for block in _blocks(message, "message/feedback-report"):
        fields.append(str(block.get("Original-Mail-From", "")))
    return list(dict.fromkeys(token for field in fields for token in return_path.tokens_in(field)))


# ---- RFC 3464


def _delivery_reports(message: EmailMessage) -> Iterator[tuple[DeliveryEvent.Kind, bool, str]]:
    """What was done with each recipient. A return path is of one mail to one address, so there is one, as a rule."""
    for block in _blocks(message, "message/delivery-status"):
        action = str(block.get("Action", "")).split("(")[0].strip().lower()
        if action not in ACTIONS:
            continue
        status = _enhanced(str(block.get("Status", "")))
        diagnostic = _diagnostic(block)
        permanent = action == "failed" and _address_is_dead(status, diagnostic)
        yield ACTIONS[action], permanent, _said(status, diagnostic)


def _blocks(message: EmailMessage, content_type: str) -> Iterator[EmailMessage]:
    """The groups of fields in the parts of this type: of the mail first, then one a recipient."""
    for part in message.walk():
        if part.get_content_type() != content_type:
            continue
        payload = part.get_payload()
        for block in payload if isinstance(payload, list) else [_parsed(str(payload).lstrip().encode())]:
            if isinstance(block, EmailMessage):
                yield block


def _parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, EmailMessage, policy=email.policy.default)


def _diagnostic(block: EmailMessage) -> str:
    """What the other server said, without the kind of diagnosis and without a multi-line answer's dashes."""
    kind, _semicolon, said = str(block.get("Diagnostic-Code", "")).partition(";")
    return " ".join((said if _semicolon else kind).split())


def _address_is_dead(status: str, diagnostic: str) -> bool:
    """A mailbox that does not exist, or a domain without mail. A full or forbidding one may take the next mail.

    What the other server said is more exact than a status that only says that something failed (5.0.0).
    """
    told = _enhanced(diagnostic)
    exact = told if not status or status.endswith(".0.0") or status == "5.5.0" else status
    code = _CODE.search(diagnostic)
    if exact.startswith("4"):
        return False
    return exact == NO_WAY_THERE or is_unknown_mailbox(int(code[0]) if code else 0, exact)


def _enhanced(text: str) -> str:
    found = _ENHANCED.search(text)
    return found[0] if found else ""


def _said(status: str, diagnostic: str) -> str:
    said = diagnostic if status in diagnostic else f"{status} {diagnostic}".strip()
    return f"The mail came back: {said}"[:200] if said else ""


# ---- RFC 5965


def _complaints(message: EmailMessage) -> Iterator[tuple[DeliveryEvent.Kind, bool, str]]:
    """What the recipient told their own provider of the mail."""
    for block in _blocks(message, "message/feedback-report"):
        kind = COMPLAINTS.get(str(block.get("Feedback-Type", "")).strip().lower())
        if kind:
            yield kind, False, ""


# ---- Older forms


def _in_prose(message: EmailMessage) -> tuple[DeliveryEvent.Kind, bool, str]:
    """A report that names the recipients in its head and says the rest in a sentence."""
    body = message.get_body(preferencelist=("plain",))
    lines = [" ".join(line.split()) for line in (_text(body) if body else "").splitlines()]
    answer = next((line for line in lines if _CODE.search(line)), "")
    return Kind.BOUNCED, _address_is_dead("", answer), _said("", answer)


def _text(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an encoding nobody knows
        return ""


def _id_of(message: EmailMessage) -> str:
    return " ".join(str(message.get("Message-ID", "")).split())[:70]


def _when(message: EmailMessage, now: datetime) -> datetime:
    """The date in its head, where it is a date with a zone and not in the future."""
    try:
        at = parsedate_to_datetime(str(message.get("Date", "")))
    except ValueError:
        return now
    return min(at, now) if at.tzinfo else now


def is_automatic(raw: bytes) -> bool:
    """Whether a program wrote it: a notice of absence, say. Such a mail needs no person to read it."""
    message = _parsed(raw)
    said = str(message.get("Auto-Submitted", "no")).split(";")[0].strip().lower()
    precedence = str(message.get("Precedence", "")).strip().lower()
    return said != "no" or precedence in ("bulk", "junk", "auto_reply") or bool(message.get("X-Autoreply"))

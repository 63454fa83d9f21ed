"""Account mail: links, notices and invitations for people with an account, from a row until the server has taken them.

Queued in the transaction of what it tells of and sent by a worker, so that a page answers alike, and as fast, whether
an address is known or not. What a mail says is encrypted while it waits. A mail that may or may not have gone is sent
once more: two such mails do no harm, none would.
"""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from email.utils import formataddr

from django.core.mail import EmailMessage
from django.db import transaction

from schedules.answers import Ending, Outcome
from schedules.channels import Channel, default_channel
from schedules.mail import sender_address

from . import secrecy
from .models import AccountMail

log = logging.getLogger(__name__)
State = AccountMail.State
USEFUL_FOR = timedelta(hours=24)
LEASE = timedelta(minutes=15)  # longer than a mail server may think
MOST_ATTEMPTS = 4
BACK_OFF = timedelta(minutes=2)  # doubled each time
MOST_AT_ONCE = 50
SENDER = "Hipwatch"


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, in its reader's language."""

    subject: str
    text: str
    language: str


def queue(kind: str, to: str, letter: Letter, *, now: datetime, useful_for: timedelta = USEFUL_FOR) -> AccountMail:
    """Have this mail sent, once the transaction holds. It is dropped when it has not gone by `useful_for`."""
    content = json.dumps(asdict(letter))
    mail = AccountMail.objects.create(
        kind=kind,
        to=to,
        content=secrecy.encrypt(content),
        created_at=now,
        not_before=now,
        useful_until=now + useful_for,
    )
    transaction.on_commit(_wake_a_worker, robust=True)
    return mail


def read(mail: AccountMail) -> Letter:
    """What a mail that waits will say. Raises secrecy.Unreadable."""
    return Letter(**json.loads(secrecy.decrypt(mail.content)))


def _wake_a_worker() -> None:
    """Without a worker the clock does it within a minute."""
    from .tasks import send_account_mail  # the tasks know this module

    send_account_mail.apply_async(expires=60, retry=False)


def send_waiting(*, now: datetime, channel: Channel | None = None) -> int:
    """Send what waits, at most fifty; returns how many the server has taken."""
    channel, sent = channel or default_channel(), 0
    try:
        for _turn in range(MOST_AT_ONCE):
            mail = _claim(now)
            if mail is None:
                break
            outcome = _outcome(mail, channel, now)
            _settle(mail, outcome, now)
            sent += outcome.ending == Ending.ACCEPTED
            if outcome.ending == Ending.UNREACHABLE:
                break
    finally:
        channel.close()
    return sent


@transaction.atomic
def _claim(now: datetime) -> AccountMail | None:
    """The next mail, marked as being sent; one whose worker died comes up again when its lease is over."""
    due = AccountMail.objects.filter(state__in=[State.WAITING, State.SENDING], not_before__lte=now)
    mail = due.select_for_update(skip_locked=True).order_by("not_before", "id").first()
    if mail is None:
        return None
    mail.state, mail.attempts, mail.not_before = State.SENDING, mail.attempts + 1, now + LEASE
    mail.save()
    return mail


def _outcome(mail: AccountMail, channel: Channel, now: datetime) -> Outcome:
    if mail.useful_until <= now:
        return Outcome(Ending.REJECTED, "It was too late to be of use.")
    try:
        letter = read(mail)
    except secrecy.Unreadable as gone:
        return Outcome(Ending.REJECTED, str(gone))
    message = EmailMessage(
        subject=letter.subject,
        body=letter.text,
        from_email=formataddr((SENDER, sender_address())),
        to=[mail.to],
        headers={
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "Content-Language": letter.language,
        },
    )
    return channel.send(message)


@transaction.atomic
def _settle(mail: AccountMail, outcome: Outcome, now: datetime) -> None:
    again = outcome.ending in {Ending.UNREACHABLE, Ending.TRY_LATER, Ending.IN_DOUBT}
    if outcome.ending == Ending.ACCEPTED:
        mail.state, mail.content = State.SENT, ""
    elif again and mail.attempts < MOST_ATTEMPTS:
        mail.state, mail.not_before = State.WAITING, now + BACK_OFF * 2 ** (mail.attempts - 1)
    else:
        mail.state, mail.content = State.FAILED, ""
        log.warning("account mail %s (%s) could not be sent: %s", mail.pk, mail.kind, outcome.reason)
    mail.reason = outcome.reason[:200]
    mail.decided_at = now if mail.state in {State.SENT, State.FAILED} else None
    mail.save()


def drop_old(*, now: datetime, after: timedelta = timedelta(days=90)) -> int:
    """Forget which mails went, and to whom, after a quarter of a year. Returns how many."""
    old = AccountMail.objects.filter(state__in=[State.SENT, State.FAILED], decided_at__lt=now - after)
    return old.delete()[0]

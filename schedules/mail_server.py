"""Mail server: whose fault it is when mails are put off, and how long a server that refuses everything is left alone.

What the server does to every mail is no mail's fault and costs none an attempt. What it does to one while it takes
others is that mail's. Where nothing tells which, the mail's own attempts count: a letter too many is better than a
patient whom nobody tells.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from .answers import Outcome
from .models import MailServer, Reminder

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4))  # the last again and again
SPREAD = (0.8, 1.2)  # of a pause: servers are not asked by all workers at once
LONGEST_PAUSE = PAUSES[-1] * SPREAD[1]
MOST_IN_DOUBT = 3  # mails put off in a row; then it is asked whose fault that is
LEAST_DOMAINS = 2
EVERY_MAIL = "It puts every mail off"
REFUSES = "It refuses every mail"


@dataclass(frozen=True, slots=True)
class PutOff:
    """One mail that the server put off, or refused for good, since it last took one."""

    reminder_id: int
    domain: str
    outcome: Outcome


def is_at_fault(put_off: Sequence[PutOff], *, well: bool | None) -> bool:
    """True when the server is at fault and not the mails or their receivers. `well`: see Channel.is_well.

    A server that takes a recipient of our own means those whom it puts off; what it says to whole mails, or where it
    cannot be asked, is its own fault when it says so to three mails to two domains and takes none in between.
    """
    if well is False:
        return True
    unexplained = [one for one in put_off if well is None or one.outcome.after_recipient]
    return len(unexplained) >= MOST_IN_DOUBT and len({one.domain for one in unexplained}) >= LEAST_DOMAINS


def refuses_everybody(refused: Sequence[PutOff], *, well: bool | None, known: bool) -> bool:
    """The same of mails refused for good in words that need not mean them; `known`: it refused everybody before.

    That it takes a recipient of our own says nothing here: who lost the right to relay may still write at home.
    """
    if refused and (well is False or known):
        return True
    return len(refused) >= MOST_IN_DOUBT and len({one.domain for one in refused}) >= LEAST_DOMAINS


def in_its_words(found: Sequence[PutOff], does: str = EVERY_MAIL) -> str:
    """What it says to every mail, without the recipient that servers like to repeat."""
    codes = sorted({one.outcome.code for one in found if one.outcome.code})
    return f"{does}: {', '.join(map(str, codes))}" if codes else does


def was_refused(reminder: Reminder) -> bool:
    """Whether this mail was refused when everybody's seemed to be, and has not been claimed since it was loaded."""
    return reminder.reason.startswith(REFUSES)


def trouble() -> MailServer | None:
    """The server as it was last found, where it refuses everything."""
    return refusing().first()


def is_left_alone(row: MailServer, now: datetime) -> bool:
    """Whether its pause is not over yet. One longer than any we make is a clock's that was wrong: it holds no mail."""
    return now < row.ask_again_at <= now + LONGEST_PAUSE


def refusing() -> QuerySet[MailServer]:
    """The server's row while it refuses everything."""
    return MailServer.objects.order_by("pk")


@transaction.atomic
def leave_alone(said: str, *, now: datetime) -> MailServer:
    """It refuses everything: it is asked again after a pause, longer each time and never the same."""
    fresh = {"refusing_since": now, "ask_again_at": now, "tries": 0}
    MailServer.objects.get_or_create(pk=MailServer.ONLY, defaults=fresh)
    row = MailServer.objects.select_for_update().get(pk=MailServer.ONLY)
    row.said, row.tries = said[:200], row.tries + 1
    row.ask_again_at = now + PAUSES[min(row.tries, len(PAUSES)) - 1] * random.uniform(*SPREAD)
    row.save()
    return row


def is_back() -> None:
    """It took a mail."""
    MailServer.objects.all().delete()

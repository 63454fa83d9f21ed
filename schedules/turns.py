"""Turns: what came of the last mails is stored and the next are claimed, in one journey to the database.

The function that does both is in `turn_sql.py`. Called outside a transaction it is one, and committed when it answers:
a mail that is claimed stands as being sent before its server hears of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from patients.access import listed
from patients.changes import Actor
from patients.prepared import rows_of

from . import rehearsal
from .leases import LEASE
from .models import Reminder

_TURN = """
SELECT * FROM schedules_turn(
    %s::text, %s::text, %s::text, %s::timestamptz, %s::bigint[], %s::text[], %s::bigint[], %s::text[],
    %s::timestamptz, %s::timestamptz, %s::text
)
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is, and when."""

    owner: str
    now: datetime
    by: Actor


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that its server took. `provider_id`: the name that it gave to the mail."""

    reminder_id: int
    provider_id: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim has written on a mail: at which attempt, to whom. `address`: the patient's, also in a rehearsal."""

    attempts: int
    sent_to: str
    address: str
    language: str
    message_id: str


def take(
    turn: Turn,
    *,
    sent: Sequence[Sent] = (),
    wanted: Sequence[Reminder] = (),
    since: datetime | None = None,
    clinics: Collection[int] | None = None,
) -> tuple[int, dict[int, Claimed]]:
    """Store these mails as sent and mark the `wanted`, which are reserved for the owner, as being sent.

    Stored is what the owner still has a claim to. Claimed is what nothing has come between `since` it was decided on;
    their `message_id` must be set. `clinics`: whose rows they are, where no transaction has said so yet.
    Returns how many were stored, and what was claimed by the reminder's id.
    """
    answer = rows_of(
        _TURN,
        (
            None if clinics is None else listed(clinics),
            turn.owner,
            turn.by.name[:120],
            turn.now,
            listed(one.reminder_id for one in sent),
            [one.provider_id for one in sent],
            listed(row.pk for row in wanted),
            [row.message_id for row in wanted],
            since,
            turn.now + LEASE,
            rehearsal.recipient(),
        ),
    )
    stored = sum(count for count, *_rest in answer if count is not None)
    return stored, {pk: Claimed(*rest) for count, pk, *rest in answer if count is None}

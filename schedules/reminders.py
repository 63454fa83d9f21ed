"""Reminders: moved from state to state, planned from follow-up windows, and looked ahead at."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils.translation import gettext_noop as _

from patients.changes import Actor
from patients.prepared import Ask, Steps, rows_of_each, together
from patients.rows import add_missing_rows, change_rows

from . import rehearsal, substitutes
from .circumstances import cases_for
from .eligibility import Action, Eligibility, Verdict, decide, morning
from .ladder import steps_of
from .message_plans import asking_ladders, ladders_from
from .models import Reminder, ReminderEvent, Substitute
from .plans import PatientWindow
from .substitutes import UNREACHED

State = Reminder.State

NO_WINDOW = _("No follow-up is asked for any more.")
NEW_WINDOW = _("The follow-up window began anew.")
DATE_MOVED = _("The due date moved.")
NOT_CHOSEN = _("The clinic does not send this message.")
CALLED_FOR_AGAIN = _("Called for again.")
CAN_BE_SENT_AGAIN = _("What stood against it has changed.")
MISSED_WHEN_PLANNED = _("Its day had passed when the follow-up was planned.")
WITHHELD = "Withheld by "  # a person's decision, which planning leaves alone
ASKED_FOR_NOW = "Asked for now by "  # another


# ---- Moving

_MOVE = """
WITH moved AS (
    UPDATE schedules_reminder
       SET state = %(to)s, reason = %(reason)s, not_before = %(not_before)s,
           decided_at = CASE WHEN %(to)s IN ('sent', 'uncertain') THEN decided_at ELSE %(at)s END,
           claimed_by = COALESCE(%(claim)s, claimed_by), lease_until = %(lease_until)s,
           attempts = attempts + %(attempts)s,
           sent_to = COALESCE(%(addressed)s::jsonb -> id::text ->> 'sent_to', sent_to),
           language = COALESCE(%(addressed)s::jsonb -> id::text ->> 'language', language),
           message_id = COALESCE(%(addressed)s::jsonb -> id::text ->> 'message_id', message_id)
     WHERE id = ANY(%(ids)s) AND state = ANY(%(from)s)
       AND (%(claimed_by)s::text IS NULL OR claimed_by = %(claimed_by)s)
 RETURNING id, clinic_id
), told AS (
    INSERT INTO schedules_reminderevent (clinic_id, reminder_id, at, state, reason, actor)
    SELECT clinic_id, id, %(at)s, %(to)s, %(reason)s, %(actor)s FROM moved
)
SELECT id FROM moved
"""


def move(
    ids: Collection[int],
    to: Reminder.State,
    *,
    out_of: Collection[Reminder.State],
    at: datetime,
    by: Actor,
    reason: str = "",
    not_before: datetime | None = None,
    claimed_by: str | None = None,
    claim: str | None = None,
    lease_until: datetime | None = None,
    attempts: int = 0,
    addressed: Mapping[int, Mapping[str, str]] | None = None,
) -> set[int]:
    """Move those of these reminders that are `out_of` these states, tell it in their history, and return their ids.

    A mail that is planned again needs no letter or call in its place. One that is in doubt, or turns out to have
    arrived, keeps the moment at which it was taken in hand: on that day the patient was written to, however late that
    comes to light. With `claimed_by` only where that claim still holds. `claim` writes a new one; `attempts` is added
    to the count.
    Raises ValueError for a move that the table of transitions does not have.
    """
    if any(to not in Reminder.TRANSITIONS[source] for source in out_of):
        raise ValueError(f"No reminder goes from {', '.join(out_of)} to {to}.")
    if not ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            _MOVE,
            {
                "ids": sorted(ids),
                "to": str(to),
                "from": [str(state) for state in out_of],
                "at": at,
                "reason": str(reason)[:200],
                "actor": by.name[:120],
                "not_before": not_before,
                "claimed_by": claimed_by,
                "claim": claim,
                "lease_until": lease_until,
                "attempts": attempts,
                "addressed": None if addressed is None else json.dumps(addressed),
            },
        )
        moved = {row[0] for row in cursor.fetchall()}
    if to == State.PLANNED and set(out_of) != {State.SENDING}:  # what is being sent has none
        substitutes.drop_for(moved, by=by, at=at)
    return moved


# ---- Planning

Key = tuple[int, date, date, str]  # patient, cycle, due, step: the row's natural key


@dataclass(frozen=True, slots=True)
class _Stored:
    """What planning must know of a mail that there is."""

    id: int
    patient_id: int
    cycle_on: date
    due_on: date
    step: str
    send_on: date
    state: str
    reason: str
    about_appointment: bool

    @property
    def key(self) -> Key:
        return self.patient_id, self.cycle_on, self.due_on, self.step


# What is planned for these patients, all that was ever decided in the cycles that are current now, and what is to come
# of mails about appointments that did not reach them.
_STORED = """
SELECT id, patient_id, cycle_on, due_on, step, send_on, state, reason, appointment_id IS NOT NULL
  FROM schedules_reminder
 WHERE patient_id = ANY(%(patients)s::bigint[])
   AND CASE WHEN appointment_id IS NULL THEN state = 'planned' OR cycle_on = ANY(%(cycles)s::date[])
            ELSE state IN ('refused', 'failed') AND due_on >= %(yesterday)s END
 ORDER BY id
"""


def reconcile_reminders(windows: Mapping[int, PatientWindow | None], *, actor: Actor, now: datetime) -> None:
    """Make the reminders of these patients what their windows call for, at once; see `reconciling_reminders`."""
    together(reconciling_reminders(windows, actor=actor, now=now))


def reconciling_reminders(windows: Mapping[int, PatientWindow | None], *, actor: Actor, now: datetime) -> Steps:
    """Make the reminders of these patients what their windows call for; None: no follow-up is asked for.

    Steps are added by natural key. What is still planned for another window is cancelled, and comes back when that
    window does. Steps whose time has passed are stored as expired, so that a patient enrolled long overdue gets one
    mail at most. What was sent, is being sent or may have been sent stays as it is. A fixed number of queries.
    """
    asked = [window for window in windows.values() if window is not None]
    clinics, mails, to_do = yield [
        asking_ladders({window.clinic_id for window in asked}),
        _asking_stored(windows, {window.cycle_on for window in asked}, now),
        substitutes.asking_for_open(windows.keys()),
    ]
    ladders, stored = ladders_from(clinics, now), [_Stored(*row) for row in mails]
    known = {row.key: row for row in stored if not row.about_appointment}
    new: list[dict[str, Any]] = []
    elsewhere: list[tuple[_Stored, date]] = []
    revived: list[int] = []
    unreached = [row for row in stored if row.about_appointment]
    called_for: set[Key] = set()
    for window in asked:
        today, ladder = ladders[window.clinic_id]
        for rung, send_on, useful_until in steps_of(window, ladder):
            key = (window.patient_id, window.cycle_on, window.due_on, rung.step.value)
            called_for.add(key)
            row = known.get(key)
            too_late = today > useful_until
            if row is None and too_late and rung.only_ahead:
                continue
            if row is None:
                new.append(_new(window, rung.step, send_on, too_late, now))
            elif row.state == State.PLANNED and row.send_on != send_on:
                elsewhere.append((row, send_on))
            elif row.state == State.CANCELLED and not too_late:
                revived.append(row.id)
            elif row.state in UNREACHED and not too_late:
                unreached.append(row)
    for reason, ids in _cancellations(known.values(), windows, called_for).items():
        move(ids, State.CANCELLED, out_of=[State.PLANNED], at=now, by=actor, reason=reason)
    _move_days(elsewhere)
    yield add_missing_rows(Reminder, new)
    move(revived, State.PLANNED, out_of=[State.CANCELLED], at=now, by=actor, reason=CALLED_FOR_AGAIN)
    if unreached:
        ready = _may_go_now(unreached, now)
        move(ready, State.PLANNED, out_of=UNREACHED, at=now, by=actor, reason=CAN_BE_SENT_AGAIN)
        Reminder.objects.filter(id__in=ready, attempts__gt=0, state=State.PLANNED).update(attempts=0)
        left = {row.id for row in unreached} - set(ready)
        substitutes.open_for(left, by=actor, at=now)
    if to_do or unreached:
        substitutes.reconsider(windows.keys(), by=actor, at=now)


def _asking_stored(patient_ids: Iterable[int], cycles: Collection[date], now: datetime) -> Ask:
    yesterday = now.date() - timedelta(days=1)
    return _STORED, {"patients": list(patient_ids), "cycles": list(cycles), "yesterday": yesterday}


def _move_days(elsewhere: Iterable[tuple[_Stored, date]]) -> None:
    """Planned mails go out on these days; those that a person asked for earlier keep the day that they have."""
    days = {row.id: day for row, day in elsewhere}
    early = [row.id for row, day in elsewhere if row.send_on < day]
    if early:
        asked = ReminderEvent.objects.filter(reminder__in=early, reason__startswith=ASKED_FOR_NOW)
        for pk in asked.values_list("reminder_id", flat=True):
            days.pop(pk, None)
    rows_of_each(change_rows(Reminder, [{"id": pk, "send_on": day, "not_before": None} for pk, day in days.items()]))


def _new(window: PatientWindow, step: Reminder.Step, send_on: date, too_late: bool, now: datetime) -> dict[str, Any]:
    return {
        "clinic_id": window.clinic_id,
        "patient_id": window.patient_id,
        "cycle_on": window.cycle_on,
        "due_on": window.due_on,
        "step": step.value,
        "send_on": send_on,
        "state": (State.EXPIRED if too_late else State.PLANNED).value,
        "reason": MISSED_WHEN_PLANNED if too_late else "",
        "decided_at": now if too_late else None,
        "created_at": now,
        "attempts": 0,
        **dict.fromkeys(("language", "sent_to", "message_id", "provider_id", "claimed_by"), ""),
    }


def _cancellations(
    stored: Iterable[_Stored], windows: Mapping[int, PatientWindow | None], called_for: Collection[Key]
) -> dict[str, list[int]]:
    """Planned mails of windows that are no longer the patient's, or that the clinic does not send, by the reason."""
    found: dict[str, list[int]] = {}
    for row in stored:
        window = windows[row.patient_id]
        if row.state != State.PLANNED:
            continue
        if window is None:
            reason = NO_WINDOW
        elif row.cycle_on != window.cycle_on:
            reason = NEW_WINDOW
        elif row.due_on != window.due_on:
            reason = DATE_MOVED
        elif row.key not in called_for:
            reason = NOT_CHOSEN
        else:
            continue
        found.setdefault(reason, []).append(row.id)
    return found


def _with_people(ids: Collection[int]) -> list[Reminder]:
    return list(Reminder.objects.filter(id__in=ids).select_related("patient", "clinic").order_by("send_on", "id"))


def _may_go_now(unreached: Iterable[_Stored], now: datetime) -> list[int]:
    """Those that nothing stands against any more: the address was corrected, consent was given, a mistake was undone.

    What failed is tried again at another address only; what was told by letter or by telephone is told already.
    """
    told = Substitute.objects.filter(reminder__in=[row.id for row in unreached], state=Substitute.State.DONE)
    known = set(told.values_list("reminder_id", flat=True))
    ids = [row.id for row in unreached if row.id not in known and not row.reason.startswith(WITHHELD)]
    mails = [
        row
        for row in _with_people(ids)
        if row.state == State.REFUSED or rehearsal.addressee(row.patient) != row.sent_to
    ]
    return [pk for pk, case in cases_for(mails, now).items() if decide(case).action in (Action.SEND, Action.LATER)]


# ---- Looking ahead


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A planned mail with what would be decided when its time comes, as things stand now."""

    reminder: Reminder
    at: datetime
    verdict: Verdict


def upcoming(clinic_ids: Collection[int], *, now: datetime, days: int = 14, limit: int | None = None) -> list[Upcoming]:
    """What will go out in these clinics in the next days, first things first, by the code that sends."""
    rows = Reminder.objects.filter(
        clinic__in=list(clinic_ids), state=State.PLANNED, send_on__lte=(now + timedelta(days=days)).date()
    )
    return look_ahead(list(rows.select_related("patient", "clinic").order_by("send_on", "id")[:limit]), now=now)


def look_ahead(planned: Collection[Reminder], *, now: datetime) -> list[Upcoming]:
    """What would become of these planned mails as things stand. Patient and clinic must be loaded."""
    cases = cases_for(planned, now)
    return [_look_ahead(row, cases[row.pk], now) for row in planned]


def _look_ahead(row: Reminder, case: Eligibility, now: datetime) -> Upcoming:
    at = max(now, morning(row.send_on, row.clinic.zone, case.mail_from), row.not_before or now)
    verdict = decide(replace(case, now=at))
    if verdict.action == Action.LATER and verdict.not_before is not None:
        return Upcoming(row, verdict.not_before, verdict)
    return Upcoming(row, at, verdict)

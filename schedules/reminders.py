"""Reminders: planned from follow-up windows, moved from state to state, and what staff do with them."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from patients.changes import Actor, Change, announce
from patients.models import Clinic, Patient
from patients.prepared import Ask, Steps, rows_of_each, together
from patients.recording import lock_patient
from patients.rows import add_missing_rows, change_rows

from . import rehearsal, substitutes
from .circumstances import cases_for
from .eligibility import Action, Eligibility, Reason, Verdict, decide, morning
from .ladder import rung_of, steps_of
from .message_plans import asking_ladders, ladders_from
from .models import Plan, Reminder, ReminderEvent, Substitute
from .plans import PatientWindow
from .substitutes import UNREACHED, remember

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
NOTHING_PLANNED = _("No message about a follow-up is planned.")
TOO_EARLY = _("This message does not go out so long before its day.")


# ---- Moving

_MOVE = """
WITH moved AS (
    UPDATE schedules_reminder
       SET state = %(to)s, reason = %(reason)s, not_before = %(not_before)s,
           decided_at = CASE WHEN state = 'uncertain' AND %(to)s = 'sent' THEN decided_at ELSE %(at)s END,
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

    A mail that is planned again needs no letter or call in its place; one that turns out to have arrived keeps the
    moment of the doubt, which is when it went. With `claimed_by` only where that claim still holds. `claim` writes a
    new one; `attempts` is added to the count.
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


# ---- What staff do


class NotPossible(RuntimeError):
    """The reminder has moved on meanwhile; `state` is where it stands."""

    def __init__(self, state: str) -> None:
        super().__init__(f"The reminder is {state} by now.")
        self.state = state


@transaction.atomic
def _staff_move(
    reminder_id: int,
    act: str,
    to: Reminder.State,
    *,
    out_of: Collection[Reminder.State],
    by: Actor,
    reason: str,
    now: datetime | None,
) -> Reminder:
    """One announced move by a person, under the patient's lock. Raises NotPossible."""
    now = now or timezone.now()
    lock_patient(Reminder.objects.values_list("patient_id", flat=True).get(pk=reminder_id))
    row = Reminder.objects.select_for_update().get(pk=reminder_id)
    before = row.state
    again = to == State.PLANNED  # with a clean slate: no old claim, no attempts
    claim, attempts = ("", -row.attempts) if again else (None, 0)
    if not move([row.pk], to, out_of=out_of, at=now, by=by, reason=reason, claim=claim, attempts=attempts):
        raise NotPossible(row.get_state_display())
    row.refresh_from_db()
    announce(
        Change(
            act=act,
            by=by,
            clinic_id=row.clinic_id,
            patient_id=row.patient_id,
            facts=(("reminder", row.pk),),
            before={"state": before},
            after={"state": row.state},
            reason=reason,
            clinical=False,
        )
    )
    return row


def resolve_uncertain(reminder_id: int, *, arrived: bool, by: Actor, now: datetime | None = None) -> Reminder:
    """A person has found out whether the mail arrived: it counts as sent, or is planned again. Raises NotPossible."""
    to = State.SENT if arrived else State.PLANNED
    reason = f"{by.name} found that it {'arrived' if arrived else 'did not arrive'}."
    return _staff_move(reminder_id, "resolve_uncertain", to, out_of=[State.UNCERTAIN], by=by, reason=reason, now=now)


@transaction.atomic
def send_again(reminder_id: int, *, by: Actor, now: datetime | None = None) -> Reminder:
    """Plan a mail that failed or was not sent; whether it may go is decided when it is sent.

    Raises NotPossible, also when a letter or a call has told the patient.
    """
    lock_patient(Reminder.objects.values_list("patient_id", flat=True).get(pk=reminder_id))
    told = Substitute.objects.filter(reminder=reminder_id, state=Substitute.State.DONE).first()
    if told is not None:
        raise NotPossible(told.get_state_display())
    out_of = [State.FAILED, State.REFUSED, State.CANCELLED]
    reason = f"{by.name} asked to send it."
    to = State.PLANNED
    return _staff_move(reminder_id, "send_reminder_again", to, out_of=out_of, by=by, reason=reason, now=now)


def cancel(reminder_id: int, *, by: Actor, reason: str, now: datetime | None = None) -> Reminder:
    """A person decides that a planned mail is not sent; planning does not bring it back. Raises NotPossible."""
    said = f"{WITHHELD}{by.name}: {reason.strip() or 'no reason given'}"
    return _staff_move(
        reminder_id, "withhold_reminder", State.REFUSED, out_of=[State.PLANNED], by=by, reason=said, now=now
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking for a patient's next mail now: when it goes out, or why it does not, in words.

    `earliest`: the first day on which it may be asked for, where only the day stands against it.
    """

    patient_id: int
    reminder: Reminder | None = None
    at: datetime | None = None
    why: str = ""
    earliest: date | None = None


@transaction.atomic
def send_now(patient_ids: Collection[int], *, by: Actor, now: datetime) -> list[Asked]:
    """Have the next follow-up mail of each patient that may go out do so, and tell what came of it, by patient.

    Its day becomes today where nothing but that day and the hour stands against it, and no earlier than a clinic may
    choose for its step: a mail that says a visit was missed never goes before the visit was due. Whether it goes is
    decided again when it is sent, so nothing is bypassed. Mails about appointments keep their days.
    """
    ids = sorted(set(patient_ids))
    list(Patient.objects.filter(pk__in=ids).select_for_update(no_key=True).order_by("id"))
    planned = Reminder.objects.filter(patient__in=ids, state=State.PLANNED, appointment__isnull=True)
    rows = planned.select_related("patient", "clinic").order_by("send_on", "id")
    locked = list(rows.select_for_update(no_key=True, of=("self",)))
    cases, earliest = cases_for(locked, now), _earliest_days(locked)
    by_patient: dict[int, list[Reminder]] = {pk: [] for pk in ids}
    for row in locked:
        by_patient[row.patient_id].append(row)
    return [_ask_for(pk, by_patient[pk], cases, earliest, by=by, now=now) for pk in ids]


def _ask_for(
    patient_id: int,
    planned: Iterable[Reminder],
    cases: Mapping[int, Eligibility],
    earliest: Mapping[int, date],
    *,
    by: Actor,
    now: datetime,
) -> Asked:
    """The first of a patient's planned mails that may go is asked for; where none may, why not the next."""
    refused = None
    for row in planned:
        asked = _answer(row, cases[row.pk], earliest.get(row.pk), now)
        if asked.at is not None:
            _bring_forward(row, cases[row.pk].today, by=by, now=now)
            return asked
        refused = refused or asked
    return refused or Asked(patient_id, why=NOTHING_PLANNED)


def _earliest_days(rows: Iterable[Reminder]) -> dict[int, date]:
    """The first day on which each of these mails of a current plan may go out, by its id."""
    plans = Plan.objects.filter(patient__in={row.patient_id for row in rows}, state=Plan.State.CURRENT)
    known = {(plan.patient_id, plan.cycle_on, plan.due_on): plan for plan in plans.order_by("id")}
    found: dict[int, date] = {}
    for row in rows:
        if plan := known.get((row.patient_id, row.cycle_on, row.due_on)):
            rung = rung_of(row.step)
            found[row.pk] = replace(rung, days=min(rung.days, rung.bounds[0])).send_on(plan)
    return found


def _answer(row: Reminder, case: Eligibility, earliest: date | None, now: datetime) -> Asked:
    """When this mail goes out if it is asked for now, or why it does not."""
    verdict = decide(replace(case, send_on=min(row.send_on, case.today)))
    if verdict.action != Action.SEND and verdict.reason != Reason.NIGHT:
        return Asked(row.patient_id, row, why=verdict.reason)
    ahead = row.send_on > case.today
    if ahead and (earliest is None or case.today < earliest):
        return Asked(row.patient_id, row, why=TOO_EARLY, earliest=earliest)
    waits = [one for one in (verdict.not_before, None if ahead else row.not_before) if one]
    return Asked(row.patient_id, row, at=max([now, *waits]))


def _bring_forward(row: Reminder, today: date, *, by: Actor, now: datetime) -> None:
    """The day of a mail that is ahead becomes today. The reminder is locked with its patient."""
    before = row.send_on
    if before <= today:
        return
    row.send_on, row.not_before = today, None
    row.save(update_fields=["send_on", "not_before"])
    remember([(row, f"{ASKED_FOR_NOW}{by.name}")], by=by, at=now)
    announce(
        Change(
            act="send_reminder_now",
            by=by,
            clinic_id=row.clinic_id,
            patient_id=row.patient_id,
            facts=(("reminder", row.pk),),
            before={"send_on": str(before)},
            after={"send_on": str(today)},
            clinical=False,
        )
    )


@transaction.atomic
def stop_mail(clinic: Clinic, *, by: Actor, stopped: bool = True, reason: str = "") -> Clinic:
    """Stop the clinic's mail, and nothing else, or let it go on: what is planned waits and is decided on then."""
    row = Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
    before, row.mail_stopped = row.mail_stopped, stopped
    row.save(update_fields=["mail_stopped"])
    announce(
        Change(
            act="stop_mail" if stopped else "resume_mail",
            by=by,
            clinic_id=row.pk,
            patient_id=None,
            before={"mail_stopped": before},
            after={"mail_stopped": stopped},
            reason=reason.strip(),
            clinical=False,
        )
    )
    return row

"""Desk: what staff do with mails: decide what is in doubt, send again, withhold, ask for one now, stop a clinic's mail.

Each act is announced, and done under the lock of its patient; whether a mail goes is decided when it is sent.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from patients.changes import Actor, Change, announce
from patients.models import Clinic, Patient
from patients.recording import lock_patient

from .circumstances import cases_for
from .eligibility import Action, Eligibility, Reason, decide
from .ladder import rung_of
from .models import Plan, Reminder, Substitute
from .reminders import ASKED_FOR_NOW, WITHHELD, move
from .substitutes import remember

State = Reminder.State

NOTHING_PLANNED = _("No message about a follow-up is planned.")
TOO_EARLY = _("This message does not go out so long before its day.")


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

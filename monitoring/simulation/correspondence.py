"""Correspondence: the mails of past windows, calls to those who do not come, and promises to come back to them.

Rows are made unsaved, with the keys and days that planning itself would give them, so that planning finds them as
they stand and adds only what is still to come.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from patients.models import Clinic, ContactWish, Patient, User
from patients.models.patient import Channel
from schedules.delivery import WORKER_DIED
from schedules.eligibility import Reason
from schedules.guideline.windows import Status
from schedules.ladder import steps_of
from schedules.models import Reminder
from schedules.plans import PatientWindow

from ..models import ContactAttempt, Snooze
from .attendance import Reach
from .lived import Asked, LivedPatient

WINDOWS_KEPT: Final = 3  # the mails of so many windows back are kept
UNSETTLED_DAYS: Final = 100
State = Reminder.State

_REFUSALS: Final = {
    Reach.NO_ADDRESS: Reason.NO_ADDRESS,
    Reach.BOUNCED: Reason.BOUNCED,
    Reach.DECLINED_MAIL: Reason.OPTED_OUT,
    Reach.NEVER_ASKED: Reason.CONSENT_MISSING,
    Reach.NOT_AT_ALL: Reason.BOUNCED,
}
_WITHOUT_MAIL: Final = frozenset({Reach.NO_ADDRESS})
_BOUNCING: Final = frozenset({Reach.BOUNCED, Reach.NOT_AT_ALL})


def moment(day: date, hour: int, minute: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=zone)


def email_of(life: LivedPatient) -> str:
    return "" if life.habits.reach in _WITHOUT_MAIL else life.person.email


def telephone_of(life: LivedPatient) -> str:
    return "" if life.habits.reach is Reach.NOT_AT_ALL else life.person.telephone


def bounced_on(life: LivedPatient, as_of: date) -> date | None:
    """The day on which mail came back for good; None where it does not."""
    if life.habits.reach not in _BOUNCING:
        return None
    return max(life.enrolled_on, as_of - timedelta(days=40 + life.number % 200))


def wishes_of(life: LivedPatient, patient: Patient) -> list[ContactWish]:
    """What the patient said about each channel when they were enrolled."""
    reach = life.habits.reach
    if reach is Reach.NEVER_ASKED:
        return []
    how = f"on paper, {life.enrolled_on.day} {life.enrolled_on:%b %Y}"
    said = {Channel.EMAIL: reach is not Reach.DECLINED_MAIL, Channel.TELEPHONE: True, Channel.LETTER: True}
    return [
        ContactWish(
            clinic_id=patient.clinic_id, patient=patient, channel=channel, allowed=allowed, how=how, on=life.enrolled_on
        )
        for channel, allowed in said.items()
    ]


def reminders_of(life: LivedPatient, patient: Patient, clinic: Clinic, as_of: date) -> list[Reminder]:
    """What went out, or did not, in the patient's last windows; one row a step, none of today or later."""
    found: dict[tuple[date, date, str], Reminder] = {}
    windows = life.asked[-WINDOWS_KEPT:]
    ends = [later.since for later in windows[1:]] + [as_of]
    for asked, until in zip(windows, ends, strict=True):
        if life.died_on is None or asked.since < life.died_on:
            for row in _steps(life, patient, clinic, asked, until, as_of):
                found.setdefault((row.cycle_on, row.due_on, row.step), row)
    return list(found.values())


def _steps(
    life: LivedPatient, patient: Patient, clinic: Clinic, asked: Asked, until: date, as_of: date
) -> Iterator[Reminder]:
    days = asked.window
    window = PatientWindow(patient.pk, clinic.pk, asked.cycle_on, days.opens_on, days.due_on, days.overdue_on)
    for rung, send_on, _useful_until in steps_of(window):
        if asked.since < send_on < until and not rung.only_ahead:  # nobody was asked in the past that is made up here
            row = Reminder(
                clinic_id=clinic.pk,
                patient=patient,
                cycle_on=asked.cycle_on,
                due_on=asked.window.due_on,
                step=rung.step,
                send_on=send_on,
                language=patient.language,
                created_at=moment(asked.since, 17, 0, clinic.zone),
            )
            _settle(row, life, clinic, recent=(as_of - send_on).days <= UNSETTLED_DAYS)
            yield row


def _settle(row: Reminder, life: LivedPatient, clinic: Clinic, *, recent: bool) -> None:
    """What came of it: sent as a rule; refused where the patient cannot be written to; seldom failed.

    Uncertain only of late: staff settle what is in doubt.
    """
    rng, zone = life.rng, clinic.zone
    if row.step == Reminder.Step.BOOKING_PROMPT:  # draws of its own: the rest of the life is as without it
        rng = Random(f"{row.patient.record_number} {row.send_on}")
    row.decided_at = moment(row.send_on, rng.randint(8, 9), rng.randint(0, 59), zone)
    bounced = row.patient.email_bounced_on
    refusal = _REFUSALS.get(life.habits.reach)
    if refusal and (bounced is None or row.send_on > bounced):
        row.state, row.reason = State.REFUSED, str(refusal)
        return
    row.attempts, row.sent_to = 1, row.patient.email
    chance = rng.random()
    if chance < 0.012 and recent:
        row.state, row.attempts = State.FAILED, 3
        row.reason = "451 4.7.1 Try again later; given up after three attempts."
    elif chance > 0.97 and recent:
        row.state, row.reason = State.UNCERTAIN, str(WORKER_DIED)
    else:
        row.state = State.SENT
        row.message_id = f"<{rng.getrandbits(64):016x}@mail.example>"


_CALLS: Final = (
    (ContactAttempt.Outcome.NO_ANSWER, 38, "Rang out."),
    (ContactAttempt.Outcome.MESSAGE_LEFT, 24, "Asked to call back."),
    (ContactAttempt.Outcome.REACHED, 16, "Will look at the calendar and call back."),
    (ContactAttempt.Outcome.BOOKED, 14, "Booked for both hips."),
    (ContactAttempt.Outcome.DECLINED, 5, "Not before the end of term."),
    (ContactAttempt.Outcome.MOVED, 3, "Neighbour says moved away."),
)


def _is_late(life: LivedPatient) -> bool:
    return any(hip.status in (Status.OVERDUE, Status.GAP) for hip in life.answer.hips)


def contacts_of(
    life: LivedPatient, patient: Patient, clinic: Clinic, staff: User | None, as_of: date
) -> list[ContactAttempt]:
    """Calls to a patient who is overdue now, from a week after the date became overdue."""
    if not _is_late(life) or not life.asked or staff is None:
        return []
    rng = life.rng
    day = life.asked[-1].window.overdue_on + timedelta(days=rng.randint(0, 9))
    calls: list[ContactAttempt] = []
    while day < as_of and len(calls) < 4:
        calls.append(_call(life, patient, clinic, staff, day, rng, as_of))
        day += timedelta(days=rng.randint(7, 30))
    return calls


def _call(
    life: LivedPatient, patient: Patient, clinic: Clinic, staff: User, day: date, rng: Random, as_of: date
) -> ContactAttempt:
    outcome, _weight, note = rng.choices(_CALLS, [weight for _, weight, _ in _CALLS])[0]
    if life.habits.reach is Reach.NOT_AT_ALL:
        outcome, note = ContactAttempt.Outcome.WRONG_NUMBER, "The number is not in use."
    booked = outcome == ContactAttempt.Outcome.BOOKED
    later = max(day, as_of) + timedelta(days=rng.randint(2, 16)) if booked else day + timedelta(days=rng.randint(3, 14))
    return ContactAttempt(
        clinic_id=clinic.pk,
        patient=patient,
        outcome=outcome,
        note=note,
        next_on=later,
        owner=staff,
        at=moment(day, rng.randint(9, 16), rng.randint(0, 59), clinic.zone),
        by=staff,
        actor=staff.name[:120],
    )


_SNOOZED: Final = (
    "Abroad until the end of the month.",
    "In hospital for another illness.",
    "Asked for time until after an exam.",
)


def snooze_of(life: LivedPatient, patient: Patient, clinic: Clinic, staff: User | None, as_of: date) -> Snooze | None:
    """A promise to come back, for some of those who are open or late: at most 30 days."""
    asked_now = any(hip.status is not None and hip.status is not Status.UPCOMING for hip in life.answer.hips)
    if staff is None or not asked_now or life.rng.random() >= 0.05:
        return None
    from_on = max(life.enrolled_on, as_of - timedelta(days=life.rng.randint(1, 8)))
    return Snooze(
        clinic_id=clinic.pk,
        patient=patient,
        from_on=from_on,
        until=from_on + timedelta(days=life.rng.randint(14, 29)),
        reason=life.rng.choice(_SNOOZED),
        owner=staff,
        at=moment(from_on, 11, 20, clinic.zone),
        actor=staff.name[:120],
    )

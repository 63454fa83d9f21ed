"""Circumstances: what is known of patients at the moment at which mails to them are decided on."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from django.db.models import Q

from patients.duplicates import entered_in_error
from patients.models import Clinic, Consent, Patient, Purpose, SymptomReport
from patients.prepared import Rows, rows_of_each
from patients.vocabulary import EndReason

from .eligibility import Eligibility
from .ladder import Rung, steps_of
from .leases import LEASE
from .message_plans import Wishes, wishes_of
from .models import Appointment, Reminder

T = TypeVar("T")
SnoozeLookup = Callable[[Collection[int]], Mapping[int, date]]
# An appointment of another kind does not stand for the follow-up; whether it was kept is often entered days later.
INSTEAD_OF_FOLLOW_UP = (
    Appointment.Purpose.VISIT,
    Appointment.Purpose.RADIOGRAPHS,
    Appointment.Purpose.MRI,
    Appointment.Purpose.CT,
)
DAYS_TO_ENTER = timedelta(days=3)
NEWS = (Reminder.Step.APPOINTMENT_MOVED, Reminder.Step.APPOINTMENT_CANCELLED)
ASKING = (Reminder.Step.BOOKING_PROMPT, Reminder.Step.DUE, Reminder.Step.MISSED, Reminder.Step.SECOND_MISSED)
WRITTEN = (Reminder.State.SENT, Reminder.State.SENDING, Reminder.State.UNCERTAIN)
HEARD_LATELY = timedelta(days=28)
SymptomaticLookup = Callable[[Collection[int]], Collection[int]]
_snooze_lookups: list[SnoozeLookup] = []
_symptomatic_lookups: list[SymptomaticLookup] = []


def snoozes_from(lookup: SnoozeLookup) -> None:
    """Ask `lookup` (patient ids -> the day on which each snoozed patient comes back) for those put off by staff."""
    if lookup not in _snooze_lookups:
        _snooze_lookups.append(lookup)


def symptomatic_from(lookup: SymptomaticLookup) -> None:
    """Ask `lookup` (patient ids -> ids of their hips that hurt) which symptoms are known already."""
    if lookup not in _symptomatic_lookups:
        _symptomatic_lookups.append(lookup)


@dataclass(frozen=True, slots=True)
class Contact:
    """One message that a patient had, or may have had."""

    reminder_id: int
    at: datetime | None
    cycle_on: date
    appointment_id: int | None
    on_its_way: bool


@dataclass(frozen=True, slots=True)
class Followed:
    """One hip's current plan."""

    hip_id: int
    cycle_on: date
    opens_on: date
    due_on: date
    overdue_on: date


# What the cases of these patients rest on: each statement is answered by rows that begin with the patient.
_PLANS = """
SELECT patient_id, hip_id, cycle_on, opens_on, due_on, overdue_on FROM schedules_plan
 WHERE patient_id = ANY(%(patients)s::bigint[]) AND state = 'current' ORDER BY due_on, id
"""
_CONSENT = """
SELECT patient_id, allowed FROM patients_contactwish
 WHERE patient_id = ANY(%(patients)s::bigint[]) AND channel = 'email'
"""
# Every mail that went, is going or may have gone to these patients, and every letter or call in a mail's place. What
# went out from a record that is part of theirs now went to the same person.
_WRITTEN = """
WITH people (id, patient_id) AS MATERIALIZED (
    SELECT id, id FROM unnest(%(patients)s::bigint[]) AS asked (id)
    UNION ALL
    SELECT id, merged_into_id FROM patients_patient WHERE merged_into_id = ANY(%(patients)s::bigint[])
)
SELECT people.patient_id, mail.id, mail.decided_at, mail.cycle_on, mail.appointment_id, mail.state = 'sending'
  FROM people JOIN schedules_reminder mail ON mail.patient_id = people.id
 WHERE mail.state = ANY(%(written)s::text[])
UNION ALL
SELECT people.patient_id, mail.id, told.decided_at, mail.cycle_on, mail.appointment_id, false
  FROM people JOIN schedules_substitute told ON told.patient_id = people.id
  JOIN schedules_reminder mail ON mail.id = told.reminder_id
 WHERE told.state = 'done'
"""
_APPOINTED = """
SELECT patient_id FROM schedules_appointment
 WHERE patient_id = ANY(%(patients)s::bigint[]) AND (state = ANY(%(standing)s::text[]) OR id = ANY(%(told)s::bigint[]))
"""
_MISTAKEN = """
SELECT patient_id FROM patients_ending
 WHERE patient_id = ANY(%(patients)s::bigint[]) AND reason = %(mistake)s AND withdrawn_at IS NULL
"""


def cases_for(reminders: Collection[Reminder], now: datetime) -> dict[int, Eligibility]:
    """The case of each reminder by its id, in a fixed number of queries. Patient and clinic must be loaded."""
    ids = sorted({reminder.patient_id for reminder in reminders})
    asked = {
        "patients": ids,
        "written": [state.value for state in WRITTEN],
        "standing": [state.value for state in Appointment.STANDING],
        "told": [reminder.appointment_id for reminder in reminders if reminder.appointment_id],
        "mistake": EndReason.ENTERED_IN_ERROR.value,
    }
    followed, said, went, appointed, mistaken = rows_of_each(
        [(statement, asked) for statement in (_PLANS, _CONSENT, _WRITTEN, _APPOINTED, _MISTAKEN)]
    )
    plans, written = _by_patient(followed, Followed), _by_patient(went, Contact)
    consent: dict[int, bool] = dict(said)
    appointments = _appointments({patient for (patient,) in appointed}, reminders)
    snoozed = _snoozed(ids)
    no_person = _nobodys(reminders, {patient for (patient,) in mistaken})
    wishes = wishes_of({reminder.clinic_id for reminder in reminders})
    checks = [reminder for reminder in reminders if reminder.step == Reminder.Step.SYMPTOM_CHECK]
    asked_about = {reminder.patient_id for reminder in checks}
    known = _hips_known(asked_about, now)
    unasked = _no_checks(asked_about)
    return {
        reminder.pk: _case(
            reminder,
            now,
            plans=plans.get(reminder.patient_id, []),
            consent=consent.get(reminder.patient_id),
            written=[one for one in written.get(reminder.patient_id, []) if one.reminder_id != reminder.pk],
            appointments=appointments.get(reminder.patient_id, []),
            snoozed_until=snoozed.get(reminder.patient_id),
            wishes=wishes[reminder.clinic_id],
            known=known,
            no_person=reminder.patient_id in no_person,
            purpose_refused=reminder.step == Reminder.Step.SYMPTOM_CHECK and reminder.patient_id in unasked,
        )
        for reminder in reminders
    }


def _case(
    reminder: Reminder,
    now: datetime,
    *,
    plans: list[Followed],
    consent: bool | None,
    written: list[Contact],
    appointments: list[Appointment],
    snoozed_until: date | None,
    wishes: Wishes,
    known: Collection[int],
    no_person: bool = False,
    purpose_refused: bool = False,
) -> Eligibility:
    patient, clinic = reminder.patient, reminder.clinic
    window = _window_of(reminder, plans)
    step_ends = _step_ends(reminder, window, wishes.ladder)
    went = [(one.at.astimezone(clinic.zone).date(), not one.on_its_way) for one in written if one.at is not None]
    last_written_on, is_known = max(went, default=(None, True))
    case = Eligibility(
        now=now,
        zone=clinic.zone,
        send_on=reminder.send_on,
        useful_until=step_ends or reminder.send_on,
        booked_until=_booked_until(window, appointments, clinic) if window and reminder.step in ASKING else None,
        alive=patient.died_on is None,
        enrolled_on=patient.enrolled_on,
        followed=bool(plans),
        wanted=step_ends is not None,
        consent=consent,
        address=patient.email,
        bounced=patient.email_bounced_on is not None,
        sent_in_episode=sum(one.cycle_on == reminder.cycle_on for one in written if one.appointment_id is None),
        last_written_on=last_written_on,
        known_by=None if is_known else now + LEASE,
        snoozed_until=snoozed_until,
        mail_stopped=clinic.mail_stopped,
        symptoms_known=reminder.step == Reminder.Step.SYMPTOM_CHECK and all(plan.hip_id in known for plan in plans),
        at_any_hour=clinic.synthetic,
        no_person=no_person,
        purpose_refused=purpose_refused,
        held=wishes.held,
        mail_from=wishes.hours[0],
        mail_until=wishes.hours[1],
    )
    return _about_appointment(case, reminder, appointments) if reminder.appointment_id else case


def _by_patient(rows: Rows, kind: Callable[..., T]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = {}
    for patient, *rest in rows:
        found.setdefault(patient, []).append(kind(*rest))
    return found


def _nobodys(reminders: Iterable[Reminder], mistaken: Collection[int]) -> set[int]:
    """Those of which another record speaks for the person, or both hips of which stand as entered in error.

    `mistaken`: of whom any hip may.
    """
    merged = {reminder.patient_id for reminder in reminders if reminder.patient.merged_into_id}
    if not mistaken:
        return merged
    found = Patient.objects.filter(pk__in=mistaken).filter(*entered_in_error()).order_by()
    return merged | set(found.values_list("id", flat=True))


def _no_checks(patient_ids: Collection[int]) -> set[int]:
    """Those who do not want to be asked between visits how they are."""
    if not patient_ids:
        return set()
    said = Consent.objects.filter(patient__in=patient_ids, purpose=Purpose.SYMPTOM_CHECK, allowed=False)
    return set(said.values_list("patient_id", flat=True))


def _about_appointment(case: Eligibility, reminder: Reminder, appointments: Iterable[Appointment]) -> Eligibility:
    """The case of a mail that tells of an appointment: it is wanted while that stands as the mail would tell it."""
    appointment = next((one for one in appointments if one.pk == reminder.appointment_id), None)
    if appointment is None:
        return replace(case, about_appointment=True, wanted=False)
    said_cancelled = reminder.step == Reminder.Step.APPOINTMENT_CANCELLED
    stands = appointment.state == Appointment.State.CANCELLED if said_cancelled else appointment.is_standing
    return replace(
        case,
        about_appointment=True,
        wanted=stands and appointment.sequence == reminder.appointment_sequence,
        useful_until=useful_until(reminder.step, appointment.starts_at.astimezone(case.zone).date()),
        until=appointment.starts_at,
        is_news=reminder.step in NEWS,
    )


def useful_until(step: str, day: date) -> date:
    """The last day on which a mail about an appointment on `day` helps: until the next would go out, or it begins."""
    return day - timedelta(days=2) if step == Reminder.Step.APPOINTMENT_SOON else day


def _booked_until(window: Followed, appointments: Iterable[Appointment], clinic: Clinic) -> date | None:
    """The last day for which an appointment within the reach of the ladder holds it back."""
    days = [
        one.starts_at.astimezone(clinic.zone).date()
        for one in appointments
        if one.is_standing and one.purpose in INSTEAD_OF_FOLLOW_UP
    ]
    if not days:
        return None
    ladder_ends = max(until for _rung, _send_on, until in steps_of(window))
    return max((day + DAYS_TO_ENTER for day in days if window.opens_on <= day <= ladder_ends), default=None)


def _appointments(patient_ids: Collection[int], reminders: Collection[Reminder]) -> dict[int, list[Appointment]]:
    """What stands for these patients, and what the reminders tell of."""
    found: dict[int, list[Appointment]] = {}
    if not patient_ids:
        return found
    told = [reminder.appointment_id for reminder in reminders if reminder.appointment_id]
    rows = Appointment.objects.filter(Q(state__in=Appointment.STANDING) | Q(pk__in=told), patient__in=patient_ids)
    for row in rows.order_by("starts_at", "id"):
        found.setdefault(row.patient_id, []).append(row)
    return found


def _step_ends(reminder: Reminder, window: Followed | None, ladder: Sequence[Rung]) -> date | None:
    """The last day on which the step helps; None where the window, or the clinic, does not call for it."""
    steps = steps_of(window, ladder) if window else ()
    return next((until for rung, _send_on, until in steps if rung.step == reminder.step), None)


def _window_of(reminder: Reminder, plans: list[Followed]) -> Followed | None:
    """The current plan that the reminder serves: one of the patient's that are due first."""
    first = min((plan.due_on for plan in plans), default=None)
    for plan in plans:
        if plan.due_on == first and (plan.cycle_on, plan.due_on) == (reminder.cycle_on, reminder.due_on):
            return plan
    return None


def _snoozed(patient_ids: Collection[int]) -> dict[int, date]:
    return {patient: until for lookup in _snooze_lookups for patient, until in lookup(patient_ids).items()}


def _hips_known(patient_ids: Collection[int], now: datetime) -> set[int]:
    """The hips of which nobody need ask: somebody told lately how they are, or they hurt and the clinic knows."""
    if not patient_ids:
        return set()
    told = SymptomReport.objects.filter(
        patient__in=patient_ids, withdrawn_at__isnull=True, on__gt=(now - HEARD_LATELY).date()
    )
    symptomatic = {hip for lookup in _symptomatic_lookups for hip in lookup(patient_ids)}
    return symptomatic | set(told.order_by().values_list("hip_id", flat=True))

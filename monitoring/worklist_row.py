"""Worklist row: everything that the list says of one patient; read of any number of them in one query.

A page shows fifty patients with two hips each, and a file many thousands: what is said of a hip, a case, a finding and
a contact is read as a plain row with the columns that are shown, and not as a model.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db.models import F, Q
from django.db.models.fields.json import KT

from patients.at_once import Kept, Question
from patients.models import Clinic, ContactWish, User
from patients.models.patient import Channel, named
from patients.vocabulary import Action
from schedules.models import Appointment, Substitute
from schedules.substitutes import ripe_on

from .escalation import LATE
from .models import ContactAttempt, Flag, HipEvaluation, ReviewCase, Snooze

# As in standing_sql.INCOMPLETE, by which the tab is kept.
INCOMPLETE_ACTIONS = (
    Action.ASSESS_CONTRALATERAL_HIP,
    Action.BASELINE_MRI,
    Action.BASELINE_RADIOGRAPH,
    Action.CHECK_VOLUME,
    Action.MEASURE_VOLUME,
    Action.RECORD_CLINICAL_REVIEW,
    Action.REPEAT_VIEWS,
    Action.SECOND_READING,
)
OPEN = ("open", "due")
ESCALATED = "R28"  # the rule that brings an undecided case before administrators
MISSED_SHOWN = timedelta(days=120)


class PatientSaid(NamedTuple):
    """Who it is, and where the lists have them (`Standing`)."""

    pk: int
    clinic_id: int
    responsible_id: int | None
    record_number: str
    family_name: str
    given_name: str
    born_on: date | None
    anonymised_on: date | None
    email: str
    email_bounced_on: date | None
    telephone: str  # as it is stored, +442079460000
    telephone_as_given: str
    language: str
    enrolled_on: date
    rank: int
    review_rank: int | None
    no_mail: bool
    incomplete: bool
    snoozed_until: date | None
    call_from: date | None
    call_until: date | None

    @property
    def display_name(self) -> str:
        return named(self.given_name, self.family_name)


_OF_PATIENT = ("id", *PatientSaid._fields[1:14])
_OF_STANDING = PatientSaid._fields[14:]
FROM_PATIENT = (*_OF_PATIENT, *(f"standing__{name}" for name in _OF_STANDING))  # columns of `PatientSaid`
FROM_STANDING = (*(f"patient__{name}" for name in _OF_PATIENT), *_OF_STANDING)  # the same


class HipSaid(NamedTuple):
    """What the guideline says of a hip, as far as a list shows it."""

    hip_id: int
    patient_id: int
    side: str
    pathway: str
    status: str | None
    because: str
    anchor_on: date | None
    opens_on: date | None
    due_on: date | None
    overdue_on: date | None
    escalate_on: date | None
    trace_on: date | None
    gap_on: date | None


class CaseSaid(NamedTuple):
    """An open review."""

    patient_id: int
    side: str
    action: str
    because: str
    since: date
    act_by: date | None
    urgency: str
    level: str
    assigned_to: str | None  # a name


class FlagSaid(NamedTuple):
    """An open finding."""

    patient_id: int
    side: str
    rule: str
    action: str
    because: str
    since: date


class ContactSaid(NamedTuple):
    """What came of trying to reach a patient."""

    patient_id: int
    pk: int
    outcome: str
    at: datetime
    by_id: int | None
    next_on: date | None
    note: str
    owner: str | None  # a name


class SnoozeSaid(NamedTuple):
    """A promise to come back later, which still runs."""

    patient_id: int
    until: date
    reason: str
    owner: str  # a name


@dataclass(slots=True)
class Row:
    """One patient on the worklist, with what there is to say."""

    patient: PatientSaid
    clinic: Clinic
    clinician: str = ""  # a name
    cases: list[CaseSaid] = field(default_factory=list)  # open, the nearest deadline first
    hips: dict[str, HipSaid] = field(default_factory=dict)  # by side
    flags: list[FlagSaid] = field(default_factory=list)  # open
    contact: ContactSaid | None = None
    appointment: Appointment | None = None  # the next that stands, else the latest if that was missed
    unanswered: int = 0  # attempts without an answer since the patient was last reached
    snooze: SnoozeSaid | None = None
    calls: list[Substitute] = field(default_factory=list)  # in the place of mails, the most pressing first
    no_mail: str = ""  # why e-mail cannot reach the patient: no_address, bounced, no_consent, declined

    def late_hips(self) -> list[HipSaid]:
        """The longest late first."""
        return self.due_hips(*LATE)

    def due_hips(self, *statuses: str) -> list[HipSaid]:
        hips = [hip for hip in self.hips.values() if hip.status in statuses]
        return sorted(hips, key=_by_due_date) if len(hips) > 1 else hips

    def incomplete(self) -> list[FlagSaid]:
        return [flag for flag in self.flags if flag.action in INCOMPLETE_ACTIONS]

    def days_late(self, today: date) -> int:
        """Days since the hip that is due first was due; 0 when none is."""
        due = [hip.due_on for hip in self.hips.values() if hip.due_on and hip.status in (*LATE, "due")]
        return max((today - day).days for day in due) if due else 0


def _by_due_date(hip: HipSaid) -> tuple[date, int]:
    return hip.due_on or date.max, hip.hip_id


def rows_for(patients: Sequence[PatientSaid], today: date) -> list[Row]:
    """What the worklist says of these patients, in their order: all in one query.

    Where they stand says of whom there are reviews, findings, snoozes, calls and wishes, so that only those are asked
    for.
    """
    if not patients:
        return []
    unwritten = [one for one in patients if one.no_mail]
    clinics, clinicians, hips, cases, flags, attempts, booked, snoozes, calls, refused = _SAID.read(
        clinics=list({one.clinic_id for one in patients}),
        clinicians=list({one.responsible_id for one in patients if one.responsible_id}),
        ids=[one.pk for one in patients],
        in_review=[one.pk for one in patients if one.review_rank is not None],
        incomplete=[one.pk for one in patients if one.incomplete],
        put_off=[one.pk for one in patients if one.snoozed_until and one.snoozed_until > today],
        to_call=[one.pk for one in patients if one.call_from and one.call_from <= today],
        unasked=[one.pk for one in unwritten if one.email and not one.email_bounced_on],
        today=today,
    )
    known, people = {clinic.pk: clinic for clinic in clinics}, dict(clinicians)
    rows = {one.pk: Row(one, known[one.clinic_id], people.get(one.responsible_id, "")) for one in patients}
    for *columns, escalate_on, trace_on, gap_on in hips:
        hip = HipSaid._make((*columns, _day(escalate_on), _day(trace_on), gap_on))
        rows[hip.patient_id].hips[hip.side] = hip
    for case in map(CaseSaid._make, cases):
        rows[case.patient_id].cases.append(case)
    for flag in map(FlagSaid._make, flags):
        rows[flag.patient_id].flags.append(flag)
    _add_contacts(rows, map(ContactSaid._make, attempts))
    _add_appointments(rows, booked, today)
    for snooze in map(SnoozeSaid._make, snoozes):
        rows[snooze.patient_id].snooze = snooze
    for call in calls:
        rows[call.patient_id].calls.append(call)
    for one in unwritten:
        rows[one.pk].no_mail = _why_no_mail(one, declined=one.pk in refused)
    return list(rows.values())


Rows = Mapping[int, Row]
Keys = Sequence[int]


def _day(written: str | None) -> date | None:
    return date.fromisoformat(written) if written else None


def _questions(
    *,
    clinics: Keys,
    clinicians: Keys,
    ids: Keys,
    in_review: Keys,
    incomplete: Keys,
    put_off: Keys,
    to_call: Keys,
    unasked: Keys,
    today: date,
) -> Sequence[Question]:
    """What is asked of these patients, and more of those of whom their standing says that there is more.

    The columns of plain rows are in the order of their classes.
    """
    window = {"escalate": KT("answer__window__escalate_on"), "trace": KT("answer__window__trace_on")}
    days = ("anchor_on", "opens_on", "due_on", "overdue_on")
    return (
        Clinic.objects.filter(pk__in=clinics),
        User.objects.filter(pk__in=clinicians).values_list("id", "name"),
        HipEvaluation.objects.filter(patient__in=ids)
        .annotate(**window)
        .values_list(
            "hip_id", "patient_id", "hip__side", "pathway", "status", "because", *days, "escalate", "trace", "gap_on"
        ),
        ReviewCase.objects.filter(patient__in=in_review, state=ReviewCase.State.OPEN)
        .order_by(F("act_by").asc(nulls_last=True), "id")
        .values_list(
            "patient_id",
            "hip__side",
            "action",
            "because",
            "since",
            "act_by",
            "urgency",
            "level",
            "assigned_to__name",
        ),
        # Where something is missing; and of those in review what says since when a case is with administrators.
        Flag.objects.filter(
            Q(patient__in=incomplete) | Q(patient__in=in_review, rule=ESCALATED), closed_at__isnull=True
        ).values_list("patient_id", "hip__side", "rule", "action", "because", "since"),
        ContactAttempt.objects.filter(patient__in=ids, undone_at__isnull=True)
        .order_by("patient_id", "-at", "-id")
        .values_list("patient_id", "id", "outcome", "at", "by_id", "next_on", "note", "owner__name"),
        Appointment.objects.filter(patient__in=ids).exclude(state="cancelled").order_by("starts_at", "id"),
        Snooze.objects.filter(patient__in=put_off, ended_at__isnull=True, until__gt=today).values_list(
            "patient_id", "until", "reason", "owner__name"
        ),
        # Calls in the place of mails that nothing holds back today.
        Substitute.objects.filter(ripe_on(today), patient__in=to_call, channel=Substitute.Way.CALL, state="open")
        .select_related("reminder")
        .order_by("until", "id"),
        ContactWish.objects.filter(patient__in=unasked, channel=Channel.EMAIL, allowed=False).values_list(
            "patient", flat=True
        ),
    )


_SAID = Kept(
    _questions,
    clinics=list,
    clinicians=list,
    ids=list,
    in_review=list,
    incomplete=list,
    put_off=list,
    to_call=list,
    unasked=list,
    today=date,
)


def _add_contacts(rows: Rows, attempts: Iterable[ContactSaid]) -> None:
    """Of each patient the latest, and how many since the last that reached them did not."""
    by_patient: dict[int, list[ContactSaid]] = defaultdict(list)
    for attempt in attempts:
        by_patient[attempt.patient_id].append(attempt)
    unanswered = {ContactAttempt.Outcome.NO_ANSWER, ContactAttempt.Outcome.MESSAGE_LEFT}
    for pk, found in by_patient.items():
        rows[pk].contact = found[0]
        for attempt in found:
            if attempt.outcome not in unanswered:
                break
            rows[pk].unanswered += 1


def _add_appointments(rows: Rows, booked: Iterable[Appointment], today: date) -> None:
    """The earliest of those to come wins; without one the latest, if that was not kept."""
    for row in booked:
        known = rows[row.patient_id].appointment
        settled = known is None or not (known.is_standing and known.starts_at.date() >= today)
        if settled:
            rows[row.patient_id].appointment = row
    for one in rows.values():
        last = one.appointment
        if last and (last.state == Appointment.State.ATTENDED or last.starts_at.date() < today - MISSED_SHOWN):
            one.appointment = None


def _why_no_mail(patient: PatientSaid, *, declined: bool) -> str:
    if not patient.email:
        return "no_address"
    if patient.email_bounced_on:
        return "bounced"
    return "declined" if declined else "no_consent"

"""Worklist: who needs something, and everything that the list says of them, in a fixed number of queries.

A tab is a query; its count is the length of the same query. Lists are ordered, never shortened: nobody is hidden for
being late. A snoozed patient leaves the tabs of lateness until the day promised, but never the reviews.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    F,
    IntegerField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce
from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _

from patients import access
from patients.access import Viewer
from patients.models import ContactWish, Patient
from patients.models.patient import Channel
from patients.vocabulary import Action
from schedules.circumstances import INSTEAD_OF_FOLLOW_UP
from schedules.models import Appointment, Substitute
from schedules.substitutes import ripe_on

from .escalation import LATE, escalated_to
from .models import ContactAttempt, Flag, HipEvaluation, ReviewCase, Snooze
from .patient_search import search_patients

TABS = {
    "reviews": _("New symptoms and reviews"),
    "overdue": _("Overdue"),
    "due": _("Due and open"),
    "never_started": _("Never started"),
    "incomplete": _("Incomplete"),
    "calls": _("Calls to make"),
    "unreachable": _("Cannot be reached"),
    "snoozed": _("Snoozed"),
    "all": _("All"),
}
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
# The pathways in which a joint can still be saved, or is being lost, come first.
RISK = {
    "symptomatic": 0,
    "large_lesion": 1,
    "post_decompression": 2,
    "collapse": 3,
    "work_up": 4,
    "observation": 5,
    "not_assessed": 6,
}
NO_RISK = 9
OPEN = ("open", "due")
MISSED_SHOWN = timedelta(days=120)
PAGE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What narrows every tab; each is a parameter of the page's address."""

    clinic: int | None = None
    clinician: int | None = None
    pathway: str = ""
    late: int | None = None  # days since the due date, at least
    language: str = ""
    owner: int | None = None  # to whom the last contact was left, a case assigned, or who promised to come back
    escalated_to: int | None = None  # whose an overdue follow-up has become, by not ending
    promised_by: int | None = None  # who said they would come back by today, or whose snooze has ended
    overdue_from: date | None = None  # overdue since this day at the earliest
    search: str = ""


def _hips(**conditions: Any) -> QuerySet[HipEvaluation]:
    return HipEvaluation.objects.filter(patient=OuterRef("pk"), **conditions)


def _open_cases(**conditions: Any) -> QuerySet[ReviewCase]:
    return ReviewCase.objects.filter(patient=OuterRef("pk"), state=ReviewCase.State.OPEN, **conditions)


def _snoozes(today: date, **conditions: Any) -> QuerySet[Snooze]:
    return Snooze.objects.filter(patient=OuterRef("pk"), ended_at__isnull=True, until__gt=today, **conditions)


def _booked(today: date) -> QuerySet[Appointment]:
    """What stands from today on in place of the follow-up: nobody has to be asked to come any more."""
    return Appointment.objects.filter(
        patient=OuterRef("pk"),
        state__in=Appointment.STANDING,
        purpose__in=INSTEAD_OF_FOLLOW_UP,
        starts_at__date__gte=today,
    )


def _calls(today: date) -> QuerySet[Substitute]:
    """The calls in the place of mails that nothing holds back today."""
    return Substitute.objects.filter(
        ripe_on(today), patient=OuterRef("pk"), channel=Substitute.Way.CALL, state=Substitute.State.OPEN
    )


def mail_impossible() -> Q:
    """E-mail cannot reach them: no address, bounced, not wished, or consent missing."""
    wished = ContactWish.objects.filter(patient=OuterRef("pk"), channel=Channel.EMAIL, allowed=True)
    return Q(email="") | Q(email_bounced_on__isnull=False) | ~Q(Exists(wished))


def belonging_to(tab: str, today: date) -> Q:
    """Whom the tab holds. Raises KeyError for a tab that does not exist."""
    TABS[tab]
    snoozed = Q(Exists(_snoozes(today)))
    if tab == "reviews":
        return Q(Exists(_open_cases()))
    if tab == "snoozed":
        return snoozed
    if tab == "overdue":
        return Q(Exists(_hips(status__in=LATE))) & ~snoozed
    if tab == "due":
        late = Q(Exists(_hips(status__in=LATE)))
        return Q(Exists(_hips(status__in=OPEN))) & ~late & ~snoozed & ~Q(Exists(_booked(today)))
    if tab == "never_started":
        return Q(Exists(_hips(status__isnull=False, anchor_on__isnull=True))) & ~snoozed
    if tab == "incomplete":
        flags = Flag.objects.filter(patient=OuterRef("pk"), closed_at__isnull=True, action__in=INCOMPLETE_ACTIONS)
        return Q(Exists(flags)) & ~snoozed
    if tab == "calls":
        return Q(Exists(_calls(today)))
    if tab == "unreachable":
        return mail_impossible() & Q(Exists(_hips(status__isnull=False))) & ~snoozed
    return Q()


def patients_in(tab: str, viewer: Viewer, filters: Filters, today: date) -> QuerySet[Patient]:
    """The tab's patients, those at risk first and then the longest late. Raises KeyError for no such tab."""
    patients = _filtered(viewer, filters, today).filter(belonging_to(tab, today))
    if tab == "reviews":
        risk: Any = Case(When(Exists(_open_cases(urgency="URGENT")), then=0), default=1, output_field=IntegerField())
        day: Any = _open_cases().order_by(F("act_by").asc(nulls_last=True), "id").values("act_by")[:1]
    elif tab == "calls":
        risk, day = Value(0, output_field=IntegerField()), _calls(today).order_by("until").values("until")[:1]
    elif tab == "snoozed":
        risk, day = Value(0, output_field=IntegerField()), _snoozes(today).values("until")[:1]
    else:
        risk, day = _risk(), _hips(due_on__isnull=False).order_by("due_on").values("due_on")[:1]
    ordered = patients.annotate(risk=risk, day=Subquery(day))
    return ordered.order_by("risk", F("day").asc(nulls_last=True), "id")


def _risk() -> Subquery:
    rank = Case(
        *(When(pathway=name, then=order) for name, order in RISK.items()), default=NO_RISK, output_field=IntegerField()
    )
    hips = _hips().order_by().values("patient").annotate(least=Min(rank))
    return Subquery(hips.values("least"), output_field=IntegerField())


def _filtered(viewer: Viewer, filters: Filters, today: date) -> QuerySet[Patient]:
    patients = access.patients_for(viewer)
    if filters.clinic:
        patients = patients.filter(clinic=filters.clinic)
    if filters.clinician:
        patients = patients.filter(responsible=filters.clinician)
    if filters.language:
        patients = patients.filter(language=filters.language)
    if filters.pathway:
        patients = patients.filter(Exists(_hips(pathway=filters.pathway)))
    if filters.late is not None:
        due_before = today - timedelta(days=filters.late)
        patients = patients.filter(Exists(_hips(status__isnull=False, due_on__lte=due_before)))
    if filters.owner:
        latest = ContactAttempt.objects.filter(patient=OuterRef("pk"), undone_at__isnull=True).order_by("-at", "-id")
        patients = patients.annotate(left_to=Subquery(latest.values("owner")[:1])).filter(
            Q(left_to=filters.owner)
            | Q(Exists(_open_cases(assigned_to=filters.owner)))
            | Q(Exists(_snoozes(today, owner=filters.owner)))
        )
    if filters.overdue_from:
        patients = patients.filter(Exists(_hips(status__in=LATE, overdue_on__gte=filters.overdue_from)))
    if filters.escalated_to:
        patients = patients.filter(escalated_to(filters.escalated_to, viewer.clinic_ids, today))
    if filters.promised_by:
        patients = _with_promise_kept_open(patients, filters.promised_by, today)
    return search_patients(patients, filters.search) if filters.search else patients


def _with_promise_kept_open(patients: QuerySet[Patient], user_id: int, today: date) -> QuerySet[Patient]:
    """Whom this person was to try again by today, or whose snooze of theirs has ended, with nothing recorded since.

    A booked day is a promise of the patient's: it is looked at the day after, while the follow-up is still open.
    """
    attempts = ContactAttempt.objects.filter(patient=OuterRef("pk"), undone_at__isnull=True)
    latest = attempts.order_by("-at", "-id").annotate(whose=Coalesce("owner", "by"))
    booked = Q(last_outcome=ContactAttempt.Outcome.BOOKED)
    asked_for = Exists(_hips(status__in=(*LATE, *OPEN)))
    agreed = Q(last_whose=user_id) & (
        (~booked & Q(last_next__lte=today)) | (booked & Q(last_next__lt=today) & asked_for)
    )
    since = ContactAttempt.objects.filter(patient=OuterRef("patient"), undone_at__isnull=True)
    returned = Snooze.objects.filter(
        ~Exists(since.filter(at__gte=Cast(OuterRef("until"), DateTimeField()))),
        patient=OuterRef("pk"),
        ended_at__isnull=True,
        until__lte=today,
        owner=user_id,
    )
    known = patients.alias(
        last_whose=Subquery(latest.values("whose")[:1]),
        last_next=Subquery(latest.values("next_on")[:1]),
        last_outcome=Subquery(latest.values("outcome")[:1]),
    )
    followed = Exists(_hips(status__isnull=False))
    return known.filter((agreed & followed) | (Exists(returned) & asked_for))


def counts(viewer: Viewer, filters: Filters, today: date) -> dict[str, int]:
    """Length of each tab's list, in one query."""
    seen = _filtered(viewer, filters, today).order_by()
    parts = [
        seen.filter(belonging_to(tab, today))
        .annotate(tab=Value(tab, output_field=CharField()))
        .values("tab")
        .annotate(length=Count("pk"))
        .values_list("tab", "length")
        for tab in TABS
    ]
    return dict.fromkeys(TABS, 0) | dict(parts[0].union(*parts[1:], all=True))


@dataclass(slots=True)
class Row:
    """One patient on the worklist, with what there is to say."""

    patient: Patient
    cases: list[ReviewCase] = field(default_factory=list)  # open, the nearest deadline first
    hips: dict[str, HipEvaluation] = field(default_factory=dict)  # by side; their `window` is that of the answer
    flags: list[Flag] = field(default_factory=list)  # open
    contact: ContactAttempt | None = None
    appointment: Appointment | None = None  # the next that stands, else the latest if that was missed
    unanswered: int = 0  # attempts without an answer since the patient was last reached
    snooze: Snooze | None = None
    calls: list[Substitute] = field(default_factory=list)  # in the place of mails, the most pressing first
    no_mail: str = ""  # why e-mail cannot reach the patient: no_address, bounced, no_consent, declined

    def late_hips(self) -> list[HipEvaluation]:
        """The longest late first."""
        return self.due_hips(*LATE)

    def due_hips(self, *statuses: str) -> list[HipEvaluation]:
        hips = [hip for hip in self.hips.values() if hip.status in statuses]
        return sorted(hips, key=lambda hip: (hip.due_on or date.max, hip.pk))

    def incomplete(self) -> list[Flag]:
        return [flag for flag in self.flags if flag.action in INCOMPLETE_ACTIONS]

    def days_late(self, today: date) -> int:
        """Days since the hip that is due first was due; 0 when none is."""
        due = [hip.due_on for hip in self.hips.values() if hip.due_on and hip.status in (*LATE, "due")]
        return max((today - day).days for day in due) if due else 0


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row]
    after: str  # the mark of the next page; empty on the last


def page_of(tab: str, viewer: Viewer, filters: Filters, today: date, *, after: str = "", size: int = PAGE) -> Page:
    """One page of a tab, by the mark where the last one ended; a fixed number of queries for any number of rows."""
    patients = patients_in(tab, viewer, filters, today).select_related("clinic", "responsible")
    if after:
        patients = patients.filter(_beyond(after))
    found = list(patients[: size + 1])
    more = len(found) > size
    found = found[:size]
    return Page(rows_for(found, today), after=_mark(found[-1]) if more else "")


def everybody_in(tab: str, viewer: Viewer, filters: Filters, today: date) -> list[tuple[int, int]]:
    """(id, clinic's id) of all patients of a tab in its order: one query, since sorting costs more than reading."""
    return list(patients_in(tab, viewer, filters, today).values_list("pk", "clinic_id"))


def rows_of(viewer: Viewer, patient_ids: Sequence[int], today: date) -> list[Row]:
    """What the worklist says of these patients, in their order; nothing of those whom the viewer does not see."""
    found = access.patients_for(viewer).select_related("clinic", "responsible").in_bulk(patient_ids)
    return rows_for([found[pk] for pk in patient_ids if pk in found], today)


def _mark(patient: Any) -> str:
    return f"{patient.risk}~{patient.day.isoformat() if patient.day else ''}~{patient.pk}"


def _beyond(mark: str) -> Q:
    """Rows behind the mark in the order (risk, day with empty last, id). A mark that is none begins anew."""
    try:
        risk_text, day_text, pk_text = mark.split("~")
        risk, day, pk = int(risk_text), parse_date(day_text), int(pk_text)
    except ValueError:
        return Q()
    if day is None:
        return Q(risk__gt=risk) | Q(risk=risk, day__isnull=True, id__gt=pk)
    later = Q(day__gt=day) | Q(day__isnull=True) | Q(day=day, id__gt=pk)
    return Q(risk__gt=risk) | (Q(risk=risk) & later)


def rows_for(patients: Sequence[Patient], today: date) -> list[Row]:
    """What the worklist says of these patients, in their order. Eight queries."""
    ids = [patient.pk for patient in patients]
    rows = {patient.pk: Row(patient) for patient in patients}
    hips = HipEvaluation.objects.filter(patient__in=ids).select_related("hip").defer("answer")
    for hip in hips.annotate(window=F("answer__window")):
        rows[hip.patient_id].hips[hip.hip.side] = hip
    cases = ReviewCase.objects.filter(patient__in=ids, state=ReviewCase.State.OPEN).select_related("hip", "assigned_to")
    for case in cases.order_by(F("act_by").asc(nulls_last=True), "id"):
        rows[case.patient_id].cases.append(case)
    for flag in Flag.objects.filter(patient__in=ids, closed_at__isnull=True).select_related("hip"):
        rows[flag.patient_id].flags.append(flag)
    _add_contacts(rows, ids)
    _add_appointments(rows, ids, today)
    running = Snooze.objects.filter(patient__in=ids, ended_at__isnull=True, until__gt=today)
    for snooze in running.select_related("owner"):
        rows[snooze.patient_id].snooze = snooze
    calls = Substitute.objects.filter(ripe_on(today), patient__in=ids, channel=Substitute.Way.CALL, state="open")
    for call in calls.select_related("reminder").order_by("until", "id"):
        rows[call.patient_id].calls.append(call)
    wishes: dict[int, bool] = dict(
        ContactWish.objects.filter(patient__in=ids, channel=Channel.EMAIL).values_list("patient", "allowed")
    )
    for pk, row in rows.items():
        row.no_mail = _why_no_mail(row.patient, wishes.get(pk))
    return list(rows.values())


def _add_contacts(rows: Mapping[int, Row], ids: list[int]) -> None:
    attempts = ContactAttempt.objects.filter(patient__in=ids, undone_at__isnull=True).select_related("owner")
    by_patient: dict[int, list[ContactAttempt]] = defaultdict(list)
    for attempt in attempts.order_by("patient", "-at", "-id"):
        by_patient[attempt.patient_id].append(attempt)
    unanswered = {ContactAttempt.Outcome.NO_ANSWER, ContactAttempt.Outcome.MESSAGE_LEFT}
    for pk, found in by_patient.items():
        rows[pk].contact = found[0]
        for attempt in found:
            if attempt.outcome not in unanswered:
                break
            rows[pk].unanswered += 1


def _add_appointments(rows: Mapping[int, Row], ids: list[int], today: date) -> None:
    """The earliest of those to come wins; without one the latest, if that was not kept."""
    for row in Appointment.objects.filter(patient__in=ids).exclude(state="cancelled").order_by("starts_at", "id"):
        known = rows[row.patient_id].appointment
        settled = known is None or not (known.is_standing and known.starts_at.date() >= today)
        if settled:
            rows[row.patient_id].appointment = row
    for one in rows.values():
        last = one.appointment
        if last and (last.state == Appointment.State.ATTENDED or last.starts_at.date() < today - MISSED_SHOWN):
            one.appointment = None


def _why_no_mail(patient: Patient, wish: bool | None) -> str:
    if not patient.email:
        return "no_address"
    if patient.email_bounced_on:
        return "bounced"
    return {None: "no_consent", False: "declined", True: ""}[wish]


def today_for(viewer: Viewer, now: datetime, clinic: int | None = None) -> date:
    """Today in the clinic to which a list is narrowed; in the viewer's first one for lists that span clinics."""
    zone = access.clinics_for(viewer).filter(pk=clinic).values_list("time_zone", flat=True).first() if clinic else None
    return now.astimezone(ZoneInfo(zone or viewer.time_zone)).date()

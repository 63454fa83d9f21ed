"""Worklist: who needs something, why, and who acts next; and what came of trying to reach them.

A tab is a query; its count is the length of the same query. Lists are ordered, never shortened: nobody is hidden for
being late. A snoozed patient leaves the tabs of lateness until the day promised, but never the reviews.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import (
    Case,
    CharField,
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
from django.db.models.functions import Concat, Upper
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients import access, recording
from patients.access import Permission, Viewer
from patients.models import ContactWish, Membership, Patient, User
from patients.models.patient import Channel
from patients.vocabulary import Action

from . import audit
from .models import ContactAttempt, Flag, HipEvaluation, ReviewCase, Snooze

TABS = {
    "reviews": gettext_lazy("New symptoms and reviews"),
    "overdue": gettext_lazy("Overdue"),
    "due": gettext_lazy("Due and open"),
    "never_started": gettext_lazy("Never started"),
    "incomplete": gettext_lazy("Incomplete"),
    "unreachable": gettext_lazy("Cannot be reached"),
    "snoozed": gettext_lazy("Snoozed"),
    "all": gettext_lazy("All"),
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
LATE = ("overdue", "gap")
OPEN = ("open", "due")
MAX_SNOOZE_DAYS = 90
MAX_GAP_SNOOZE_DAYS = 30
PAGE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What narrows every tab; each is a parameter of the page's address."""

    clinic: int | None = None
    clinician: int | None = None
    pathway: str = ""
    late: int | None = None  # days since the due date, at least
    language: str = ""
    owner: int | None = None  # whoever the last contact was left to
    search: str = ""

    def parameters(self) -> dict[str, str]:
        pairs = {"clinic": self.clinic, "clinician": self.clinician, "pathway": self.pathway, "late": self.late}
        pairs |= {"language": self.language, "owner": self.owner, "q": self.search}
        return {name: str(value) for name, value in pairs.items() if value not in (None, "")}


def search_patients(patients: QuerySet[Patient], text: str) -> QuerySet[Patient]:
    """Every word must be found in name, record number or date of birth; spelling is forgiven by trigrams."""
    for word in text.split()[:6]:
        born = parse_birth_date(word)
        if born is not None:
            patients = patients.filter(born_on=born)
            continue
        full_name = Upper(Concat("family_name", Value(" "), "given_name", output_field=CharField()))
        patients = patients.annotate(full_name=full_name, number=Upper("record_number")).filter(
            Q(full_name__contains=word.upper())
            | Q(number__contains=word.upper())
            | Q(full_name__trigram_word_similar=word.upper())
        )
    return patients


def parse_birth_date(word: str) -> date | None:
    """4.3.1981, 04/03/1981 (day first) or 1981-03-04."""
    try:
        if exact := parse_date(word):
            return exact
        parts = [int(part) for part in word.replace("/", ".").split(".")]
        return date(parts[2], parts[1], parts[0]) if len(parts) == 3 else None
    except ValueError:
        return None


def _hips(**conditions: Any) -> QuerySet[HipEvaluation]:
    return HipEvaluation.objects.filter(patient=OuterRef("pk"), **conditions)


def _open_cases() -> QuerySet[ReviewCase]:
    return ReviewCase.objects.filter(patient=OuterRef("pk"), state=ReviewCase.State.OPEN)


def _snoozes(today: date) -> QuerySet[Snooze]:
    return Snooze.objects.filter(patient=OuterRef("pk"), ended_at__isnull=True, until__gt=today)


def mail_impossible() -> Q:
    """Followed, and e-mail cannot reach them: no address, bounced, not wished, or consent missing."""
    wished = ContactWish.objects.filter(patient=OuterRef("pk"), channel=Channel.EMAIL, allowed=True)
    return Q(email="") | Q(email_bounced_on__isnull=False) | Q(~Exists(wished))


def patients_in(tab: str, viewer: Viewer, filters: Filters, today: date) -> QuerySet[Patient]:
    """The tab's patients in its order. Raises KeyError for a tab that does not exist."""
    TABS[tab]
    patients = _filtered(access.patients_for(viewer), filters, today)
    if tab == "reviews":
        first = _open_cases().order_by("act_by", "id").values("act_by")[:1]
        urgent = Case(When(Exists(_open_cases().filter(urgency="URGENT")), then=0), default=1)
        reviewed = patients.filter(Exists(_open_cases()))
        return reviewed.annotate(risk=urgent, day=Subquery(first)).order_by("risk", "day", "id")
    if tab == "snoozed":
        until = _snoozes(today).values("until")[:1]
        return (
            patients.filter(Exists(_snoozes(today)))
            .annotate(risk=Value(0), day=Subquery(until))
            .order_by("risk", "day", "id")
        )
    ranked = patients.annotate(
        risk=_risk(), day=Subquery(_hips(due_on__isnull=False).order_by("due_on").values("due_on")[:1])
    )
    if tab == "all":
        return ranked.order_by("risk", F("day").asc(nulls_last=True), "id")
    ranked = ranked.filter(~Exists(_snoozes(today))).order_by("risk", F("day").asc(nulls_last=True), "id")
    if tab == "overdue":
        return ranked.filter(Exists(_hips(status__in=LATE)))
    if tab == "due":
        return ranked.filter(Exists(_hips(status__in=OPEN)), ~Exists(_hips(status__in=LATE)))
    if tab == "never_started":
        return ranked.filter(Exists(_hips(status__isnull=False, anchor_on__isnull=True)))
    if tab == "incomplete":
        flags = Flag.objects.filter(patient=OuterRef("pk"), closed_at__isnull=True, action__in=INCOMPLETE_ACTIONS)
        return ranked.filter(Exists(flags))
    return ranked.filter(mail_impossible(), Exists(_hips(status__isnull=False)))


def _risk() -> Subquery:
    rank = Case(
        *(When(pathway=name, then=order) for name, order in RISK.items()), default=NO_RISK, output_field=IntegerField()
    )
    hips = _hips().order_by().values("patient").annotate(least=Min(rank))
    return Subquery(hips.values("least"), output_field=IntegerField())


def _filtered(patients: QuerySet[Patient], filters: Filters, today: date) -> QuerySet[Patient]:
    if filters.clinic:
        patients = patients.filter(clinic=filters.clinic)
    if filters.clinician:
        patients = patients.filter(responsible=filters.clinician)
    if filters.language:
        patients = patients.filter(language=filters.language)
    if filters.pathway:
        patients = patients.filter(Exists(_hips(pathway=filters.pathway)))
    if filters.late is not None:
        patients = patients.filter(
            Exists(_hips(status__isnull=False, due_on__lte=today - timedelta(days=filters.late)))
        )
    if filters.owner:
        latest = ContactAttempt.objects.filter(patient=OuterRef("pk"), undone_at__isnull=True).order_by("-at", "-id")
        patients = patients.annotate(left_to=Subquery(latest.values("owner")[:1])).filter(left_to=filters.owner)
    return search_patients(patients, filters.search) if filters.search else patients


def counts(viewer: Viewer, filters: Filters, today: date) -> dict[str, int]:
    """Length of each tab's list."""
    return {tab: patients_in(tab, viewer, filters, today).order_by().count() for tab in TABS}


@dataclass(slots=True)
class Row:
    """One patient on the worklist, with what there is to say."""

    patient: Patient
    cases: list[ReviewCase] = field(default_factory=list)
    hips: dict[str, HipEvaluation] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    contact: ContactAttempt | None = None
    unanswered: int = 0  # attempts without an answer since the patient was last reached
    snooze: Snooze | None = None
    mail: str = ""  # why e-mail cannot reach the patient; empty when it can
    days_late: int = 0

    @property
    def sides(self) -> str:
        """Which hips are followed, in words."""
        followed = [side for side in ("right", "left") if side in self.hips and self.hips[side].status]
        return {0: "", 1: followed[0] if followed else "", 2: "both"}[len(followed)]

    @property
    def latest_hip(self) -> HipEvaluation | None:
        """The hip that is due first."""
        due = [hip for hip in self.hips.values() if hip.due_on]
        return min(due, key=lambda hip: (hip.due_on, hip.pk), default=None)


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


def _mark(patient: Any) -> str:
    return f"{patient.risk}~{patient.day.isoformat() if patient.day else ''}~{patient.pk}"


def _beyond(mark: str) -> Q:
    """Rows behind the mark in the order (risk, day with empty last, id). A mark that is none begins anew."""
    try:
        risk_text, day_text, pk_text = mark.split("~")
        risk, day, pk = int(risk_text), parse_date(day_text) if day_text else None, int(pk_text)
    except ValueError:
        return Q()
    if day is None:
        return Q(risk__gt=risk) | Q(risk=risk, day__isnull=True, id__gt=pk)
    later = Q(day__gt=day) | Q(day__isnull=True) | Q(day=day, id__gt=pk)
    return Q(risk__gt=risk) | (Q(risk=risk) & later)


def rows_for(patients: Sequence[Patient], today: date) -> list[Row]:
    """What the worklist says of these patients, in their order. Six queries."""
    ids = [patient.pk for patient in patients]
    rows = {patient.pk: Row(patient) for patient in patients}
    for hip in HipEvaluation.objects.filter(patient__in=ids).select_related("hip"):
        rows[hip.patient_id].hips[hip.hip.side] = hip
    cases = ReviewCase.objects.filter(patient__in=ids, state=ReviewCase.State.OPEN).select_related("hip", "assigned_to")
    for case in cases.order_by("act_by", "id"):
        rows[case.patient_id].cases.append(case)
    for flag in Flag.objects.filter(patient__in=ids, closed_at__isnull=True).select_related("hip"):
        rows[flag.patient_id].flags.append(flag)
    _add_contacts(rows, ids)
    for snooze in Snooze.objects.filter(patient__in=ids, ended_at__isnull=True, until__gt=today).select_related(
        "owner"
    ):
        rows[snooze.patient_id].snooze = snooze
    wishes: dict[int, bool] = dict(
        ContactWish.objects.filter(patient__in=ids, channel=Channel.EMAIL).values_list("patient", "allowed")
    )
    for pk, row in rows.items():
        row.mail = _why_no_mail(row.patient, wishes.get(pk))
        late = [(today - hip.due_on).days for hip in row.hips.values() if hip.due_on and hip.status in (*LATE, "due")]
        row.days_late = max(late, default=0)
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


def _why_no_mail(patient: Patient, wish: bool | None) -> str:
    if not patient.email:
        return _("no e-mail address")
    if patient.email_bounced_on:
        return _("e-mail came back on %(day)s") % {"day": patient.email_bounced_on.isoformat()}
    if wish is None:
        return _("consent to e-mail missing")
    return "" if wish else _("no e-mail wished")


class WorkRefused(ValueError):
    """What was asked cannot be done; `field` names the input and the message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def staff_of(clinic_id: int) -> QuerySet[User]:
    """Who may own work in a clinic."""
    return User.objects.filter(id__in=Membership.objects.filter(clinic=clinic_id).values("user"), is_active=True)


@transaction.atomic
def record_outcome(
    patient: Patient,
    *,
    outcome: str,
    viewer: Viewer,
    today: date,
    next_on: date | None = None,
    owner: User | None = None,
    note: str = "",
) -> ContactAttempt:
    """What came of trying to reach a patient, and who tries again when."""
    viewer.check(Permission.WORK, patient.clinic_id)
    if outcome not in ContactAttempt.Outcome.values:
        raise WorkRefused("outcome", _("Choose what happened."))
    if next_on is not None and next_on < today:
        raise WorkRefused("next_on", _("The next date lies in the past."))
    if outcome == ContactAttempt.Outcome.BOOKED and next_on is None:
        raise WorkRefused("next_on", _("Give the date that was booked."))
    if owner is not None and not staff_of(patient.clinic_id).filter(pk=owner.pk).exists():
        raise WorkRefused("owner", _("Choose somebody of this clinic."))
    attempt = ContactAttempt.objects.create(
        clinic_id=patient.clinic_id,
        patient=patient,
        outcome=outcome,
        next_on=next_on,
        owner=owner,
        note=note.strip()[:500],
        by_id=viewer.actor.user_id,
        actor=viewer.actor.name[:120],
    )
    _audit(viewer, "record_outcome", patient, after={"outcome": outcome, "next_on": str(next_on or "")})
    return attempt


@transaction.atomic
def undo_outcome(attempt: ContactAttempt, *, viewer: Viewer) -> None:
    """Take an outcome back: it stays on record, struck."""
    viewer.check(Permission.WORK, attempt.clinic_id)
    if attempt.by_id != viewer.actor.user_id:
        raise WorkRefused("outcome", _("Only who recorded this can undo it."))
    ContactAttempt.objects.filter(pk=attempt.pk, undone_at__isnull=True).update(undone_at=timezone.now())
    _audit(viewer, "undo_outcome", attempt.patient, before={"outcome": attempt.outcome})


@transaction.atomic
def snooze(patient: Patient, *, until: date, reason: str, viewer: Viewer, today: date) -> Snooze:
    """Promise to come back on `until`: at most 30 days for a surveillance gap, otherwise 90. Replaces a running one."""
    viewer.check(Permission.WORK, patient.clinic_id)
    recording.lock_patient(patient.pk)
    gap = HipEvaluation.objects.filter(patient=patient, status="gap").exists()
    most = MAX_GAP_SNOOZE_DAYS if gap else MAX_SNOOZE_DAYS
    if not reason.strip():
        raise WorkRefused("reason", _("Say why this can wait."))
    if until <= today:
        raise WorkRefused("until", _("Choose a day after today."))
    if until > today + timedelta(days=most):
        raise WorkRefused(
            "until", _("At most %(days)d days: until %(day)s.") % {"days": most, "day": today + timedelta(days=most)}
        )
    owner = User.objects.get(pk=viewer.actor.user_id or 0)
    Snooze.objects.filter(patient=patient, ended_at__isnull=True).update(ended_at=timezone.now())
    promise = Snooze.objects.create(
        clinic_id=patient.clinic_id,
        patient=patient,
        from_on=today,
        until=until,
        reason=reason.strip()[:200],
        owner=owner,
        actor=viewer.actor.name[:120],
    )
    _audit(viewer, "snooze", patient, after={"until": str(until)}, reason=reason.strip())
    return promise


@transaction.atomic
def end_snooze(patient: Patient, *, viewer: Viewer) -> None:
    viewer.check(Permission.WORK, patient.clinic_id)
    Snooze.objects.filter(patient=patient, ended_at__isnull=True).update(ended_at=timezone.now())
    _audit(viewer, "end_snooze", patient)


def snoozed_until(patient_ids: Sequence[int], today: date) -> dict[int, date]:
    """Of these patients, those with a running snooze, and its end."""
    running = Snooze.objects.filter(patient__in=patient_ids, ended_at__isnull=True, until__gt=today)
    return dict(running.values_list("patient", "until"))


@transaction.atomic
def assign_clinician(patients: Sequence[Patient], *, to: User | None, viewer: Viewer) -> int:
    """Make a clinician responsible for these patients. Returns how many changed; checks every one before any."""
    for patient in patients:
        viewer.check(Permission.WORK, patient.clinic_id)
        if to is not None and not staff_of(patient.clinic_id).filter(pk=to.pk, memberships__role="clinician").exists():
            raise WorkRefused("clinician", _("%(name)s is no clinician of this patient's clinic.") % {"name": to.name})
    changed = 0
    for patient in patients:
        if patient.responsible_id != (to.pk if to else None):
            recording.amend_patient(
                patient.pk, by=viewer.actor, changes={"responsible": to}, reason="assigned on the worklist"
            )
            changed += 1
    return changed


def _audit(viewer: Viewer, act: str, patient: Patient, **details: Any) -> None:
    audit.note(viewer.actor, act, clinic_id=patient.clinic_id, patient_id=patient.pk, **details)


def today_for(viewer: Viewer, now: datetime) -> date:
    """Today in the viewer's first clinic, for lists that span clinics."""
    clinic = access.clinics_for(viewer).order_by("id").first()
    return recording.today_at(clinic, now) if clinic else now.date()

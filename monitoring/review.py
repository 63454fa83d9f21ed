"""Reviews: cases opened by findings, assigned, discussed and answered by a recorded decision."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Case, Exists, IntegerField, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import recording
from patients.access import Permission, Viewer
from patients.changes import Actor
from patients.models import Decision, Membership, Role, User
from patients.prepared import Steps
from patients.vocabulary import Action

from . import audit
from .escalation import Rung, teams_of
from .flags import HipFindings
from .models import CaseNote, ReviewCase

# The findings on which a clinician decides. URGENT_RADIOGRAPH is shown here so that a surgeon sees it in days, though
# only the radiograph or a clinician's denial ends it.
CASE_ACTIONS = frozenset(
    {
        Action.ARTHROPLASTY_REVIEW,
        Action.COLLAPSE_REVIEW,
        Action.CONSIDER_CT,
        Action.CORE_DECOMPRESSION_REVIEW,
        Action.CT_HIP,
        Action.DECOMPRESSION_FAILURE_REVIEW,
        Action.HIGH_RISK_LOCATION_REVIEW,
        Action.IMAGE_PAINFUL_HIP,
        Action.LARGE_LESION_REVIEW,
        Action.REVIEW_ENDING,
        Action.STAGE_CONFLICT,
        Action.STAGE_PROGRESSION_REVIEW,
        Action.URGENT_RADIOGRAPH,
        Action.WORSENING_REVIEW,
    }
)
# Questions that a decision does not answer: they end by what they ask for.
NOT_ANSWERED_BY_DECISION = frozenset({Action.URGENT_RADIOGRAPH})
WHOSE = ("all", "for_me", "mine", "unassigned", "opinion", "escalated")
URGENCIES = ("URGENT", "SOON", "REVIEW", "DATA")
NEWS = ("assigned", "second_opinion", "escalated", "reopened")  # notes that bring a case before somebody anew


class CaseRefused(ValueError):
    """What was asked of a case cannot be done; the message says why."""


_OPEN = (
    "SELECT hip_id, action, id, rule, urgency, since, act_by, because, evidence::json, level FROM monitoring_reviewcase"
    " WHERE patient_id = ANY(%s::bigint[]) AND state = 'open'"
)
CONTENT = ("rule", "urgency", "since", "act_by", "because", "evidence", "level")
_Question = tuple[int, str]  # hip and action


def reconciling_cases(wanted: Mapping[int, HipFindings], now: datetime) -> Steps:
    """Open a case for each finding that asks a person, bring standing ones up to date, close those answered."""
    asked = _asked(wanted)
    patients = sorted({hip.patient_id for hip in wanted.values()})
    (rows,) = yield [(_OPEN, [patients])]
    stored: dict[_Question, tuple[int, list[Any]]] = {
        (hip_id, action): (pk, content) for hip_id, action, pk, *content in rows if hip_id in wanted
    }
    _open({key: content for key, content in asked.items() if key not in stored}, wanted, now)
    other = {pk: asked.get(key) for key, (pk, content) in stored.items() if asked.get(key) != content}
    if other:
        cases = list(ReviewCase.objects.filter(pk__in=other).order_by("id"))
        _follow({case: content for case in cases if (content := other[case.pk]) is not None}, now)
        _close([case for case in cases if other[case.pk] is None], now)


def _asked(wanted: Mapping[int, HipFindings]) -> dict[_Question, list[Any]]:
    """What findings ask a person, with the CONTENT of the case; the last finding of a question speaks for it."""
    asked: dict[_Question, list[Any]] = {}
    for hip in wanted.values():
        late = any(finding["rule"] == "R28" for finding in hip.findings)
        level = ReviewCase.Level.ADMIN if late else ReviewCase.Level.CLINICIAN
        for finding in hip.findings:
            if finding["action"] in CASE_ACTIONS:
                asked[hip.hip_id, finding["action"]] = [*(finding[name] for name in CONTENT[:-1]), level.value]
    return asked


def _open(questions: Mapping[_Question, list[Any]], wanted: Mapping[int, HipFindings], now: datetime) -> None:
    if not questions:
        return
    hips = {hip_id for hip_id, _action in questions}
    decided = ReviewCase.objects.filter(hip__in=hips, state=ReviewCase.State.DECIDED)
    before = set(decided.order_by().values_list("hip_id", "action"))
    cases = ReviewCase.objects.bulk_create(
        ReviewCase(
            clinic_id=wanted[hip_id].clinic_id,
            patient_id=wanted[hip_id].patient_id,
            hip_id=hip_id,
            action=action,
            opened_at=now,
            **dict(zip(CONTENT, content, strict=True)),
        )
        for (hip_id, action), content in questions.items()
    )
    CaseNote.objects.bulk_create(
        _system_note(case, "reopened" if (case.hip_id, case.action) in before else "opened", case.because, now)
        for case in cases
    )


def _follow(cases: Mapping[ReviewCase, list[Any]], now: datetime) -> None:
    """Bring standing cases to the CONTENT that is asked now."""
    notes = []
    for case, content in cases.items():
        if content[-1] == ReviewCase.Level.ADMIN and case.level != content[-1]:
            notes.append(_system_note(case, "escalated", _("Undecided for too long."), now))
        for name, value in zip(CONTENT, content, strict=True):
            setattr(case, name, value)
    if cases:
        ReviewCase.objects.bulk_update(cases, CONTENT)
    if notes:
        CaseNote.objects.bulk_create(notes)


def _close(cases: list[ReviewCase], now: datetime) -> None:
    """Decided where a decision on the question was recorded on or after `since`; otherwise no longer asked."""
    if not cases:
        return
    decisions: dict[tuple[int, str], Decision] = {}
    found = Decision.objects.filter(hip__in={case.hip_id for case in cases}, withdrawn_at__isnull=True)
    for decision in found.order_by("on", "id"):
        decisions[decision.hip_id, decision.action] = decision
    notes = []
    for case in cases:
        decision_made = decisions.get((case.hip_id, case.action))
        case.closed_at = now
        if decision_made is not None and decision_made.on >= case.since:
            case.state, case.decision = ReviewCase.State.DECIDED, decision_made
            notes.append(
                CaseNote(
                    clinic_id=case.clinic_id,
                    case=case,
                    at=now,
                    user_id=decision_made.recorded_by_id,
                    actor=decision_made.actor,
                    kind="decided",
                    text=decision_made.reason,
                )
            )
        else:
            case.state = ReviewCase.State.LAPSED
            notes.append(_system_note(case, "lapsed", _("The record no longer raises this question."), now))
    ReviewCase.objects.bulk_update(cases, ["state", "closed_at", "decision"])
    CaseNote.objects.bulk_create(notes)


def _system_note(case: ReviewCase, kind: str, text: str, now: datetime) -> CaseNote:
    return CaseNote(clinic_id=case.clinic_id, case=case, at=now, actor="system: evaluation", kind=kind, text=text)


def open_cases_for(viewer: Viewer) -> QuerySet[ReviewCase]:
    """The whole queue; `in_order` sorts it."""
    return open_cases_of(viewer.clinic_ids)


def open_cases_of(clinics: Sequence[int]) -> QuerySet[ReviewCase]:
    return ReviewCase.objects.filter(clinic_id__in=clinics, state=ReviewCase.State.OPEN)


def queue_of(
    viewer: Viewer, whose: str = "all", *, action: str = "", clinic: int | None = None, since: datetime | None = None
) -> QuerySet[ReviewCase]:
    """The open cases of one view of the queue. `since`: opened, or brought before somebody anew, after that moment.

    Unassigned is also what is assigned to somebody who is no clinician of that clinic any more: nobody decides it.
    """
    me = viewer.actor.user_id
    deciding = Membership.objects.filter(
        user=OuterRef("assigned_to"), clinic=OuterRef("clinic"), role=Role.CLINICIAN, user__is_active=True
    )
    unassigned = ~Q(Exists(deciding))
    cases = open_cases_for(viewer)
    if whose == "mine":
        cases = cases.filter(assigned_to=me)
    elif whose == "unassigned":
        cases = cases.filter(unassigned)
    elif whose == "opinion":
        cases = cases.filter(second_opinion_from=me)
    elif whose == "escalated":
        cases = cases.filter(level=ReviewCase.Level.ADMIN)
    elif whose == "for_me":
        deciders = [team.clinic_id for team in teams_of(viewer.clinic_ids) if me in team.answering(Rung.CLINICIAN)]
        cases = cases.filter(Q(assigned_to=me) | Q(second_opinion_from=me) | (Q(clinic__in=deciders) & unassigned))
    if clinic is not None:
        cases = cases.filter(clinic=clinic)
    if since is not None:
        told = CaseNote.objects.filter(case=OuterRef("pk"), kind__in=NEWS, at__gt=since)
        cases = cases.filter(Q(opened_at__gt=since) | Exists(told))
    return cases.filter(action=action) if action else cases


def in_order(cases: QuerySet[ReviewCase]) -> QuerySet[ReviewCase]:
    """The most urgent first, as URGENCIES has them; of equally urgent ones, the nearest deadline."""
    rank = Case(
        *(When(urgency=name, then=Value(rank)) for rank, name in enumerate(URGENCIES)),
        default=Value(9),
        output_field=IntegerField(),
    )
    return cases.order_by(rank, "act_by", "since", "id")


def case_for(viewer: Viewer, pk: int) -> ReviewCase:
    """Raises ReviewCase.DoesNotExist for another clinic's case."""
    return ReviewCase.objects.select_related("patient", "patient__clinic", "hip", "assigned_to", "decision").get(
        pk=pk, clinic_id__in=viewer.clinic_ids
    )


def clinicians_of(clinic_id: int) -> QuerySet[User]:
    members = Membership.objects.filter(clinic=clinic_id, role=Role.CLINICIAN).values("user")
    return User.objects.filter(id__in=members, is_active=True).order_by("name", "id")


def _note(case: ReviewCase, by: Actor, kind: str, text: str) -> CaseNote:
    note = CaseNote.objects.create(
        clinic_id=case.clinic_id, case=case, user_id=by.user_id, actor=by.name[:120], kind=kind, text=text
    )
    audit.note(by, f"case_{kind}", clinic_id=case.clinic_id, patient_id=case.patient_id, object=f"case-{case.pk}")
    return note


@transaction.atomic
def assign_case(case: ReviewCase, *, to: User | None, viewer: Viewer) -> bool:
    """Make a clinician of the case's clinic answerable for it, or nobody; False where that is so already."""
    viewer.check(Permission.WORK, case.clinic_id)
    if to is not None and not clinicians_of(case.clinic_id).filter(pk=to.pk).exists():
        raise CaseRefused(_("Only a clinician of this clinic can decide."))
    standing = ReviewCase.objects.select_for_update().get(pk=case.pk)
    case.assigned_to = to
    if standing.assigned_to_id == (to.pk if to else None):
        return False
    case.save(update_fields=["assigned_to"])
    _note(case, viewer.actor, "assigned", to.name if to else _("nobody"))
    return True


@transaction.atomic
def ask_second_opinion(case: ReviewCase, *, of: User, viewer: Viewer, text: str = "") -> None:
    """Ask another clinician; whoever was asked before and gave none is not asked any more, as the thread says."""
    viewer.check(Permission.DECIDE, case.clinic_id)
    if of.pk == viewer.actor.user_id:
        raise CaseRefused(_("A second opinion is somebody else's. Choose another clinician than yourself."))
    if not clinicians_of(case.clinic_id).filter(pk=of.pk).exists():
        raise CaseRefused(_("Only a clinician of this clinic can give an opinion."))
    earlier = ReviewCase.objects.select_for_update().get(pk=case.pk).second_opinion_from
    case.second_opinion_from = of
    case.save(update_fields=["second_opinion_from"])
    who = of.name
    if earlier is not None and earlier.pk != of.pk:
        who = _("%(name)s instead of %(earlier)s") % {"name": of.name, "earlier": earlier.name}
    _note(case, viewer.actor, "second_opinion", f"{who}: {text}".rstrip(": "))


@transaction.atomic
def comment(case: ReviewCase, *, text: str, viewer: Viewer) -> CaseNote:
    """Say something about a case; from whom a second opinion is asked, this is the opinion, and answers the request."""
    viewer.check(Permission.WORK, case.clinic_id)
    if not text.strip():
        raise CaseRefused(_("Write a comment first."))
    asked = ReviewCase.objects.filter(pk=case.pk, second_opinion_from=viewer.actor.user_id)
    given = viewer.actor.user_id is not None and asked.update(second_opinion_from=None)
    return _note(case, viewer.actor, "opinion" if given else "comment", text.strip())


@dataclass(frozen=True)
class Verdict:
    """A clinician's answer to a case: outcome and reason are required."""

    outcome: str
    reason: str
    on: date
    consequence: str = ""
    next_on: date | None = None


@transaction.atomic
def decide_case(case: ReviewCase, verdict: Verdict, *, viewer: Viewer, now: datetime | None = None) -> Decision:
    """Record the decision as a fact; the evaluation that follows closes the case.

    Raises PermissionDenied, CaseRefused when the case was closed meanwhile, RecordingRefused.
    """
    viewer.check(Permission.DECIDE, case.clinic_id)
    recording.lock_patient(case.patient_id)
    standing = ReviewCase.objects.select_related("hip", "decision").get(pk=case.pk)
    if standing.state != ReviewCase.State.OPEN:
        who = standing.decision.actor if standing.decision else _("the system")
        raise CaseRefused(_("This case was closed meanwhile by %(who)s.") % {"who": who})
    if standing.action in NOT_ANSWERED_BY_DECISION:
        raise CaseRefused(_("Only the radiograph, or a clinician who finds no alarm sign any more, ends this."))
    if verdict.on < standing.since:
        raise recording.RecordingRefused({"on": [_("A decision before the question does not answer it.")]})
    return recording.record_decision(
        standing.hip,
        by=viewer.actor,
        on=verdict.on,
        action=standing.action,
        outcome=verdict.outcome,
        reason=verdict.reason,
        consequence=verdict.consequence,
        next_on=verdict.next_on,
        now=now or timezone.now(),
    )


def answers_by_action(case: ReviewCase) -> list[Decision]:
    """Earlier decisions on this hip, latest first."""
    return list(
        Decision.objects.filter(hip=case.hip_id, withdrawn_at__isnull=True)
        .order_by("-on", "-id")
        .select_related("recorded_by")[:50]
    )


def notes_of(cases: Iterable[ReviewCase]) -> dict[int, list[CaseNote]]:
    by_case: dict[int, list[CaseNote]] = defaultdict(list)
    for note in CaseNote.objects.filter(case__in=[case.pk for case in cases]).order_by("at", "id"):
        by_case[note.case_id].append(note)
    return by_case

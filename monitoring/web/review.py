"""Review pages: the queue of cases, and one case with its evidence, its clock and the decision."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import ContactWish
from patients.recording import RecordingRefused, today_at
from patients.vocabulary import Side
from schedules.guideline.rules import RULES
from schedules.guideline.stages import Phase

from .. import audit, review
from ..models import CaseNote, ReviewCase
from .banner import banner_of
from .chart import Chart, read_chart
from .entry import signed_in, typed
from .fact_words import titled
from .finding_words import ACTIONS, GRADES, with_dates
from .forms.case import LONGEST_COMMENT, AssignForm, CommentForm, DecisionForm, OpinionForm
from .guideline_words import asked_words, because_words
from .hip_panels import summary_of
from .identity import identity_of
from .symptom_clock import FROM_FIRST_PAIN, OF_PAIN, symptom_clock

PAGE = 50
EVIDENCE_KINDS = ("imaging", "staging", "symptom", "score", "location", "procedure", "decision", "bmi", "ending")
BEFORE_COLLAPSE = (None, Phase.PRE_MRI.name, Phase.PRE_XR.name)


@dataclass(frozen=True)
class Narrowing:
    """What the address of the queue asks for, as far as the viewer is offered it."""

    whose: str
    action: str
    clinic: int | None
    since: datetime | None

    def cases(self, viewer: Viewer, whose: str = "") -> QuerySet[ReviewCase]:
        return review.queue_of(viewer, whose or self.whose, action=self.action, clinic=self.clinic, since=self.since)

    def query(self, **other: Any) -> str:
        since = self.since.isoformat() if self.since else ""
        asked = {"whose": self.whose, "question": self.action, "clinic": self.clinic, "since": since} | other
        return urlencode({name: value for name, value in asked.items() if value})


def _narrow(query: QueryDict, viewer: Viewer) -> Narrowing:
    whose, action, clinic = query.get("whose", "all"), query.get("question", ""), query.get("clinic", "")
    try:
        since = parse_datetime(query.get("since", "").replace(" ", "+"))
    except ValueError:
        since = None
    return Narrowing(
        whose if whose in review.WHOSE else "all",
        action if action in ACTIONS else "",
        next((pk for pk in viewer.clinic_ids if str(pk) == clinic), None),
        since if since and timezone.is_aware(since) else None,
    )


@signed_in
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """All open cases, the most urgent first; of equally urgent ones, the nearest deadline first."""
    viewer = access.viewer_of(request)
    narrowing = _narrow(request.GET, viewer)
    cases = narrowing.cases(viewer).select_related("patient", "patient__clinic", "hip", "assigned_to")
    page = Paginator(review.in_order(cases), PAGE).get_page(request.GET.get("page"))
    asked = review.queue_of(viewer, clinic=narrowing.clinic).order_by("action").values_list("action", flat=True)
    context = {
        "rows": [_row(case, viewer) for case in page.object_list],
        "page": page,
        "tabs": _tabs(viewer, narrowing),
        "questions": [
            (ACTIONS.get(code, code), code == narrowing.action, narrowing.query(question=code))
            for code in asked.distinct()
        ],
        "every_question": narrowing.query(question=""),
        "question": narrowing.action,
        "whose": narrowing.whose,
        "query": narrowing.query(),
        "chips": _chips(viewer, narrowing),
    }
    return render(request, "monitoring/review/queue.html", context)


def _chips(viewer: Viewer, narrowing: Narrowing) -> list[dict[str, str]]:
    """What else narrows the queue, each with the address without it."""
    chips = []
    if narrowing.clinic and len(viewer.clinic_ids) > 1:
        name = access.clinics_for(viewer).get(pk=narrowing.clinic).name
        chips.append({"label": _("Clinic"), "value": name, "remove_url": f"?{narrowing.query(clinic='')}"})
    if narrowing.since:
        when = date_format(timezone.localtime(narrowing.since), "DATETIME_FORMAT")
        chips.append({"label": _("New since"), "value": when, "remove_url": f"?{narrowing.query(since='')}"})
    return chips


def _tabs(viewer: Viewer, narrowing: Narrowing) -> list[dict[str, Any]]:
    names = {
        "all": _("All"),
        "for_me": _("For me"),
        "mine": _("Assigned to me"),
        "unassigned": _("Unassigned"),
        "opinion": _("My opinion asked"),
        "escalated": _("Undecided for too long"),
    }
    return [
        {
            "name": names[name],
            "url": f"{reverse('reviews')}?{narrowing.query(whose=name)}",
            "count": narrowing.cases(viewer, name).count(),
            "current": name == narrowing.whose,
            "alert": name == "escalated",
        }
        for name in review.WHOSE
    ]


def _row(case: ReviewCase, viewer: Viewer) -> dict[str, Any]:
    today = today_at(case.patient.clinic, timezone.now())
    return {
        "case": case,
        "who": identity_of(case.patient, viewer),
        "question": ACTIONS.get(case.action, case.action),
        "side": case.hip.get_side_display(),
        "because": because_words(case.because),
        "late": (today - case.act_by).days if case.act_by and case.act_by < today else 0,
        "clock": symptom_clock(case.since, today) if case.rule in FROM_FIRST_PAIN else None,
        "url": reverse("review_case", args=[case.pk]),
    }


def _case(viewer: Viewer, pk: int) -> ReviewCase:
    try:
        case = review.case_for(viewer, pk)
    except ReviewCase.DoesNotExist:
        raise Http404("No such case.") from None
    access.check_gate(viewer, case.patient_id)
    return case


def _next_after(viewer: Viewer, case: ReviewCase) -> str:
    """The address of the next open case in the queue's order, or of the queue."""
    ids = list(review.in_order(review.open_cases_for(viewer)).values_list("pk", flat=True)[:500])
    later = ids[ids.index(case.pk) + 1 :] if case.pk in ids else ids
    return reverse("review_case", args=[later[0]]) if later else reverse("reviews")


@signed_in
@require_http_methods(["GET", "POST"])
def case_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One case; POST decides it."""
    viewer = access.viewer_of(request)
    case = _case(viewer, pk)
    today = today_at(case.patient.clinic, timezone.now())
    form = DecisionForm(request.POST or None, initial={"on": today})
    status = 200
    if request.method == "POST":
        viewer.check(Permission.DECIDE, case.clinic_id)
        following = _next_after(viewer, case)
        try:
            if form.is_valid():
                review.decide_case(case, form.verdict(), viewer=viewer)
                messages.success(request, _decided_words(case))
                return redirect(following if "next" in request.POST else reverse("review_case", args=[case.pk]))
        except RecordingRefused as refused:
            for key, texts in refused.problems.items():
                name = key.rpartition(".")[2]
                for text in texts:
                    form.add_error(name if name in form.fields else None, text)
        except review.CaseRefused as refused_case:
            form.add_error(None, str(refused_case))
        case = _case(viewer, pk)  # somebody may have closed it meanwhile
        status = 422 if case.state == ReviewCase.State.OPEN else 409
    audit.looked(viewer.actor, [(case.clinic_id, case.patient_id)], f"case-{case.pk}")
    return render(request, "monitoring/review/case.html", _case_context(viewer, case, form, today), status=status)


def _decided_words(case: ReviewCase) -> str:
    asked = ACTIONS.get(case.action, case.action)
    return _("%(question)s decided for %(patient)s.") % {"question": asked, "patient": case.patient.display_name}


def _unrecorded(case: ReviewCase, form: DecisionForm) -> dict[str, Any]:
    """The variables of components/error_summary.html for a decision sent to a case that was closed meanwhile."""
    when = date_format(timezone.localtime(case.closed_at), "DATETIME_FORMAT")
    if case.decision:
        said = {"who": case.decision.actor, "when": when, "outcome": case.decision.get_outcome_display()}
        text = _("%(who)s decided this case meanwhile, on %(when)s: %(outcome)s.") % said
    else:
        text = _("This case was closed meanwhile, on %(when)s: the record no longer raises it.") % {"when": when}
    return {
        "title": _("Your decision was not recorded"),
        "text": " ".join([text, _("What you wrote stands in the comment below, which is not sent yet:")]),
        "errors": [{"text": line} for line in form.typed()],
    }


def note_words(note: CaseNote) -> str:
    """What a person wrote stays as it is, but for its dates; a case is opened with what the guideline said."""
    return because_words(note.text) if note.kind in {"opened", "reopened"} else with_dates(note.text)


def _case_context(viewer: Viewer, case: ReviewCase, form: DecisionForm, today: date) -> dict[str, Any]:
    chart = read_chart(case.patient, EVIDENCE_KINDS)
    side = Side(case.hip.side)
    rule = RULES[case.rule]
    onset = _onset(chart, side, case)
    clinicians = list(review.clinicians_of(case.clinic_id).values_list("pk", flat=True))
    is_open = case.state == ReviewCase.State.OPEN
    may_decide = viewer.may(Permission.DECIDE, case.clinic_id)
    unrecorded = _unrecorded(case, form) if form.is_bound and not is_open else None
    meant = "\n".join([_("What I would have decided:"), *form.typed()]) if unrecorded else ""
    return {
        "case": case,
        "banner": banner_of(case.patient, today, ContactWish.objects.filter(patient=case.patient)),
        "question": ACTIONS.get(case.action, case.action),
        "because": because_words(case.because),
        "rule": rule,
        "asks": asked_words(rule.asks),
        "grade": GRADES.get(rule.grade, rule.grade),
        "clock": symptom_clock(onset, today) if onset and is_open else None,
        "onset": onset,
        "late": (today - case.act_by).days if is_open and case.act_by and case.act_by < today else 0,
        "evidence": [chart.cite(key) for key in case.evidence],
        "columns": [_column(chart, one, today) for one in (Side.RIGHT, Side.LEFT)],
        "decisions": [(made, ACTIONS.get(made.action, made.action)) for made in review.answers_by_action(case)],
        "notes": [(note, note_words(note)) for note in review.notes_of([case]).get(case.pk, [])],
        "form": form if is_open and may_decide and case.action not in review.NOT_ANSWERED_BY_DECISION else None,
        "is_open": is_open,
        "may_decide": may_decide,
        "may_work": viewer.may(Permission.WORK, case.clinic_id),
        "ends_otherwise": case.action in review.NOT_ANSWERED_BY_DECISION,
        "assign_form": AssignForm(initial={"who": case.assigned_to_id}, clinicians=clinicians, auto_id="assign_%s"),
        "opinion_form": OpinionForm(clinicians=set(clinicians) - {viewer.actor.user_id}, auto_id="opinion_%s"),
        "my_opinion_asked": case.second_opinion_from_id == viewer.actor.user_id,
        "unrecorded": unrecorded,
        "comment_form": CommentForm(initial={"text": meant}, auto_id="comment_%s"),
        "next_url": _next_after(viewer, case),
        "action_words": ACTIONS,
    }


def _onset(chart: Chart, side: Side, case: ReviewCase) -> date | None:
    """When the present symptoms began, for the six-month window; None where the question is not of that window."""
    if case.rule in FROM_FIRST_PAIN:
        return case.since
    answer = chart.answer(side)
    if case.rule not in OF_PAIN or not answer.get("symptomatic") or answer.get("phase") not in BEFORE_COLLAPSE:
        return None
    started = None
    for report in chart.standing("symptom", side):
        if report.symptomatic or (report.pain_nrs or 0) > 0:
            started = started or report.on
        elif report.symptomatic is False or report.pain_nrs == 0:
            started = None
    return started


def _column(chart: Chart, side: Side, today: date) -> dict[str, Any]:
    """The latest facts of one hip, newest first, for reading side by side."""
    facts = [
        fact
        for kind in ("imaging", "staging", "symptom", "score", "location", "procedure")
        for fact in chart.standing(kind, side)
    ]
    latest = sorted(facts, key=lambda fact: (fact.on, fact.pk), reverse=True)[:12]
    return {
        "side": side.value,
        "summary": summary_of(chart, side, chart.answer(side), today),
        "facts": [
            {
                "text": titled(fact),
                "url": chart.cite(fact.key)["url"],
                "recent": fact.on > today - timedelta(days=28),
                "note": fact.note,  # what the patient wrote with the answers stands there
            }
            for fact in latest
        ],
    }


@signed_in
@require_POST
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = access.viewer_of(request)
    case = _case(viewer, pk)
    viewer.check(Permission.WORK, case.clinic_id)
    form = AssignForm(request.POST, clinicians=review.clinicians_of(case.clinic_id).values_list("pk", flat=True))
    if form.is_valid():
        who = form.cleaned_data["who"]
        if review.assign_case(case, to=who, viewer=viewer):
            said = _("Assigned to %(name)s.") % {"name": who.name} if who else _("Assigned to nobody.")
            messages.success(request, said)
        else:
            had = _("Nothing is changed: %(name)s has this case already.") % {"name": who.name} if who else ""
            messages.info(request, had or _("Nothing is changed: nobody has this case."))
    else:
        messages.error(request, _("Choose a clinician of this clinic."))
    return redirect("review_case", pk=case.pk)


@signed_in
@require_POST
def opinion(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = access.viewer_of(request)
    case = _case(viewer, pk)
    viewer.check(Permission.WORK, case.clinic_id)
    form = OpinionForm(request.POST, clinicians=review.clinicians_of(case.clinic_id).values_list("pk", flat=True))
    if form.is_valid():
        who = form.cleaned_data["who"]
        try:
            review.ask_second_opinion(case, of=who, viewer=viewer, text=form.cleaned_data["text"])
        except review.CaseRefused as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, _("%(name)s was asked for an opinion.") % {"name": who.name})
    else:
        messages.error(request, _("Choose whom to ask."))
    return redirect("review_case", pk=case.pk)


@signed_in
@require_POST
def comment(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = access.viewer_of(request)
    case = _case(viewer, pk)
    viewer.check(Permission.WORK, case.clinic_id)
    try:
        review.comment(case, text=typed(request, "text")[:LONGEST_COMMENT], viewer=viewer)
    except review.CaseRefused as refused:
        messages.error(request, str(refused))
    return redirect(f"{reverse('review_case', args=[case.pk])}#notes")

"""Review pages: the queue of cases, and one case with its evidence, its clock and the decision."""

from datetime import date, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import ContactWish
from patients.recording import RecordingRefused, today_at
from patients.vocabulary import Side
from schedules.guideline.rules import RULES

from .. import audit, review
from ..models import ReviewCase
from .banner import banner_of
from .chart import Chart, read_chart
from .entry import signed_in
from .fact_words import titled
from .finding_words import ACTIONS, GRADES, with_dates
from .forms.case import AssignForm, CommentForm, DecisionForm, OpinionForm
from .hip_panels import summary_of
from .symptom_clock import symptom_clock

PAGE = 50
EVIDENCE_KINDS = ("imaging", "staging", "symptom", "score", "location", "procedure", "decision", "bmi", "ending")
WHOSE = ("all", "mine", "unassigned", "opinion", "escalated")


def _queue(viewer: Viewer, whose: str, action: str) -> QuerySet[ReviewCase]:
    cases = review.open_cases_for(viewer)
    narrowed = {
        "mine": Q(assigned_to=viewer.actor.user_id),
        "unassigned": Q(assigned_to__isnull=True),
        "opinion": Q(second_opinion_from=viewer.actor.user_id),
        "escalated": Q(level=ReviewCase.Level.ADMIN),
    }.get(whose, Q())
    cases = cases.filter(narrowed)
    return cases.filter(action=action) if action in ACTIONS else cases


@signed_in
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """All open cases, the nearest deadline first; what has an alarm sign before everything."""
    viewer = access.viewer_of(request)
    whose, action = request.GET.get("whose", "all"), request.GET.get("question", "")
    cases = _queue(viewer, whose, action).select_related("patient", "patient__clinic", "hip", "assigned_to")
    urgent_first = cases.order_by(_urgency(), "act_by", "since", "id")
    page = Paginator(urgent_first, PAGE).get_page(request.GET.get("page"))
    asked = review.open_cases_for(viewer).order_by("action").values_list("action", flat=True).distinct()
    context = {
        "rows": [_row(case) for case in page.object_list],
        "page": page,
        "tabs": _tabs(viewer, whose, action),
        "questions": [(code, ACTIONS.get(code, code), code == action) for code in asked],
        "question": action,
        "whose": whose,
    }
    return render(request, "monitoring/review/queue.html", context)


def _urgency() -> Case:
    order = ("URGENT", "SOON", "REVIEW", "DATA")
    return Case(
        *(When(urgency=name, then=Value(rank)) for rank, name in enumerate(order)),
        default=Value(9),
        output_field=IntegerField(),
    )


def _tabs(viewer: Viewer, whose: str, action: str) -> list[dict[str, Any]]:
    names = {
        "all": _("All"),
        "mine": _("Assigned to me"),
        "unassigned": _("Unassigned"),
        "opinion": _("My opinion asked"),
        "escalated": _("Undecided for too long"),
    }
    question = f"&question={action}" if action else ""
    return [
        {
            "name": names[name],
            "url": f"{reverse('reviews')}?whose={name}{question}",
            "count": _queue(viewer, name, action).count(),
            "current": name == whose,
            "alert": name == "escalated",
        }
        for name in WHOSE
    ]


def _row(case: ReviewCase) -> dict[str, Any]:
    today = today_at(case.patient.clinic, timezone.now())
    return {
        "case": case,
        "question": ACTIONS.get(case.action, case.action),
        "side": case.hip.get_side_display(),
        "because": with_dates(case.because),
        "late": (today - case.act_by).days if case.act_by and case.act_by < today else 0,
        "clock": symptom_clock(case.since, today) if case.rule in {"R05", "R11", "R13"} else None,
        "url": reverse("review_case", args=[case.pk]),
    }


def _case(viewer: Viewer, pk: int) -> ReviewCase:
    try:
        return review.case_for(viewer, pk)
    except ReviewCase.DoesNotExist:
        raise Http404("No such case.") from None


def _next_after(viewer: Viewer, case: ReviewCase) -> str:
    """The address of the next open case in the queue's order, or of the queue."""
    ids = list(
        review.open_cases_for(viewer).order_by(_urgency(), "act_by", "since", "id").values_list("pk", flat=True)[:500]
    )
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
        status = 422
    audit.looked(viewer.actor, [(case.clinic_id, case.patient_id)], f"case-{case.pk}")
    return render(request, "monitoring/review/case.html", _case_context(viewer, case, form, today), status=status)


def _decided_words(case: ReviewCase) -> str:
    asked = ACTIONS.get(case.action, case.action)
    return _("%(question)s decided for %(patient)s.") % {"question": asked, "patient": case.patient.display_name}


def _case_context(viewer: Viewer, case: ReviewCase, form: DecisionForm, today: date) -> dict[str, Any]:
    chart = read_chart(case.patient, EVIDENCE_KINDS)
    side = Side(case.hip.side)
    rule = RULES[case.rule]
    onset = _onset(chart, side, case)
    clinicians = list(review.clinicians_of(case.clinic_id).values_list("pk", flat=True))
    is_open = case.state == ReviewCase.State.OPEN
    may_decide = viewer.may(Permission.DECIDE, case.clinic_id)
    return {
        "case": case,
        "banner": banner_of(case.patient, today, ContactWish.objects.filter(patient=case.patient)),
        "question": ACTIONS.get(case.action, case.action),
        "because": with_dates(case.because),
        "rule": rule,
        "grade": GRADES.get(rule.grade, rule.grade),
        "clock": symptom_clock(onset, today) if onset and is_open else None,
        "onset": onset,
        "late": (today - case.act_by).days if is_open and case.act_by and case.act_by < today else 0,
        "evidence": [chart.cite(key) for key in case.evidence],
        "columns": [_column(chart, one, today) for one in (Side.RIGHT, Side.LEFT)],
        "decisions": [(made, ACTIONS.get(made.action, made.action)) for made in review.answers_by_action(case)],
        "notes": [(note, with_dates(note.text)) for note in review.notes_of([case]).get(case.pk, [])],
        "form": form if is_open and may_decide and case.action not in review.NOT_ANSWERED_BY_DECISION else None,
        "is_open": is_open,
        "may_decide": may_decide,
        "may_work": viewer.may(Permission.WORK, case.clinic_id),
        "ends_otherwise": case.action in review.NOT_ANSWERED_BY_DECISION,
        "assign_form": AssignForm(initial={"who": case.assigned_to_id}, clinicians=clinicians, auto_id="assign_%s"),
        "opinion_form": OpinionForm(clinicians=clinicians, auto_id="opinion_%s"),
        "comment_form": CommentForm(auto_id="comment_%s"),
        "next_url": _next_after(viewer, case),
        "action_words": ACTIONS,
    }


def _onset(chart: Chart, side: Side, case: ReviewCase) -> date | None:
    """When the present symptoms began, for the six-month window; None where the hip is not symptomatic."""
    if case.rule in {"R05", "R11"}:
        return case.since
    if not chart.answer(side).get("symptomatic"):
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
            {"text": titled(fact), "url": chart.cite(fact.key)["url"], "recent": fact.on > today - timedelta(days=28)}
            for fact in latest
        ],
    }


@signed_in
@require_POST
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = access.viewer_of(request)
    case = _case(viewer, pk)
    form = AssignForm(request.POST, clinicians=review.clinicians_of(case.clinic_id).values_list("pk", flat=True))
    if form.is_valid():
        review.assign_case(case, to=form.cleaned_data["who"], viewer=viewer)
        who = form.cleaned_data["who"]
        messages.success(request, _("Assigned to %(name)s.") % {"name": who.name} if who else _("Assigned to nobody."))
    else:
        messages.error(request, _("Choose a clinician of this clinic."))
    return redirect("review_case", pk=case.pk)


@signed_in
@require_POST
def opinion(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = access.viewer_of(request)
    case = _case(viewer, pk)
    form = OpinionForm(request.POST, clinicians=review.clinicians_of(case.clinic_id).values_list("pk", flat=True))
    if form.is_valid():
        who = form.cleaned_data["who"]
        review.ask_second_opinion(case, of=who, viewer=viewer, text=form.cleaned_data["text"])
        messages.success(request, _("%(name)s was asked for an opinion.") % {"name": who.name})
    else:
        messages.error(request, _("Choose whom to ask."))
    return redirect("review_case", pk=case.pk)


@signed_in
@require_POST
def comment(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = access.viewer_of(request)
    case = _case(viewer, pk)
    try:
        review.comment(case, text=request.POST.get("text", "")[:2000], viewer=viewer)
    except review.CaseRefused as refused:
        messages.error(request, str(refused))
    return redirect(f"{reverse('review_case', args=[case.pk])}#notes")

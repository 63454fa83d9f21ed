"""Corrections: a fact superseded with a reason or withdrawn as an error, and a decision on a finding."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import access, recording
from patients.access import Permission
from patients.models import Fact, Hip, Patient, Score
from patients.recording import RecordingRefused, today_at
from schedules.guideline.rules import RULES

from ..models import HipEvaluation
from ..review import CASE_ACTIONS
from .chart import MODELS, Chart, fact_url, read_chart
from .enrolment import form_page, refuse
from .entry import signed_in
from .fact_words import titled
from .finding_words import ACTIONS
from .forms.correction import FIELDS, correction_form
from .forms.ending import ReasonForm
from .forms.finding import AnswerForm
from .forms.visit import hip_words
from .guideline_words import asked_words, because_words


def _found(person: Patient, key: str) -> tuple[Chart, Fact]:
    """The fact of this patient by its key, and the chart of its kind; 404 where there is none."""
    kind, _dash, number = key.rpartition("-")
    if kind not in MODELS or not number.isdecimal():
        raise Http404(key)
    chart = read_chart(person, (kind,))
    fact = chart.by_key.get(key)
    if fact is None:
        raise Http404(key)
    return chart, fact


@signed_in
def fact_withdraw(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Mark a fact as entered in error: it stays on the page, struck, with the reason."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    chart, fact = _found(person, key)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            recording.withdraw_fact(fact, by=viewer.actor, reason=form.cleaned_data["reason"])
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        else:
            messages.success(request, _("Marked as entered in error. What rested on it was worked out again."))
            return redirect(fact_url(person.pk, key))
    return _fact_page(request, chart, fact, form, "monitoring/correction/withdraw.html")


@signed_in
def fact_correct(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Supersede a fact by a corrected one with a reason; the earlier one stays on the page, struck."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    chart, fact = _found(person, key)
    if fact.kind not in FIELDS or not chart.stands(fact):
        messages.info(request, _("This entry cannot be corrected any more."))
        return redirect(fact_url(person.pk, key))
    form = correction_form(type(fact))(request.POST or None, instance=_copy_of(fact))
    if form.is_valid():
        corrected: Any = form.instance
        reason = form.cleaned_data["correction_reason"]
        corrected.supersedes, corrected.correction_reason = fact, reason
        if isinstance(corrected, Score) and "value" in form.changed_data:
            corrected.items, corrected.variant = None, ""  # the items no longer add up to it
        try:
            recording.record_facts(
                person.pk, [(chart.side_of(fact), corrected)], by=viewer.actor, act="correct_fact", reason=reason
            )
        except RecordingRefused as refused:
            refuse(form, refused.problems)  # type: ignore[arg-type]
        else:
            messages.success(request, _("Corrected. What rested on it was worked out again."))
            return redirect(fact_url(person.pk, corrected.key))
    return _fact_page(request, chart, fact, form, "monitoring/correction/correct.html")  # type: ignore[arg-type]


_OF_THE_ENTRY = frozenset(
    {
        "id",
        "clinic",
        "patient",
        "hip",
        "visit",
        "supersedes",
        "correction_reason",
        "recorded_at",
        "recorded_by",
        "actor",
    }
    | {"origin", "withdrawn_at", "withdrawn_actor", "withdrawn_reason"}
)


def _copy_of(fact: Fact) -> Fact:
    """An unsaved fact with the same content."""
    names = [field.attname for field in fact._meta.concrete_fields if field.name not in _OF_THE_ENTRY]
    return type(fact)(**{name: getattr(fact, name) for name in names})


def _fact_page(request: HttpRequest, chart: Chart, fact: Fact, form: forms.Form, template: str) -> HttpResponse:
    side = chart.side_of(fact)
    return form_page(
        request,
        chart.patient,
        form,
        template,
        fact=fact,
        hip=hip_words(side) if side else "",
        fact_words=titled(fact),
        back_url=fact_url(chart.patient.pk, fact.key),
    )


@signed_in
def finding_decide(request: HttpRequest, pk: int, side: str, action: str) -> HttpResponse:
    """Answer a finding that has no case of its own: outcome and reason, by a clinician."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.DECIDE)
    hip = Hip.objects.filter(patient=person, side=side).first()
    rule = next((rule for rule in RULES.values() if rule.action == action), None)
    if hip is None or rule is None or not rule.decided or action in CASE_ACTIONS:
        raise Http404(action)
    form = AnswerForm(request.POST or None, initial={"on": today_at(person.clinic, timezone.now())})
    if form.is_valid():
        said = form.cleaned_data
        try:
            recording.record_decision(hip, by=viewer.actor, action=action, **said)
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        else:
            messages.success(request, _("The decision is recorded."))
            return redirect("patient", pk=person.pk)
    evaluated = HipEvaluation.objects.filter(hip=hip).first()
    found = next((f for f in evaluated.answer["findings"] if f["action"] == action), None) if evaluated else None
    return form_page(
        request,
        person,
        form,
        "monitoring/correction/decide.html",
        side=side,
        action=ACTIONS.get(action, action),
        rule=rule,
        asks=asked_words(rule.asks),
        because=because_words(found["because"]) if found else "",
    )

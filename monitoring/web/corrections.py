"""Corrections: a fact superseded with a reason or withdrawn as an error, and a decision on a finding."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import access, recording
from patients.access import Permission
from patients.models import Fact, Hip, HipFact, Patient, Score
from patients.plausibility import OF_THE_ENTRY, fact_problems, says_the_same
from patients.recording import RecordingRefused, today_at
from schedules.guideline.rules import RULES

from ..models import HipEvaluation
from ..review import CASE_ACTIONS
from .act_words import ACTS
from .actor_words import who
from .chart import MODELS, Chart, corrected_id, fact_url, read_chart
from .contradictions import Contradiction, contradictions, digest, keep_reason
from .enrolment import form_page, refuse
from .entry import signed_in
from .fact_words import name_of, titled
from .finding_words import ACTIONS
from .follow_up import moved_since
from .forms.correction import FIELDS, correction_form
from .forms.ending import ReasonForm
from .forms.finding import AnswerForm
from .forms.go_on import GoOnForm
from .forms.section import Problems
from .forms.visit import hip_words
from .guideline_words import asked_words, because_words
from .history import Changed, HistoryRow


def _found(person: Patient, key: str, kinds: Iterable[str] = ()) -> tuple[Chart, Fact]:
    """The fact of this patient by its key, and the chart of its kind or of `kinds`; 404 where there is none."""
    kind, _dash, number = key.rpartition("-")
    if kind not in MODELS or not number.isdecimal():
        raise Http404(key)
    chart = read_chart(person, kinds or (kind,))
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
    if request.method == "POST":
        person = recording.lock_patient(person.pk)  # of two who correct one entry, the second is shown the first's
    chart, fact = _found(person, key, MODELS)
    if request.method == "POST" and fact.kind in FIELDS and not chart.stands(fact):
        return _overtaken(request, chart, fact)
    if fact.kind not in FIELDS or not chart.stands(fact):
        messages.info(request, _("This entry cannot be corrected any more."))
        return redirect(fact_url(person.pk, key))
    form = correction_form(type(fact))(request.POST or None, instance=_copy_of(fact))
    go_on = GoOnForm(request.POST or None)
    found: list[Contradiction] = []
    if form.is_valid():
        corrected = _corrected(form, fact)
        refuse(form, fact_problems(corrected, person, chart.today))  # type: ignore[arg-type]
        if says_the_same(corrected, fact):
            form.add_error(None, _("Nothing is different from the entry as it is: there is nothing to correct."))
        found = [] if form.errors else contradictions(chart.without(fact), [(chart.side_of(fact), corrected)])
        may_save = not form.errors and go_on.is_valid() and go_on.goes_on(found)
        if may_save and _saved(request, chart, corrected, found, form, go_on):
            return redirect(fact_url(person.pk, corrected.key))
    return _correction_page(request, chart, fact, form, go_on=go_on, warnings=found)


def _corrected(form: "forms.ModelForm[Any]", fact: Fact) -> Fact:
    """The fact as it was typed, in the place of the one that it corrects."""
    corrected: Any = form.instance
    corrected.supersedes, corrected.correction_reason = fact, form.cleaned_data["correction_reason"]
    corrected.patient_id = fact.patient_id
    if isinstance(fact, HipFact):
        corrected.hip_id = fact.hip_id
    if isinstance(corrected, Score) and "value" in form.changed_data:
        corrected.items, corrected.variant = None, ""  # the items no longer add up to it
    return corrected  # type: ignore[no-any-return]


def _saved(
    request: HttpRequest,
    chart: Chart,
    corrected: Fact,
    found: list[Contradiction],
    form: "forms.ModelForm[Any]",
    go_on: GoOnForm,
) -> bool:
    """Record it and say what has moved; where that is refused, the form says so."""
    side, why_right = chart.side_of(corrected), go_on.cleaned_data["go_on_reason"] if found else ""
    keep_reason(found, why_right)
    try:
        recording.record_facts(
            chart.patient.pk,
            [(side, corrected)],
            by=access.viewer_of(request).actor,
            act="correct_fact",
            reason=f"{corrected.correction_reason} {why_right}".strip()[:300],
        )
    except RecordingRefused as refused:
        refuse(form, refused.problems)  # type: ignore[arg-type]
        return False
    messages.success(request, _("Corrected. What rested on it was worked out again."))
    for sentence in moved_since(chart, {side} if side else set()):
        messages.info(request, sentence)
    return True


def _overtaken(request: HttpRequest, chart: Chart, fact: Fact) -> HttpResponse:
    """Somebody else was faster: what they did is shown, and what was typed corrects their entry when sent again."""
    done = []
    while (newer := _correction_of(chart, fact)) is not None:
        change = Changed(name_of(newer), titled(fact), titled(newer), "")
        reason = newer.correction_reason
        done.append(HistoryRow(newer.recorded_at, who(newer.actor), str(ACTS["correct_fact"]), reason, (change,)))
        fact = newer
    if fact.withdrawn_at:
        act = str(ACTS["withdraw_fact"])
        done.append(HistoryRow(fact.withdrawn_at, who(fact.withdrawn_actor), act, fact.withdrawn_reason, ()))
    form = correction_form(type(fact))(request.POST, instance=_copy_of(fact))
    return _correction_page(request, chart, fact, form, go_on=GoOnForm(), meanwhile=done)


def _correction_of(chart: Chart, fact: Fact) -> Fact | None:
    return next((f for f in chart.facts[fact.kind] if corrected_id(f) == fact.pk and f.withdrawn_at is None), None)


def _correction_page(
    request: HttpRequest,
    chart: Chart,
    fact: Fact,
    form: "forms.ModelForm[Any]",
    *,
    go_on: GoOnForm,
    warnings: Sequence[Contradiction] = (),
    meanwhile: Sequence[HistoryRow] | None = None,
) -> HttpResponse:
    problems = Problems()
    problems.of(go_on)
    return _fact_page(
        request,
        chart,
        fact,
        form,  # type: ignore[arg-type]
        "monitoring/correction/correct.html",
        go_on=go_on,
        errors=problems.found,
        warnings=warnings,
        warned=digest(warnings),
        meanwhile=meanwhile,
        may_send=chart.stands(fact),
        action=reverse("fact_correct", args=[chart.patient.pk, fact.key]),
        status=None if meanwhile is None else 409,
    )


def _copy_of(fact: Fact) -> Fact:
    """An unsaved fact with the same content."""
    names = [field.attname for field in fact._meta.concrete_fields if field.name not in OF_THE_ENTRY]
    return type(fact)(**{name: getattr(fact, name) for name in names})


def _fact_page(
    request: HttpRequest, chart: Chart, fact: Fact, form: forms.Form, template: str, **more: Any
) -> HttpResponse:
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
        **more,
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

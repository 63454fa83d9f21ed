"""Symptom check: one question a screen; nothing is kept until the last, which records the answers once."""

from collections.abc import Mapping
from typing import Any

from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from patients.models import Visit
from patients.recording import RecordingRefused, lock_patient, record_facts
from schedules.links import Purpose

from ..models import PatientLinkUse
from . import questions
from .door import Guest, closed, opened_by, show
from .forms import NoteForm

HOURS_TO_ANSWER = 12
Answers = dict[str, str]


@opened_by(Purpose.CHECK)
def check(request: HttpRequest, guest: Guest) -> HttpResponse:
    """The screen that comes next. Between screens the answers travel in the form, signed for this link."""
    if is_answered(guest):
        return closed("answered", guest.clinic, status=410)
    if request.method != "POST":
        return _ask(guest, {})
    answers = _load(guest, request.POST.get("state", ""))
    if answers is None:
        return _ask(guest, {}, again=True)
    if "back" in request.POST:
        return _ask(guest, _without_last(answers), chosen=answers)
    question = questions.next_question(answers)
    if question is None:
        return _finish(request, guest, answers)
    said = request.POST.get(question.key, "")
    if not question.accepts(said):
        return _ask(guest, answers, unanswered=True)
    return _ask(guest, {**answers, question.key: said})


def is_answered(guest: Guest) -> bool:
    return PatientLinkUse.objects.filter(purpose=guest.link.purpose, reminder=guest.link.reminder_id).exists()


def _salt(guest: Guest) -> str:
    return f"monitoring.patient_pages.check:{guest.token}"


def _load(guest: Guest, state: str) -> Answers | None:
    """The answers so far; None where they are not ours, or of another day."""
    try:
        answers: Answers = signing.loads(state, salt=_salt(guest), max_age=HOURS_TO_ANSWER * 3600)
    except signing.BadSignature:
        return None
    return answers


def _without_last(answers: Answers) -> Answers:
    done = [question.key for question, _choice in questions.answered(answers)]
    return {key: answers[key] for key in done[:-1]}


def _ask(
    guest: Guest,
    answers: Answers,
    *,
    chosen: Mapping[str, str] | None = None,
    unanswered: bool = False,
    again: bool = False,
    note: NoteForm | None = None,
) -> HttpResponse:
    question = questions.next_question(answers)
    shown: dict[str, Any] = {
        "state": signing.dumps(answers, salt=_salt(guest)),
        "first": not answers,
        "unanswered": unanswered,
        "again": again,
        "status": 422 if unanswered or note else 200,
    }
    if question is None:
        return show("send", guest.clinic, form=note or NoteForm(), told=questions.answered(answers), **shown)
    return show("question", guest.clinic, question=question, chosen=(chosen or {}).get(question.key, ""), **shown)


def _finish(request: HttpRequest, guest: Guest, answers: Answers) -> HttpResponse:
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _ask(guest, answers, note=form)
    try:
        kept = record_answers(guest, answers, form.cleaned_data["note"].strip())
    except RecordingRefused:
        return closed("refused", guest.clinic, status=409)
    if not kept:
        return closed("answered", guest.clinic, status=410)
    alarm, strong = questions.has_alarm(answers), questions.is_strong(answers)
    pain = bool(questions.sides_in(answers))
    return show("thanks", guest.clinic, severe=alarm or strong, alarm=alarm, pain=pain)


@transaction.atomic
def record_answers(guest: Guest, answers: Answers, note: str) -> bool:
    """Record a report of each hip, and that the link is used up, in one transaction; False when it was before.

    The patient's lock lets one of two at once go first. Raises RecordingRefused, and then nothing is kept.
    """
    lock_patient(guest.patient.pk)
    if is_answered(guest):
        return False
    PatientLinkUse.objects.create(
        clinic=guest.clinic,
        patient=guest.patient,
        reminder_id=guest.link.reminder_id,
        purpose=guest.link.purpose,
        used_at=guest.now,
    )
    record_facts(
        guest.patient.pk,
        questions.reports_from(answers, on=guest.today, note=note),
        by=guest.by,
        visit=Visit(on=guest.today, kind=Visit.Kind.REPORT),
        act="answer_symptom_check",
        now=guest.now,
    )
    return True

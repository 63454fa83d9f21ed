"""Consent: what, beside care, a patient agrees to; asked for on both sides, and heeded."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from patients import access, recording
from patients.models import Consent, Patient
from patients.recording import RecordingRefused
from schedules import circumstances, links
from schedules.eligibility import Reason, decide
from schedules.links import Purpose
from schedules.models import Reminder

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def mail_to(patient: Patient, step: str) -> Reminder:
    when = {"cycle_on": date(2026, 1, 10), "due_on": date(2026, 4, 10), "send_on": NOON.date()}
    return Reminder.objects.create(clinic=patient.clinic, patient=patient, step=step, state="planned", **when)


def test_who_wants_no_symptom_check_gets_none_and_other_mail_all_the_same(patient: Patient, actor: Any) -> None:
    check, due = mail_to(patient, "symptom_check"), mail_to(patient, "due")
    recording.set_consent(
        patient.pk, by=actor, purpose="symptom_check", allowed=False, how="by telephone", on=NOON.date()
    )
    cases = circumstances.cases_for([check, due], NOON)
    assert (cases[check.pk].purpose_refused, cases[due.pk].purpose_refused) == (True, False)


def test_the_reason_is_said(patient: Patient, actor: Any) -> None:
    check = mail_to(patient, "symptom_check")
    case = circumstances.cases_for([check], NOON)[check.pk]
    asked = replace(case, followed=True, wanted=True, purpose_refused=True)
    assert decide(asked).reason == Reason.PURPOSE_REFUSED


def test_how_it_was_said_is_asked_for(patient: Patient, actor: Any) -> None:
    with pytest.raises(RecordingRefused):
        recording.set_consent(patient.pk, by=actor, purpose="research", allowed=True, how=" ", on=NOON.date())


def test_staff_record_a_consent_beside_the_contact_wishes(
    patient: Patient, clinic: Any, make_user: Any, sign_in: Any
) -> None:
    browser, where = sign_in(make_user(clinic, "coordinator")), reverse("patient_contact", args=[patient.pk])
    browser.post(where, {"channel": "research", "allowed": "yes", "how": "on paper, 3 Nov 2026"})
    assert Consent.objects.get(patient=patient, purpose="research").allowed is True
    assert "Use for research, without name" in browser.get(where).content.decode()


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "May researchers use what we know about your health, without your name?"),
        ("de", "Dürfen Forschende nutzen, was wir über Ihre Gesundheit wissen, ohne Ihren Namen?"),
        ("es", "¿Pueden los investigadores utilizar lo que sabemos de su salud, sin su nombre?"),
        ("fr", "Les chercheurs peuvent-ils utiliser ce que nous savons de votre santé, sans votre nom ?"),
    ],
)
def test_the_patient_is_asked_in_their_language_and_can_change_it(
    clinic: Any, enrol: Any, language: str, words: str
) -> None:
    patient = enrol(clinic, language=language)
    url = "/p/" + links.url_of(links.link_of(mail_to(patient, "due"), Purpose.WISHES)).split("/p/")[1]
    browser = Client()
    assert words in browser.get(url).content.decode()
    browser.post(url, {"research": "yes", "symptom_check": "no", "language": language})
    access.bind_clinics([clinic.pk])
    said = dict(Consent.objects.filter(patient=patient).values_list("purpose", "allowed"))
    assert said == {"research": True, "symptom_check": False}

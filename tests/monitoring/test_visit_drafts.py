"""Visit drafts: what is typed is kept for whoever typed it, until it is recorded, discarded or forgotten."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring import drafts
from monitoring.models import VisitDraft
from patients import access
from patients.models import Patient, SymptomReport
from tests.monitoring.test_patient_page import hurts
from tests.monitoring.test_visit import TODAY

TYPED = {
    "on": TODAY,
    "kind": "clinic",
    "left-symptom-symptomatic": "yes",
    "left-symptom-pain_nrs": "4",
    "left-radiograph-views": ["AP_PELVIS", "FROG_LATERAL"],
    "note": "begun",
}


@pytest.fixture
def user(clinic, make_user):
    return make_user(clinic, "coordinator")


@pytest.fixture
def client_(watched, user, sign_in):
    return sign_in(user)


@pytest.fixture
def form(watched):
    return f"/patients/{watched.pk}/visit/"


def typed(patient, **more):
    version = Patient.objects.get(pk=patient.pk).record_version
    return {**TYPED, "record_version": version, "seen_entry": 0, **more}


def test_what_is_typed_is_there_again_and_nothing_is_recorded(watched, client_, form):
    answer = client_.post(f"{form}draft/", typed(watched), headers={"accept": "application/json"})
    assert answer.status_code == 200
    assert "Nothing is recorded yet" in answer.json()["words"]
    assert not SymptomReport.objects.filter(patient=watched, pain_nrs=4).exists()
    page = client_.get(form)
    entry = page.context["entry"]
    assert entry.visit["note"].value() == "begun"
    left = {section.key: section for side, section in entry.sections() if side == "left"}
    assert left["symptom"]["pain_nrs"].value() == "4"
    assert left["radiograph"]["views"].value() == ["AP_PELVIS", "FROG_LATERAL"]
    assert page.context["errors"] == []
    assert "field-error" not in page.content.decode()


def test_without_script_a_button_keeps_it(watched, client_, form):
    answer = client_.post(f"{form}draft/", typed(watched))
    assert answer.url == f"/patients/{watched.pk}/"
    assert VisitDraft.objects.get().typed["note"] == ["begun"]
    assert "csrfmiddlewaretoken" not in VisitDraft.objects.get().typed


def test_recording_ends_the_draft(watched, client_, form):
    client_.post(f"{form}draft/", typed(watched))
    assert client_.post(form, typed(watched)).status_code == 302
    assert not VisitDraft.objects.exists()
    assert SymptomReport.objects.filter(patient=watched, pain_nrs=4).exists()


def test_a_refused_visit_leaves_the_draft(watched, client_, form):
    client_.post(f"{form}draft/", typed(watched))
    assert client_.post(form, typed(watched, on="2030-01-01")).status_code == 422
    assert VisitDraft.objects.exists()


def test_it_is_discarded_on_request(watched, client_, form):
    client_.post(f"{form}draft/", typed(watched))
    assert client_.post(f"{form}draft/discard/").url == form
    assert client_.get(form).context["entry"].visit["note"].value() in (None, "")


def test_a_later_draft_takes_the_place_of_the_earlier(watched, client_, form):
    client_.post(f"{form}draft/", typed(watched))
    client_.post(f"{form}draft/", typed(watched, note="more"))
    assert VisitDraft.objects.get().typed["note"] == ["more"]


def test_a_draft_is_nobody_elses(watched, client_, form, clinic, other_clinic, make_user, sign_in):
    client_.post(f"{form}draft/", typed(watched))
    colleague = sign_in(make_user(clinic, "clinician"))
    assert colleague.get(form).context["draft"] is None
    stranger = sign_in(make_user(other_clinic, "coordinator"))
    assert stranger.post(f"{form}draft/", typed(watched)).status_code == 404


def test_a_change_since_the_draft_was_begun_is_shown_before_it_is_recorded(watched, client_, form, actor):
    client_.post(f"{form}draft/", typed(watched))
    hurts(watched, actor)
    page = client_.get(form)
    sent = typed(watched, record_version=page.context["entry"].visit["record_version"].value())
    assert client_.post(form, sent).status_code == 409


def test_a_form_that_never_was_is_refused(watched, client_, form):
    answer = client_.post(f"{form}draft/", {"note": "x" * 70_000}, headers={"accept": "application/json"})
    assert answer.status_code == 413
    assert not VisitDraft.objects.exists()


def test_forgotten_drafts_are_dropped(watched, client_, form):
    client_.post(f"{form}draft/", typed(watched))
    with access.system_run("test"):
        assert drafts.drop_forgotten(now=timezone.now()) == 0
        assert drafts.drop_forgotten(now=timezone.now() + drafts.KEPT_FOR + timedelta(days=1)) == 1


def test_the_patients_page_tells_whoever_typed_it_of_the_draft(watched, client_, form, clinic, make_user, sign_in):
    page = f"/patients/{watched.pk}/"
    assert "A draft of a visit" not in client_.get(page).content.decode()
    client_.post(f"{form}draft/", typed(watched))
    text = client_.get(page).content.decode()
    assert "A draft of a visit of" in text and f'<a href="{form}">Go on with it</a>' in text
    assert "A draft of a visit" not in sign_in(make_user(clinic, "clinician")).get(page).content.decode()

"""What an intruder tries: hostile addresses, other clinics' ids, fields nobody offers, texts that are orders."""

import json
from datetime import timedelta
from itertools import product

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from monitoring import clinics, staffing
from monitoring.api import tokens
from monitoring.models import AuditEntry, CaseNote, Invitation, ReviewCase, Snooze
from monitoring.routes import PAGES, Special
from patients import access
from patients.models import Clinic, Membership, Patient, Role
from schedules import mail
from schedules.models import Appointment, Reminder
from tests.conftest import as_signed_in
from tests.contracts.conftest import ACTOR, world  # noqa: F401  # a fixture
from tests.contracts.test_permissions import address, asked, browser_of, is_refused, pages

PARAMETERS = (
    "act", "acted", "after", "as_of", "back", "before", "clinic", "clinician", "fact", "key",
    "kind", "language", "late", "next", "number",
    "object", "of", "on", "owner", "page", "part", "pathway", "patient", "protocol", "q", "record_number", "show",
    "since", "sort", "tab", "to", "until", "version", "view", "who",
)  # fmt: skip
HOSTILE = ("\x00", "٣", "9" * 40, "-1", "' OR 1=1 --", "../../etc/passwd", "\ud83d", "%s%n{{7*7}}", "2026-02-31")


@pytest.fixture
def everybody(world, make_user):  # noqa: F811
    """Somebody with every role in the first clinic."""
    own, _other = world
    browser = browser_of(make_user(own.clinic, *Role))
    browser.raise_request_exception = False
    return browser


# Addresses


@pytest.mark.slow
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_parameter_of_an_address_makes_a_page_fail(world, everybody, hostile):  # noqa: F811
    own, _other = world
    asking = dict.fromkeys(PARAMETERS, hostile.encode("utf-8", "surrogatepass"))
    failed = []
    for name in set(pages()) - {"readyz"}:  # which says 503 while nothing has swept
        path, _is_of_clinic = address(name, own)
        answer = everybody.get(path, asking)
        failed += [f"{path}: {answer.status_code}"] if answer.status_code >= 500 else []
    assert failed == []


def test_what_is_typed_with_a_nul_makes_nothing_fail(world, everybody):  # noqa: F811
    own, _other = world
    day = (timezone.localdate() + timedelta(days=5)).isoformat()
    said = "Not\x00 now."
    for path, sent in (
        (f"/messages/{own.reminder}/resolve/", {"act": "withhold", "reason": said}),
        (f"/review/{own.case}/comment/", {"text": said}),
        (f"/worklist/{own.patient.pk}/snooze/", {"until": day, "reason": said}),
        (f"/worklist/{own.patient.pk}/outcome/", {"outcome": "no_answer", "note": said, "next_on": day}),
        (f"/patients/{own.patient.pk}/visit/draft/", {"note": said, "record_version": "1"}),
        ("/administration/retention/", {"clinic": own.clinic.pk, "kind": said, "months": "12"}),
        ("/account/login/", {"login": f"{said}@clinic.example", "password": said}),
        ("/search/", {"q": said, "to": "/patients/"}),
    ):
        assert everybody.post(path, sent, follow=True).status_code in {200, 204, 403, 404, 422}, path
    access.bind_clinics([own.clinic.pk])
    assert CaseNote.objects.filter(text="Not now.").exists() and Snooze.objects.filter(reason="Not now.").exists()


def test_an_address_with_a_nul_is_refused_in_words(everybody):
    refused = everybody.get("/patients/", {"q": "a\x00b"})
    assert refused.status_code == 400 and "could not be read" in refused.content.decode()


@pytest.mark.slow
def test_strangers_are_refused_whatever_method_they_use(world):  # noqa: F811
    own, _other = world
    wrong = []
    for name in pages():
        if Special.ANYONE in PAGES[name].see:
            continue
        for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
            status, place = asked(browser_of(None), method, address(name, own)[0])
            if not is_refused(status, place):
                wrong.append(f"{method} {name}: {status}")
    assert wrong == []


# Ids of another clinic in forms that one may send


def test_another_clinics_people_and_patients_in_a_form_are_not_found_there(world, make_user):  # noqa: F811
    own, other = world
    browser = browser_of(make_user(own.clinic, *Role))
    stranger = make_user(other.clinic, "clinician")
    day = (timezone.localdate() + timedelta(days=9)).isoformat()
    booking = {"day": day, "time": "09:00", "minutes": "20", "purpose": "visit", "clinician": stranger.pk}
    person = {name: getattr(own.patient, name) for name in ("family_name", "given_name", "record_number")}
    edit = {**person, "reason": "x", "responsible": stranger.pk, "record_version": own.patient.record_version}
    ticked = {"selected": [other.patient.pk], "act": "assign", "clinician": ""}
    for path, sent in (
        (f"/patients/{own.patient.pk}/appointments/new/", booking),
        (f"/patients/{own.patient.pk}/edit/", edit),
        (f"/review/{own.case}/assign/", {"who": stranger.pk}),
        (f"/review/{own.case}/opinion/", {"who": stranger.pk, "text": "See this."}),
        (f"/patients/{own.patient.pk}/merge/{other.patient.pk}/", {"reason": "x"}),
        ("/worklist/bulk/", ticked),
        ("/worklist/bulk/", {**ticked, "act": "csv"}),
        (
            "/administration/staff/new/",
            {"clinic": other.clinic.pk, "email": "x@x.example", "name": "X", "roles": "admin"},
        ),
        ("/tokens/", {"clinic": other.clinic.pk, "name": "x", "scopes": "read", "days": "30"}),
        ("/patients/new/", {**person, "clinic": other.clinic.pk, "record_number": "X-1", "enrolled_on": day}),
    ):
        answer = browser.post(path, sent)
        assert answer.status_code == 404 if "merge" in path else answer.status_code in {200, 302, 422}, path
        assert other.patient.family_name not in answer.content.decode()
    access.bind_clinics(Clinic.objects.values_list("id", flat=True))
    assert not Appointment.objects.filter(clinician=stranger).exists()
    assert not Patient.objects.filter(responsible=stranger).exists()
    assert not ReviewCase.objects.filter(assigned_to=stranger).exists()
    assert not Invitation.objects.filter(email="x@x.example").exists()
    assert not Patient.objects.filter(record_number="X-1").exists()
    assert not AuditEntry.objects.filter(user_id__isnull=False, clinic_id=other.clinic.pk, patient_id=other.patient.pk)


# The API


@pytest.fixture
def call(world):  # noqa: F811
    own, _other = world
    cache.clear()
    secret = tokens.issue(name="x", clinic=own.clinic, scopes=["read", "record", "decide"], days=3, by=ACTOR)[1]

    def send(method, path, body):
        headers = {"Authorization": f"Bearer {secret}"}
        client = Client(raise_request_exception=False)
        return client.generic(method, path, body, content_type="application/json", headers=headers)

    return send


MORE_DEPTHS = (200, 320, 480, 640, 900, 5_000)


@pytest.mark.parametrize("depth", [50, 990, 200_000, *(pytest.param(n, marks=pytest.mark.slow) for n in MORE_DEPTHS)])
def test_json_nested_to_any_depth_is_refused_and_does_not_make_it_fail(world, call, subtests, depth):  # noqa: F811
    own, _other = world
    nested = '{"a":' * depth + "1" + "}" * depth
    lists = '{"record": ' + "[" * depth + "]" * depth + "}"
    for path in ("/api/v1/assess", "/api/v1/patients/", f"/api/v1/patients/{own.patient.pk}/facts/"):
        for body in (nested, lists):
            with subtests.test(path):
                assert call("POST", path, body).status_code in {400, 413, 422}


@pytest.mark.parametrize("number", ["9" * 5_000, "1e99999", "-1e400", "1" + "0" * 400])
def test_numbers_that_nothing_holds_are_refused(world, call, number):  # noqa: F811
    own, _other = world
    fact = '{"kind": "symptom", "side": "left", "on": "2026-03-03", "values": {"source": "patient", "pain_nrs": %s}}'
    body = '{"on": "2026-03-03", "facts": [' + fact % number + "]}"
    assert call("POST", f"/api/v1/patients/{own.patient.pk}/facts/", body).status_code in {400, 422}


NOT_OFFERED = ("id", "clinic", "clinic_id", "merged_into", "merged_into_id", "record_version", "synthetic", "died_on")


def test_fields_that_nobody_offers_are_refused(world, call, subtests):  # noqa: F811
    own, other = world
    path = f"/api/v1/patients/{own.patient.pk}/"
    before = Patient.objects.values().get(pk=own.patient.pk)
    for field in NOT_OFFERED:
        with subtests.test(field):
            answer = call("PATCH", path, json.dumps({field: other.clinic.pk, "telephone": "+442079460999"}))
            assert answer.status_code == 422
            access.bind_clinics([own.clinic.pk])
            assert Patient.objects.values().get(pk=own.patient.pk) == before


# Texts that would be orders elsewhere

BREAKS = [
    "Berg\r\nBcc: all@evil.example",
    "Berg\n.\nMAIL FROM:<x@evil.example>",
    "Be\x1brg",
    "Berg\u202egreB",
    "Be\x00rg",
]


def test_a_name_of_several_lines_or_hidden_signs_is_refused(world, call, subtests):  # noqa: F811
    own, _other = world
    path = f"/api/v1/patients/{own.patient.pk}/"
    for text in BREAKS:
        with subtests.test(text):
            assert call("PATCH", path, json.dumps({"family_name": text})).status_code in {400, 422}


def test_a_clinic_is_named_in_one_line(world, make_user, subtests):  # noqa: F811
    own, _other = world
    viewer = access.viewer_for(make_user(own.clinic, "admin"))
    now = {name: getattr(own.clinic, name) for name in clinics.PARTICULARS}
    seen = clinics.mark_of(own.clinic)
    for field, text in product(("name", "mail_name", "telephone", "opening_hours"), BREAKS[:4]):
        with subtests.test(field, text=text):
            with pytest.raises(ValidationError) as refused:
                clinics.change_clinic(own.clinic.pk, {**now, field: text}, seen=seen, viewer=viewer)
            assert field in refused.value.message_dict
            with pytest.raises(ValidationError):
                staffing.add_clinic(by=ACTOR, **{**now, field: text})


def test_signs_of_templates_and_formats_are_words_to_a_mail(world):  # noqa: F811
    own, _other = world
    text = "{{ 7|add:7 }} {% load i18n %} %(link)s %s {0.__class__} <b>x</b>"
    Clinic.objects.filter(pk=own.clinic.pk).update(mail_name=text[:60], opening_hours=text)
    reminder = Reminder.objects.select_related("patient", "clinic").get(pk=own.reminder)
    message = mail.compose(reminder, reminder.patient, reminder.clinic)
    html = message.alternatives[0][0]
    assert "%(link)s %s {0.__class__} <b>x</b>" in message.body and "<b>x</b>" not in html
    assert "{{ 7|add:7 }}" in message.body and "14" not in message.subject


# Who has an account


class Counting(MD5PasswordHasher):
    algorithm = "counted"
    times = 0

    def encode(self, password, salt):
        type(self).times += 1
        return super().encode(password, salt)


@pytest.mark.django_db
def test_signing_in_takes_as_long_for_an_address_without_account(clinic, make_user, settings):
    settings.PASSWORD_HASHERS = ["tests.security.test_intruder.Counting"]
    user, took = make_user(clinic, "coordinator"), []
    gone = make_user(clinic, "coordinator", is_active=False)
    told = set()
    for email in (user.email, "nobody@clinic.example", gone.email):
        cache.clear()
        Counting.times = 0
        answer = Client().post("/account/login/", {"login": email, "password": "not the password at all"})
        took.append(Counting.times)
        told.add(str(answer.context["form"].errors))
    assert took[0] > 0 and len(set(took)) == 1, took
    assert len(told) == 1


@pytest.mark.django_db
def test_a_member_without_a_clinic_any_more_sees_nothing(clinic, make_user, patient):
    user = make_user(clinic, "admin")
    browser = as_signed_in(Client(), user)
    assert browser.get(f"/patients/{patient.pk}/").status_code == 200
    Membership.objects.filter(user=user).delete()
    for path in (f"/patients/{patient.pk}/", "/patients/", "/tokens/", "/administration/staff/"):
        assert browser.get(path).status_code in {403, 404}, path

"""Emergency access and restricted records: one record, to be read, for an hour, with a reason, and never quietly."""

from datetime import date, timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone

from monitoring import emergency
from monitoring.models import AccountMail, AuditEntry
from patients import access
from patients.models import Clinic, EmergencyAccess
from tests.conftest import as_signed_in

pytestmark = pytest.mark.django_db
REASON = "She lies in our casualty department with new pain."


@pytest.fixture
def surgeon(clinic, make_user):
    return make_user(clinic, "clinician", name="Dr Lindqvist")


@pytest.fixture
def boss(other_clinic, make_user):
    return make_user(other_clinic, "admin", name="Ruth Amsel")


@pytest.fixture
def theirs(other_clinic, enrol):
    return enrol(other_clinic, family_name="Holm", born_on=date(1981, 3, 4))


def browser_of(user):
    return as_signed_in(Client(), user)


def see_all():
    access.bind_clinics(Clinic.objects.values_list("id", flat=True))


def break_glass(browser, patient, **changed):
    form = {"clinic": patient.clinic_id, "record_number": patient.record_number, "born_on": "1981-03-04"}
    return browser.post("/emergency/", {**form, "reason": REASON, **changed})


def test_one_record_of_another_clinic_opens_to_be_read_and_nothing_else(theirs, boss, surgeon, enrol, other_clinic):
    neighbour = enrol(other_clinic)
    browser = browser_of(surgeon)
    assert browser.get(f"/patients/{theirs.pk}/").status_code == 404
    assert break_glass(browser, theirs).status_code == 302
    assert "Holm" in browser.get(f"/patients/{theirs.pk}/").content.decode()
    assert browser.get(f"/patients/{theirs.pk}/visits/").status_code == 200
    for path in ("visit", "edit", "letter", "left/end"):
        assert browser.get(f"/patients/{theirs.pk}/{path}/").status_code == 404, path
    assert browser.get(f"/patients/{neighbour.pk}/").status_code == 404
    assert "Holm" not in browser.get("/patients/").content.decode() + browser.get("/worklist/all/").content.decode()


def test_every_page_says_that_it_is_open_and_it_can_be_ended(theirs, boss, surgeon):
    browser = browser_of(surgeon)
    break_glass(browser, theirs)
    page = browser.get("/calendar/").content.decode()
    assert "Emergency: you may read a record of Southside Hip Clinic" in page and "Holm" not in page
    browser.post(f"/emergency/{EmergencyAccess.objects.get().pk}/end/")
    assert browser.get(f"/patients/{theirs.pk}/").status_code == 404
    assert "Emergency: you may" not in browser.get("/calendar/").content.decode()


def test_a_record_opened_twice_is_said_once_and_ended_at_once(theirs, boss, surgeon):
    browser = browser_of(surgeon)
    for _time in range(2):
        break_glass(browser, theirs)
    assert browser.get("/calendar/").content.decode().count("Emergency: you may") == 1
    browser.post(f"/emergency/{EmergencyAccess.objects.order_by('-id')[0].pk}/end/")
    assert browser.get(f"/patients/{theirs.pk}/").status_code == 404


def test_it_is_over_after_an_hour_and_in_no_other_session(theirs, boss, surgeon):
    browser = browser_of(surgeon)
    break_glass(browser, theirs)
    assert browser_of(surgeon).get(f"/patients/{theirs.pk}/").status_code == 404
    EmergencyAccess.objects.update(ends_at=F("opened_at"))
    assert browser.get(f"/patients/{theirs.pk}/").status_code == 404


def test_the_clinic_is_told_by_mail_without_the_patient_and_by_its_audit(theirs, boss, surgeon, other_clinic):
    browser = browser_of(surgeon)
    break_glass(browser, theirs)
    browser.get(f"/patients/{theirs.pk}/")
    from monitoring import account_mail

    mail = AccountMail.objects.get(kind="emergency_access")
    text = account_mail.read(mail).text
    assert mail.to == boss.email and "Dr Lindqvist" in text
    assert "Holm" not in text and theirs.record_number not in text
    acts = AuditEntry.objects.filter(clinic_id=other_clinic.pk, patient_id=theirs.pk, user_id=surgeon.pk)
    assert set(acts.values_list("act", flat=True)) == {"break_glass", "look"}
    assert acts.get(act="break_glass").reason == REASON


@pytest.mark.parametrize("changed", [{"born_on": "1981-03-05"}, {"record_number": "T-99999"}])
def test_a_wrong_number_or_birth_date_opens_nothing_and_is_on_record(theirs, boss, surgeon, changed):
    browser = browser_of(surgeon)
    assert break_glass(browser, theirs, **changed).status_code == 422
    assert AuditEntry.objects.filter(act="break_glass_missed", user_id=surgeon.pk).count() == 1
    assert not EmergencyAccess.objects.exists()


def test_nobody_tries_numbers_through(theirs, boss, surgeon):
    browser = browser_of(surgeon)
    for _attempt in range(5):
        break_glass(browser, theirs, record_number="T-99999")
    assert "Too many attempts" in break_glass(browser, theirs).content.decode()


def test_a_reason_of_one_word_is_none_and_a_coordinator_has_no_emergency(theirs, boss, surgeon, clinic, make_user):
    assert break_glass(browser_of(surgeon), theirs, reason="urgent").status_code == 422
    assert break_glass(browser_of(make_user(clinic, "coordinator", "admin")), theirs).status_code == 403


def test_an_administrator_of_that_clinic_judges_it_once_and_nobody_their_own(theirs, boss, surgeon, make_user, clinic):
    break_glass(browser_of(surgeon), theirs)
    see_all()
    made, now = EmergencyAccess.objects.get(), timezone.now()
    for other in (surgeon, make_user(clinic, "admin")):
        with pytest.raises(PermissionDenied):
            emergency.review(made.pk, justified=True, note="mine", viewer=access.viewer_for(other), now=now)
    browser = browser_of(boss)
    assert "She lies in our casualty" in browser.get("/administration/emergencies/").content.decode()
    assert '<option value="" selected>' in browser.get("/administration/emergencies/").content.decode()
    assert "waits for your judgement" in browser.get("/").content.decode()
    refused = browser.post(f"/administration/emergencies/{made.pk}/", {"justified": "", "note": "Not decided."})
    assert (refused.status_code, EmergencyAccess.objects.get().justified) == (422, None)
    assert 'value="Not decided."' in refused.content.decode(), "what was typed is kept"
    browser.post(f"/administration/emergencies/{made.pk}/", {"justified": "no", "note": "A call would have done."})
    assert EmergencyAccess.objects.get().justified is False
    assert "waits for your judgement" not in browser.get("/").content.decode()
    assert not emergency.review(made.pk, justified=True, note="x", viewer=access.viewer_for(boss), now=now)
    assert AuditEntry.objects.get(act="review_break_glass").after == {"justified": False}


def test_the_database_refuses_that_one_judges_ones_own(theirs, boss, surgeon):
    break_glass(browser_of(surgeon), theirs)
    own = {"reviewed_at": timezone.now(), "reviewed_by": surgeon.pk, "justified": True}
    with pytest.raises(IntegrityError, match="emergency_reviewed_by_another"), transaction.atomic():
        EmergencyAccess.objects.update(**own)


# Restricted records


@pytest.fixture
def restricted(patient, clinic, make_user):
    admin = access.viewer_for(make_user(clinic, "admin"))
    assert emergency.restrict(patient, reason="A colleague of ours.", viewer=admin)
    return patient


def test_a_restricted_record_asks_for_the_reason_first_and_says_that_it_is(restricted, surgeon):
    browser, url = browser_of(surgeon), f"/patients/{restricted.pk}/visits/"
    asked = browser.get(url)
    assert asked.url == f"/patients/{restricted.pk}/gate/?next=%2Fpatients%2F{restricted.pk}%2Fvisits%2F"
    gate = browser.get(asked.url).content.decode()
    assert restricted.family_name not in gate and restricted.record_number not in gate
    assert browser.post(asked.url, {"next": url}).status_code == 422
    assert browser.post(asked.url, {"next": url, "reason": "Her visit of today."}).url == url
    assert "RESTRICTED" in browser.get(url).content.decode()
    assert AuditEntry.objects.get(act="pass_gate").reason == "Her visit of today."


def test_the_gate_is_asked_again_later_and_in_each_session(restricted, surgeon):
    browser, url = browser_of(surgeon), f"/patients/{restricted.pk}/"
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.post(f"{url}gate/", {"reason": "Her visit of today."})
        assert browser.get(url).status_code == 200 and browser_of(surgeon).get(url).status_code == 302
        clock.shift(timedelta(minutes=31))
        assert browser.get(url).status_code == 302


def test_the_gate_leads_nowhere_else(restricted, surgeon):
    browser = browser_of(surgeon)
    sent = {"reason": "Her visit.", "next": "//evil.example/"}
    assert browser.post(f"/patients/{restricted.pk}/gate/", sent).url == f"/patients/{restricted.pk}/"


def test_a_restriction_is_an_administrators_to_set_and_to_lift_with_a_reason(restricted, clinic, surgeon, make_user):
    with pytest.raises(PermissionDenied):
        emergency.lift(restricted, reason="no need", viewer=access.viewer_for(surgeon), now=timezone.now())
    browser = browser_of(make_user(clinic, "admin"))
    browser.post(f"/patients/{restricted.pk}/gate/", {"reason": "Lifting it."})
    assert browser.post(f"/patients/{restricted.pk}/restriction/", {"reason": "She has left."}).status_code == 302
    assert browser_of(surgeon).get(f"/patients/{restricted.pk}/").status_code == 200
    assert AuditEntry.objects.get(act="lift_restriction").reason == "She has left."

"""Django admin: superusers read and search every table there, and write nothing that has an action of its own."""

import pytest
from django.contrib import admin
from django.urls import reverse

from monitoring.models import AuditEntry
from patients.models import Membership, Patient, User

MODELS = [model for model in admin.site._registry if model is not User]


@pytest.fixture
def browser(clinic, make_user, sign_in):
    """A superuser's, who is an auditor of the clinic too."""
    return sign_in(make_user(clinic, "auditor", is_superuser=True, is_staff=True))


def listed(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_only_superusers_come_in_and_strangers_are_led_to_the_sign_in(client, clinic, make_user, sign_in):
    assert client.get("/admin/login/").url.startswith("/account/login/")
    for person in (make_user(clinic, "admin"), make_user(clinic, "admin", is_staff=True)):
        assert sign_in(person).get("/admin/", follow=True).status_code == 403


@pytest.mark.slow
def test_every_table_can_be_listed_and_searched(browser, patient):
    for model in MODELS:
        answer = browser.get(listed(model), {"q": "berg"} if admin.site._registry[model].search_fields else {})
        assert answer.status_code == 200, model


def test_no_table_but_accounts_can_be_added_to_changed_or_deleted_from(browser, rf, patient):
    request = rf.get("/")
    request.user = User.objects.get(is_superuser=True)
    for model in MODELS:
        given = admin.site._registry[model]
        may = (given.has_add_permission, given.has_change_permission, given.has_delete_permission)
        assert not any(ask(request) for ask in may), model
    assert browser.post(f"{listed(Patient)}{patient.pk}/change/", {"family_name": "X"}).status_code == 403


def test_a_look_at_a_patients_row_is_audited(browser, patient):
    assert browser.get(f"{listed(Patient)}{patient.pk}/change/").status_code == 200
    assert AuditEntry.objects.get(act="look").patient_id == patient.pk


def test_another_clinics_patient_is_not_there_for_a_superuser_either(browser, other_clinic, enrol):
    patient = enrol(other_clinic, family_name="Holm")
    Membership.objects.filter(clinic=other_clinic).delete()
    assert browser.get(f"{listed(Patient)}{patient.pk}/change/").status_code == 302
    assert "Holm" not in browser.get(listed(Patient)).content.decode()


def test_earlier_states_of_a_row_are_led_to(browser, patient):
    answer = browser.get(f"{listed(Patient)}{patient.pk}/history/", follow=True)
    assert answer.status_code == 200 and "patientevent" in answer.request["PATH_INFO"]


def test_making_somebody_a_superuser_is_audited_and_nobody_makes_themselves_one(browser, clinic, make_user):
    other, own = make_user(clinic), User.objects.get(is_superuser=True)
    sent = {"name": "Ada", "language": "en", "is_superuser": "on"}
    assert browser.post(f"{listed(User)}{other.pk}/change/", sent).status_code == 302
    assert User.objects.get(pk=other.pk).is_superuser
    assert AuditEntry.objects.get(act="change_account").after["is_superuser"] is True
    assert browser.post(f"{listed(User)}{own.pk}/change/", sent).status_code == 403


def test_no_page_shows_a_password_or_a_tokens_digest(browser, clinic, make_user):
    page = browser.get(f"{listed(User)}{make_user(clinic).pk}/change/").content.decode()
    assert "md5$" not in page and "pbkdf2" not in page


def test_a_superuser_of_no_clinic_reads_why_a_list_is_empty(clinic, patient, make_user, sign_in):
    page = sign_in(make_user(clinic, is_superuser=True, is_staff=True)).get(listed(Patient)).content.decode()
    assert "you hold none" in page and patient.family_name not in page


def test_tables_are_named_as_one_writes_them(browser):
    page = browser.get("/admin/").content.decode()
    assert "Audit entries" in page and "Contact wishes" in page and "Audit entrys" not in page

"""Restricted records: every page and call that is about one patient stays shut until there is a reason or a scope."""

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.urls import reverse

from config.admin_patients import patient_columns
from monitoring import emergency, merging
from monitoring.api import tokens
from monitoring.models import ApiToken, AuditEntry
from monitoring.routes import CALLS, PAGES, Special
from patients import access
from patients.models import Patient, Role
from patients.recording import RecordingRefused
from tests.contracts.conftest import ACTOR
from tests.contracts.test_permissions import METHODS, address, asked, browser_of, calls, pages
from tests.journeys import addresses

# About something of the clinic that is not one patient, or about a patient without saying what ails them.
NOT_ONE_PATIENT = {
    "clinic_edit", "import_batch", "import_columns", "import_problems", "import_undo", "mail_held", "mail_switch",
    "staff_person", "staff_invitation", "staff_sign_in", "token_revoke", "retention_run", "webhook_act",
    "restricted_gate",
    "merge",  # of none here; see below
    "ending_confirm",  # of a hip that is made up
}  # fmt: skip


@pytest.fixture
def shut(world, make_user):
    """The first clinic's patient is restricted."""
    own, _other = world
    boss = make_user(own.clinic, "admin")
    emergency.restrict(own.patient, reason="A colleague of ours.", viewer=access.viewer_for(boss))
    return own


def about_one_patient():
    return [name for name in pages() if Special.ANYONE not in PAGES[name].see and name not in NOT_ONE_PATIENT]


def test_every_page_about_the_patient_leads_to_the_gate_first(shut, make_user):
    browser, wrong, tried = browser_of(make_user(shut.clinic, *Role)), [], 0
    for name in about_one_patient():
        path, is_about_something = address(name, shut)
        for method in METHODS if is_about_something else ():
            if method == "GET" and "POST only" in addresses.NO_PAGES.get(name, ""):
                continue
            status, place = asked(browser, method, path)
            tried += 1
            if f"/patients/{shut.patient.pk}/gate/" not in place and status != 405:
                wrong.append(f"{method} {path}: {status} {place}")
    assert wrong == [] and tried > 60


def test_a_merge_of_the_record_is_behind_the_gate(shut, make_user, enrol):
    person = make_user(shut.clinic, *Role)
    by = access.viewer_for(person).actor
    merge = merging.propose(shut.patient, enrol(shut.clinic), by=by, reason="One person.", taken=[])
    _status, place = asked(browser_of(person), "GET", f"/merges/{merge.pk}/")
    assert f"/patients/{shut.patient.pk}/gate/" in place


def test_a_restricted_record_is_not_merged_into_one_that_is_open(shut, make_user, enrol):
    by = access.viewer_for(make_user(shut.clinic, *Role)).actor
    with pytest.raises(RecordingRefused) as refused:
        merging.propose(enrol(shut.clinic), shut.patient, by=by, reason="One person.", taken=[])
    assert "is restricted and this one is not" in str(refused.value.problems)


@pytest.fixture
def token(shut):
    """Headers with a token of these scopes."""
    cache.clear()

    def headers(*scopes):
        secret = tokens.issue(name="x", clinic=shut.clinic, scopes=scopes, days=3, by=ACTOR)[1]
        return {"Authorization": f"Bearer {secret}"}

    return headers


ALL_BUT = ("read", "record", "work", "decide")


def test_no_call_of_the_api_opens_it_to_a_token_without_the_scope(shut, token):
    headers, wrong = token(*ALL_BUT), []
    for name in sorted(calls()):
        path, is_about_something = address(name, shut)
        for method in ("GET", "POST", "PATCH") if is_about_something else ():
            status, _place = asked(browser_of(None), method, path, **headers)
            if status not in {403, 405}:
                wrong.append(f"{method} {path}: {status}")
    assert wrong == []


def test_the_answer_says_which_scope_is_missing(shut, token, client):
    told = client.get(f"/api/v1/patients/{shut.patient.pk}/", headers=token("read")).json()
    assert told["status"] == 403 and "“restricted”" in told["detail"]


def test_lists_of_the_api_leave_it_out_and_show_it_with_the_scope(shut, token, client):
    lists = [name for name in CALLS if name.endswith("s") and CALLS[name].see == (access.Permission.READ,)]
    shown = 0
    for name in lists:
        path, is_about_something = address(name, shut)
        if is_about_something:
            continue
        assert client.get(path, headers=token(*ALL_BUT)).json()["results"] == [], path
        shown += len(client.get(path, headers=token("read", "restricted")).json()["results"])
    assert shown > 4


def test_the_scope_alone_opens_nothing(shut, token, client):
    ApiToken.objects.all().delete()
    headers = token("read", "restricted")
    ApiToken.objects.update(scopes=["restricted"])
    assert client.get(f"/api/v1/patients/{shut.patient.pk}/", headers=headers).status_code == 403


# Django's admin


@pytest.fixture
def superuser(shut, make_user):
    return browser_of(make_user(shut.clinic, "auditor", is_superuser=True, is_staff=True))


def models_about_patients():
    return [model for model in admin.site._registry if patient_columns(model)]


def listed(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_lists_of_the_django_admin_leave_it_out_until_there_is_a_reason(shut, superuser):
    rows = {model: superuser.get(listed(model)).context["cl"].result_count for model in models_about_patients()}
    gate = superuser.get(f"{listed(Patient)}{shut.patient.pk}/change/").url
    assert f"/patients/{shut.patient.pk}/gate/" in gate
    assert superuser.post(gate, {"reason": "An audit of this record."}).status_code == 302
    more = [m for m in rows if superuser.get(listed(m)).context["cl"].result_count > rows[m]]
    assert len(more) > 10 and Patient in more and AuditEntry in more


def test_a_row_about_it_is_behind_the_gate_in_the_django_admin(shut, superuser):
    wrong = []
    for model in models_about_patients():
        for row in list(model._default_manager.all()[:50]):
            from config.admin_patients import patients_of

            if shut.patient.pk in patients_of(row):
                place = superuser.get(f"{listed(model)}{row.pk}/change/").headers.get("Location", "")
                wrong += [] if "/gate/" in place else [f"{model.__name__} {row.pk}: {place}"]
                break
    assert wrong == []

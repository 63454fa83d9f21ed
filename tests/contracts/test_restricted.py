"""Restricted records: every page and call that is about one patient stays shut until there is a reason or a scope, and
every list keeps the row and says of nobody who it is.
"""

import io
import re
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
import time_machine
from django.contrib import admin
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import monitoring
from config.admin_patients import patient_columns
from monitoring import emergency, merging, worklist
from monitoring.api import tokens
from monitoring.models import ApiToken, AuditEntry, ContactAttempt, ImportRow
from monitoring.routes import CALLS, PAGES, Special
from monitoring.web.dashboard_files import KINDS as PICTURES
from monitoring.web.dashboard_plots import PLOTS
from monitoring.web.exports import KINDS
from patients import access
from patients.models import Patient, Restriction, Role
from patients.recording import RecordingRefused
from schedules.models import Appointment
from tests.contracts.conftest import ACTOR
from tests.contracts.rows import NOON, fill
from tests.contracts.test_lists import COUNTING
from tests.contracts.test_lists import PAGES as LISTS
from tests.contracts.test_permissions import METHODS, address, asked, browser_of, calls, pages
from tests.journeys import addresses

# About something of the clinic that is not one patient, or about a patient without saying what ails them.
NOT_ONE_PATIENT = {
    "clinic_edit", "import_batch", "import_columns", "import_problems", "import_undo", "mail_held", "mail_switch",
    "staff_person", "staff_invitation", "staff_sign_in", "token_revoke", "retention_run", "webhook_act",
    "restricted_gate", "restricted_open",
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


# Lists, and files of lists

NAMES = re.compile(r"Berg\d{5}|Quirin|L-\d{5}|l\d+@mail|Mill Lane|1961|7946 ?0987|Sister of the mayor")
NAMELESS = {  # lists that show no patient, or of this clinic none
    "/worklist/views/", "/protocol/versions/", "/import/", "/tokens/", "/webhooks/", "/administration/staff/",
    "/administration/clinics/", "/administration/retention/", "/messages/upcoming/", "/dashboard/list/course/",
}  # fmt: skip
NO_FILES = {  # answer machines or somebody about themselves, take POST only, or are opened by a link from a mail
    "mail_events", "search", "message_resolve", "appointment_settle",
    "letters_pdf",  # tests/monitoring/test_letters_page.py
    "account_email", "api_schema", "api_schema_yaml", "calendar_feed", "healthz", "import_template", "kept_forms",
    "metrics", "patient_check", "patient_stop", "patient_wishes", "patient_nothing", "patient_unknown",
    "readyz", "session", "mail_template_html",
    "notifications_preview_html", "administration",
}  # fmt: skip
FILES = {
    "worklist_export": lambda known: [[tab, kind] for tab in worklist.TABS for kind in KINDS],
    "patient_audit_file": lambda known: [[known["patient"]]],
    "restricted_gate": lambda known: [[known["patient"]]],
    "audit_file": lambda known: [[]],
    "import_problems": lambda known: [[known["batch"]]],
    "dashboard_file": lambda known: [[name, kind] for name in PLOTS for kind in PICTURES],
}


@pytest.fixture
def crowd(clinic, make_user):
    """Everybody of the clinic, in every list there is, with all that lists say of somebody."""
    with time_machine.travel(NOON, tick=False):
        person = make_user(clinic, *Role, name="Ada Okoye", is_superuser=True)
        known = fill(clinic, 2, by=person)
        everybody = Patient.objects.filter(record_number__startswith="L-").order_by("id")
        everybody.update(given_name="Quirin", born_on=date(1961, 2, 3), telephone="+442079460987")
        _say_more(clinic, everybody, known)
        yield browser_of(person), access.viewer_for(person), everybody, known


def _say_more(clinic, everybody, known):
    """What people type: notes of calls and appointments, and of which row of a file somebody is."""
    typed = "Sister of the mayor"
    ContactAttempt.objects.bulk_create(
        ContactAttempt(patient=one, clinic=clinic, outcome="no_answer", at=NOON, note=typed) for one in everybody
    )
    Appointment.objects.update(note=typed)
    problem = {"column": "born_on", "text": "Changes from 1961-02-03.", "refuses": False}
    rows = {"clinic": clinic, "batch_id": known["batch"], "outcome": "refused"}
    ImportRow.objects.create(number=7, patient_id=known["patient"], problems=[problem], **rows)
    ImportRow.objects.create(number=8, problems=[problem | {"about": known["patient"]}], **rows)


def restrict_all(everybody, person):
    for one in everybody:
        emergency.restrict(one, reason="Known to everybody here.", viewer=person)


def said(browser, path):
    """What a page or a file says, unpacked."""
    answer = browser.get(path)
    content = answer.getvalue()
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            content = b" ".join(book.read(name) for name in book.namelist())
    return content.decode(errors="replace")


def every_address(known):
    """Of every route that shows something there is at least one address, or a reason to leave it out."""
    samples = addresses.Samples(
        patient=known["patient"], case=known["case"], fact="imaging-1", batch=known["batch"], saved=known["batch"],
        appointment=Appointment.objects.values_list("id", flat=True)[0], other=known["patient"],
    )  # fmt: skip
    places = set(addresses.pages(samples, signed_in=True)) | {path.format(**known) for path in LISTS}
    for name, arguments in FILES.items():
        places |= {reverse(name, args=one) for one in arguments(known)}
    return sorted(places)


def test_no_file_is_left_out_of_the_table():
    shown = {name for name, why in addresses.NO_PAGES.items() if "POST only" not in why and name in PAGES}
    assert shown - NO_FILES - set(FILES) == set()


NAMING = re.compile(r"display_name|\.record_number|\.born_on|family_name|given_name")
MAY_NAME = {  # what names a patient without asking `identity_of`, each behind the gate or of somebody who is typed in
    "templates/monitoring/emergency/restriction.html", "templates/monitoring/enrol/enrol.html",
    "templates/monitoring/patient/_notices.html", "templates/monitoring/patient/seen.html",
    "web/banner.py", "web/doctor_letter.py", "web/appointments.py", "web/ending_checks.py", "web/enrolment.py",
    "web/forms/person.py", "web/mail_templates.py", "web/review.py", "web/worklist_acts.py",
    "web/identity.py", "web/exports.py", "web/merging.py", "web/patients_list.py",  # ask who may read it
    "web/detail_words.py",  # says what a detail is called, of nobody
}  # fmt: skip


def test_no_other_page_names_a_patient_by_itself():
    root = Path(monitoring.__file__).parent
    sources = [*root.glob("web/**/*.py"), *root.glob("templates/**/*.html")]
    naming = {str(one.relative_to(root)) for one in sources if NAMING.search(one.read_text())}
    assert naming - MAY_NAME == set()


@pytest.mark.slow
def test_whoever_has_not_passed_the_gate_reads_no_name_on_any_page_or_in_any_file(crowd):
    browser, person, everybody, known = crowd
    restrict_all(everybody, person)
    places = every_address(known)
    wrong = {path: found[0] for path in places if (found := NAMES.findall(said(browser, path)))}
    assert wrong == {} and len(places) > 150


@pytest.mark.slow
def test_every_list_names_them_without_a_restriction_and_is_as_long_with_one(crowd):
    """So that the test before this one could fail, and nobody falls out of follow-up."""
    browser, person, everybody, known = crowd
    named, before = {}, {}
    for path in LISTS:
        page = said(browser, path.format(**known))
        named[path], before[path] = bool(NAMES.search(page)), page.count(" data-row ")
    searches = {path for path in LISTS if "q=" in path}
    one_patient = {path for path in LISTS if "{patient}" in path or "{case}" in path}
    assert {path for path, is_named in named.items() if not is_named} <= COUNTING | NAMELESS
    restrict_all(everybody, person)
    after = {path: said(browser, path.format(**known)) for path in LISTS}
    shorter = {path for path in LISTS if after[path].count(" data-row ") != before[path]}
    assert shorter - searches - one_patient == set()
    silent = {path for path in LISTS if named[path] and "eference" not in after[path]}
    assert silent - searches - one_patient == set()


def test_a_file_says_in_the_row_that_the_record_is_restricted_and_where_it_opens(crowd):
    browser, person, everybody, _known = crowd
    restrict_all(everybody, person)
    lines = said(browser, reverse("worklist_export", args=["overdue", "csv"]))
    rows = lines.strip().splitlines()[1:]
    assert len(rows) == worklist.counts(person, worklist.Filters(), NOON.date())["overdue"] > 1
    assert all("Restricted record" in row and "/gate/" in row and "reference " in row for row in rows)


@pytest.mark.parametrize("words", ["Quirin Berg00001", "Berg00001", "L-00001", "3 Feb 1961", "1961-02-03"])
def test_a_search_for_the_very_name_finds_nobody_who_is_restricted(crowd, words):
    browser, person, everybody, _known = crowd
    found = browser.get("/patients/", {"q": words}, follow=True).content.decode()
    restrict_all(everybody, person)
    answer = browser.get("/patients/", {"q": words})
    assert "Berg00001" in found and answer.status_code == 200 and answer.context["total"] == 0
    assert browser.get("/worklist/all/", {"q": words}).context["total"] == 0
    nobody = browser.get("/patients/", {"q": words.replace("1", "7")})
    assert _without_words(answer, words) == _without_words(nobody, words.replace("1", "7"))


def _without_words(answer, words):
    """The page as it would be for any other words."""
    page = answer.content.decode().replace(words, "")
    return re.sub(r'(nonce|value|content)="[^"]*"|request_id[^<]*|[0-9a-f]{16}|<time.*?</time>|\d\d:\d\d', "", page)


def test_a_row_says_what_is_to_be_done_and_by_when_all_the_same(crowd):
    browser, person, everybody, _known = crowd
    restrict_all(everybody, person)
    words = browser.get("/worklist/reviews/").context["rows"][0]["row"].why
    assert "review by 30 Aug 2026" in words.words and "left hip" in words.second
    assert "7946" not in said(browser, "/worklist/calls/") and "Tell by telephone" in said(browser, "/worklist/calls/")


def test_who_has_passed_the_gate_reads_the_name_on_lists_of_the_one_record_only(crowd):
    browser, person, everybody, known = crowd
    restrict_all(everybody, person)
    browser.post(f"/patients/{known['patient']}/gate/", {"reason": "She telephoned."})
    names = set(re.findall(r"Berg\d{5}", said(browser, "/patients/")))
    assert names == {Patient.objects.get(pk=known["patient"]).family_name}


def test_a_list_takes_as_many_queries_with_restricted_records_as_without(crowd):
    browser, person, everybody, _known = crowd
    paths = ["/review/", "/calendar/", "/worklist/overdue/", "/messages/sent/", "/duplicates/", "/endings/"]

    def queries():
        found = {}
        for path in paths:
            with CaptureQueriesContext(connection) as seen:
                browser.get(path)
            found[path] = len(seen)
        return found

    before = queries()
    restrict_all(everybody, person)
    assert queries() == before


def test_the_patients_list_shows_them_by_reference_and_not_by_name(crowd):
    """Where a row stands among the names would tell the name."""
    browser, person, everybody, _known = crowd
    chosen = everybody.last()
    emergency.restrict(chosen, reason="A colleague.", viewer=person)
    page = browser.get("/patients/").context
    assert page["rows"][0]["who"].number == f"reference {chosen.pk}" and page["total"] == everybody.count()
    assert [row["who"].pk for row in page["rows"]].count(chosen.pk) == 1


# What is done to several at once


@pytest.mark.parametrize("act", ["mail", "letters", "clinician"])
def test_what_is_done_to_ticked_rows_leaves_restricted_records_alone_and_says_so(crowd, act):
    browser, person, everybody, _known = crowd
    restrict_all(everybody, person)
    before = list(everybody.values_list("record_version", "responsible"))
    form = {"act": act, "selected": [one.pk for one in everybody], "clinician": person.actor.user_id}
    page = browser.post("/worklist/bulk/", form, follow=True).content.decode()
    assert not NAMES.search(page) and ("Held: open the record" in page or "left as they are" in page)
    assert list(everybody.values_list("record_version", "responsible")) == before


def test_enrolling_somebody_of_the_same_name_confirms_nothing(crowd):
    browser, person, everybody, _known = crowd
    form = {"family_name": "Berg00001", "given_name": "Quirin", "born_on": "1961-02-03", "record_number": "N-1",
            "clinic": everybody[0].clinic_id, "language": "en", "sex": "female", "enrolled_on": "2026-08-01",
            "telephone": "+442079460987"}  # fmt: skip
    assert browser.post("/patients/new/", form).context["candidates"]
    restrict_all(everybody, person)
    answer = browser.post("/patients/new/", form)
    assert answer.status_code == 302 or not answer.context["candidates"]


def test_the_menu_of_a_row_leads_to_the_gate_and_back_to_the_list(shut, make_user):
    list_page = {"HX-Request": "true", "HX-Current-URL": "http://testserver/worklist/all/?late=3"}
    browser = browser_of(make_user(shut.clinic, "coordinator"))
    answer = browser.get(f"/worklist/{shut.patient.pk}/act/", headers=list_page)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == f"/patients/{shut.patient.pk}/gate/?next=%2Fworklist%2Fall%2F%3Flate%3D3"


# By number and birth date, where the patient or the papers are there


def test_a_restricted_record_opens_by_number_birth_date_and_reason(crowd):
    browser, person, everybody, known = crowd
    restrict_all(everybody, person)
    form = {"record_number": "l-00001", "born_on": "1961-02-03", "reason": "She stands before me."}
    assert browser.post("/patients/restricted/", form).headers["Location"] == f"/patients/{known['patient']}/"
    assert browser.get(f"/patients/{known['patient']}/").status_code == 200
    entry = AuditEntry.objects.get(act="pass_gate")
    assert entry.patient_id == known["patient"] and entry.reason == "She stands before me."


def test_trying_numbers_ends_after_five_and_each_is_on_record(crowd):
    browser, person, everybody, _known = crowd
    restrict_all(everybody, person)
    form = {"record_number": "L-00001", "born_on": "1961-02-04", "reason": "I am curious."}
    for _time in range(5):
        assert "No restricted record has" in browser.post("/patients/restricted/", form).content.decode()
    right = browser.post("/patients/restricted/", form | {"born_on": "1961-02-03"})
    assert right.status_code == 422 and "Too many attempts" in right.content.decode()
    assert AuditEntry.objects.filter(act="gate_missed").count() == 5


def test_what_is_merged_into_a_restricted_record_later_is_restricted_too(shut, make_user, enrol):
    person = make_user(shut.clinic, *Role)
    part = enrol(shut.clinic, family_name=shut.patient.family_name, born_on=shut.patient.born_on)
    merge = merging.propose(shut.patient, part, by=access.viewer_for(person).actor, reason="One person.", taken=[])
    assert merge.state == "merged" and part.pk in access.viewer_for(person).shut


def test_records_merged_into_a_restricted_one_are_restricted_with_it(shut, make_user, enrol):
    boss = access.viewer_for(make_user(shut.clinic, "admin"))
    survivor, part = enrol(shut.clinic), enrol(shut.clinic)
    Patient.objects.filter(pk=part.pk).update(merged_into=survivor)
    emergency.restrict(survivor, reason="Well known.", viewer=boss)
    assert {survivor.pk, part.pk} <= access.viewer_for(make_user(shut.clinic, "clinician")).shut
    emergency.lift(survivor, reason="Not any more.", viewer=boss, now=datetime.now(tz=NOON.tzinfo))
    assert not Restriction.objects.filter(patient__in=[survivor, part], lifted_at__isnull=True).exists()


# Django's admin


@pytest.fixture
def superuser(shut, make_user):
    return browser_of(make_user(shut.clinic, "auditor", is_superuser=True, is_staff=True))


def models_about_patients():
    return [model for model in admin.site._registry if patient_columns(model)]


def listed(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.slow
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

"""Sessions: they end by the clock, what is sent too late is kept for its writer, dangerous acts ask who it is."""

import re
from datetime import date, timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from monitoring import kept_forms, routes
from monitoring.models import ApiToken, AuditEntry, KeptForm
from patients.access import Permission
from patients.models import Membership, Patient, User
from tests.conftest import as_signed_in

PASSWORD = "correct horse battery"
NOW = timezone.now().replace(microsecond=0)


@pytest.fixture(autouse=True)
def by_the_clock(settings, db):
    settings.SESSION_IDLE, settings.SESSION_LASTS = timedelta(minutes=30), timedelta(hours=12)
    cache.clear()


def after(minutes):
    return time_machine.travel(NOW + timedelta(minutes=minutes), tick=False)


@pytest.fixture
def ada(clinic, make_user):
    return make_user(clinic, "coordinator", "admin", name="Ada Okoye")


@pytest.fixture
def desk(ada):
    with after(0):
        return as_signed_in(Client(), ada)


def enter(client, user, to):
    """Sign in through the form that an address leads to."""
    answer = client.post(to, {"login": user.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return client.get(answer.url)


def test_half_an_hour_without_a_click_ends_it_and_a_click_puts_that_off(desk):
    for minutes in (20, 45, 70):
        with after(minutes):
            assert desk.get("/").status_code == 200
    with after(101):
        assert desk.get("/").url == "/account/login/?next=/"
        assert "nothing was opened or sent" in desk.get("/account/login/?next=/").content.decode()
    assert AuditEntry.objects.get(act="session_ended").actor == "Ada Okoye"


def test_a_working_day_ends_it_however_much_one_clicks(desk):
    for minutes in range(0, 12 * 60, 25):
        with after(minutes):
            assert desk.get("/account/session/").status_code == 200
            desk.post("/account/session/")
    with after(12 * 60 + 1):
        assert desk.get("/").status_code == 302


def test_the_page_asks_how_long_is_left_without_that_being_a_click(desk):
    with after(20):
        assert desk.get("/account/session/").json() == {"left": 600, "more": True}
    with after(25):
        assert desk.get("/account/session/").json()["left"] == 300
        assert desk.post("/account/session/").json()["left"] == 1800
    with after(60):
        assert desk.get("/account/session/").status_code == 401


def test_every_page_says_until_when_one_is_signed_in(desk):
    with after(0):
        assert "Signed in until" in desk.get("/").content.decode()


def fields_on(page):
    """The hidden fields of the form that sends what was kept."""
    forms = re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', page, re.DOTALL)
    form = next(pair for pair in forms if "kept_form" in pair[1])
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form[1])
    return unescape(form[0]), [(unescape(name), unescape(value)) for name, value in found]


VISIT = {
    "on": date.today(),
    "kind": "clinic",
    "seen_entry": 0,
    "left-symptom-symptomatic": "no",
    "note": 'Says "fine" <b>',
}


@pytest.mark.parametrize("form", ["visit", "contact", "snooze"])
def test_any_form_that_is_sent_too_late_comes_back_and_is_sent_then(desk, ada, patient, form):
    sent = {
        "visit": (f"/patients/{patient.pk}/visit/", VISIT | {"record_version": patient.record_version}),
        "contact": (
            f"/patients/{patient.pk}/contact/",
            {"email": "new@mail.example", "address": "Mill Lane 4\nFlat 2"},
        ),
        "snooze": (f"/worklist/{patient.pk}/snooze/", {"reason": "on holiday", "tags": ["a", "b"]}),
    }[form]
    with after(31):
        answer = desk.post(*sent)
        assert answer.url == "/account/login/?next=/account/kept/"
        page = enter(desk, ada, answer.url).content.decode()
        path, fields = fields_on(page)
        given = [
            (name, str(one))
            for name, value in sent[1].items()
            for one in (value if isinstance(value, list) else [value])
        ]
        assert (
            path == sent[0]
            and [pair for pair in fields if pair[0] not in {"kept_form", "csrfmiddlewaretoken"}] == given
        )
        encoded = "application/x-www-form-urlencoded"  # as the page's form is sent
        assert desk.post(path, urlencode(fields), content_type=encoded).status_code < 500
        assert not KeptForm.objects.exists(), "once it is sent it is not kept"


def test_a_visit_that_was_typed_before_the_end_is_recorded_after_it(desk, ada, patient):
    with after(31):
        answer = desk.post(f"/patients/{patient.pk}/visit/", VISIT | {"record_version": patient.record_version})
        path, fields = fields_on(enter(desk, ada, answer.url).content.decode())
        assert desk.post(path, dict(fields)).status_code == 302
    assert Patient.objects.get(pk=patient.pk).record_version > patient.record_version


def test_a_form_by_htmx_leads_the_whole_page_to_the_sign_in(desk, patient):
    with after(31):
        answer = desk.post(f"/worklist/{patient.pk}/outcome/", {"outcome": "reached"}, headers={"HX-Request": "true"})
    assert answer.status_code == 401 and answer["HX-Redirect"] == "/account/login/?next=/account/kept/"
    assert answer.content == b"" and KeptForm.objects.count() == 1


def test_a_second_form_from_another_tab_is_kept_as_well(desk, patient):
    with after(31):
        for number in range(2):
            desk.post(f"/patients/{patient.pk}/contact/", {"email": f"{number}@mail.example"})
    assert KeptForm.objects.count() == 2


def test_nobody_else_sees_what_was_typed(desk, patient, clinic, make_user):
    other = make_user(clinic, "coordinator")
    with after(31):
        answer = desk.post(f"/patients/{patient.pk}/contact/", {"email": "secret@mail.example"})
        page = enter(desk, other, answer.url)
    assert page.status_code == 302 and page.url == "/"


def test_what_is_kept_is_encrypted_without_passwords_and_forgotten_after_an_hour(desk, patient):
    with after(31):
        sent = {"email": "secret@mail.example", "password": "hunter2", "csrfmiddlewaretoken": "x"}
        desk.post(f"/patients/{patient.pk}/contact/", sent)
    kept = KeptForm.objects.get()
    assert "secret" not in kept.content
    assert kept_forms.read(kept).fields == [("email", "secret@mail.example")]
    kept_forms.drop_forgotten(now=NOW + timedelta(minutes=92))
    assert not KeptForm.objects.exists()


def test_a_forged_form_is_not_kept(ada, patient):
    checked = Client(enforce_csrf_checks=True)
    with after(0):
        as_signed_in(checked, ada)
    with after(31):
        assert checked.post(f"/patients/{patient.pk}/contact/", {"email": "evil@mail.example"}).status_code == 403
    assert not KeptForm.objects.exists()


def test_a_stranger_is_kept_nothing(client, patient):
    client.post(f"/patients/{patient.pk}/contact/", {"email": "x@mail.example"})
    assert not KeptForm.objects.exists()


def test_what_was_kept_can_be_thrown_away(desk, ada, patient):
    with after(31):
        answer = desk.post(f"/patients/{patient.pk}/contact/", {"email": "x@mail.example"})
        enter(desk, ada, answer.url)
        desk.post(f"/account/kept/{KeptForm.objects.get().pk}/discard/")
    assert not KeptForm.objects.exists()


TOKEN = {"name": "laboratory", "scopes": ["read"], "days": "30"}


def test_a_dangerous_act_asks_for_the_password_and_then_takes_what_was_typed(desk, ada, clinic):
    with after(20):
        answer = desk.post("/tokens/", TOKEN | {"clinic": clinic.pk})
        assert answer.url == "/account/reauthenticate/?next=/account/kept/" and not ApiToken.objects.exists()
        confirmed = desk.post(answer.url, {"password": PASSWORD})
        path, fields = fields_on(desk.get(confirmed.url).content.decode())
        assert desk.post(path, dict(fields)).status_code in {200, 422}
    assert ApiToken.objects.get().name == "laboratory"


def test_who_has_just_signed_in_is_not_asked(desk, clinic):
    with after(10):
        desk.post("/tokens/", TOKEN | {"clinic": clinic.pk})
    assert ApiToken.objects.exists()


def an_address(name):
    """Some address of a page, of rows that need not exist: who it is is asked before any is looked for."""
    [(_form, names), *_others], _pattern, _defaults, converters = get_resolver().reverse_dict[name]
    return reverse(name, kwargs={one: "approved" if converters[one].regex == "[^/]+" else 1 for one in names})


@pytest.mark.parametrize("name", sorted(routes.PROVED))
def test_dangerous_acts_ask_who_it_is_and_their_pages_do_not(ada, desk, clinic, name):
    with after(0):
        User.objects.filter(pk=ada.pk).update(is_superuser=True)
        Membership.objects.create(user=ada, clinic=clinic, role="research")
    with after(20):
        assert desk.post(an_address(name), {}).url == "/account/reauthenticate/?next=/account/kept/"
        assert "/account/reauthenticate/" not in desk.get(an_address(name)).headers.get("Location", "")


NOT_PROVED = {
    *("administration", "staff", "clinics", "system", "audit_search", "emergency_reviews"),  # nothing is sent there
    *("token_revoke",),  # takes a right away, which must not wait
    *("endings", "ending_confirm", "emergency_review"),  # a judgement, which is added and takes nothing away
}


def test_every_act_of_administrators_was_thought_of():
    highest = {Permission.ADMINISTER, Permission.AUDIT, Permission.RESEARCH, routes.Special.SUPERUSER}
    theirs = {name for name, row in routes.PAGES.items() if set(row.send) <= highest} - routes.PROVED_TO_READ
    assert theirs - routes.PROVED == NOT_PROVED, "say in monitoring/routes.py whether it asks who it is"


def test_the_file_about_a_patient_is_given_after_the_proof(desk, patient):
    with after(20):
        answer = desk.post(f"/patients/{patient.pk}/everything/", {})
        assert answer.url.startswith("/account/reauthenticate/")
        confirmed = desk.post(answer.url, {"password": PASSWORD})
        path, fields = fields_on(desk.get(confirmed.url).content.decode())
        assert desk.post(path, dict(fields)).headers["Content-Type"] == "application/zip"


@pytest.mark.parametrize("path", ["/worklist/all/export.csv", "/administration/audit.csv"])
def test_an_export_of_everything_asks_who_it_is(desk, path):
    with after(20):
        assert desk.get(path).url.startswith("/account/reauthenticate/")


def test_one_sign_in_too_many_ends_the_one_that_was_used_least(ada, settings):
    settings.SESSIONS_AT_ONCE = 3
    browsers = [Client() for _n in range(4)]
    for number, browser in enumerate(browsers):
        with after(number):
            enter(browser, ada, "/account/login/")
    with after(4):
        open_ones = [browser.get("/worklist/all/").status_code == 200 for browser in browsers]
    assert open_ones == [False, True, True, True]
    assert AuditEntry.objects.filter(act="session_ended", reason="too many at once").count() == 1

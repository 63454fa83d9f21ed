"""Permissions: every page and call of the API, for every role, of one's own clinic and of another's.

The routes come from the URL configuration and what they ask for from the one table, so a route without a row fails, and
so does a page that answers differently from its row.
"""

import re
import uuid
from datetime import date

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, reverse

from monitoring import routes
from monitoring.api import tokens
from monitoring.routes import CALLS, PAGES, Special
from monitoring.web.dashboard_lists import LISTS
from patients import access
from patients.access import ALLOWED, Permission
from patients.changes import Actor
from patients.models import Membership, Role
from tests.conftest import as_signed_in
from tests.journeys import addresses

ACTOR = Actor(name="Ada Okoye")
METHODS = ("GET", "POST")
VIEWS = ("worklist_view_rename", "worklist_view_remove")
NOT_OF_A_CLINIC = {"protocol_draft", "protocol_effect", "protocol_step", *VIEWS}
NOWHERE_TO_BE_FOUND = {  # asked for rows that are made up
    "letters_pdf", "letters_back", *VIEWS, "message_resolve", "patient_merge", "merge", "webhook_act",
    "retention_run",
    "emergency_review", "ending_confirm",
}  # fmt: skip
FINER = {"protocol_step", "protocol_draft"}  # who had a hand in a version does not review it


ARGUMENTS = {
    "appointment_book": lambda t: [t.patient.pk],
    **{f"appointment_{act}": lambda t: [t.appointment] for act in ("move", "cancel", "settle")},
    **{f"calendar_{span}": lambda t: [date(2026, 11, 2)] for span in ("week", "month")},
    "clinic_edit": lambda t: [t.clinic.pk],
    "dashboard_file": lambda t: ["overdue", "csv"],
    "dashboard_list": lambda t: [next(iter(LISTS))],
    "dashboard_section": lambda t: ["forecast"],
    **{name: lambda t: [t.patient.pk, t.fact] for name in ("fact_correct", "fact_withdraw", "api_withdraw")},
    "finding_decide": lambda t: [t.patient.pk, "left", "MEASURE_VOLUME"],
    **{name: lambda t: [t.patient.pk, "left"] for name in ("hip_end", "hip_reopen")},
    **{f"import_{act}": lambda t: [t.batch] for act in ("batch", "columns", "problems", "undo")},
    **{name: lambda t: [uuid.UUID(int=1)] for name in ("letters_back", "letters_pdf")},
    **{name: lambda t: [t.clinic.pk] for name in ("mail_held", "mail_switch")},
    **{name: lambda t: ["due", "en"] for name in ("mail_template", "mail_template_html", "mail_template_test")},
    "message_resolve": lambda t: [t.reminder],
    "messages_tab": lambda t: ["sent"],
    **{f"protocol_{act}": lambda t: [t.more["draft"]] for act in ("draft", "effect")},
    "protocol_step": lambda t: [t.more["draft"], "submitted"],
    **{f"review_{act}": lambda t: [t.case] for act in ("case", "assign", "opinion", "comment")},
    **{name: lambda t: [t.case] for name in ("api_review", "api_review_notes", "api_decide")},
    "staff_person": lambda t: [t.person],
    "staff_invitation": lambda t: [t.invitation],
    "staff_sign_in": lambda t: [t.person, "unlock"],
    **{name: lambda t: [0] for name in ("session_end", "kept_form_drop")},
    "token_revoke": lambda t: [t.token],
    "worklist_export": lambda t: ["all", "csv"],
    "worklist_tab": lambda t: ["all"],
    "worklist_undo": lambda t: [t.attempt],
    **{name: lambda t: [1] for name in VIEWS},
    "patient_merge": lambda t: [t.patient.pk, t.patient.pk],
    "merge": lambda t: [0],
    "retention_run": lambda t: [0],
    "webhook_act": lambda t: [0, "stop"],
    "emergency_end": lambda t: [0],
    "emergency_review": lambda t: [0],
    "patient_tab": lambda t: [t.patient.pk, "history"],
}
OF_NO_CLINIC = {  # what they are asked for is the same in every clinic
    "calendar_week", "calendar_month", "dashboard_file", "dashboard_list", "dashboard_section", "letters_back",
    "letters_pdf", "mail_template", "mail_template_html", "mail_template_test", "messages_tab", "worklist_export",
    "worklist_tab", "session_end", "kept_form_drop", "emergency_end", "emergency_review", *NOT_OF_A_CLINIC,
}  # fmt: skip


def is_own(name):
    """Whether the page is about whoever is signed in, and not about a clinic's things."""
    return name in PAGES and PAGES[name].see == (Special.ACCOUNT,)


def address(name, things):
    """The route's address for these things, and whether it is about something of their clinic."""
    if name in ARGUMENTS:
        return reverse(name, args=ARGUMENTS[name](things)), name not in OF_NO_CLINIC
    try:
        return reverse(name), False
    except NoReverseMatch:
        return reverse(name, args=[things.patient.pk]), not is_own(name)


def browser_of(user):
    browser = Client(raise_request_exception=True)
    if user:
        as_signed_in(browser, user)
    return browser


def asked(browser, method, path, **headers):
    """The answer's status and where it leads; what the request wrote is undone."""
    with transaction.atomic():
        answer = browser.generic(method, path, headers=headers)
        transaction.set_rollback(True)
    return answer.status_code, answer.headers.get("Location", "")


def is_refused(status, place):
    return status in {401, 403} or "/account/login/" in place


def pages():
    return [name for name in addresses.routes() if not name.startswith(routes.THEIR_OWN)]


def calls():
    return {pattern.name for _path, pattern in addresses._routes(get_resolver().url_patterns) if pattern.name} & set(
        CALLS
    )


# The table


def test_every_route_has_its_row_and_every_row_its_route():
    assert [name for name in pages() if name not in PAGES] == []
    assert sorted(set(PAGES) - set(pages())) == []


def test_every_call_of_the_api_has_its_row():
    from monitoring.api.urls import ROUTES

    assert {name for _route, _view, name in ROUTES} == set(CALLS) == calls()
    for _route, view, name in ROUTES:
        if CALLS[name].see != (Special.ANYONE,):
            assert view.needs in CALLS[name].see, name
            assert not hasattr(view, "post") or view.needs_to_write in CALLS[name].send, name


def test_a_route_without_a_row_answers_nobody(clinic, make_user, monkeypatch):
    monkeypatch.delitem(PAGES, "patients")
    browser = browser_of(make_user(clinic, "admin"))
    browser.raise_request_exception = False
    assert browser.get("/patients/").status_code == 500


# Every page for every role


SLOW = (Role.COORDINATOR, Role.CLINICIAN, Role.ADMIN, "superuser")  # to whom nearly every page is drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    "role", [Role.AUDITOR, Role.RESEARCH, None, *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)]
)
def test_every_page_answers_a_role_as_its_row_says(world, make_user, role):
    own, other = world
    user = make_user(own.clinic, *([role] if role in list(Role) else []), is_superuser=role == "superuser")
    viewer, browser, wrong = access.viewer_for(user), browser_of(user), []
    for name in pages():
        if PAGES[name].see == (Special.ANYONE,):
            continue
        for method in METHODS:
            may = routes.may(viewer, PAGES[name].needed(method), signed_in=True)
            for things in world:
                path, is_of_clinic = address(name, things)
                if things is other and not is_of_clinic:
                    continue
                if may and method == "POST" and things is own and role != _first(name):
                    continue  # one who may is enough
                if may and method == "GET" and "POST only" in addresses.NO_PAGES.get(name, ""):
                    continue
                status, place = asked(browser, method, path)
                if status >= 500 or not _as_it_should(name, may, things is own, status, place, viewer):
                    wrong.append(f"{method} {path} ({'own' if things is own else 'other'}): {status} {place}")
    assert wrong == []


def _first(name):
    """The first role that may send something to the page."""
    needed = set(PAGES[name].needed("POST"))
    return next((role for role in Role if ALLOWED[role] & needed), "superuser" if "superuser" in needed else None)


def _as_it_should(name, may, is_own, status, place, viewer):
    if not may:
        return is_refused(status, place)
    if not is_own and not viewer.superuser:
        return status in {404, 405}
    return name in FINER or name in NOWHERE_TO_BE_FOUND or not (is_refused(status, place) or status == 404)


@pytest.mark.parametrize(
    "role",
    [role if role == Role.COORDINATOR else pytest.param(role, marks=pytest.mark.slow) for role in (*Role, "superuser")],
)
def test_what_the_menus_of_a_page_offer_opens(world, make_user, role):
    own, _other = world
    user = make_user(own.clinic, *([role] if role in list(Role) else []), is_superuser=role == "superuser")
    browser = browser_of(user)
    home = browser.get(reverse("worklist"), follow=True)
    offered = {path.partition("?")[0] for path in re.findall(r'href="(/[^"#]*)"', home.content.decode())}
    offered = {path for path in offered if not path.startswith("/static/")}
    assert home.status_code == 200
    shut = [path for path in sorted(offered) if is_refused(*asked(browser, "GET", path))]
    assert shut == [] and len(offered) > 2


def test_strangers_are_led_to_the_sign_in_by_every_page(world):
    own, _other = world
    browser = browser_of(None)
    wrong = []
    for name in pages():
        open_to_all = PAGES[name].see == (Special.ANYONE,)
        for method in () if open_to_all else METHODS:
            status, place = asked(browser, method, address(name, own)[0])
            if not is_refused(status, place):
                wrong.append(f"{method} {name}: {status} {place}")
    assert wrong == []


def test_rights_in_one_clinic_are_none_in_another(world, make_user):
    """Everything here, an auditor there: the action itself must refuse, since the gate has let the person in."""
    own, other = world
    user = make_user(own.clinic, *Role)
    Membership.objects.create(user=user, clinic=other.clinic, role=Role.AUDITOR)
    browser, there, wrong = browser_of(user), ALLOWED[Role.AUDITOR], []
    for name in pages():
        path, is_of_clinic = address(name, other)
        for method in METHODS if is_of_clinic else ():
            if there & set(PAGES[name].needed(method)):
                continue
            status, place = asked(browser, method, path)
            if not (is_refused(status, place) or status in {404, 405}):
                wrong.append(f"{method} {path}: {status} {place}")
    assert wrong == []


# Every call for every set of scopes


@pytest.mark.slow
@pytest.mark.parametrize("scopes", [("read",), ("read", "record"), ("read", "work"), ("read", "decide"), ()])
def test_every_call_answers_a_token_as_its_row_says(world, scopes):
    own, other = world
    cache.clear()
    headers, wrong = {}, []
    if scopes:
        secret = tokens.issue(name="x", clinic=own.clinic, scopes=scopes, days=3, by=ACTOR)[1]
        headers = {"Authorization": f"Bearer {secret}"}
    for name in sorted(calls()):
        for method in METHODS:
            needed = CALLS[name].needed(method)
            may = Special.ANYONE in needed or bool(set(scopes) & {str(one) for one in needed})
            for things in world:
                path, is_of_clinic = address(name, things)
                status, _place = asked(browser_of(None), method, path, **headers)
                if status == 405 or (things is other and not is_of_clinic):
                    continue
                refused = status in {401, 403}
                if status >= 500 or (refused == may) or (may and things is other and status != 404):
                    wrong.append(f"{method} {path}: {status}")
    assert wrong == []


# Django's admin


def test_the_django_admin_answers_superusers_alone(world, make_user):
    own, _other = world
    everything = browser_of(make_user(own.clinic, *Role, is_staff=True))
    wrong = []
    for model in admin.site._registry:
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for browser in (everything, browser_of(None)):
            wrong += [path] if asked(browser, "GET", path)[0] == 200 else []
    assert wrong == []


def test_the_roles_are_what_the_clinics_were_told():
    assert ALLOWED[Role.AUDITOR] == {Permission.READ, Permission.AUDIT}
    assert ALLOWED[Role.RESEARCH] == {Permission.RESEARCH}
    assert Permission.DECIDE in ALLOWED[Role.CLINICIAN] and Permission.DECIDE not in ALLOWED[Role.ADMIN]
    assert all(Permission.ADMINISTER not in ALLOWED[role] for role in Role if role is not Role.ADMIN)

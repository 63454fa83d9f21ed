"""Lists: each costs a fixed number of queries however long it is, and none reads a big table from end to end.

A list is a page or an address of the API that shows rows, of which there can be any number. Whoever adds one adds a
line to the tables below: a route of `monitoring/routes.py` or of the API that no line names, and that is not said to
be no list, fails here.
"""

import re

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from monitoring import routes, standings, worklist
from monitoring.api import tokens
from monitoring.api.urls import ROUTES
from monitoring.models import Standing
from monitoring.web.dashboard_lists import LISTS
from monitoring.web.dashboard_plots import SECTIONS
from monitoring.web.messages import TABS as MESSAGES
from monitoring.web.patient import TABS as PATIENT
from patients import access
from patients.changes import Actor
from tests.conftest import as_signed_in
from tests.contracts.rows import DAY, NOON, fill
from tests.journeys.addresses import NO_PAGES

# The most queries of a page of rows, of which eight are every page's: savepoint, session, person, clinics, heartbeat.
PAGES = (
    {f"/worklist/{tab}/": 11 for tab in worklist.TABS}
    | {f"/messages/{tab}/": 10 for tab in MESSAGES}
    | {f"/dashboard/{section}/": 13 for section in SECTIONS if section}
    | {f"/dashboard/list/{name}/": 16 for name in LISTS}
    | {f"/patients/{{patient}}/{tab}/": 14 for tab, _name in PATIENT if tab and tab != "overview"}
    | {
        "/": 11,
        "/worklist/all/?q=Berg": 13,
        "/worklist/overdue/?language=en&late=3": 11,
        "/worklist/views/": 10,
        "/patients/": 11,
        "/patients/?q=Berg": 13,
        "/patients/{patient}/": 13,
        "/patients/{patient}/visits/": 13,
        "/patients/{patient}/print/": 12,
        "/patients/{patient}/audit/": 14,
        "/duplicates/": 12,
        "/review/": 18,
        "/review/{case}/": 19,
        "/calendar/": 13,
        "/calendar/week/2026-08-17/": 13,
        "/calendar/month/": 12,
        "/calendar/month/2026-08-01/": 12,
        "/messages/": 20,
        "/messages/upcoming/": 20,
        "/messages/letters/": 19,
        "/dashboard/": 13,
        "/protocol/versions/": 14,
        "/import/": 13,
        "/import/{batch}/": 13,
        "/tokens/": 11,
        "/webhooks/": 12,
        "/endings/": 11,
        "/administration/staff/": 16,
        "/administration/clinics/": 11,
        "/administration/audit/": 12,
        "/administration/emergencies/": 11,
        "/administration/retention/": 12,
    }
)
API = {
    "patients/": 11,
    "hips/": 9,
    "hips/?status=overdue": 9,
    "plans/?state=current": 9,
    "flags/": 9,
    "reviews/": 9,
    "reminders/": 9,
    "patients/{patient}/facts/": 19,
    "patients/{patient}/hips/": 10,
    "reviews/{case}/notes/": 11,
}
COUNTING = {  # these count rows and show none
    "/dashboard/",
    *(f"/dashboard/{section}/" for section in SECTIONS if section),
    "/calendar/month/",
    "/calendar/month/2026-08-01/",
    "/api/v1/patients/{patient}/hips/",
}
NO_LIST = {"patients/<int:pk>/", "reviews/<int:pk>/", "assess"}  # and whatever is beneath one of them and takes a POST
FORMS_AND_SINGLE_THINGS = {
    "invitation", "second_step", "profile", "styleguide", "system", "research", "protocol", "protocol_cases",
    "protocol_draft", "protocol_draft_new", "worklist_act", "patient_whatif", "patient_seen", "patient_letter",
    "patient_enrol", "patient_edit", "patient_contact", "patient_death", "patient_restriction",
    "patient_everything", "patient_merge", "merge", "hip_end", "hip_reopen", "finding_decide", "visit_new",
    "fact_withdraw", "fact_correct", "calendar_feed_address", "appointment_book", "appointment_move",
    "appointment_cancel", "notifications", "notifications_preview", "mail_templates", "mail_template",
    "mail_settings", "import_columns", "import_undo", "emergency_open",
    "restricted_open", "staff_new", "staff_person", "clinic_new",
    "clinic_edit", "retention_run", "api_docs",
}  # fmt: skip
AS_LONG_AS_IT_MAY_TAKE = {"protocol_effect"}  # evaluates record after record, for four seconds at most


@pytest.fixture(autouse=True)
def _summer():
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def person(clinic, make_user):
    """A member of staff who may see every page, also those of all clinics."""
    user = make_user(clinic, "coordinator", name="Ada Okoye", is_superuser=True)
    for role in ("clinician", "admin"):
        user.memberships.create(clinic=clinic, role=role)
    return user


@pytest.fixture
def desk(person):
    return as_signed_in(Client(), person)


@pytest.fixture
def caller(clinic):
    cache.clear()
    secret = tokens.issue(name="lab", clinic=clinic, scopes=("read",), days=30, by=Actor(name="Ada"))[1]
    return Client(headers={"Authorization": f"Bearer {secret}"})


def answered(client, address):
    """What the list says, and the statements that it took."""
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(address)
    assert answer.status_code == 200, (address, answer.content[:200])
    return answer.content, [one["sql"] for one in seen.captured_queries]


def asked(desk, caller, known):
    """For each list the number of its queries and the length of what it says."""
    found = {}
    for client, path in lists(desk, caller):
        content, statements = answered(client, path.format(**known))
        found[path] = (len(statements), len(content))
    return found


def lists(desk, caller):
    return [*((desk, path) for path in PAGES), *((caller, f"/api/v1/{path}") for path in API)]


def lengthened(clinic, person, by, *, first):
    """What `fill` made. PostgreSQL has no statistics of rows that are not committed and would join them one by one."""
    access.bind_clinics([clinic.pk])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
    return fill(clinic, by, first=first, by=person)


def grown(fewer, more):
    """Which cost more when they are longer."""
    return {path: (fewer[path][0], more[path][0]) for path in more if more[path][0] > fewer[path][0]}


@pytest.mark.slow
def test_fifty_rows_cost_no_more_queries_than_one(clinic, person, desk, caller):
    one = asked(desk, caller, lengthened(clinic, person, 1, first=1))
    fifty = asked(desk, caller, lengthened(clinic, person, 49, first=2))
    most = PAGES | {f"/api/v1/{path}": budget for path, budget in API.items()}
    assert not grown(one, fifty)
    assert {path: found[0] for path, found in fifty.items() if found[0] > most[path]} == {}
    unmoved = {path for path in fifty if fifty[path][1] < 1.1 * one[path][1]}
    assert unmoved <= COUNTING, "these do not show what was added"


@pytest.mark.slow
def test_five_hundred_rows_cost_no_more_queries_than_fifty(clinic, person, desk, caller):
    known = lengthened(clinic, person, 50, first=1)
    fifty = asked(desk, caller, known)
    lengthened(clinic, person, 450, first=51)
    assert not grown(fifty, asked(desk, caller, known))


def test_no_route_is_left_out_of_the_table():
    known = {"patient": 1, "case": 1, "batch": 1}
    listed = {resolve(path.format(**known).split("?")[0]).url_name for path in PAGES}
    elsewhere = {*NO_PAGES, *FORMS_AND_SINGLE_THINGS, *AS_LONG_AS_IT_MAY_TAKE}
    assert listed <= set(routes.PAGES) and not listed & elsewhere
    assert set(routes.PAGES) - listed - elsewhere == set()


def test_no_list_of_the_api_is_left_out_of_the_table():
    listed = {re.sub(r"{\w+}", "<int:pk>", path.split("?")[0]) for path in API}
    routes = {route for route, _view, _name in ROUTES}
    forgotten = {one for one in routes - listed if not any(one.startswith(known) for known in NO_LIST)}
    assert forgotten == set()


def test_every_tab_of_the_worklist_is_in_the_table():
    assert {reverse("worklist_tab", args=[tab]) for tab in worklist.TABS} <= set(PAGES)


BIG = "patients_patient|patients_hip|monitoring_(hipevaluation|patientevaluation|standing|flag|reviewcase|auditentry)"
BIG += "|schedules_(plan|reminder)|patients_(imaging|symptomreport|staging|score|visit|contactwish)"
SCAN = re.compile(rf"Seq Scan on ({BIG})\b")


@pytest.fixture
def many(clinic, person):
    """More than two pages of every list."""
    return fill(clinic, 120, by=person)


def plan_of(statement):
    """Prepared statements give their values apart: of them the plan for any values is told."""
    of_any = " (GENERIC_PLAN)" if "$1" in statement else ""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN{of_any} {statement}")
        return "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.slow
def test_no_list_reads_a_big_table_from_end_to_end(clinic, many, desk, caller):
    """With scans made dear, one that is left is one for which there is no index."""
    found = {}
    for client, path in lists(desk, caller):
        _content, asked = answered(client, path.format(**many))
        access.bind_clinics([clinic.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        found |= {
            (path, sql[:300]): plan for sql in asked if sql.startswith("SELECT") and SCAN.search(plan := plan_of(sql))
        }
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = on")
    assert not found, found


@pytest.mark.parametrize("tab", ["overdue", "all", "reviews"])
def test_a_page_is_read_off_the_index_in_its_order_and_the_last_like_the_first(tab, clinic, many, make_user):
    viewer = access.viewer_for(make_user(clinic, "coordinator"))
    order = worklist.order_of(tab)
    last = Standing.objects.filter(worklist.belonging_to(tab, DAY)).order_by(f"-{order}", "-patient")[30]
    plans = []
    for mark in ("", standings.mark_of(order, last)):
        with CaptureQueriesContext(connection) as seen:
            page = worklist.page_of(tab, viewer, worklist.Filters(), DAY, after=mark)
        assert len(page.rows) == (30 if mark else worklist.PAGE)
        walked = next(one["sql"] for one in seen.captured_queries if 'FROM "monitoring_standing"' in one["sql"])
        with connection.cursor() as cursor:
            cursor.execute(
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
            )
        plans.append(plan_of(walked))
    found = [plan[plan.index("->  Limit") :] for plan in plans]  # who comes first; what is read of them is no walk
    for plan in found:
        assert re.search(r"Index (Only )?Scan using standing_", plan) and "Sort" not in plan, plan
    assert re.search(r"Index Cond:.*ROW\(", found[1]), plans[1]

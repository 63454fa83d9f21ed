"""Lists: each costs a fixed number of queries however long it is, and none reads a big table from end to end.

A list is a page or an address of the API that shows rows of a clinic. Whoever adds one adds a line to the table below:
a route that no line names, and that is not said to be no list, fails here.
"""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from monitoring import standings, worklist
from monitoring.api import tokens
from monitoring.api.urls import ROUTES
from monitoring.models import HipEvaluation, ReviewCase, Standing
from patients import access
from patients.changes import Actor
from patients.models import Hip, Patient
from schedules.models import Plan

DAY = date(2026, 8, 20)
NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
SOMEBODY = "the patient that the rows belong to"

# The most queries of a page of rows, of which ten are every page's: savepoint, session, person, clinics, heartbeat.
PAGES = {f"/worklist/{tab}/": 20 for tab in worklist.TABS} | {
    "/worklist/all/?q=Berg": 22,
    "/worklist/overdue/?language=en&late=3": 20,
    "/patients/": 14,
    "/patients/?q=Berg": 16,
    "/review/": 26,
    "/calendar/": 26,
    "/messages/": 30,
    "/messages/sent/": 30,
}
API = {
    "patients/": 14,
    "hips/": 14,
    "hips/?status=overdue": 14,
    "plans/?state=current": 14,
    "flags/": 14,
    "reviews/": 14,
    "reminders/": 14,
}
NO_LIST = {"patients/<int:pk>/", "reviews/<int:pk>/", "assess"}  # and whatever is beneath one of them


@pytest.fixture(autouse=True)
def _summer():
    with time_machine.travel(NOON, tick=False):
        yield


def fill(clinic, number, *, first=1):
    """So many patients that stand on every list, by plain rows: a left hip that is late and in review."""
    known = range(first, first + number)
    people = Patient.objects.bulk_create(
        Patient(
            clinic=clinic, record_number=f"L-{n:05d}", family_name=f"Berg{n:05d}", enrolled_on=date(2026, 1, 10),
            email="" if n % 2 else f"l{n}@mail.example", record_version=1,
        )
        for n in known
    )  # fmt: skip
    hips = Hip.objects.bulk_create(
        Hip(clinic=clinic, patient=one, side=side) for one in people for side in ("right", "left")
    )
    due = {n: date(2026, 7, 1) + timedelta(days=n % 20) for n in known}
    HipEvaluation.objects.bulk_create(
        HipEvaluation(
            hip=hip, patient=hip.patient, clinic=clinic, pathway="observation", because="SYNTHETIC",
            answer={"window": {}}, status=("overdue" if hip.side == "left" else "due"), anchor_on=None,
            opens_on=due[n], due_on=due[n], overdue_on=due[n] + timedelta(days=14),
        )
        for n, pair in zip(known, zip(hips[::2], hips[1::2], strict=True), strict=True)
        for hip in pair
    )  # fmt: skip
    ReviewCase.objects.bulk_create(
        ReviewCase(
            clinic=clinic, patient=hip.patient, hip=hip, action="LARGE_LESION_REVIEW", rule="R06", urgency="SOON",
            since=date(2026, 8, 1), act_by=date(2026, 8, 30), because="SYNTHETIC",
        )
        for hip in hips[1::2]
    )  # fmt: skip
    dates = {
        name: date(2026, 7, 20) for name in ("opens_on", "due_on", "overdue_on", "escalate_on", "trace_on", "gap_on")
    }
    Plan.objects.bulk_create(
        Plan(
            clinic=clinic, patient=hip.patient, hip=hip, cycle_on=date(2026, 1, 10), pathway="observation",
            because="SYNTHETIC", protocol="SYNTHETIC", **dates,
        )
        for hip in hips[1::2]
    )  # fmt: skip


@pytest.fixture
def desk(clinic, make_user, sign_in):
    user = make_user(clinic, "coordinator", name="Ada Okoye")
    user.memberships.create(clinic=clinic, role="clinician")
    return sign_in(user)


@pytest.fixture
def caller(clinic):
    cache.clear()
    secret = tokens.issue(name="lab", clinic=clinic, scopes=("read",), days=30, by=Actor(name="Ada"))[1]
    return Client(headers={"Authorization": f"Bearer {secret}"})


def statements(client, address):
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(address)
    assert answer.status_code == 200, (address, answer.content[:200])
    return [one["sql"] for one in seen.captured_queries]


@pytest.mark.slow
def test_every_list_costs_the_same_number_of_queries_however_long_it_is(clinic, desk, caller):
    lists = [(desk, path, most) for path, most in PAGES.items()]
    lists += [(caller, f"/api/v1/{path}", most) for path, most in API.items()]
    asked, here = {}, 0
    for length in (1, 50, 500):
        access.bind_clinics([clinic.pk])
        fill(clinic, length - here, first=here + 1)
        here = length
        for client, path, _most in lists:
            asked[path, length] = len(statements(client, path))
    dear = {path: asked[path, 500] for _client, path, most in lists if asked[path, 500] > most}
    grown = {
        path: [asked[path, length] for length in (1, 50, 500)]
        for _client, path, _most in lists
        if not asked[path, 500]
        <= asked[path, 50]
        <= asked[path, 1] + 1  # wishes are asked for once anybody has an address
    }
    assert not dear and not grown, (dear, grown)


def test_no_list_of_the_api_is_left_out_of_the_table():
    listed = {path.split("?")[0] for path in API}
    routes = {route for route, _view, _name in ROUTES}
    forgotten = {one for one in routes - listed if not any(one.startswith(known) for known in NO_LIST)}
    assert forgotten == set()


def test_every_tab_of_the_worklist_is_in_the_table():
    assert {reverse("worklist_tab", args=[tab]) for tab in worklist.TABS} <= set(PAGES)


BIG = "patients_patient|patients_hip|monitoring_(hipevaluation|patientevaluation|standing|flag|reviewcase|auditentry)"
BIG += "|schedules_(plan|reminder)|patients_(imaging|symptomreport|staging|score|visit|contactwish)"
SCAN = re.compile(rf"Seq Scan on ({BIG})\\b")


@pytest.fixture
def many(clinic):
    """More than two pages of every list."""
    fill(clinic, 120)
    return clinic


def plan_of(statement):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_no_list_reads_a_big_table_from_end_to_end(many, desk, caller):
    """With scans made dear, one that is left is one for which there is no index."""
    found = {}
    for client, path in [*((desk, path) for path in PAGES), *((caller, f"/api/v1/{path}") for path in API)]:
        asked = statements(client, path)
        access.bind_clinics([many.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        found |= {
            (path, sql[:300]): plan for sql in asked if sql.startswith("SELECT") and SCAN.search(plan := plan_of(sql))
        }
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = on")
    assert not found, found


@pytest.mark.parametrize("tab", ["overdue", "all", "reviews"])
def test_a_page_is_read_off_the_index_in_its_order_and_the_last_like_the_first(tab, many, make_user):
    viewer = access.viewer_for(make_user(many, "coordinator"))
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
    for plan in plans:
        assert "Index Scan using standing_" in plan and "Sort" not in plan, plan
    assert "ROW(" in plans[1] and re.search(r"Index Cond:.*ROW\(", plans[1]), plans[1]

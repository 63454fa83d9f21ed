"""Dashboard: every number is as long as its list, files say the same, and nobody sees another clinic."""

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
import time_machine
from django.urls import reverse

from monitoring import census
from monitoring.models import AuditEntry, Census
from monitoring.simulation.registry import Order, simulate
from monitoring.statistics import courses
from monitoring.web.dashboard_plots import PLOTS, SECTIONS
from patients import access
from patients.models import Clinic

pytestmark = pytest.mark.slow  # each begins with a registry of its own
NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)
TODAY = NOW.date()
LINK = re.compile(r'<a href="(/dashboard/list/[^"]+)">([\d., ]+)</a>')
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def moment():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def simulated(clinic, make_user, moment):
    """A synthetic clinic with 40 patients and two nights of census."""
    clinic.synthetic = True
    clinic.save()
    make_user(clinic, "clinician")
    simulate(Order(clinic.pk, 40, 4.0, 2, TODAY))
    access.bind_clinics(Clinic.objects.values_list("id", flat=True))
    taken = census.take_census(clinic, NOW)
    before = {"on": TODAY - timedelta(2), "enrolled_hips": 80, "buckets": {"upcoming": 78, "gap": 2}, "adds_up": True}
    assert Census.objects.create(clinic=clinic, **before).on < taken.on
    return clinic


@pytest.fixture
def staff(simulated, make_user, sign_in):
    return sign_in(make_user(simulated, "coordinator"))


def address(section):
    return reverse("dashboard_section", args=[section]) if section else reverse("dashboard")


def links(page):
    return [(html.unescape(url), int(re.sub(r"\D", "", number))) for url, number in LINK.findall(page.content.decode())]


def walk(client, url):
    """Every row of a list, page by page, and the length that the list gives itself."""
    rows, total = [], None
    while url:
        page = client.get(url)
        assert page.status_code == 200, url
        rows += [(row["number"], row["side"], row["day"], row["words"]) for row in page.context["rows"]]
        total, url = page.context["total"], page.context["next_url"]
    return rows, total


# ---- Numbers and lists


@pytest.mark.parametrize("section", SECTIONS)
def test_every_number_is_as_long_as_its_list(staff, section):
    found = links(staff.get(address(section)))
    assert len(found) > 4, "there are numbers with lists"
    wrong = []
    for url, number in found:
        rows, total = walk(staff, url)
        if not number == total == len(rows):
            wrong.append((url, number, total, len(rows)))
    assert not wrong


def test_the_six_numbers_at_the_top_lead_to_what_they_are_of(staff):
    numbers = staff.get("/dashboard/").context["numbers"]
    assert len(numbers) == 6
    totals = [walk(staff, number["url"])[1] for number in numbers]
    assert [str(total) for total in totals[:3]] == [number["value"] for number in numbers[:3]]
    for total, number in zip(totals[3:], numbers[3:], strict=True):
        assert f"of {total} " in number["note"]


def test_no_row_of_a_list_comes_twice(staff):
    rows, total = walk(staff, "/dashboard/list/hips/")
    assert total == 80
    assert len({row[:2] for row in rows}) == total


def test_the_overdue_hips_are_those_of_the_census(staff, simulated):
    buckets, _disagreements = census.count_hips(simulated, TODAY)
    _rows, total = walk(staff, "/dashboard/list/overdue/")
    assert total == buckets["overdue"] + buckets["gap"]


def test_a_look_at_a_list_is_logged_for_each_patient(staff):
    page = staff.get("/dashboard/list/overdue/")
    seen = AuditEntry.objects.filter(act="look", object="dashboard list, overdue")
    assert seen.count() == len({row["number"] for row in page.context["rows"]})


@pytest.mark.parametrize("name", ["overdue", "windows", "tracking", "waits", "course", "forecast", "hips"])
@pytest.mark.parametrize(
    "query",
    [
        "band=1",
        "outcome=lost",
        "month=2026-13",
        "state=x",
        "endpoint=x",
        "part=risk&month=x",
        "week=2026-01-01",
        "bucket=x",
    ],
)
def test_a_list_that_is_none_is_not_found_and_never_fails(clinic, make_user, sign_in, name, query):
    client = sign_in(make_user(clinic, "clinician"))
    assert client.get(f"/dashboard/list/{name}/?{query}").status_code in {200, 404}


@pytest.mark.parametrize("mark", ["x", "~", "2026-99-99~3", "~99999999999999999999", "2026-01-01~"])
def test_a_mark_that_is_none_begins_anew(clinic, make_user, sign_in, mark):
    client = sign_in(make_user(clinic, "clinician"))
    assert client.get("/dashboard/list/overdue/", {"after": mark}).status_code == 200
    assert client.get("/dashboard/list/hips/", {"after": mark}).status_code == 200


# ---- Who may see what


@pytest.mark.parametrize("role", ["coordinator", "clinician", "admin"])
def test_all_staff_of_a_clinic_see_it(clinic, make_user, sign_in, role):
    assert sign_in(make_user(clinic, role)).get("/dashboard/").status_code == 200


def test_strangers_are_sent_to_sign_in_and_people_without_a_clinic_are_refused(client, clinic, make_user, sign_in):
    for url in ("/dashboard/", "/dashboard/list/hips/", "/dashboard/files/overdue.csv"):
        assert client.get(url).status_code == 302
    nobody = sign_in(make_user(clinic))
    assert nobody.get("/dashboard/").status_code == 403


def test_another_clinics_hips_are_in_no_number_and_no_list(simulated, other_clinic, make_user, sign_in):
    client = sign_in(make_user(other_clinic, "admin"))
    page = client.get("/dashboard/")
    assert [number["value"] for number in page.context["numbers"]][:3] == ["0", "0", "0"]
    assert client.get(f"/dashboard/?clinic={simulated.pk}").status_code == 404
    assert walk(client, "/dashboard/list/hips/") == ([], 0)
    assert client.get(f"/dashboard/list/hips/?clinic={simulated.pk}").status_code == 404
    assert client.get(f"/dashboard/files/overdue.csv?clinic={simulated.pk}").status_code == 404


def test_somebody_of_two_clinics_chooses_one(simulated, other_clinic, enrol, make_user, sign_in):
    from patients.models import Membership

    enrol(other_clinic)
    both = make_user(simulated, "clinician")
    Membership.objects.create(user=both, clinic=other_clinic, role="clinician")
    client = sign_in(both)
    assert client.get("/dashboard/").context["numbers"][0]["value"] == "82"
    page = client.get(f"/dashboard/?clinic={other_clinic.pk}")
    assert page.context["numbers"][0]["value"] == "2"
    assert page.context["numbers"][0]["url"].endswith(f"?clinic={other_clinic.pk}")
    assert walk(client, page.context["numbers"][0]["url"])[1] == 2


# ---- Files


def read_csv(answer):
    text = answer.content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("name", PLOTS)
def test_each_plot_as_a_file(staff, name):
    answer = staff.get(f"/dashboard/files/{name}.csv")
    assert f'filename="hipwatch-{name}-2026-11-18.csv"' in answer["Content-Disposition"]
    head, *rows = read_csv(answer)
    assert rows
    assert {len(row) for row in rows} == {len(head)}
    picture = staff.get(f"/dashboard/files/{name}.svg")
    if name == "hips":
        assert picture.status_code == 404
        return
    root = ElementTree.fromstring(picture.content)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text
    assert root.find(f"{SVG}desc").text
    assert "synthetic patients" in picture.content.decode()


def test_a_picture_in_dots(staff):
    answer = staff.get("/dashboard/files/overdue.png")
    assert answer["Content-Type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_the_numbers_of_the_file_are_those_of_the_page(staff):
    _head, *rows = read_csv(staff.get("/dashboard/files/overdue.csv"))
    (whole,) = (row for row in rows if row[0] == "Together")
    assert int(whole[1]) == walk(staff, "/dashboard/list/overdue/")[1]


def test_the_file_of_a_curve_holds_its_steps(staff):
    head, *rows = read_csv(staff.get("/dashboard/files/pain.csv"))
    assert head == ["band", "month", "at_risk", "events", "share", "standard_error", "low", "high"]
    assert {row[0] for row in rows} <= {band.value for band in courses.BANDS}
    assert all(0 <= float(row[6]) <= float(row[4]) <= float(row[7]) <= 1 for row in rows)


def test_an_export_is_audited(staff, simulated):
    staff.get("/dashboard/files/windows.csv")
    entry = AuditEntry.objects.get(act="export")
    assert (entry.clinic_id, entry.object, entry.after) == (simulated.pk, "dashboard windows", {"format": "csv"})


@pytest.mark.parametrize("path", ["nothing.csv", "overdue.pdf", "hips.png"])
def test_what_is_no_file_is_not_found(staff, path):
    assert staff.get(f"/dashboard/files/{path}").status_code == 404


# ---- The page


def test_a_drawing_has_a_title_a_description_and_ids_of_its_own(staff):
    page = staff.get("/dashboard/course/").content.decode()
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for name in ("pain", "collapse"):
        assert f'aria-labelledby="{name}-title {name}-desc"' in page
    assert "Log-rank test" in page
    assert " style=" not in page


def test_every_plot_says_how_it_is_counted(staff):
    for section in SECTIONS:
        page = staff.get(address(section)).content.decode()
        assert page.count("What it cannot tell") == len(SECTIONS[section])
    assert "not independent" in page


def test_an_empty_registry_says_so_on_every_section(clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "clinician"))
    words = {
        "": "No window has ended yet.",
        "symptoms": "No new symptom has been reported",
        "course": "too few for a curve",
        "forecast": "Nobody is followed",
        "census": "no history to draw yet",
    }
    for section, text in words.items():
        page = client.get(address(section))
        assert text in page.content.decode(), section
        assert '<svg class="drawing"' not in page.content.decode()


@pytest.mark.parametrize(
    ("section", "most"), [("", 14), ("symptoms", 11), ("course", 11), ("forecast", 13), ("census", 11)]
)
def test_the_number_of_queries_does_not_grow_with_the_registry(staff, django_assert_max_num_queries, section, most):
    with django_assert_max_num_queries(most):
        staff.get(address(section))


def test_in_german(simulated, make_user, sign_in):
    client = sign_in(make_user(simulated, "clinician", language="de"))
    client.cookies["django_language"] = "de"
    assert "hüft" in client.get("/dashboard/", headers={"Accept-Language": "de"}).content.decode().lower()


def test_unknown_sections_and_lists_are_not_found(clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "clinician"))
    assert client.get("/dashboard/nothing/").status_code == 404
    assert client.get("/dashboard/list/nothing/").status_code == 404

"""A new clinic brings its patients in a file with errors: it sees each, mends them, saves, and takes all of it back."""

import pytest
from django.db import transaction
from playwright.sync_api import expect

from patients import access
from patients.models import Patient
from tests.journeys.site import sign_in, worker

pytestmark = pytest.mark.slow
HEADINGS = "record_number,family_name,given_name,born_on,visit_on,left_modality,left_necrosis"
GOOD = [
    "A-1,Okafor,Ben,1975-12-01,2026-03-02,MR,yes",
    "A-2,Lund,Ida,1980-02-29,2026-03-03,MR,yes",
    "A-3,Öztürk,Can,1990-07-14,2026-03-04,XR,no",
]
WRONG = ["A-1,Okafor,Ben,2031-12-01,2026-03-02,MR,yes", "A-2,,Ida,1980-02-29,2026-03-03,MR,yes", GOOD[2]]
WRONG[2] = GOOD[2].replace("XR", "Foto")


@pytest.fixture
def people(registry):
    with transaction.atomic():
        return registry()


def check(page, *rows):
    """Choose the file with these rows and have it checked."""
    content = "\n".join([HEADINGS, *rows, ""]).encode()
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "registry.csv", "mimeType": "text/csv", "buffer": content}
    )
    page.get_by_role("button", name="Check the file").click()


def problem(page, line):
    """What the page says of that line of the file."""
    rows = page.get_by_role("table").get_by_role("row")
    return rows.filter(has=page.get_by_role("rowheader", name=str(line), exact=True))


def enrolled():
    with access.system_run("test"):
        return Patient.objects.count()


def test_a_file_with_errors_is_mended_saved_and_undone(site, people, open_browser, process_environment, tmp_path):
    page = open_browser()
    sign_in(page, site, people.coordinator)
    page.goto(f"{site}/import/")
    check(page, *WRONG)
    expect(page.get_by_text("Nothing is saved.", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Save these")).to_have_count(0)
    for line, column in ((2, "born_on"), (3, "family_name"), (4, "left_modality")):
        expect(problem(page, line)).to_contain_text(column)
    page.get_by_role("link", name="Check the corrected file").click()
    check(page, *GOOD)
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    assert enrolled() == 0
    with worker("sweep", process_environment, tmp_path):
        page.get_by_role("button", name="Save these 3 rows").click()
        expect(page.get_by_text("Saved.", exact=True)).to_be_visible(timeout=30_000)
        page.goto(f"{site}/patients/")
        expect(page.locator("[data-row]")).to_have_count(3)
        page.get_by_role("link", name="Okafor").click()
        expect(page.get_by_role("region", name="Left hip")).to_be_visible()
        page.goto(f"{site}/import/")
        page.locator("[data-open]").first.click()
        page.get_by_role("link", name="Undo this import").click()
        page.get_by_label("Reason").fill("Another clinic's file.")
        page.get_by_role("button", name="Undo this import").click()
        expect(page.get_by_text("Undone.", exact=True)).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Another clinic's file.")).to_be_visible()
    page.goto(f"{site}/worklist/due/")
    expect(page.locator("[data-row]")).to_have_count(0)

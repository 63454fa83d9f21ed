"""A new version of the protocol: an administrator drafts it and sees whom it moves, a clinician approves it."""

from datetime import timedelta

import pytest
from django.db import transaction
from playwright.sync_api import expect

from schedules.models import ProtocolVersion
from tests.journeys.site import sign_in, sign_out

pytestmark = pytest.mark.slow


@pytest.fixture
def people(registry):
    with transaction.atomic():
        made = registry()
        made.marta = made.watched(days_ago=30, family_name="Berg", given_name="Marta")
    return made


def draft(page, site):
    page.goto(f"{site}/protocol/")
    page.get_by_role("link", name="Versions").click()
    page.get_by_role("link", name="Draft a new version").click()
    page.get_by_label("What").fill("Seen every four months.")
    page.get_by_role("button", name="Begin the draft").click()
    page.get_by_label("Standard interval").fill("4")
    page.get_by_role("button", name="Keep the draft").click()
    expect(page.locator("#messages")).to_contain_text("The draft is kept.")


def test_what_an_administrator_drafts_a_clinician_approves(site, people, open_browser):
    page = open_browser()
    sign_in(page, site, people.admin)
    draft(page, site)
    page.get_by_role("link", name="Which hips would move").click()
    expect(page.get_by_role("heading", name="1 hip would move")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Marta Berg")).to_be_visible()
    page.go_back()
    address = page.url
    page.get_by_role("button", name="Submit for review").click()
    expect(page.get_by_role("main")).to_contain_text("waits for a clinician")
    expect(page.get_by_role("button", name="Approve from this day")).to_have_count(0)
    sign_out(page)

    sign_in(page, site, people.clinician)
    page.goto(address)
    page.get_by_role("button", name="Begin the review").click()
    page.get_by_role("button", name="Approve from this day").click()
    page.locator(".error-summary").wait_for()
    page.get_by_label("In force from").fill(str(people.today + timedelta(days=2)))
    page.get_by_role("button", name="Approve from this day").click()
    expect(page.locator("#messages")).to_contain_text("Approved. It comes into force by itself on its day.")
    page.goto(f"{site}/protocol/versions/")
    expect(page.get_by_role("row").filter(has_text="Seen every four months.")).to_contain_text("Dr Lindqvist")
    assert ProtocolVersion.objects.get(note="Seen every four months.").state == "approved"

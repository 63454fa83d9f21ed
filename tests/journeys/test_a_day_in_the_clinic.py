"""The main job in a browser: a visit with new pain raises a case, a clinician decides it, and mail goes out."""

import re

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import expect

from monitoring import digest, digest_mail
from monitoring.models import ReviewCase
from patients import access
from schedules.models import Plan, Reminder
from tests.journeys.site import PASSWORD, mail_worker, mailbox, sign_in, sign_out
from tests.schedules.conftest import wait_for

pytestmark = pytest.mark.slow

CLINICAL_WORDS = ("hip", "osteonecrosis", "necrosis", "pain", "lesion", "radiograph", "surgery")


@pytest.fixture
def people(registry):
    """Marta is watched, Jon has missed his day, Nora is another clinic's."""
    with transaction.atomic():
        made = registry()
        made.marta = made.watched(days_ago=150, family_name="Berg", given_name="Marta")
        made.jon = made.watched(days_ago=195, family_name="Adeyemi", given_name="Jon", email="jon@mail.example")
        made.nora = made.watched(days_ago=150, family_name="Holt", given_name="Nora", clinic=made.other_clinic)
    return made


def left_hip(page):
    return page.get_by_role("region", name="Left hip")


def due_words(page):
    """What the left hip's panel says of its next follow-up."""
    return left_hip(page).get_by_text("Next follow-up").locator("xpath=following-sibling::dd[1]").inner_text()


def record_pain(page):
    page.get_by_role("link", name="Record a visit").first.click()
    left = page.get_by_role("region", name="Left hip")
    symptoms = left.get_by_role("group", name="Symptoms")
    symptoms.get_by_role("group", name="Any symptoms").get_by_label("yes", exact=True).check()
    symptoms.get_by_label("Worst pain").fill("4")
    symptoms.get_by_label("Where").fill("groin")
    films = left.get_by_role("group", name="Radiographs")
    for view in ("AP pelvis", "Frog lateral"):
        films.get_by_label(view).check()
    films.get_by_label("Crescent sign").select_option("absent")
    page.get_by_role("button", name="Record the visit").click()


def test_new_pain_becomes_a_case_a_decision_and_a_new_plan(site, people, open_browser):
    page = open_browser()
    sign_in(page, site, people.coordinator)
    page.goto(f"{site}/patients/{people.marta.pk}/")
    planned = due_words(page)
    record_pain(page)

    expect(page.locator("#messages")).to_contain_text("New: Core decompression review, act by")
    expect(left_hip(page)).to_contain_text("3-month interval")
    assert due_words(page) != planned
    page.get_by_role("link", name="Open the case").first.click()
    expect(page.get_by_text("to be decided by")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("groin")
    expect(page.get_by_text("A clinician of this clinic decides")).to_be_visible()
    expect(page.get_by_role("button", name="Decide")).to_have_count(0)
    case_address = page.url
    assert page.goto(f"{site}/patients/{people.nora.pk}/").status == 404
    sign_out(page)

    sign_in(page, site, people.clinician)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Review").click()
    page.get_by_role("row").filter(has_text="Core decompression review").get_by_role("link", name="Marta Berg").click()
    expect(page).to_have_url(case_address)
    page.get_by_label("Observe").check()
    page.get_by_label("Why").fill("Pain of one week; oedema to be looked for first.")
    page.get_by_role("button", name="Decide", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("decided by Dr Lindqvist")
    page.goto(f"{site}/patients/{people.marta.pk}/")
    expect(left_hip(page)).to_be_visible()
    expect(page.get_by_role("link", name="Open the case")).to_have_count(0)
    sign_out(page)

    sign_in(page, site, people.admin)
    page.goto(f"{site}/messages/")
    expect(page.get_by_role("button", name="Stop mail")).to_be_visible()
    with access.system_run("test"):
        case = ReviewCase.objects.get(patient=people.marta)
        assert (case.state, case.decision.outcome) == ("decided", "observe")
        assert Plan.objects.filter(patient=people.marta, hip__side="left").count() == 2, "the old plan and the new one"


def test_the_reminder_that_is_due_arrives_and_can_be_read(
    site, people, open_browser, watch, process_environment, tmp_path
):
    with mailbox(process_environment, tmp_path) as box, mail_worker(process_environment, box.smtp, tmp_path):
        assert wait_for(sent, 60), (tmp_path / "worker.log").read_text()
        page = open_browser()
        watch.others.append(box.page)
        page.goto(box.page)
        row = page.get_by_role("row").filter(has_text="jon@mail.example")
        row.get_by_role("link").click()
        text = page.locator("pre").first.inner_text()
    assert "+44 20 7946 0000" in text and "Northside" in text
    assert not [word for word in CLINICAL_WORDS if word in text.lower()]
    sign_in(page, site, people.coordinator)
    page.goto(f"{site}/messages/sent/")
    expect(page.get_by_role("row").filter(has_text="Adeyemi")).to_be_visible()


def test_a_clinician_decides_the_case_to_which_the_digest_leads(site, people, open_browser, settings):
    settings.PUBLIC_URL = site
    now = timezone.now()
    with transaction.atomic():
        access.bind_clinics([people.clinic.pk])
        people.hurts(people.marta)
        told = digest.contents_of(people.clinician, people.clinic, now=now)
        text = digest_mail.compose(people.clinician, people.clinic, told, now=now).body
    assert "Marta" not in text and "Berg" not in text
    page = open_browser()
    page.goto(re.search(rf"{site}/review/\d+/", text)[0])
    page.get_by_label("Email").fill(people.clinician.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Core decompression review")).to_be_visible()
    page.get_by_label("Operate").check()
    page.get_by_label("Why").fill("New pain, no collapse; the joint can be saved.")
    page.get_by_role("button", name="Decide", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("decided by Dr Lindqvist")


def sent():
    with access.system_run("test"):
        return Reminder.objects.filter(state="sent").exists()

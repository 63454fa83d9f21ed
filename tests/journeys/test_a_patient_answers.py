"""A patient asked by mail how they are answers on a telephone, and the clinic has a case to review."""

import re

import pytest
from django.db import transaction
from playwright.sync_api import expect

from patients import access
from schedules.models import Reminder
from tests.journeys.site import mail_worker, mailbox, sign_in
from tests.schedules.conftest import wait_for

pytestmark = pytest.mark.slow
THUMB = 44  # pixels that a thumb needs
SIZES = "[...document.querySelectorAll('main button')].map(one => Math.round(one.getBoundingClientRect().height))"
WIDER = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture
def people(registry):
    """Marta was well three months ago; nobody has heard of her since."""
    with transaction.atomic():
        made = registry()
        made.marta = made.watched(days_ago=93, family_name="Berg", given_name="Marta", email="marta@mail.example")
    return made


@pytest.fixture
def link(site, people, process_environment, tmp_path):
    """The link of the mail that went to her."""
    environment = {**process_environment, "PUBLIC_URL": site}
    with mailbox(environment, tmp_path) as box, mail_worker(environment, box.smtp, tmp_path):
        assert wait_for(sent, 60), (tmp_path / "worker.log").read_text()
        found = re.search(rf"{site}/p/questions/\S+", box.text_to("marta@mail.example"))
    return found[0]


def sent():
    with access.system_run("test"):
        return Reminder.objects.filter(step="symptom_check", state="sent").exists()


def tap(page, name):
    """One question: nothing to scroll for sideways, every answer large enough for a thumb."""
    assert min(page.evaluate(SIZES)) >= THUMB and not page.evaluate(WIDER)
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).tap()


def test_pain_told_on_a_telephone_stands_in_the_review_queue(site, people, link, open_browser):
    telephone = open_browser(width=390, height=844, has_touch=True, is_mobile=True)
    telephone.goto(link)
    expect(telephone.get_by_role("heading", level=1)).to_contain_text("Did you have pain")
    assert "Berg" not in telephone.content() and "Hipwatch" not in telephone.title()
    for answer in ("Yes, on the left", "6", "Yes, at night", "Back", "No, neither", "Yes"):
        tap(telephone, answer)
    expect(telephone.get_by_role("heading", level=1)).to_have_text("Send your answers")
    telephone.get_by_label("else").fill("Since Monday, on the stairs.")
    tap(telephone, "Send my answers")
    expect(telephone.get_by_role("heading", level=1)).to_have_text("Thank you")
    assert telephone.goto(link).status == 410
    expect(telephone.get_by_role("heading", level=1)).to_have_text("You have answered already")

    desk = open_browser()
    sign_in(desk, site, people.clinician)
    desk.goto(f"{site}/review/")
    row = desk.get_by_role("row").filter(has_text="Marta Berg")
    expect(row).to_contain_text("Core decompression review")
    row.get_by_role("link", name="Marta Berg").click()
    expect(desk.get_by_role("main")).to_contain_text("Since Monday, on the stairs.")

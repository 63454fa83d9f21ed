"""The worklist by keyboard alone: single keys move, open and act, and the focus goes where the work is."""

import pytest
from django.db import transaction
from playwright.sync_api import expect

from monitoring import emergency
from monitoring.models import CaseNote, ContactAttempt, ReviewCase
from patients import access
from tests.journeys.site import sign_in

pytestmark = pytest.mark.slow


NAMES = ["Adeyemi", "Berg", "Osei", "Castro", "Dahl", "Egede", "Fontaine", "Grgić", "Holm", "Ito"]


@pytest.fixture
def overdue(registry, request):
    """Three who are late, or as many as the test asks for."""
    with transaction.atomic():
        made = registry()
        names = NAMES[: getattr(request, "param", 3)]
        made.late = [made.watched(days_ago=230 - place, family_name=name) for place, name in enumerate(names)]
    return made


@pytest.fixture
def page(site, overdue, open_browser):
    opened = open_browser()
    sign_in(opened, site, overdue.coordinator)
    opened.goto(f"{site}/worklist/overdue/")
    return opened


def tab_to(page, selector, *, at_most=15):
    for _ in range(at_most):
        if page.evaluate(f"document.activeElement.matches('{selector}')"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def record_outcome(page):
    page.keyboard.press("o")
    expect(page.locator("[data-row] [name=outcome]:focus")).to_be_visible()
    page.keyboard.press("ArrowDown")
    tab_to(page, "button[type=submit]")
    page.keyboard.press("Enter")


@pytest.mark.parametrize("overdue", [10], indirect=True)
def test_ten_overdue_patients_are_dealt_with_without_a_mouse(page):
    page.keyboard.press("j")
    for done in range(1, 11):
        row = page.locator("[data-row]:focus").get_attribute("id")
        record_outcome(page)
        expect(page.locator(f"#{row}.acted")).to_be_visible()
        expect(page.locator("[data-row].acted")).to_have_count(done)
        if done < 10:
            expect(page.locator(f"[data-row]:focus:not(#{row}, .acted)")).to_be_visible()
    with access.system_run("test"):
        assert ContactAttempt.objects.values("patient").distinct().count() == 10


def test_an_outcome_is_undone_where_it_stands(page):
    page.keyboard.press("k")
    row = page.locator("[data-row]:focus").get_attribute("id")
    record_outcome(page)
    expect(page.locator(f"#{row}.acted")).to_be_visible()
    page.locator(f"#{row}").focus()
    page.keyboard.press("u")
    expect(page.locator(f"#{row}.acted")).to_have_count(0)
    expect(page.locator(f"#{row}:focus, #{row}:focus-within")).to_be_visible()


def test_keys_move_between_rows_open_patients_and_find_them(page, site, overdue):
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert page.evaluate("[...document.querySelectorAll('[data-row]')].indexOf(document.activeElement)") == place
    page.keyboard.press("x")
    expect(page.locator("[data-bulk]").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Left hip")).to_be_visible()
    page.wait_for_load_state()  # keys are heard once the script has run
    page.keyboard.press("/")
    page.keyboard.type(overdue.late[2].record_number)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site}/patients/{overdue.late[2].pk}/")


def test_on_a_case_single_keys_lead_to_the_decision_and_the_clinician_and_send_neither(site, registry, open_browser):
    with transaction.atomic():
        made = registry()
        for name in NAMES[:2]:
            made.hurts(made.watched(days_ago=90, family_name=name))
        first, second = ReviewCase.objects.order_by("id").values_list("pk", flat=True)
    page = open_browser()
    sign_in(page, site, made.clinician)
    page.goto(f"{site}/review/{first}/")
    page.keyboard.press("d")
    expect(page.get_by_role("radio").first).to_be_focused()
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    page.keyboard.press("a")
    expect(page.get_by_role("combobox", name="Clinician")).to_be_focused()
    expect(page).to_have_url(f"{site}/review/{first}/")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page).to_have_url(f"{site}/review/{second}/")
    with access.system_run("test"):
        assert set(CaseNote.objects.values_list("kind", flat=True)) == {"opened"}


def test_help_opens_and_closes_and_single_keys_can_be_switched_off(page):
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog")
    expect(help_).to_contain_text("next")
    page.get_by_label("Single keys are on").uncheck()
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator("[data-row]:focus")).to_have_count(0)


def test_the_menu_of_a_restricted_row_leads_to_the_gate_and_back(page, overdue, watch):
    late = overdue.late[0]
    with access.system_run("test"):
        emergency.restrict(late, reason="Well known.", viewer=access.viewer_for(overdue.admin))
    page.reload()
    page.locator(f"#row-{late.pk} summary").click()
    page.wait_for_url("**/gate/**")
    page.fill("[name=reason]", "She telephoned.")
    page.locator("main form.form button[type=submit]").click()
    page.wait_for_url("**/worklist/overdue/")
    expect(page.locator(f"#row-{late.pk} .name")).to_have_text(late.display_name)
    assert [problem for problem in watch.problems if "/act/" not in problem] == []
    watch.problems.clear()  # the refusal that leads to the gate


def test_brand_menu_and_person_stand_in_one_line_on_the_narrowest_screen(page):
    page.set_viewport_size({"width": 320, "height": 640})
    boxes = [page.locator(f".top {part}").bounding_box() for part in (".brand", ".nav-open", ".user-menu > summary")]
    assert max(box["y"] for box in boxes) < min(box["y"] + box["height"] for box in boxes)


def test_the_menu_of_a_narrow_screen_closes_when_the_screen_is_turned(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Menu").click()
    expect(page.locator(".nav:popover-open")).to_have_count(1)
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.locator(".nav:popover-open")).to_have_count(0)
    expect(page.locator(".nav a").first).to_be_visible()

"""Every page in a browser: accessible in both colour schemes, wide and narrow, light to load, still, and silent."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone

from tests.journeys import addresses
from tests.journeys.site import confirm_password, sign_in

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 700}
ZOOMED = {"width": 640, "height": 450}  # what is left of a desktop at 200 %
PAIRS = [("light", WIDE), ("dark", WIDE), ("dark", NARROW), ("light", NARROW)]  # one thing changes at a time
AXE = Axe().axe_script
JUDGE = "axe.run({resultTypes: ['violations']}).then(result => result.violations)"
OVERFLOW = """() => document.documentElement.scrollWidth <= innerWidth ? "" : [...document.querySelectorAll("main *")]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".scroll"))
    .slice(0, 3).map(element => element.outerHTML.slice(0, 90)).join(" ") || "wider than the window\""""

LIGHT = 60_000  # bytes that travel for a page and all it loads, by a browser that has kept nothing
WEIGHT = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((bytes, one) => bytes + one.encodedBodySize, 0)"""
STILL = 0.01  # cumulative layout shift; ten times this still counts as good (web.dev/cls)
SHIFTED = """() => new Promise(done => {
    new PerformanceObserver(list => done(list.getEntries().reduce((sum, one) => sum + one.value, 0)))
        .observe({type: "layout-shift", buffered: true})
    setTimeout(() => done(0), 100)
})"""

COLUMNS = "[...document.querySelectorAll('main thead th')].map(one => Math.round(one.getBoundingClientRect().x))"
OPEN_ALL = "for (const closed of document.querySelectorAll('main details:not(.menu)')) closed.open = true"


def test_every_route_is_looked_at_or_left_out_for_a_reason():
    assert addresses.unknown() == []


@pytest.fixture
def full(registry, actor):
    """A registry in which no page is empty. `samples` names one thing of each kind."""
    from monitoring.imports import batch
    from monitoring.models import RetentionRun, ReviewCase
    from patients import access, recording
    from patients.duplicate_search import search_duplicates
    from patients.models import Imaging, Patient, SymptomReport
    from patients.vocabulary import EndReason, Side
    from schedules import appointments, links
    from schedules.models import Reminder

    with transaction.atomic():
        made = registry()
        painful = made.watched(days_ago=150, family_name="Berg", given_name="Marta")
        made.hurts(painful, days_ago=20)
        late = made.watched(days_ago=230, family_name="Fernández de la Vega", given_name="Ana-Lucía")
        made.enrol(made.clinic, family_name="Osei", enrolled_on=made.today)
        unmeasured = made.enrol(made.clinic, family_name="Solheim", enrolled_on=made.today - timedelta(days=9))
        day = made.today - timedelta(days=8)
        facts = [(Side.LEFT, Imaging(on=day, modality="MR", necrosis=True))]
        facts += [(Side.LEFT, SymptomReport(on=day, source="clinician", symptomatic=False))]
        recorded = recording.record_facts(unmeasured.pk, facts, by=actor)
        rows = Reminder.objects.filter(patient=late, state="planned").order_by("send_on")
        for row, state in zip(rows, ("uncertain", "failed", "refused"), strict=False):
            row.state, row.reason, row.sent_to = state, "The mail server was silent.", late.email
            row.save()
        right = unmeasured.hips.get(side="right")
        reason = EndReason.DECLINED_IN_WRITING
        recording.end_follow_up(right, by=actor, on=made.today, reason=reason, evidence="letter of today")
        content = b"record_number,family_name,given_name,born_on,enrolled_on\nA-2,Okafor,Ben,2031-01-01,2026-01-10\n"
        checked = batch.check(made.clinic, content, file_name="registry.csv", by=actor)
        twice = b"record_number,family_name\nA-3,Lund\nA-4,Okafor\n"
        saved = batch.check(made.clinic, twice, file_name="late.csv", by=actor)
        batch.commit(saved.pk, clinic_id=made.clinic.pk, by=actor)
        worked_on = Patient.objects.get(record_number="A-4")
        recording.amend_patient(worked_on.pk, by=actor, changes={"address": "Mill Lane 4"})
        case = ReviewCase.objects.get(patient=painful, action="CORE_DECOMPRESSION_REVIEW")
        mail = Reminder.objects.filter(patient=painful).first()
        tokens = {purpose.value: links.sign(links.link_of(mail, purpose)) for purpose in links.Purpose}
        in_a_week = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=7)
        booked = appointments.book(painful.pk, appointments.Wanted(starts_at=in_a_week), by=actor)
        draft = _draft(access.viewer_for(made.admin))
        twin = recording.enrol_patient(
            made.clinic,
            by=actor,
            enrolled_on=made.today,
            record_number="T-2",
            family_name=painful.family_name,
            given_name=painful.given_name,
        )
        proposed = recording.propose_merge(painful.pk, twin.pk, by=actor, reason="the same passport")
        search_duplicates(made.clinic.pk)
        kept = RetentionRun.objects.create(
            clinic=made.clinic,
            kind="ended_patients",
            months=120,
            before=made.today,
            subjects=[late.pk],
            proposed_actor=actor.name,
        )
        made.samples = addresses.Samples(
            unmeasured.pk,
            case.pk,
            recorded.facts[0].key,
            checked.pk,
            appointment=booked.pk,
            protocol=draft.pk,
            saved=saved.pk,
            person=made.coordinator.pk,
            clinic=made.clinic.pk,
            other=late.pk,
            merge=proposed.pk,
            run=kept.pk,
            tokens=tokens,
        )
        made.painful, made.late = painful, late
    return made


def _draft(author):
    """A draft that moves hips."""
    from monitoring import protocol_drafts
    from schedules.guideline.protocol import Protocol

    now = timezone.now()
    made = protocol_drafts.start_draft(None, note="Closer follow-up.", viewer=author, now=now)
    closer = Protocol(standard_interval_months=4)
    return protocol_drafts.edit_draft(made.pk, closer, note="", seen=made.digest, viewer=author, now=now)


class Inspection:
    """Collects what is wrong with the page that is open, in each scheme and width."""

    def __init__(self, page):
        """Axe is there from the start in every page that is opened from now on."""
        self.page, self.wrong, self.name = page, [], ""
        page.add_init_script(AXE)

    def open(self, address):
        self.name = address.partition("127.0.0.1")[2].partition("/")[2] or "/"
        answer = self.page.goto(address)
        if answer.status >= 500:
            self.wrong.append(f"{self.name}: {answer.status}")
        if self.page.url.split("#")[0] != address:
            self.wrong.append(f"{self.name}: leads to {self.page.url}")
        if (weight := self.page.evaluate(WEIGHT)) > LIGHT:
            self.wrong.append(f"{self.name}: weighs {weight} bytes")
        if (shifted := self.page.evaluate(SHIFTED)) > STILL:
            self.wrong.append(f"{self.name}: moves by itself while it loads ({shifted:.3f})")

    def look(self, what=""):
        """Every rule in each scheme and width, in place: the page follows both by its style sheets alone."""
        for scheme, size in PAIRS:
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # nothing moves while it is judged
            self.page.set_viewport_size(size)
            self._judge(f"{self.name} {what} ({scheme}, {size['width']} px)")
        for size in (NARROW, ZOOMED):
            self.page.set_viewport_size(size)
            if wide := self.page.evaluate(OVERFLOW):
                self.wrong.append(f"{self.name} {what} ({size['width']} px): scrolls sideways: {wide}")
        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        self.page.set_viewport_size(WIDE)

    def _judge(self, where):
        for violation in self.page.evaluate(JUDGE):
            places = "; ".join(f"{node['target'][0]}: {node['html'][:120]}" for node in violation["nodes"][:3])
            self.wrong.append(f"{where}: {violation['id']}, {violation['help']}: {places}")


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_pages_of_staff_are_accessible_and_silent(half, site, full, open_browser):
    page = open_browser()
    sign_in(page, site, full.everything)
    confirm_password(page, site)
    inspection = Inspection(page)
    for address in addresses.pages(full.samples, signed_in=True)[half::2]:
        inspection.open(site + address)
        inspection.look()
    assert not inspection.wrong, "\n".join(inspection.wrong)


@pytest.mark.slow
def test_pages_of_strangers_are_accessible_and_silent(site, full, open_browser):
    inspection = Inspection(open_browser())
    for address in [*addresses.pages(full.samples, signed_in=False), "/no/such/page/"]:
        inspection.open(site + address)
        inspection.look()
    assert not inspection.wrong, "\n".join(inspection.wrong)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["worklist/all/", "patients/"])
def test_columns_stay_where_they_are_while_rows_still_arrive(path, site, full, open_browser):
    page = open_browser()
    sign_in(page, site, full.everything)
    page.goto(f"{site}/{path}")
    assert page.locator("main [data-row]").count() > 2
    whole = page.evaluate(COLUMNS)
    page.evaluate("for (const row of [...document.querySelectorAll('main [data-row]')].slice(1)) row.remove()")

    assert page.evaluate(COLUMNS) == whole


@pytest.mark.slow
def test_what_opens_on_a_page_is_accessible_too(site, full, open_browser):
    page = open_browser()
    sign_in(page, site, full.everything)
    inspection = Inspection(page)

    inspection.open(f"{site}/worklist/all/")
    page.locator("[data-row] summary").first.click()
    inspection.look("outcome form")
    page.keyboard.press("Escape")
    page.locator("[data-select]").first.check()
    inspection.look("bulk bar")
    page.locator(".user-menu summary").click()
    inspection.look("user menu")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    inspection.look("keyboard help")

    inspection.open(f"{site}/patients/{full.painful.pk}/")
    page.evaluate(OPEN_ALL)
    inspection.look("all open")
    inspection.open(f"{site}/patients/{full.painful.pk}/visit/")
    page.evaluate(OPEN_ALL)
    page.get_by_label("Date of the visit").fill("2031-01-01")
    inspection.look("all sections")
    page.get_by_role("button", name="Record the visit").click()
    page.locator(".error-summary").wait_for()
    inspection.look("refused")
    inspection.open(f"{site}/review/{full.samples.case}/")
    page.get_by_role("button", name="Decide", exact=True).evaluate("button => button.form.noValidate = true")
    page.get_by_role("button", name="Decide", exact=True).click()
    page.locator(".error-summary").wait_for()
    inspection.look("refused")
    assert not inspection.wrong, "\n".join(inspection.wrong)

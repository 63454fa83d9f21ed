"""Signing in with a browser: a passkey is set up and signs in alone; a form that comes too late is sent after all."""

import re

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction
from playwright.sync_api import expect

from monitoring.models import KeptForm
from patients import access
from patients.models import Patient
from tests.journeys.site import PASSWORD, sign_in, sign_out, web_server
from tests.journeys.test_every_page import AXE, JUDGE

pytestmark = pytest.mark.slow
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def browser(chromium):
    """A browser's context with axe in every page."""
    context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    context.add_init_script(AXE)
    yield context
    context.close()


def is_accessible(page):
    """Nothing to find fault with on a desktop and on a telephone."""
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert [found["id"] + str(found["nodes"][0]["html"]) for found in page.evaluate(JUDGE)] == []
    page.set_viewport_size({"width": 1280, "height": 900})
    return True


@pytest.fixture
def people(registry):
    with transaction.atomic():
        made = registry()
        made.late = made.watched(days_ago=230, family_name="Berg")
    return made


@pytest.fixture
def strict_site(process_environment, people, tmp_path):
    """A site that asks for second steps; by its name, since passkeys need one."""
    with web_server({**process_environment, "MFA_REQUIRED": "1"}, tmp_path) as address:
        yield address.replace("127.0.0.1", "localhost")


def test_a_clinician_sets_up_a_passkey_and_signs_in_with_it_alone(strict_site, people, browser):
    page = browser.new_page()
    device = browser.new_cdp_session(page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.goto(f"{strict_site}/account/login/?next=/review/")
    page.get_by_label("Email").fill(people.clinician.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Set up a second step")).to_be_visible()
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add this key").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert is_accessible(page)
    page.goto(f"{strict_site}/account/2fa/webauthn/")
    assert is_accessible(page)
    page.goto(f"{strict_site}/account/2fa/recovery-codes/")
    page.get_by_role("link", name="On to the worklist").click()
    sign_out(page)
    page.goto(f"{strict_site}/account/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()


def test_a_security_key_is_the_second_step_after_the_password_and_opens_nothing_alone(strict_site, people, browser):
    page = browser.new_page()
    device = browser.new_cdp_session(page)
    device.send("WebAuthn.enable")
    simple = {**AUTHENTICATOR, "transport": "usb", "hasResidentKey": False, "hasUserVerification": False}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": {**simple, "isUserVerified": False}})
    page.goto(f"{strict_site}/account/login/")
    page.get_by_label("Email").fill(people.clinician.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Sign in with it alone, without password").uncheck()
    page.get_by_role("button", name="Add this key").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="On to the worklist").click()
    sign_out(page)
    page.goto(f"{strict_site}/account/login/")
    page.get_by_label("Email").fill(people.clinician.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/account/2fa/authenticate/**")
    page.goto(f"{strict_site}/patients/")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    page.get_by_role("button", name="Use a passkey or security key").click()
    expect(page.get_by_role("heading", level=1, name=re.compile("Patients|Worklist"))).to_be_visible()


@pytest.fixture
def hasty_site(process_environment, people, tmp_path):
    """A site that signs people out after a minute."""
    with web_server({**process_environment, "SESSION_IDLE_MINUTES": "1"}, tmp_path) as address:
        yield address


def time_passes(*, minutes):
    """Every session was last used so long ago."""
    for kept in Session.objects.all():
        session = SessionStore(kept.session_key)
        session["seen_at"] = session["seen_at"] - minutes * 60
        session.save()


def test_one_is_warned_and_what_is_sent_too_late_is_sent_after_signing_in(hasty_site, people, browser):
    page = browser.new_page()
    sign_in(page, hasty_site, people.coordinator)
    page.goto(f"{hasty_site}/patients/{people.late.pk}/edit/")
    warning = page.get_by_role("alertdialog")
    expect(warning).to_contain_text("signed out soon")
    assert is_accessible(page)
    warning.get_by_role("button", name="Close").click()
    page.get_by_label("Postal address").fill("Mill Lane 4")
    time_passes(minutes=2)
    page.locator("main form button.primary").first.click()
    page.get_by_label("Email").fill(people.coordinator.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Close").click()
    assert is_accessible(page)
    page.get_by_role("button", name="Send what you typed").click()
    page.wait_for_url(f"**/patients/{people.late.pk}/")
    with access.system_run("test"):
        assert Patient.objects.get(pk=people.late.pk).address == "Mill Lane 4"
    assert not KeptForm.objects.exists()

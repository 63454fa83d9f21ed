"""Scenes: what a page shows only after somebody has done something: a menu opened, an answer refused, a door locked."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from docs.pictures.cast import EVERYTHING, GUESSED, IN_EMERGENCY, STRANGER, TWO_STEPS

OPEN_ALL = "for (const closed of document.querySelectorAll('main details:not(.menu)')) closed.open = true"
UNCHECKED = "for (const form of document.querySelectorAll('main form')) form.noValidate = true"
MOST_TRIES = 12
# Where the first button carries something out that needs no words, and the last one asks for a reason.
CARRIED_OUT = ("merges-one", "administration-retention-one")
FILLED = {"text": "", "date": "1850-01-01", "number": "999", "email": "nobody at all", "url": "nowhere"}


@dataclass(frozen=True)
class Scene:
    """`steps` bring the page of `who` to what is to be seen, and yield the name of each picture."""

    name: str
    who: str
    steps: Callable[[Any, str, dict[str, Any]], Iterator[str]]


def _path(stage: dict[str, Any], name: str) -> str:
    return next(str(view["path"]) for view in stage["views"] if view["name"] == name)


def _menus(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    page.goto(f"{site}/worklist/overdue/")
    page.locator("[data-row] summary").first.click()
    page.locator("[data-row] .sheet textarea").first.wait_for()
    yield "outcome"
    page.keyboard.press("Escape")
    for name, summary in (("filter", ".filters .menu:not(.end) summary"), ("views", ".filters .end summary")):
        page.locator(summary).first.click()
        yield name
        page.keyboard.press("Escape")
    page.locator(".user-menu summary").click()
    yield "person"
    page.keyboard.press("Escape")
    page.locator("[data-select]").first.check()
    yield "bulk"
    page.locator("main h1").click()
    page.keyboard.press("?")
    yield "keys"


def _navigation(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(f"{site}/worklist/overdue/")
    page.locator(".nav-open").click()
    yield "phone"


def _everything_open(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    for name in ("patients-one", "patients-one-visit", "review-one", "protocol", "dashboard-course", "system"):
        page.goto(site + _path(stage, name))
        page.evaluate(OPEN_ALL)
        yield name


def _refused(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    """Every form sent empty, or with days of long ago and numbers that cannot be, and its errors."""
    names = (
        "patients-new", "patients-one-edit", "patients-one-contact", "patients-one-death", "patients-one-left-end",
        "patients-one-left-decide-MEASURE_VOLUME", "patients-one-facts-withdraw", "patients-one-appointments-new",
        "patients-one-restriction", "patients-one-visit", "appointments-one-move", "appointments-one-cancel",
        "review-one", "import", "import-one-columns", "import-one-undo", "tokens", "webhooks", "emergency",
        "administration-staff-new", "administration-clinics-new", "administration-clinics-one", "duplicates",
        "merges-one", "patients-one-merge-one", "administration-retention", "administration-retention-one",
        "protocol-drafts-new", "protocol-drafts-one", "notifications", "messages-settings", "account",
        "account-password-change", "account-2fa-totp-activate", "research", "worklist-views",
    )  # fmt: skip
    for name in names:
        page.goto(site + _path(stage, name))
        page.evaluate(UNCHECKED)
        for box in page.locator("main form textarea, main form input").all():
            kind = box.get_attribute("type") or "text"
            if kind in FILLED and box.is_visible() and box.is_editable():
                box.fill(FILLED[kind])
        buttons = page.locator("main form button[type=submit]")
        shown = [one for one in buttons.all() if one.is_visible() and one.is_enabled()]
        first = [one for one in shown if name not in CARRIED_OUT and "primary" in (one.get_attribute("class") or "")]
        if shown:
            (first or shown[::-1])[0].click()
            page.wait_for_load_state()
            yield name


def _sign_in_refused(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    for number in range(MOST_TRIES):
        page.goto(f"{site}/account/login/")
        page.locator("[name=login]").fill(GUESSED)
        page.locator("[name=password]").fill("not the password")
        if number == 0:
            page.locator("[data-reveal]").click()
            yield "password-shown"
        page.locator("main button[type=submit]").first.click()
        if number == 0:
            yield "wrong"
        if page.locator("[name=login]").count() == 0:
            break
    yield "locked-out"


def _second_step(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    page.goto(f"{site}/account/login/")
    page.locator("[name=login]").fill(TWO_STEPS)
    page.locator("[name=password]").fill(stage["password"])
    page.locator("main button[type=submit]").first.click()
    yield "asked"
    page.locator("[name=code]").fill("000000")
    page.locator("main button[type=submit]").first.click()
    yield "refused"


def _symptom_check(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    """Strong pain on the left."""
    page.goto(site + _path(stage, "link-questions"))
    number = 0
    while page.locator(".question").count() and number < MOST_TRIES:
        number += 1
        yield f"{number}"
        buttons = page.locator(".answers button")
        buttons.nth(8 if buttons.count() > 5 else 2 if number == 1 else 0).click()  # on the left, strong
    yield "send"
    page.locator("[name=send]").click()
    yield "thanks"
    page.goto(site + _path(stage, "link-wishes"))
    page.locator("main button[type=submit]").last.click()
    yield "wishes-kept"
    page.goto(site + _path(stage, "link-stop"))
    stop = page.locator("main button[type=submit]").first
    if stop.count():  # not where the patient has stopped it in earnest
        stop.click()
        yield "stopped"
        page.locator("main button[name=undo]").click()  # for the next who takes pictures


def _mail_down(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    subprocess.run([sys.executable, "-m", "docs.pictures.staging", "mail-down"], check=True)
    try:
        for name in ("messages", "worklist-overdue", "system"):
            page.goto(site + _path(stage, name))
            yield name
    finally:
        subprocess.run([sys.executable, "-m", "docs.pictures.staging", "mail-up"], check=True)


def _emergency(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    clinic, number, born_on = stage["elsewhere"]
    page.goto(f"{site}/emergency/")
    page.locator("[name=clinic]").select_option(clinic)
    page.locator("[name=record_number]").fill(number)
    page.locator("[name=born_on]").fill(born_on)
    page.locator("[name=reason]").fill("Brought in after a fall, is to be operated on tonight.")
    page.locator("main button.danger").click()
    yield "record"
    page.goto(f"{site}/review/")
    yield "elsewhere"


def _session_ends(page: Any, site: str, stage: dict[str, Any]) -> Iterator[str]:
    page.goto(f"{site}/patients/")
    warning = page.locator("#session-warning, dialog[data-session]").first
    if warning.count():
        warning.evaluate("dialog => dialog.showModal()")
        time.sleep(0.2)
        yield "warning"


SCENES = (
    Scene("menu", EVERYTHING, _menus),
    Scene("navigation", EVERYTHING, _navigation),
    Scene("open", EVERYTHING, _everything_open),
    Scene("refused", EVERYTHING, _refused),
    Scene("sign-in", STRANGER, _sign_in_refused),
    Scene("second-step", STRANGER, _second_step),
    Scene("check", STRANGER, _symptom_check),
    Scene("mail-down", EVERYTHING, _mail_down),
    Scene("emergency", IN_EMERGENCY, _emergency),
    Scene("session", EVERYTHING, _session_ends),
)

"""Screenshots: every page of a running installation with demonstration data, wide and on a phone, light, dark, printed.

Usage: python docs/screenshots.py [ADDRESS] [--only WORD] [--documentation]

Without ADDRESS the installation of DATA_DIR (var) is meant if it runs, else one is started in a folder of its own and
stopped afterwards. Pictures go to screenshots/; --documentation also writes the few of docs/images/.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.fspath(PROJECT))

from config.embedded import locations  # noqa: E402

FOLDER = PROJECT / "screenshots"
IMAGES = PROJECT / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
TALL = {"width": 1280, "height": 1080}
TALLEST = 4000  # a picture of a hundred rows helps nobody
PRINTED = ("worklist", "patient", "patient-print", "review-case")
DOCUMENTATION = {  # picture: page, width, colour scheme
    "worklist": ("worklist-overdue", WIDE, "light"),
    "patient": ("patient", TALL, "light"),
    "visit": ("visit", TALL, "light"),
    "review-case": ("review-case", TALL, "dark"),
    "messages": ("messages", WIDE, "light"),
    "phone": ("worklist-overdue", PHONE, "light"),
}


@dataclass(frozen=True)
class Installation:
    address: str
    email: str
    password: str


class NotRunning(RuntimeError):
    """There is nothing to take pictures of."""


def sign_in_of(data: Path) -> tuple[str, str]:
    """Who has every role in the demonstration clinic."""
    kept = data / "demo.json"
    if not kept.exists():
        raise NotRunning(f"{kept} is missing: the installation has no demonstration clinic.")
    people = json.loads(kept.read_text())["sign_ins"]
    everyone = next((person for person in people if person["email"].startswith("both@")), people[0])
    return str(everyone["email"]), str(everyone["password"])


def address_of(data: Path) -> str:
    """Where the installation of that folder answers, or empty."""
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"http://\S+", (data / "run.lock").read_text())
        return found[0].rstrip("/") if found else ""
    return ""


@contextlib.contextmanager
def started() -> Iterator[Installation]:
    """An installation of its own, gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="hipwatch-pictures-") as folder:
        top = Path(folder)
        top.chmod(0o755)  # as root the database server runs as somebody else
        data, said = top / "var", top / "run.log"
        environment = {**os.environ, "DATA_DIR": os.fspath(data), "PORT": os.environ.get("PORT", "8300")}
        with said.open("w") as log:
            process = subprocess.Popen([sys.executable, "-m", "config.run"], cwd=PROJECT, env=environment, stdout=log)
        try:
            while "  Stop " not in said.read_text():
                if process.poll() is not None:
                    raise NotRunning(f"The installation did not come up.\n{said.read_text()}")
                time.sleep(0.5)
            yield Installation(address_of(data), *sign_in_of(data))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@contextlib.contextmanager
def installation(address: str) -> Iterator[Installation]:
    data = locations.data_dir()
    running = address.rstrip("/") or address_of(data)
    if not running:
        with started() as own:
            yield own
        return
    email, password = os.environ.get("EMAIL"), os.environ.get("PASSWORD")
    yield Installation(running, *((email, password) if email and password else sign_in_of(data)))


def sign_in(page: Page, site: Installation) -> None:
    page.goto(f"{site.address}/account/login/")
    page.locator("[name=login]").fill(site.email)
    page.locator("[name=password]").fill(site.password)
    page.locator("main button[type=submit]").click()
    page.locator(".user-menu").wait_for()


def first_link(page: Page, listing: str, pattern: str) -> str:
    """The first address on that page that looks so."""
    page.goto(listing)
    links: list[str] = page.locator("main a").evaluate_all(
        "links => links.map(link => link.getAttribute('href') || '')"
    )
    found = next((link for link in links if re.fullmatch(pattern, link)), None)
    if found is None:
        raise NotRunning(f"{listing} shows nothing that could be opened; is there demonstration data?")
    return found


def pages_of(page: Page, site: str) -> dict[str, str]:
    """The name of each picture and its page."""
    question = f"{site}/review/?question=CORE_DECOMPRESSION_REVIEW"
    case = first_link(page, question, r"/review/\d+/")
    page.goto(site + case)
    patient = "/".join(first_link(page, site + case, r"/patients/\d+/.*").split("/")[:3]) + "/"
    tabs = ("overdue", "due", "never_started", "incomplete", "calls", "unreachable", "snoozed", "all")
    facts = ("visits", "imaging", "symptoms", "treatments", "decisions")
    of_patient = (*facts, "messages", "history", "audit", "edit", "contact")
    return {
        "worklist": "/",
        **{f"worklist-{tab.replace('_', '-')}": f"/worklist/{tab}/" for tab in tabs},
        "patients": "/patients/",
        "enrol": "/patients/new/",
        "patient": patient,
        "visit": f"{patient}visit/",
        "patient-print": f"{patient}print/",
        "what-if": f"{patient}what-if/",
        **{f"patient-{tab}": f"{patient}{tab}/" for tab in of_patient},
        "patient-end": f"{patient}left/end/",
        "reviews": "/review/",
        "review-case": case,
        **{f"messages-{tab}": f"/messages/{tab}/" for tab in ("uncertain", "failed", "refused", "sent")},
        "messages": "/messages/",
        "messages-letters": "/messages/letters/",
        "mail-settings": "/messages/settings/",
        "mail-templates": "/messages/templates/due/de/",
        "calendar": "/calendar/",
        "calendar-month": "/calendar/month/",
        "book": f"{patient}appointments/new/",
        **{f"dashboard-{tab}": f"/dashboard/{tab}/" for tab in ("symptoms", "course", "forecast", "census")},
        "dashboard": "/dashboard/",
        "notifications": "/notifications/",
        "digest": "/notifications/preview/",
        "tokens": "/tokens/",
        "import": "/import/",
        "protocol": "/protocol/",
        "protocol-cases": "/protocol/cases/",
        "protocol-versions": "/protocol/versions/",
        "protocol-draft": "/protocol/drafts/new/",
        "password": "/account/password/change/",
        "two-steps": "/account/2fa/",
        "not-found": "/no/such/page/",
        "styleguide": "/styleguide/",
        "api": "/api/docs/",
    }


def save(page: Page, target: Path, *, whole: bool = True) -> None:
    """A picture of the page down to its end, or of what stands in the window."""
    height = page.evaluate("document.documentElement.scrollHeight")
    size = page.viewport_size or WIDE
    clip: Any = {"x": 0, "y": 0, "width": size["width"], "height": max(size["height"], min(TALLEST, height))}
    page.screenshot(path=target, full_page=whole, clip=clip if whole else None, animations="disabled")
    print(f"{target.relative_to(PROJECT)}  {target.stat().st_size // 1024} kB")


def shoot(page: Page, site: str, name: str, path: str) -> None:
    """One page wide and on a phone, light and dark, and some printed."""
    page.goto(site + path)
    for label, size in (("wide", WIDE), ("phone", PHONE)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            save(page, FOLDER / f"{name}-{label}-{scheme}.png")
    if name in PRINTED:
        page.pdf(path=FOLDER / f"{name}.pdf", format="A4", print_background=False)
        print(f"screenshots/{name}.pdf")


def document(page: Page, site: str, pages: dict[str, str]) -> None:
    """The few pictures that the documentation shows: what one sees without scrolling."""
    IMAGES.mkdir(exist_ok=True)
    for name, (which, size, scheme) in DOCUMENTATION.items():
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.goto(site + pages[which])
        save(page, IMAGES / f"{name}.png", whole=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="")
    parser.add_argument("--only", default="", help="pages with this word in their name")
    parser.add_argument("--documentation", action="store_true", help="write docs/images/ too")
    asked = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with installation(asked.address) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--lang=en-GB"])
        page = browser.new_page(viewport=WIDE, locale="en-GB")  # type: ignore[arg-type]
        page.goto(f"{site.address}/account/login/")
        shoot(page, site.address, "sign-in", "/account/login/")
        sign_in(page, site)
        pages = pages_of(page, site.address)
        for name, path in pages.items():
            if asked.only in name:
                shoot(page, site.address, name, path)
        if asked.documentation:
            document(page, site.address, pages)
        browser.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotRunning as problem:
        sys.exit(str(problem))

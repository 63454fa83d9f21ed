"""Screenshots: every page of a running installation with demonstration data, wide and on a phone, light, dark, printed.

Usage: python docs/screenshots.py [--only WORD] [--kind views|scenes|faults|papers|documentation] [--language de]

The installation of DATA_DIR (var) is meant if it runs, else one is started in a folder of its own and stopped
afterwards. What the demonstration lacks is written into it first (docs/pictures/staging.py). Pictures go to
screenshots/, with a page that shows them all; the few of docs/images/ are of the kind "documentation".
"""

import argparse
import base64
import contextlib
import hmac
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.fspath(PROJECT))

from config.embedded import locations  # noqa: E402
from docs.pictures.cast import EVERYTHING, TWO_STEPS  # noqa: E402
from docs.pictures.scenes import SCENES  # noqa: E402

FOLDER = PROJECT / "screenshots"
IMAGES = PROJECT / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
A4 = {"width": 718, "height": 1010}  # what a printer has between the margins
TALL = {"width": 1280, "height": 1080}
TALLEST = 4000  # a picture of a hundred rows helps nobody
STAND = """for (const part of document.querySelectorAll('.patient, .form-foot')) part.style.position = 'static';
    scrollTo(0, 0)"""
PRINTED = ("worklist-overdue", "patients-one", "patients-one-print", "review-one", "dashboard", "dashboard-course",
           "calendar", "protocol", "messages", "merges-one", "administration-retention-one", "system")  # fmt: skip
LOCALES = {"en": "en-GB", "de": "de-DE"}
KINDS = ("views", "scenes", "faults", "papers", "documentation")
DOCUMENTATION = {  # picture: page, width, colour scheme
    "worklist": ("worklist-overdue", WIDE, "light"),
    "patient": ("patients-one", TALL, "light"),
    "review-case": ("review-one", TALL, "dark"),
    "dashboard": ("dashboard-course", WIDE, "light"),
    "phone": ("worklist-overdue", PHONE, "light"),
    "patient-page": ("link-questions", PHONE, "light"),
}


@dataclass(frozen=True)
class Installation:
    address: str
    stage: dict[str, Any]  # what docs/pictures/staging.py tells


class NotRunning(RuntimeError):
    """There is nothing to take pictures of."""


def staged(data: Path) -> dict[str, Any]:
    """What that installation lacked is there now, and where every page is: anew each time, as a link is used once."""
    command = [sys.executable, "-m", "docs.pictures.staging"]
    environment = {**os.environ, "DATA_DIR": os.fspath(data)}
    said = subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE)
    stage: dict[str, Any] = json.loads(said.stdout)
    return stage


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
        os.environ["DATA_DIR"] = os.fspath(data)  # of what scenes start too
        environment = {**os.environ, "PORT": os.environ.get("PORT", "8300")}
        with said.open("w") as log:
            process = subprocess.Popen([sys.executable, "-m", "config.run"], cwd=PROJECT, env=environment, stdout=log)
        try:
            while "  Stop " not in said.read_text():
                if process.poll() is not None:
                    raise NotRunning(f"The installation did not come up.\n{said.read_text()}")
                time.sleep(0.5)
            yield Installation(address_of(data), staged(data))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@contextlib.contextmanager
def installation() -> Iterator[Installation]:
    data = locations.data_dir()
    if address := address_of(data):
        yield Installation(address, staged(data))
        return
    with started() as own:
        yield own


def sign_in(page: Page, site: str, who: str, stage: dict[str, Any]) -> None:
    """By password, twice: some account pages want it to be fresh; and by a code where the person has a second step."""
    page.goto(f"{site}/account/login/")
    page.locator("[name=login]").fill(who)
    page.locator("[name=password]").fill(stage["password"])
    page.locator("main button[type=submit]").first.click()
    if who == TWO_STEPS:
        page.locator("[name=code]").fill(code_of(stage["totp_secret"]))
        page.locator("main button[type=submit]").first.click()
    page.locator(".user-menu").wait_for()


def code_of(secret: str) -> str:
    """What an authenticator app would show now."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), "sha1")
    place = digest[-1] & 15
    return f"{(int.from_bytes(digest[place : place + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def save(page: Page, target: Path, *, whole: bool = True) -> None:
    """A picture of the page down to its end, or of what stands in the window.

    On a whole page what sticks to an edge of the window would lie across the middle: there it stands in its place.
    """
    if whole:
        page.evaluate(STAND)
    height = page.evaluate("document.documentElement.scrollHeight")
    size = page.viewport_size or WIDE
    clip: Any = {"x": 0, "y": 0, "width": size["width"], "height": max(size["height"], min(TALLEST, height))}
    page.screenshot(path=target, full_page=whole, clip=clip if whole else None, animations="disabled")
    print(f"{target.relative_to(PROJECT)}  {target.stat().st_size // 1024} kB")


def shoot(page: Page, folder: Path, name: str) -> None:
    """What stands in the window now, wide and on a phone, light and dark, and some of it printed.

    What is named after the phone is there only: it closes on a wide screen.
    """
    for label, size in (("wide", WIDE), ("phone", PHONE)):
        if name.endswith("-phone") and label != "phone":
            continue
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            save(page, folder / f"{name.removesuffix('-phone')}-{label}-{scheme}.png")
    if name in PRINTED:
        page.set_viewport_size(A4)  # type: ignore[arg-type]
        page.emulate_media(media="print", color_scheme="light")
        save(page, folder / f"{name}-print.png")
        page.emulate_media(media="screen")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


def answer_with(html: str) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html")

    return answer


class Photographer:
    """A browser with one session for each person, so that nobody signs in twice."""

    def __init__(self, browser: Browser, site: str, stage: dict[str, Any], language: str) -> None:
        self.browser, self.site, self.stage, self.language = browser, site, stage, language
        self.folder = FOLDER if language == "en" else FOLDER / language
        self.folder.mkdir(exist_ok=True)
        self.pages: dict[str, Page] = {}

    def page_of(self, who: str) -> Page:
        if who not in self.pages:
            page = self.browser.new_page(viewport=WIDE, locale=LOCALES[self.language])  # type: ignore[arg-type]
            if who:
                sign_in(page, self.site, who, self.stage)
            page.context.add_cookies([{"name": "django_language", "value": self.language, "url": self.site}])
            self.pages[who] = page
        return self.pages[who]

    def take_views(self, only: str) -> None:
        for view in self.stage["views"]:
            if only in view["name"]:
                page = self.page_of(view["who"])
                page.goto(self.site + view["path"])
                shoot(page, self.folder, view["name"])

    def take_scenes(self, only: str) -> None:
        for scene in SCENES:
            if only in scene.name:
                page = self.page_of(scene.who)
                page.set_viewport_size(WIDE)  # type: ignore[arg-type]
                for picture in scene.steps(page, self.site, self.stage):
                    shoot(page, self.folder, f"{scene.name}-{picture}")

    def take_faults(self, only: str) -> None:
        """Pages that nobody sees while nothing is broken: their HTML in the place of another."""
        page = self.page_of("")
        for name, html in self.stage["pages"].items():
            if only in name:
                page.route("**/nothing/", answer_with(html))
                page.goto(f"{self.site}/nothing/")
                shoot(page, self.folder, name)
                page.unroute("**/nothing/")

    def take_papers(self, only: str) -> None:
        """The PDFs as they come out: letters to patients, and one to a doctor."""
        page = self.page_of(EVERYTHING)
        if only in "letters":
            (self.folder / "letters.pdf").write_bytes(page.request.get(self.site + self.stage["letters"]).body())
        if only in "doctor-letter":
            page.goto(self.site + next(v["path"] for v in self.stage["views"] if v["name"] == "patients-one-letter"))
            page.locator("main [name=to]").fill("Dr Hanna Weiss\nMarket Place 3\nNorthmere ZZ1 8AB")
            with page.expect_download() as download:
                page.locator("main button.primary").click()
            download.value.save_as(self.folder / "doctor-letter.pdf")

    def take_documentation(self, only: str) -> None:
        """The few pictures that the documentation shows: what one sees without scrolling."""
        IMAGES.mkdir(exist_ok=True)
        paths = {view["name"]: view["path"] for view in self.stage["views"]}
        page = self.page_of(EVERYTHING)
        for name, (which, size, scheme) in DOCUMENTATION.items():
            if only not in name:
                continue
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.goto(self.site + paths[which])
            save(page, IMAGES / f"{name}.png", whole=False)


def write_gallery(folder: Path) -> Path:
    """One page that shows every picture small, each a link to itself."""
    names = sorted(path.name for path in folder.glob("*.png"))
    figures = "".join(
        f'<a href="{name}"><img src="{name}" loading="lazy" alt=""><span>{name.removesuffix(".png")}</span></a>'
        for name in names
    )
    style = "body{font:12px sans-serif;display:flex;flex-wrap:wrap;gap:8px}a{width:300px}"
    style += "img{width:100%;height:300px;object-fit:cover;object-position:top;border:1px solid #999}"
    gallery = folder / "index.html"
    gallery.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Every page</title><style>{style}</style>{figures}'
    )
    return gallery


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="pages with this word in their name")
    parser.add_argument("--kind", choices=KINDS, help="only these; those of docs/images/ are taken only so")
    parser.add_argument("--language", choices=LOCALES, default="en", help="of the pages; other than en into a folder")
    asked = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with installation() as site, sync_playwright() as playwright:
        environment = {**os.environ, "LANGUAGE": LOCALES[asked.language].replace("-", "_")}  # where it has them
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], env=environment)
        photographer = Photographer(browser, site.address, site.stage, asked.language)
        for kind in [asked.kind] if asked.kind else KINDS[:-1]:
            getattr(photographer, f"take_{kind}")(asked.only)
        browser.close()
    print(f"{write_gallery(photographer.folder).relative_to(PROJECT)} shows them all")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotRunning as problem:
        sys.exit(str(problem))

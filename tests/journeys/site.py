"""The site as a clinic meets it: a web server, a mail worker and a mailbox in processes of their own, and a browser."""

import contextlib
import fcntl
import functools
import hashlib
import html
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from celery import Celery

from config.embedded import locations
from config.embedded.ports import hold_port, port_of
from tests.conftest import PROJECT
from tests.schedules.conftest import wait_for

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
PASSWORD = "correct horse battery"


@contextlib.contextmanager
def process(name: str, command: list[str], environment: dict[str, str], logs: Path, **options: Any) -> Iterator[Any]:
    """Runs for as long as the block; its whole process group ends with it."""
    with (logs / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=PROJECT, env=environment, stdout=log, stderr=log,
            start_new_session=True, **options,
        )  # fmt: skip
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10):
            return True
    except OSError:  # an error page too
        return False


NOT_LOOKED_AT = ("admin", "rest_framework", "drf_spectacular")  # static files of pages that these tests do not open


@functools.cache
def collected() -> str:
    """The folder of the static files as production serves them, compressed; filled once for each state of them."""
    digest = hashlib.sha256()
    for path in sorted([*PROJECT.glob("*/static/**/*.*"), PROJECT / "requirements.txt"]):
        digest.update(path.read_bytes())
    kept = locations.data_dir() / "static"
    kept.mkdir(parents=True, exist_ok=True)
    folder = kept / digest.hexdigest()[:12]
    with (kept / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "staticfiles.json").exists():
            for old in kept.glob("*/"):
                shutil.rmtree(old)
            ignored = [part for name in NOT_LOOKED_AT for part in ("--ignore", name)]
            command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0", *ignored]
            environment = {**os.environ, "HIPWATCH_TESTING": "1", "STATIC_ROOT": os.fspath(folder)}
            subprocess.run(command, cwd=PROJECT, env=environment, check=True)
    return os.fspath(folder)


@contextlib.contextmanager
def web_server(environment: dict[str, str], logs: Path) -> Iterator[str]:
    """Yields the address of the site, served by the server of production."""
    held = hold_port(28200)
    command = ["gunicorn", "config.wsgi:application", "--config", "python:config.serving", "--access-logfile", "-"]
    command += ["--bind", f"fd://{held.fileno()}", "--log-level", "warning"]
    address = f"http://127.0.0.1:{port_of(held)}"
    environment = {**environment, "PUBLIC_URL": address, "STATIC_ROOT": collected()}
    with process("web", command, environment, logs, pass_fds=[held.fileno()]) as server:
        held.close()
        up = wait_for(lambda: answers(f"{address}/healthz") or server.poll() is not None, 90)
        assert up and server.poll() is None, (logs / "web.log").read_text()
        yield address


@dataclass(frozen=True)
class Mailbox:
    """Takes mail by SMTP and shows it on a page."""

    smtp: int
    page: str

    def text_to(self, address: str) -> str:
        """The plain text of the newest mail to this address."""
        listed = urllib.request.urlopen(self.page, timeout=10).read().decode()
        place = next(row for row in listed.split("<tr")[1:] if address in row).partition('href="')[2].partition('"')[0]
        mail = urllib.request.urlopen(urljoin(self.page, place), timeout=10).read().decode()
        return html.unescape(mail.partition("<pre")[2].partition(">")[2].partition("</pre>")[0])


@contextlib.contextmanager
def mailbox(environment: dict[str, str], folder: Path) -> Iterator[Mailbox]:
    data = locations.ensure_data_dir(folder / "mail")
    kept = locations.mailbox_dir(data) / "address.json"
    with process("mailbox", ["config.embedded.mailbox"], {**environment, "DATA_DIR": os.fspath(data)}, folder):
        assert wait_for(kept.exists, 60), (folder / "mailbox.log").read_text()
        ports = json.loads(kept.read_text())
        page = f"http://127.0.0.1:{ports['page']}/"
        assert wait_for(lambda: answers(page), 60)
        yield Mailbox(ports["smtp"], page)


@contextlib.contextmanager
def worker(queue: str, environment: dict[str, str], logs: Path) -> Iterator[None]:
    """A Celery worker of one queue."""
    command = ["celery", "-A", "config", "-b", environment["CELERY_BROKER"], "worker", "-Q", queue, "-c", "1"]
    with process("worker", [*command, "--without-gossip", "--without-mingle"], environment, logs):
        yield


@contextlib.contextmanager
def mail_worker(environment: dict[str, str], smtp: int, logs: Path) -> Iterator[None]:
    """A worker that sends mail and has been asked to look for some."""
    environment = {**environment, "EMAIL_URL": f"smtp://127.0.0.1:{smtp}"}
    with worker("mail", environment, logs):
        with Celery(broker=environment["CELERY_BROKER"], set_as_current=False) as app:
            app.send_task("schedules.tasks.deliver_due", queue="mail", ignore_result=True)
        yield


@dataclass
class Watch:
    """What a browser complained of while pages were open: errors, refusals of the security policy, strange requests."""

    site: str
    problems: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # addresses that a test opens on purpose

    def over(self, context: Any) -> None:
        """Listen to every page of this browser context."""
        context.on("console", self._console)
        context.on("weberror", lambda fault: self.problems.append(f"script: {fault.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        if urlsplit(request.url).scheme in {"data", "blob", "about"}:
            return
        if not request.url.startswith((self.site, *self.others)):
            self.problems.append(f"left the site: {request.url}")

    def _response(self, response: Any) -> None:
        if response.status >= (500 if response.request.resource_type == "document" else 400):
            self.problems.append(f"{response.status} {response.request.resource_type}: {response.url}")


def sign_in(page: Any, site: str, user: Any) -> None:
    """Through the form, as a person does."""
    page.goto(f"{site}/account/login/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Worklist").wait_for()


def confirm_password(page: Any, site: str) -> None:
    """Some account pages ask for the password once more."""
    page.goto(f"{site}/account/reauthenticate/?next=/review/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").locator("button[type=submit]").click()
    page.get_by_role("heading", name="Review").wait_for()


def sign_out(page: Any) -> None:
    page.locator(".user-menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()

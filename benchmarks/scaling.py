"""Scaling out: pages a second by 1, 2 and 4 web processes, and patients swept a second by as many workers.

    DATA_DIR=/path .venv/bin/python benchmarks/scaling.py [--seconds 10] [--counts 1,2,4]

Needs a registry made by benchmarks/copies.py. Web: gunicorn as in production (four threads a process); eight browsers,
in a process of their own, ask the worklist and patients one page after the other. Workers: processes that sweep shares,
of everybody in a small registry and of what a day changes in a large one. Everything shares one machine with its
database, so the ratios say what its cores leave over.
"""

import argparse
import contextlib
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connections, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.evaluation import swept_by_workers  # noqa: E402
from benchmarks.figures import note  # noqa: E402
from config.embedded import processes  # noqa: E402
from patients import access  # noqa: E402
from patients.models import Patient, User  # noqa: E402

PROJECT = Path(__file__).resolve().parents[1]
BROWSERS = 8
SMALL = 20_000  # patients; of more, what one day changes is enough to measure by


def paths_and_cookie() -> tuple[list[str], str, int]:
    """What is asked for, the session of who asks, and how many patients there are."""
    user = User.objects.get(email="one@benchmark.example")
    browser = Client()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = browser.cookies[settings.SESSION_COOKIE_NAME]
    with transaction.atomic():
        access.bind_clinics(access.viewer_for(user).clinic_ids)
        some = list(Patient.objects.order_by("id").values_list("id", flat=True)[:200:20])
    with access.system_run("benchmark"):
        patients = Patient.objects.count()
    lists = [f"/worklist/{tab}/" for tab in ("reviews", "overdue", "due", "all")]
    pages = [page for pk in some for page in (*lists, f"/patients/{pk}/")]
    return pages, f"{session.key}={session.value}", patients


@contextlib.contextmanager
def web(count: int) -> Iterator[int]:
    """The site by so many processes, on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.serving", "config.wsgi:application"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", str(count), "--log-level", "error"]
    server = subprocess.Popen(command, cwd=PROJECT, preexec_fn=processes.leash(), stderr=subprocess.DEVNULL)
    try:
        processes.wait_until(lambda: _answers(port), seconds=60)
        yield port
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, HTTPException), contextlib.closing(HTTPConnection("127.0.0.1", port)) as line:
        line.request("GET", "/healthz")
        return line.getresponse().status < 600
    return False


def browse(port: int, pages: Sequence[str], cookie: str, seconds: float, told: Any) -> None:
    """Eight browsers for so long; tells the seconds that each answer took."""
    until, took, refused = time.monotonic() + seconds, list[float](), list[int]()

    def one(start: int) -> None:
        line, place = HTTPConnection("127.0.0.1", port, timeout=60), start
        while (begin := time.monotonic()) < until:
            line.request("GET", pages[place % len(pages)], headers={"Cookie": cookie})
            answer = line.getresponse()
            answer.read()
            (took if answer.status == 200 else refused).append(time.monotonic() - begin)  # type: ignore[arg-type]
            place += 7

    threads = [threading.Thread(target=one, args=(5 * number,)) for number in range(BROWSERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put((took, len(refused)))


def measure_web(count: int, pages: Sequence[str], cookie: str, seconds: float) -> tuple[float, list[float]]:
    """Pages a second, and what each took."""
    told: Any = multiprocessing.Queue()
    with web(count) as port:
        for span in (2.0, seconds):  # the first warms them up
            asking = multiprocessing.Process(target=browse, args=(port, pages, cookie, span, told))
            asking.start()
            took, refused = told.get()
            asking.join()
    if refused:
        sys.exit(f"{refused} requests were not answered with a page.")
    return len(took) / seconds, took


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--counts", default="1,2,4")
    asked = parser.parse_args()
    settings.ALLOWED_HOSTS = ["testserver"]
    counts = [int(one) for one in asked.counts.split(",")]
    pages, cookie, patients = paths_and_cookie()
    connections.close_all()
    print(f"{patients:,} patients, SYNTHETIC; load {os.getloadavg()[0]:.1f}")
    first = 0.0
    for count in counts:
        rate, took = measure_web(count, pages, cookie, asked.seconds)
        first = first or rate
        told = f"{count} web processes, {BROWSERS} browsers"
        note("scaling", told, "pages/s", rate, baseline=first, against=f"{counts[0]} process")
        p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[18]
        print(f"web      {count} processes: {rate:.1f} pages/s, {rate / first:.2f} of one;", end=" ")
        print(f"p50 {1000 * p50:.0f} ms, p95 {1000 * p95:.0f} ms", flush=True)
    first, now, everything = 0.0, timezone.now(), patients <= SMALL
    for day, count in enumerate(counts, start=1):
        swept = swept_by_workers(now + timedelta(days=0 if everything else day), everything=everything, workers=count)
        rate = swept.patients / swept.cost.wall
        first = first or rate
        told = f"{swept.patients:,} patients swept by {count} workers"
        note("scaling", told, "patients/s", rate, baseline=first, against=f"{counts[0]} worker")
        print(
            f"workers  {count}: {swept.patients:,} patients, {rate:.0f} a second, {rate / first:.2f} of one", flush=True
        )


if __name__ == "__main__":
    main()

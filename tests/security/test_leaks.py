"""No name, number or address of a patient leaves the pages: logs, URLs, cookies, errors, mail, Redis and messages."""

import base64
import contextlib
import re
import threading
from urllib.parse import unquote_plus

import psycopg
import pytest
import redis
import requests
from celery import Celery
from django.conf import settings
from django.test import Client

from config.discretion import fault_words, kind_of, without_keys
from monitoring.api import tokens, urls
from patients import access
from patients.changes import Actor
from schedules.models import Reminder
from tests.journeys import addresses
from tests.journeys.site import mail_worker, process, web_server
from tests.schedules.conftest import sink, wait_for  # noqa: F401
from tests.security.conftest import BIRTH, REMARK, SEED
from tests.security.pages import Page, local

NEEDLES = ("xqvortzberg", "zwynthia", "77813", "qvx.marked", "2079461713", "kvortzlane", "yzqthor", "pwyxquill", *BIRTH)
BY = Actor(name="Ada Okoye")
CELERY_TASKS = ("monitoring.tasks.sweep", "monitoring.tasks.take_census", "schedules.tasks.read_bounces")


def found_in(text):
    """Which needles stand in the text, in its URL decoding, or in what it holds as base64."""
    texts = [text, unquote_plus(text), text.replace(" ", "")]
    for piece in re.findall(r"[A-Za-z0-9+/_-]{16,}", text):
        with contextlib.suppress(ValueError):
            texts.append(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)).decode("utf-8", "ignore"))
    return sorted({needle for needle in NEEDLES for one in texts if needle.lower() in one.lower()})


class Walk:
    """Opens addresses as somebody; keeps where the pages lead, and what came back beside their bodies."""

    def __init__(self, site, user=None, **headers):
        self.site, self.session = site, requests.Session()
        self.session.headers.update(headers)
        self.beside, self.answers = [], []
        if user is not None:
            signed_in = Client()
            signed_in.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
            for name, morsel in signed_in.cookies.items():
                self.session.cookies.set(name, morsel.value)

    def open(self, path, method="GET", **more):
        answer = self.session.request(method, f"{self.site}{path}", allow_redirects=False, timeout=60, **more)
        self.answers.append((path, answer))
        self.beside.append((path, "\n".join(f"{name}: {value}" for name, value in answer.headers.items())))
        if "text/html" in answer.headers.get("Content-Type", ""):
            page = Page(answer.text)
            listed = [one for one in page.addresses if not one.startswith(("mailto:", "tel:"))]
            self.beside.append((path, "\n".join(listed)))
        return answer

    def form(self, path, action, **changed):
        """Send the form of that page again, with some fields changed."""
        page = Page(self.open(path).text)
        form = next(one for one in page.forms if one.method == "post" and (one.action or path) == action)
        return self.open(action, "POST", data=form.sent(**changed))


@pytest.fixture
def overheard(services):
    """Every command that Redis is given while the test runs."""
    heard, stop = [], threading.Event()
    client = redis.Redis.from_url(services.redis_url(0), socket_timeout=600)

    def listen():
        with client.monitor() as monitor:
            while not stop.is_set():
                heard.append(monitor.next_command()["command"])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    yield heard
    stop.set()
    redis.Redis.from_url(services.redis_url(0)).ping()
    listener.join(timeout=10)


@pytest.fixture
def database_log(services):
    """What PostgreSQL's log says from now on."""
    path = services.data / "log" / "postgres.log"
    if not services.embedded or not path.exists():
        pytest.skip("the log of a PostgreSQL that is not ours cannot be read")
    start = path.stat().st_size
    return lambda: path.read_bytes()[start:].decode("utf-8", "replace")


@pytest.fixture
def broken_rule(services, committed_database):
    """A rule that the next change of an address breaks: PostgreSQL then names the whole row."""
    with psycopg.connect(services.owner_url(committed_database), autocommit=True) as owner:
        owner.execute("ALTER TABLE patients_patient ADD CONSTRAINT probe CHECK (address NOT LIKE '%%99b%%') NOT VALID")
        yield
        owner.execute("ALTER TABLE patients_patient DROP CONSTRAINT probe")


@pytest.mark.slow
def test_nothing_about_a_patient_leaves_the_pages(
    marked,
    process_environment,
    tmp_path,
    sink,  # noqa: F811
    overheard,
    database_log,
    broken_rule,
):
    pk = marked.marked.pk
    with access.system_run("test"):
        issued = tokens.issue(name="lab", clinic=marked.clinic, scopes=["read", "record"], days=1, by=BY)
    sweep = ["celery", "-A", "config", "-b", process_environment["CELERY_BROKER"], "worker", "-Q", "sweep", "-c", "1"]
    environment = {**process_environment, "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}"}
    sink.answers[SEED["email"]] = f"550 <{SEED['email']}>: {SEED['family_name']} is unknown here"
    with web_server(process_environment, tmp_path) as site, process("sweep", sweep, environment, tmp_path):
        with Celery(broker=environment["CELERY_BROKER"], set_as_current=False) as app:
            for name in CELERY_TASKS:
                app.send_task(name, queue="sweep", ignore_result=True)
        staff, stranger = Walk(site, marked.everything), Walk(site, marked.stranger)
        outsider, machine = Walk(site), Walk(site, Authorization=f"Bearer {issued[1]}")
        _walk_as_staff(staff, marked, pk)
        refused = [*_walk_outside(stranger, marked, pk), *_walk_outside(outsider, marked, pk)]
        _walk_as_machine(machine, pk)
        faults = [_break_on_a_page(staff, pk), _break_by_api(machine, pk)]
        with mail_worker(process_environment, sink.port, tmp_path):
            assert wait_for(lambda: sink.addressed and not _mail_waits(), 60)

    logs = {path.name: path.read_text(errors="replace") for path in tmp_path.glob("*.log")}
    logs["postgres"] = database_log()
    assert "IntegrityError (23514, patients_patient, probe)" in logs["web.log"], "the faults were logged, discreetly"
    assert "probe" in logs["postgres"] and len(overheard) > 20 and len(staff.answers) > 60
    assert [answer.status_code for answer in faults] == [500, 500]

    leaks = [f"log {name}: {found_in(text)}" for name, text in logs.items() if found_in(text)]
    leaks += [f"Redis: {found_in(one)} in {one[:200]}" for one in overheard if found_in(one)]
    leaks += [f"error page {one.url}: {found_in(one.text)}" for one in [*refused, *faults] if found_in(one.text)]
    for walk in (staff, stranger, outsider, machine):
        leaks += [f"beside {path}: {found_in(text)}" for path, text in walk.beside if found_in(text)]
    leaks += [f"mail: {found_in(_all_but_address(mail))}" for mail in sink.arrived if found_in(_all_but_address(mail))]
    assert not leaks, "\n".join(leaks)
    assert not [token for token in marked.samples.tokens.values() if token in logs["web.log"]], "links are keys"


def _walk_as_staff(staff, world, pk):
    """Every page, those they lead to, a search, and a form that cannot be right."""
    for path in addresses.pages(world.samples, signed_in=True):
        staff.open(path)
    first = [path for _path, answer in list(staff.answers) for path in local(Page(answer.text).addresses)]
    for path in sorted({one for one in first if str(pk) in one or "export" in one or "letter" in one})[:60]:
        staff.open(path)
    for words in (SEED["family_name"], SEED["record_number"], "4.3.1981 zwynthia", "23.02.1987"):
        staff.form("/patients/", "/search/", q=words)
        staff.open(staff.answers[-1][1].headers["Location"])
    staff.form("/worklist/all/", "/search/", q=SEED["family_name"])
    assert SEED["family_name"] in staff.open(staff.answers[-1][1].headers["Location"]).text, "it was found all the same"
    staff.form(f"/patients/{pk}/edit/", f"/patients/{pk}/edit/", given_name="Zwynthia-Ann")
    staff.open("/")


def _walk_outside(walk, world, pk):
    """What somebody sees who may not see this patient: the answers, none of them a page about her."""
    paths = [*addresses.pages(world.samples, signed_in=True), f"/api/v1/patients/{pk}/", "/no/such/page/"]
    paths += [f"/p/questions/{token}x" for token in world.samples.tokens.values()]
    mine = [path for path in paths if str(pk) in path.split("/") or "api" in path or "no" in path or "/p/" in path]
    return [walk.open(path) for path in mine]


def _walk_as_machine(machine, pk):
    for route, _view, name in urls.ROUTES:
        machine.open("/api/v1/" + re.sub(r"<int:pk>", str(pk), route).replace("<slug:key>", "imaging-1"))
        assert name
    machine.open(f"/api/v1/patients/{pk}/", "PATCH", json={"born_on": "1987-02-31", "family_name": ""})
    machine.open("/api/v1/patients/", "POST", json=[SEED["family_name"]])
    json_text = {"Content-Type": "application/json"}
    machine.open("/api/v1/patients/", "POST", data='{"family_name": "Xqvortzberg"', headers=json_text)
    for path in ("/healthz", "/readyz", "/metrics"):
        machine.open(path)


def _break_on_a_page(staff, pk):
    return staff.form(f"/patients/{pk}/edit/", f"/patients/{pk}/edit/", address="Kvortzlane 99b, Wyxmouth")


def _break_by_api(machine, pk):
    return machine.open(f"/api/v1/patients/{pk}/", "PATCH", json={"address": "Kvortzlane 99b, Wyxmouth"})


def _mail_waits():
    with access.system_run("test"):
        return Reminder.objects.filter(state__in=["planned", "sending"], send_on__lte="2026-01-01").exists()


def _all_but_address(mail):
    """A mail without the line that says whose it is."""
    lines = [f"{name}: {value}" for name, value in mail.items() if name not in {"To", "Message-ID"}]
    parts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join([*lines, *parts])


def test_a_fault_is_told_without_the_values_that_led_to_it():
    with pytest.raises(ValueError) as raised:
        int(REMARK)
    said = fault_words(raised.value)
    assert "ValueError" in said and __file__ in said and not found_in(said)
    assert kind_of(ConnectionRefusedError(111, "Connection refused")).endswith("Connection refused")


def test_the_log_shows_no_key_of_an_address():
    assert without_keys("/p/questions/1-2-3.abc") == "/p/questions/-"
    assert without_keys("/calendar/feed/abc:def.ics") == "/calendar/feed/-"
    assert without_keys("/account/password/reset/key/1-set-password/") == "/account/password/reset/key/-/"
    assert without_keys("/patients/17/") == "/patients/17/"


@pytest.mark.parametrize(
    "text",
    [
        "?q=xqvortzberg&x",
        "a=Kvortzlane+99",
        "+44 20 7946 1713",
        base64.urlsafe_b64encode(b"a Zwynthia b c d").decode(),
        "23 Feb 1987",
    ],
)
def test_the_search_sees_through_encodings(text):
    assert found_in(text) and not found_in("Berg, 4 Mar 1981, HW-00231")


def test_messages_to_staff_travel_in_no_cookie():
    assert settings.MESSAGE_STORAGE.endswith("session.SessionStorage")

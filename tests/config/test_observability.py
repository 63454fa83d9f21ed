"""Observability: logs without patients, metrics by route, health that means it, an alert's runbook for every alert."""

import json
import logging
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test import RequestFactory

from config import fault_reports, health, logs
from config.discretion import Discreet
from monitoring import dead_man, heartbeats, status
from monitoring.models import EvaluationRun, SystemFigure
from patients.models import Patient
from tests.conftest import PROJECT

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ALERTS = yaml.safe_load((PROJECT / "config/observability/alerts.yml").read_text())["groups"][0]["rules"]
TOKEN = "a-token-of-this-test-only"


def record_of(problem=None, message="%s went wrong", *args):
    info = (type(problem), problem, problem.__traceback__) if problem else None
    return logging.LogRecord("monitoring", logging.ERROR, __file__, 1, message, args or ("it",), info)


def fault(raises):
    try:
        raises()
    except Exception as problem:
        return problem
    raise AssertionError("nothing was raised")


@pytest.fixture
def asked_sites():
    """A web server that remembers the bodies it is sent."""
    seen = []

    class Site(BaseHTTPRequestHandler):
        def answer(self):
            seen.append((self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()))
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST = answer

        def log_message(self, *_words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


# ---- Logs


@pytest.mark.parametrize("formatter", [logs.Json(), logs.Line()])
def test_no_log_repeats_the_values_that_a_constraint_refused(patient, formatter):
    twice = {"clinic": patient.clinic, "record_number": patient.record_number, "family_name": "Berghaus"}

    def enrol_again():
        with transaction.atomic():
            Patient.objects.create(**twice)

    record = record_of(fault(enrol_again))
    Discreet().filter(record)
    said = formatter.format(record)
    assert "IntegrityError" in said and "test_observability.py" in said
    assert patient.record_number not in said
    assert "Berghaus" not in said


def test_a_lost_connection_is_told_in_full():
    problem = fault(lambda: (_ for _ in ()).throw(ConnectionRefusedError("nobody listens on 5432")))
    entry = json.loads(logs.Json().format(record_of(problem)))
    assert entry["exception"][0]["kind"] == "ConnectionRefusedError: nobody listens on 5432"


def test_json_lines_carry_the_ids_of_request_and_run():
    record = logging.LogRecord("monitoring", logging.ERROR, __file__, 1, "a note\nwith a break", (), None)
    request, run = logs.request_id.set("abc"), logs.run_id.set("run-1")
    logs.Ids().filter(record)
    logs.request_id.reset(request)
    logs.run_id.reset(run)
    line = logs.Json().format(record)
    assert "\n" not in line
    assert json.loads(line) | {"at": ""} == {
        "at": "", "level": "ERROR", "logger": "monitoring", "message": "a note\nwith a break",
        "request_id": "abc", "run_id": "run-1",
    }  # fmt: skip


def test_an_answer_is_logged_by_its_route_and_never_by_its_path(patient, make_user, sign_in, caplog):
    caplog.set_level("INFO", "config.answered")
    client = sign_in(make_user(patient.clinic, "coordinator"))
    answer = client.get(f"/patients/{patient.pk}/")
    client.get("/p/some-signed-link/check/")
    said = [json.loads(logs.Json().format(record)) for record in caplog.records]
    routes = [entry["route"] for entry in said if entry["logger"] == "config.answered"]
    assert answer.status_code == 200 and routes[0] == "patient"
    assert "some-signed-link" not in json.dumps(said) and f"/{patient.pk}" not in json.dumps(said)


def test_an_unknown_form_of_log_is_refused():
    with pytest.raises(ImproperlyConfigured, match="json or line"):
        logs.configuration(form="xml", level="INFO")


# ---- Faults reported


def test_a_fault_is_reported_without_its_words(asked_sites, settings):
    host, seen = asked_sites
    settings.SENTRY_DSN = f"http://key@{host}/7"
    reporter = fault_reports.Reporter()
    record = record_of(fault(lambda: int("Marta Berg")))
    logs.Ids().filter(record)
    reporter.handle(record)
    for _ in range(500):
        if seen:
            break
        threading.Event().wait(0.02)
    path, body = seen[0]
    assert path == "/api/7/envelope/"
    event = json.loads(body.splitlines()[2])
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert "Marta" not in body


def test_nothing_is_reported_by_default(settings):
    reporter = fault_reports.Reporter()
    reporter.handle(record_of(fault(lambda: 1 / 0)))
    assert settings.SENTRY_DSN == "" and reporter._thread is None


# ---- Metrics


def read_metrics(client, settings):
    settings.METRICS_TOKEN = TOKEN
    cache.delete("status")
    return client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})


def test_metrics_are_for_who_has_the_token(client, settings, db):
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": "Bearer another"}).status_code == 401
    assert read_metrics(client, settings).status_code == 200


def test_metrics_count_answers_by_route_and_name_no_patient(patient, make_user, sign_in, settings):
    client = sign_in(make_user(patient.clinic, "coordinator"))
    client.get(f"/patients/{patient.pk}/")
    said = read_metrics(client, settings).content.decode()
    assert re.search(r'hipwatch_http_requests_total\{method="GET",route="patient",status="200"\} [1-9]', said)
    for private in (patient.record_number, patient.family_name, patient.clinic.name, "/patients/"):
        assert private not in said


def test_metrics_have_every_series_that_alerts_and_dashboard_ask_for(client, settings, clinic):
    EvaluationRun.objects.create(kind="sweep", actor="s", started_at=NOW, finished_at=NOW, patients=1)
    heartbeats.finished("sweep", NOW)
    said = read_metrics(client, settings).content.decode()
    boards = json.loads((PROJECT / "config/observability/grafana.json").read_text())["panels"]
    asked = [rule["expr"] for rule in ALERTS] + [target["expr"] for panel in boards for target in panel["targets"]]
    given = set(re.findall(r"^# TYPE (hipwatch_\w+)", said, re.MULTILINE))
    wanted = {re.sub("_bucket$|_total$", "", name) for text in asked for name in re.findall(r"hipwatch_\w+", text)}
    assert wanted - {re.sub("_total$", "", name) for name in given} == set()
    assert len(wanted) > 15


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    manual = (PROJECT / "docs/operations.md").read_text()
    runbooks = re.findall(r"^#### (\w+)$", manual, re.MULTILINE)
    assert sorted(runbooks) == sorted(rule["alert"] for rule in ALERTS)


def test_every_alert_says_what_is_wrong_and_how_urgent_it_is():
    for rule in ALERTS:
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]


# ---- Health


def test_the_site_is_not_ready_while_who_becomes_due_is_not_looked_for(client, db):
    for name in heartbeats.WATCHING:
        heartbeats.finished(name, datetime.now(UTC))
    assert client.get("/readyz").json() == {"ready": True, "late": [], "because": []}
    heartbeats.finished("sweep", datetime.now(UTC) - timedelta(minutes=16))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["because"]) == (503, ["sweep is late"])


def test_a_missing_backup_is_late_and_does_not_take_the_site_away(client, db, settings):
    settings.BACKUPS_EXPECTED = True
    for name in heartbeats.WATCHING:
        heartbeats.finished(name, datetime.now(UTC))
    assert client.get("/healthz").json()["late"] == ["backup"]
    assert client.get("/readyz").status_code == 200


def test_a_database_of_an_older_version_is_not_ready(client, db, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    newest = MigrationRecorder.Migration.objects.filter(app="monitoring").latest("id")
    newest.delete()
    assert "migrations are missing" in client.get("/readyz").json()["because"]


@pytest.mark.parametrize("view", [health.healthz, health.readyz])
def test_health_says_that_the_database_is_away(view, db):
    with connection.cursor() as cursor, pytest.raises(DatabaseError):
        cursor.execute("SELECT 1/0")
    answer = view(RequestFactory().get("/"))  # in a transaction that is broken, nothing more is answered
    assert answer.status_code == 503 and b"does not answer" in answer.content


# ---- The outside watch


def test_the_outside_watch_hears_of_a_sweep_that_ended(asked_sites, settings, db):
    host, seen = asked_sites
    settings.DEAD_MAN_URL, settings.OUTGOING_ALLOWED = f"http://{host}/ping", ["127.0.0.0/8"]
    heartbeats.finished("sweep", NOW)
    assert dead_man.tell_if_swept(NOW - timedelta(minutes=1))
    assert seen == [("/ping", "")]


def test_the_outside_watch_hears_nothing_of_a_sweep_that_died_or_left_somebody(asked_sites, settings, db):
    host, seen = asked_sites
    settings.DEAD_MAN_URL, settings.OUTGOING_ALLOWED = f"http://{host}/ping", ["127.0.0.0/8"]
    heartbeats.finished("sweep", NOW - timedelta(hours=1))
    assert not dead_man.tell_if_swept(NOW)
    heartbeats.finished("sweep", NOW, behind=3)
    assert not dead_man.tell_if_swept(NOW - timedelta(minutes=1))
    assert seen == []


def test_an_outside_watch_that_is_away_harms_nothing(settings, db):
    settings.DEAD_MAN_URL, settings.OUTGOING_ALLOWED = "http://127.0.0.1:9/", ["127.0.0.0/8"]
    heartbeats.finished("sweep", NOW)
    assert not dead_man.tell_if_swept(NOW)


# ---- The System page


def test_administrators_see_how_the_system_is_doing(clinic, make_user, sign_in):
    heartbeats.finished("sweep", datetime.now(UTC), behind=2)
    page = sign_in(make_user(clinic, "admin")).get("/system/").content.decode()
    assert "Sweep: who becomes due today" in page and "Somebody should look." in page
    assert "Uncertain" in page and "Oldest transaction" in page


def test_nobody_else_sees_the_system_page(clinic, make_user, sign_in):
    assert sign_in(make_user(clinic, "coordinator")).get("/system/").status_code == 403


def test_growth_is_told_from_the_size_of_a_month_ago(db):
    status.keep_size(NOW - timedelta(days=31))
    status.keep_size(NOW)
    status.keep_size(NOW)
    SystemFigure.objects.filter(on=(NOW - timedelta(days=31)).date()).update(value=1000)
    database = status.status(NOW).database
    assert database.growth == database.bytes - 1000
    assert SystemFigure.objects.count() == 2


def test_who_was_turned_away_stands_in_the_log_by_number_with_the_answer(clinic, patient, make_user, sign_in, caplog):
    caplog.set_level("INFO", "config.answered")
    ada = make_user(clinic, "auditor")
    client = sign_in(ada)
    client.get(f"/patients/{patient.pk}/")
    client.get("/import/")
    sign_in(make_user(clinic, "coordinator")).post(f"/patients/{patient.pk}/death/", {"died_on": "tomorrow, alas"})
    said = [json.loads(logs.Json().format(record)) for record in caplog.records if record.name == "config.answered"]
    told = [(entry["route"], entry["status"], entry.get("user")) for entry in said]
    assert told[:2] == [("patient", 200, None), ("imports", 403, ada.pk)]
    assert told[2][:2] == ("patient_death", 422) and told[2][2] and "alas" not in json.dumps(said)

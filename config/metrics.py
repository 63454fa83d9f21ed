"""Metrics: what Prometheus reads at /metrics: requests by the name of their route, and how everything stands.

Requests are counted in this process and, with PROMETHEUS_MULTIPROC_DIR, summed over all web processes; the rest is
read from the database, so that workers need no page of their own. No label names a clinic, a patient or a path.
"""

import hmac
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from config import logs
from monitoring import status

FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
if FOLDER:
    Path(FOLDER).mkdir(parents=True, exist_ok=True)
KNOWN_FOR = 20  # seconds for which the state is not read anew

REQUESTS = Counter("hipwatch_http_requests", "Requests answered.", ["route", "method", "status"])
SECONDS = Histogram(
    "hipwatch_http_seconds",
    "How long an answer took.",
    ["route"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
answered = logging.getLogger("config.answered")


class Measured:
    """Counts and logs each answer by the name of its route."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self.get_response(request)
        took = time.perf_counter() - began
        route = "static" if request.path.startswith(settings.STATIC_URL) else logs.route_of(request)
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(route, method, str(response.status_code)).inc()
        SECONDS.labels(route).observe(took)
        if route not in logs.WATCHED:
            ms = round(took * 1000)
            fields = {"route": route, "method": method, "status": response.status_code, "ms": ms}
            fields |= _who_was_refused(request, response)
            answered.info("%s %s %s %s ms", method, route, response.status_code, ms, extra={"fields": fields})
        return response


def _who_was_refused(request: HttpRequest, response: HttpResponseBase) -> dict[str, int]:
    """The number of the person whom a page, a check of what was typed or a limit has turned away."""
    viewer = getattr(request, "viewer", None)
    if response.status_code < 400 or viewer is None or viewer.actor.user_id is None:
        return {}
    return {"user": viewer.actor.user_id}


class State:
    """A collector of `monitoring.status`."""

    def collect(self) -> Iterator[Metric]:
        now = timezone.now()
        state = status.cached(now, seconds=KNOWN_FOR)
        yield from _beats(state)
        yield from _sweep(state)
        yield from _mail(state)
        yield _gauge("hipwatch_imports_waiting", "Imports that wait to be saved or undone.", state.imports_waiting)
        yield _gauge(
            "hipwatch_import_oldest_seconds", "Age of the oldest of them.", state.oldest_import.total_seconds()
        )
        yield _gauge("hipwatch_broker_up", "Whether the broker answers.", int(state.queues is not None))
        queues = _labelled("hipwatch_queue_messages", "Messages in the broker; hints only.", "queue")
        for name, length in (state.queues or {}).items():
            queues.add_metric([name], length)
        yield queues
        database = state.database
        yield _gauge("hipwatch_database_bytes", "Size of the database.", database.bytes)
        yield _gauge("hipwatch_database_connections", "Connections to it.", database.connections)
        yield _gauge("hipwatch_database_connections_most", "Connections it allows.", database.most_connections)
        seconds = database.oldest_transaction.total_seconds()
        yield _gauge("hipwatch_database_oldest_transaction_seconds", "Age of its oldest transaction.", seconds)
        yield from _tables(state)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _labelled(name: str, words: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, labels=[label])


def _beats(state: status.Status) -> Iterator[Metric]:
    late = _labelled("hipwatch_run_late", "1 where a recurring run is behind its time or left something.", "run")
    age = _labelled("hipwatch_run_age_seconds", "Since a recurring run last came to its end.", "run")
    behind = _labelled("hipwatch_run_behind", "What it left undone.", "run")
    for beat in state.beats:
        late.add_metric([beat.name], int(beat.late))
        behind.add_metric([beat.name], beat.behind)
        if beat.finished_at:
            age.add_metric([beat.name], (state.at - beat.finished_at).total_seconds())
    yield from (late, age, behind)


def _sweep(state: status.Status) -> Iterator[Metric]:
    if sweep := state.sweep:
        yield _gauge("hipwatch_sweep_seconds", "How long the last sweep took.", sweep.seconds)
        yield _gauge("hipwatch_sweep_patients", "Patients it evaluated.", sweep.patients)
        if sweep.seconds_a_patient is not None:
            yield _gauge("hipwatch_evaluation_seconds", "Its time for each patient.", sweep.seconds_a_patient)
    yield _gauge("hipwatch_patients_not_evaluated", "Patients whose evaluation failed.", state.not_evaluated)


def _tables(state: status.Status) -> Iterator[Metric]:
    size = _labelled("hipwatch_table_bytes", "The largest tables with their indexes.", "table")
    dead = _labelled("hipwatch_table_dead_rows", "Rows of them that VACUUM has still to clean away.", "table")
    behind = _labelled("hipwatch_table_wants_vacuum", "1 where VACUUM does not come after.", "table")
    swollen = _labelled("hipwatch_table_index_swollen", "1 where indexes take twice what they took for a row.", "table")
    for table in state.tables:
        size.add_metric([table.name], table.bytes)
        dead.add_metric([table.name], table.dead)
        behind.add_metric([table.name], int(table.wants_vacuum))
        swollen.add_metric([table.name], int(table.is_swollen))
    yield from (size, dead, behind, swollen)
    yield _gauge("hipwatch_months_ahead", "Months for which tables divided by month have parts.", state.months_ahead)


def _mail(state: status.Status) -> Iterator[Metric]:
    mail = state.mail
    yield _gauge("hipwatch_mail_due", "Mails that might go now.", mail.due)
    yield _gauge("hipwatch_mail_late_seconds", "How far the oldest is beyond its day.", mail.late_for.total_seconds())
    states = _labelled("hipwatch_reminders_week", "Reminders of the last seven days, by state.", "state")
    for name, count in sorted(mail.week.items()):
        states.add_metric([name], count)
    yield states
    yield _gauge("hipwatch_mail_sending", "Mails on their way.", mail.sending)
    yield _gauge("hipwatch_mail_uncertain", "Mails of which nobody knows whether they went.", mail.uncertain)
    yield _gauge("hipwatch_letters_open", "Letters to be printed.", mail.letters)
    yield _gauge("hipwatch_calls_open", "Telephone calls to be made.", mail.calls)
    yield _gauge("hipwatch_digests_lost", "Digests of the last week that did not arrive.", mail.digests_lost)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics, for who sends METRICS_TOKEN as a bearer token; 404 where none is set, 401 for another."""
    if not settings.METRICS_TOKEN:
        return HttpResponse("Metrics are off: METRICS_TOKEN is not set.\n", status=404, content_type="text/plain")
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
        answer = HttpResponse("The token is missing or wrong.\n", status=401, content_type="text/plain")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    requests = REGISTRY
    if FOLDER:
        requests = CollectorRegistry()
        MultiProcessCollector(requests)  # type: ignore[no-untyped-call]
    state = CollectorRegistry()
    state.register(State())
    return HttpResponse(generate_latest(requests) + generate_latest(state), content_type=CONTENT_TYPE_LATEST)

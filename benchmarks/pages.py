"""Pages and the API: what one costs the server, at the size of whatever registry is there, against a bare view.

    DATA_DIR=/path .venv/bin/python benchmarks/pages.py [--rounds 15] [--who one|all] [--json FILE]

Needs a registry made by benchmarks/copies.py. Requests go through the whole of Django in this process, middleware and
transactions too, and what is read is audited as it would be. The baselines run between the pages, in the same process:
a view without middleware that renders the words of the same 50 rows from a list, and two views of Django REST framework
without token, limits or audit: one answers the same payload from a list, one reads as many rows of the same table and
answers every column by a serializer.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import logging  # noqa: E402

from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Model  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.test import Client, RequestFactory  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from benchmarks.figures import note  # noqa: E402
from monitoring import standings, worklist  # noqa: E402
from monitoring.api import tokens  # noqa: E402
from monitoring.models import Flag, ReviewCase  # noqa: E402
from monitoring.web.worklist_rows import words_for  # noqa: E402
from patients import access  # noqa: E402
from patients.changes import Actor  # noqa: E402
from patients.models import Clinic, Hip, Patient, User, Visit  # noqa: E402
from schedules.models import Plan, Reminder  # noqa: E402

# The cells of a worklist row and no more: what any view that lists these rows has to write.
BARE = """<!doctype html><title>Rows</title><table>{% for row in rows %}<tr id="{{ row.id }}">
<td><input type="checkbox" value="{{ row.pk }}"></td>
<th><a href="/patients/{{ row.pk }}/">{{ row.name }}</a>{{ row.born }}, {{ row.number }}, {{ row.clinic }}</th>
<td>{{ row.hips }}</td>
<td>{{ row.why.status }}{{ row.why.words }}{% if row.why.second %}<span>{{ row.why.second }}</span>{% endif %}</td>
<td>{{ row.late }}</td><td>{{ row.next }}<span>{{ row.since }}</span></td>
<td>{{ row.last }}<span>{{ row.last_second }}</span></td>
<td><a href="/worklist/{{ row.pk }}/">Outcome</a></td></tr>{% endfor %}</table>"""


@dataclass
class Measured:
    """What requests of one kind took."""

    name: str
    times: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    queries: int = 0
    in_database: list[float] = field(default_factory=list)
    size: int = 0

    def at(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))] * 1000

    def line(self, bare: "Measured | None" = None) -> str:
        ratio = f"{self.at(0.5) / bare.at(0.5):.2f}" if bare else ""
        cpu, sql = statistics.median(self.processor) * 1000, statistics.median(self.in_database) * 1000
        return (
            f"| {self.name} | {self.at(0.5):.1f} | {self.at(0.95):.1f} | {cpu:.1f} | {sql:.1f} | {self.queries} |"
            f" {self.size / 1000:.0f} | {ratio} |"
        )


HEAD = "| page | p50 ms | p95 ms | CPU ms | database ms | queries | kB | of bare |\n|---|---|---|---|---|---|---|---|"


class _Watch:
    """Counts the statements of a request and the time they take."""

    def __init__(self) -> None:
        self.number, self.seconds = 0, 0.0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        begin = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.number += 1
            self.seconds += time.perf_counter() - begin


def measure(name: str, call: Callable[[], HttpResponse], rounds: int) -> Measured:
    found = Measured(name)
    for turn in range(rounds + 2):
        watch = _Watch()
        with connection.execute_wrapper(watch):
            begin, cpu = time.perf_counter(), time.process_time()
            answer = call()
            took, spent = time.perf_counter() - begin, time.process_time() - cpu
        if answer.status_code != 200:
            raise SystemExit(f"{name} answered {answer.status_code}: {answer.content[:300]!r}")
        if turn >= 2:
            found.times.append(took)
            found.processor.append(spent)
            found.in_database.append(watch.seconds)
        found.queries, found.size = watch.number, len(answer.content)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--who", choices=["one", "all"], default="one", help="who looks: of one clinic, or of all")
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    settings.ALLOWED_HOSTS = ["testserver"]
    logging.disable(logging.WARNING)
    user = User.objects.get(email=f"{asked.who}@benchmark.example")
    viewer = access.viewer_for(user)
    with transaction.atomic():
        access.bind_clinics(viewer.clinic_ids)
        hips = Hip.objects.count()
    print(
        f"{hips:,} hips, SYNTHETIC, in the {len(viewer.clinic_ids)} of {Clinic.objects.count()} clinics looked at;"
        f" load {os.getloadavg()[0]:.1f}\n"
    )
    print(HEAD)
    done: list[tuple[Measured, Measured | None]] = []
    bare = measure("bare view of 50 rows", bare_view(viewer), asked.rounds)
    tell(done, bare, None)
    for name, call in pages(user, viewer):
        if asked.only in name:
            tell(done, measure(name, call, asked.rounds), bare)
    tell(done, measure("bare view of 50 rows, again", bare_view(viewer), asked.rounds), bare)
    for name, call, plain, by_serializer in api(viewer):
        if asked.only in name:
            ours = measure(name, call, asked.rounds)
            for whose, other in (("bare DRF view", plain), ("DRF serializer", by_serializer)):
                peer = measure(f"{whose}, {name}", other, asked.rounds)
                tell(done, peer, None)
                tell(done, ours, peer, whose)
    if asked.json:
        asked.json.write_text(json.dumps([one.__dict__ for one, _peer in done], indent=1))


def tell(
    done: list[tuple[Measured, Measured | None]], found: Measured, peer: Measured | None, whose: str = "bare view"
) -> None:
    done.append((found, peer))
    if peer:
        times = [1000 * one for one in sorted(found.times)]
        bare = peer.at(0.5)
        note("pages", found.name, "ms", found.at(0.5), baseline=bare, against=whose, of=times)
    print(found.line(peer), flush=True)


def bare_view(viewer: access.Viewer) -> Callable[[], HttpResponse]:
    """A view without middleware, with the words of the overdue rows at hand."""
    with transaction.atomic():
        access.bind_clinics(viewer.clinic_ids)
        today = worklist.today_for(viewer, timezone.now())
        rows = words_for(worklist.page_of("overdue", viewer, worklist.Filters(), today).rows, "overdue", today, viewer)
    template, request = engines["django"].from_string(BARE), RequestFactory().get("/")
    return lambda: HttpResponse(template.render({"rows": rows}, request))


def pages(user: User, viewer: access.Viewer) -> Iterator[tuple[str, Callable[[], HttpResponse]]]:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")

    def get(url: str) -> Callable[[], HttpResponse]:
        return lambda: client.get(url)  # type: ignore[return-value]

    for tab in worklist.TABS:
        yield f"worklist {tab}", get(reverse("worklist_tab", args=[tab]))
    for tab in ("overdue", "all"):
        yield f"worklist {tab}, last page", get(deep(viewer, tab))
    for query in (
        f"clinician={viewer.actor.user_id}",
        "pathway=symptomatic",
        "late=30",
        "language=de",
        "owner=me",
        "escalated=1&escalated=me",
        "promised=me",
        "overdue_from=2026-06-01",
    ):
        yield f"worklist overdue?{query}", get(f"{reverse('worklist_tab', args=['overdue'])}?{query}")
    name, number = somebody(viewer)
    yield "worklist all?q=name", get(f"{reverse('worklist_tab', args=['all'])}?q={name}")
    yield "patients", get(reverse("patients"))
    yield "patients, deep", get(f"{reverse('patients')}?after={last_by_name(viewer)}")
    yield "patients?q=name", get(f"{reverse('patients')}?q={name}")
    yield "patients?q=misspelt", get(f"{reverse('patients')}?q={name[:2]}{name[3:]}")
    yield "patients?q=part of a number", get(f"{reverse('patients')}?q={number[:-1]}")
    busy = busiest(viewer)
    yield f"patient with {busy[1]} visits", get(reverse("patient", args=[busy[0]]))
    for tab in ("visits", "imaging", "history"):
        yield f"patient, {tab}", get(f"/patients/{busy[0]}/{tab}/")
    yield "reviews", get(reverse("reviews"))
    yield "review case", get(reverse("review_case", args=[open_case(viewer)]))
    yield "messages", get(reverse("messages"))
    yield "calendar", get(reverse("calendar"))
    yield "dashboard", get(reverse("dashboard"))
    yield "protocol", get(reverse("protocol"))


@contextmanager
def seen(viewer: access.Viewer) -> Iterator[None]:
    with transaction.atomic():
        access.bind_clinics(viewer.clinic_ids)
        yield


def deep(viewer: access.Viewer, tab: str) -> str:
    """The address of a page near the end of a tab, found by turning pages of 1,000 rows."""
    after = ""
    with seen(viewer):
        today = worklist.today_for(viewer, timezone.now())
        patients = worklist.patients_in(tab, viewer, worklist.Filters(), today)
        total = patients.count()
        wanted = patients[max(0, total - 60)]
        after = standings.mark_of(worklist.order_of(tab), wanted.standing)
    return f"{reverse('worklist_tab', args=[tab])}?after={after}"


def somebody(viewer: access.Viewer) -> tuple[str, str]:
    with seen(viewer):
        patient = access.patients_for(viewer).order_by("-id")[0]
        return patient.family_name, patient.record_number


def last_by_name(viewer: access.Viewer) -> int:
    with seen(viewer):
        return access.patients_for(viewer).order_by("-family_name", "-given_name", "-id")[60].pk


def busiest(viewer: access.Viewer) -> tuple[int, int]:
    """The patient with most visits among the first 2,000, given as many more as make 40. SYNTHETIC."""
    with seen(viewer):
        patient = access.patients_for(viewer).filter(hip_evaluations__status="overdue").order_by("id").first()
        assert patient is not None
        have = Visit.objects.filter(patient=patient).count()
        days = [patient.enrolled_on + timedelta(days=n) for n in range(40 - have)]
        Visit.objects.bulk_create(
            Visit(clinic_id=patient.clinic_id, patient=patient, on=day, kind="telephone", actor="SYNTHETIC")
            for day in days
        )
        return patient.pk, Visit.objects.filter(patient=patient).count()


def open_case(viewer: access.Viewer) -> int:
    with seen(viewer):
        return ReviewCase.objects.filter(state="open").order_by("id")[0].pk


Call = Callable[[], HttpResponse]


def api(viewer: access.Viewer) -> Iterator[tuple[str, Call, Call, Call]]:
    """Each call of the API, and the two baselines beside it."""
    with seen(viewer):
        clinic = Clinic.objects.get(pk=viewer.clinic_ids[0])
        _token, secret = tokens.issue(
            name="benchmark", clinic=clinic, scopes=("read",), days=1, by=Actor(name="SYNTHETIC")
        )
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    with seen(viewer):
        one = access.patients_for(viewer).filter(clinic=clinic).order_by("id")[0].pk
    settings.API_CALLS_A_MINUTE = 1_000_000
    lists: dict[str, type[Model]] = {
        "patients/": Patient,
        "hips/": Hip,
        "hips/?status=overdue": Hip,
        "plans/?state=current": Plan,
        "flags/": Flag,
        "reviews/": ReviewCase,
        "reminders/": Reminder,
        f"patients/{one}/": Patient,
    }
    for path, model in lists.items():
        address, name = f"/api/v1/{path}", "API patient" if str(one) in path else f"API {path}"
        payload = json.loads(client.get(address).content)
        many = len(payload["results"]) if "results" in payload else 1
        yield name, _caller(client, address), _plain(payload), _by_serializer(viewer, model, many)


def _caller(client: Client, address: str) -> Callable[[], HttpResponse]:
    return lambda: client.get(address)  # type: ignore[return-value]


def _plain(payload: Any) -> Call:
    """DRF with its default classes, answering the same payload from a list."""
    return _view(lambda: payload)


def _by_serializer(viewer: access.Viewer, model: type[Model], many: int) -> Call:
    """The same, with as many rows of the table and all their columns by a serializer."""

    class Whole(ModelSerializer):  # type: ignore[type-arg]
        class Meta:
            pass

    Whole.Meta.model, Whole.Meta.fields = model, "__all__"  # type: ignore[attr-defined]

    def answer() -> Any:
        with seen(viewer):
            return Whole(model._default_manager.order_by("pk")[:many], many=True).data

    return _view(answer)


def _view(answer: Callable[[], Any]) -> Call:
    class Bare(APIView):
        authentication_classes = ()
        permission_classes = ()
        throttle_classes = ()

        def get(self, request: Any) -> Response:
            return Response(answer())

    view, factory = Bare.as_view(), RequestFactory()

    def call() -> HttpResponse:
        response = view(factory.get("/"))
        response.render()
        return response

    return call


if __name__ == "__main__":
    main()

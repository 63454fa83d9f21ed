"""Pages and the API: what one costs the server, at the size of whatever registry is there, against a bare view.

    DATA_DIR=/path .venv/bin/python benchmarks/pages.py [--rounds 15] [--who one|all] [--json FILE]

Needs a registry made by benchmarks/copies.py. Requests go through the whole of Django in this process, middleware and
transactions too, and what is read is audited as it would be. The baselines run in turn with what they are compared to,
in the same process, through Django and the same client as well, but without middleware. Of the worklist three, all
without session, database or anything else of the registry, with the words of 50 rows in a list and all else at hand:
one renders the page as it is by its own templates and its rows by another, one the rows alone (it is checked that both
write what the page has, letter for letter), and one their words in the barest table. Of the API two views of Django
REST framework without token, limits or audit: one answers the same payload from a list, one reads as many rows of the
same table and answers every column by a serializer.
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
os.environ["HIPWATCH_PROCESS"] = "web"  # with its limits

import django

django.setup()

import logging  # noqa: E402

from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Model  # noqa: E402
from django.http import HttpRequest, HttpResponse, QueryDict  # noqa: E402
from django.template import Context, Template, engines  # noqa: E402
from django.test import Client, RequestFactory, override_settings  # noqa: E402
from django.test.client import ClientHandler  # noqa: E402
from django.urls import include, path, reverse  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.safestring import SafeString  # noqa: E402
from rest_framework.renderers import JSONRenderer  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from benchmarks.figures import note  # noqa: E402
from config import collecting  # noqa: E402
from monitoring import standings, worklist  # noqa: E402
from monitoring.api import tokens  # noqa: E402
from monitoring.models import Flag, HipEvaluation, ReviewCase  # noqa: E402
from monitoring.web.worklist import look_of  # noqa: E402
from monitoring.web.worklist_filters import narrow, staff_for  # noqa: E402
from monitoring.web.worklist_markup import ordinary  # noqa: E402
from monitoring.web.worklist_rows import words_for  # noqa: E402
from patients import access  # noqa: E402
from patients.changes import Actor  # noqa: E402
from patients.models import Clinic, Hip, Patient, User, Visit  # noqa: E402
from schedules.models import Plan, Reminder  # noqa: E402

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
# The rows as the page has them.
ROWS = """{% for row in rows %}<tr id="{{ row.id }}" data-row tabindex="-1">
  <td class="tick"><input type="checkbox" name="selected" value="{{ row.pk }}" form="bulk" data-select\
 aria-label="{{ row.select }}"></td>
  <th class="lead-cell" scope="row"><a class="name" data-open href="{{ row.url }}">{{ row.name }}</a>\
<span class="second"><span class="nowrap">{{ row.born }}</span>, <span class="nowrap">{{ row.number }}</span>\
{% if look.several_clinics %}, {{ row.clinic }}{% endif %}</span></th>
  <td class="{% if not row.hips %}none{% endif %}" data-label="{{ look.heads.hip }}">{{ row.hips }}</td>
  <td data-label="{{ look.heads.why }}"><span class="why-line">{{ row.badge }}\
<span class="why-words">{{ row.why.words }}</span></span>\
{% if row.why.second %}<span class="second">{{ row.why.second }}</span>{% endif %}</td>
  <td class="num {% if not row.late %}none{% endif %}" data-label="{{ look.heads.late }}">{{ row.late }}</td>
  <td class="{% if not row.next %}none{% endif %}" data-label="{{ look.heads.next }}">{{ row.next }}\
{% if row.since %}<span class="second nowrap">{{ row.since }}</span>{% endif %}</td>
  <td class="{% if not row.last %}none{% endif %}" data-label="{{ look.heads.last }}">{{ row.last }}\
{% if row.last_second %}<span class="second">{{ row.last_second }}</span>{% endif %}</td>
  <td class="act"><details class="menu outcome" data-focus><summary class="button compact" data-key="o">\
{{ look.heads.outcome }}<span class="vh"> {{ row.name }}</span></summary>\
<div class="sheet" data-arrives="{{ row.act_url }}?{{ look.query }}"><a href="{{ row.act_url }}?{{ look.query }}">\
{{ look.heads.outcome }}: {{ row.name }}</a></div></details></td>
</tr>
{% endfor %}"""
# The cells of a row and no more: what any view that lists these rows has to write.
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

    def line(self, *beside: "Measured") -> str:
        ratios = ", ".join(f"{self.at(0.5) / one.at(0.5):.2f}" for one in beside)
        cpu, sql = statistics.median(self.processor) * 1000, statistics.median(self.in_database) * 1000
        return (
            f"| {self.name} | {self.at(0.5):.1f} | {self.at(0.95):.1f} | {cpu:.1f} | {sql:.1f} | {self.queries} |"
            f" {self.size / 1000:.0f} | {ratios} |"
        )


HEAD = (
    "| page | p50 ms | p95 ms | CPU ms | database ms | queries | kB | of the baselines |\n"
    "|---|---|---|---|---|---|---|---|"
)


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


Call = Callable[[], HttpResponse]


def measure(name: str, call: Call, rounds: int, **beside: Call) -> tuple[Measured, list[Measured]]:
    """The call and its baselines by name, in turn."""
    all_of_them = [(Measured(name), call), *((Measured(other), its) for other, its in beside.items())]
    for turn in range(rounds + 2):
        for found, one in all_of_them:
            _measure_once(found, one, is_warm=turn >= 2)
    (found, _), *others = all_of_them
    return found, [other for other, _ in others]


def _measure_once(found: Measured, call: Call, *, is_warm: bool) -> None:
    watch = _Watch()
    with connection.execute_wrapper(watch):
        begin, cpu = time.perf_counter(), time.process_time()
        answer = call()
        took, spent = time.perf_counter() - begin, time.process_time() - cpu
    if answer.status_code != 200:
        raise SystemExit(f"{found.name} answered {answer.status_code}: {answer.content[:300]!r}")
    if is_warm:
        found.times.append(took)
        found.processor.append(spent)
        found.in_database.append(watch.seconds)
    found.queries, found.size = watch.number, len(answer.content)


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
    done: list[Measured] = []
    whole, rows, words = bare_views(user, viewer)
    collecting.settle()  # as config/serving.py
    for name, call in pages(user, viewer):
        if asked.only in name:
            peers = {
                "bare view of this page": whole,
                "bare view of its rows": rows,
                "bare view of their words": words,
            }
            tell(done, *measure(name, call, asked.rounds, **(peers if name.startswith("worklist") else {})))
    for name, call, plain, by_serializer in api(viewer):
        if asked.only in name:
            peers = {f"bare DRF view, {name}": plain, f"DRF serializer, {name}": by_serializer}
            tell(done, *measure(name, call, asked.rounds, **peers))
    if asked.json:
        asked.json.write_text(json.dumps([one.__dict__ for one in done], indent=1))


def tell(done: list[Measured], found: Measured, peers: list[Measured]) -> None:
    known = {one.name for one in done}
    for peer in peers:
        whose = peer.name.partition(",")[0]
        times = [1000 * one for one in sorted(found.times)]
        note("pages", found.name, "ms", found.at(0.5), baseline=peer.at(0.5), against=whose, of=times)
        if peer.name not in known:
            print(peer.line(), flush=True)
    done += [found, *peers]
    print(found.line(*peers), flush=True)


def bare_views(user: User, viewer: access.Viewer) -> tuple[Call, Call, Call]:
    """Views without middleware, with the words of the overdue rows at hand: the page, its rows, and their words."""
    with seen(viewer):
        today = worklist.today_for(viewer, timezone.now())
        look = look_of(viewer, "overdue", narrow(QueryDict(), viewer=viewer, staff=staff_for(viewer)))
        rows = words_for(worklist.page_of("overdue", viewer, worklist.Filters(), today).rows, "overdue", today, viewer)
    written = "".join(ordinary(one, look) for one in rows)
    template, barest = engines["django"].from_string(ROWS), engines["django"].from_string(BARE)
    request, shown = RequestFactory().get("/"), {"rows": rows, "look": look}
    page, said, known = _page_of(user, "overdue")

    def whole(request: HttpRequest) -> HttpResponse:
        return HttpResponse(page.render(Context(known | {"rows": [{"ordinary": template.render(shown, request)}]})))

    if template.render(shown, request) != written or whole(request).content != said:
        raise SystemExit("The bare views do not write what the page has: mend ROWS.")
    return (
        answering(whole),
        answering(lambda request: HttpResponse(template.render(shown, request))),
        answering(lambda request: HttpResponse(barest.render({"rows": rows}, request))),
    )


def _page_of(user: User, tab: str) -> tuple[Template, bytes, dict[str, Any]]:
    """A page's template, what it wrote, and all that was at hand when it did."""
    had: list[tuple[Template, dict[str, Any]]] = []
    client = Client()
    client.force_login(user, backend=BACKEND)

    def noted(template: Template, context: Context) -> SafeString:
        had.append((template, context.flatten()))
        return rendered(template, context)

    rendered, Template._render = Template._render, noted  # type: ignore[method-assign]
    try:
        said = client.get(reverse("worklist_tab", args=[tab])).content
    finally:
        Template._render = rendered  # type: ignore[method-assign]
    page, known = next((one, its) for one, its in had if one.name == "monitoring/worklist/page.html")
    return page, said, known


class _Bare(ClientHandler):
    """Django with one view and without middleware."""

    def __init__(self, view: Callable[..., Any]) -> None:
        super().__init__(enforce_csrf_checks=False)
        self.addresses = (path("", view), path("", include("config.urls")))  # the page says where others are

    def load_middleware(self, is_async: bool = False) -> None:
        with override_settings(MIDDLEWARE=[]):
            super().load_middleware(is_async)

    def resolve_request(self, request: HttpRequest) -> Any:
        request.urlconf = self.addresses  # type: ignore[assignment]
        return super().resolve_request(request)


def answering(view: Callable[..., Any]) -> Call:
    client = Client()
    client.handler = _Bare(view)
    return lambda: client.get("/")  # type: ignore[return-value]


def pages(user: User, viewer: access.Viewer) -> Iterator[tuple[str, Callable[[], HttpResponse]]]:
    client = Client()
    client.force_login(user, backend=BACKEND)

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
        "hips/": HipEvaluation,
        "hips/?status=overdue": HipEvaluation,
        "plans/?state=current": Plan,
        "flags/": Flag,
        "reviews/": ReviewCase,
        "reminders/": Reminder,
        f"patients/{one}/": Patient,
    }
    for place, model in lists.items():
        address, name = f"/api/v1/{place}", "API patient" if str(one) in place else f"API {place}"
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
        renderer_classes = (JSONRenderer,)
        authentication_classes = ()
        permission_classes = ()
        throttle_classes = ()

        def get(self, request: Any) -> Response:
            return Response(answer())

    return answering(Bare.as_view())


if __name__ == "__main__":
    main()

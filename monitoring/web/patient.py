"""Patient: the page of one person with both hips, its tabs, and the plan as of another day."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final

from django import forms
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients import access
from patients.access import Permission
from patients.at_once import Kept, Question
from patients.models import ContactWish, Exposure, Patient, Visit
from patients.reading import read_record
from patients.vocabulary import Side
from schedules import adoption
from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import Protocol
from schedules.models import Plan, ProtocolVersion, Reminder, ReminderEvent

from .. import audit
from ..merging import merges_of
from ..models import AuditEntry, ContactAttempt, ReviewCase, Snooze, VisitDraft
from . import calendar, timeline
from .banner import banner_of
from .chart import MODELS, ON_SCREEN, Chart, fact_url, read_chart, sides_of
from .entry import signed_in
from .fact_rows import fact_rows
from .fact_words import name_of, words_of
from .finding_words import ACTIONS, day_words
from .forms.section import DayInput
from .hip_panels import ended_by, hip_panel, url_if_any
from .history import NO_CHANGE, history_rows, may_see_looks

OVERVIEW_KINDS: Final = ("imaging", "staging", "symptom", "score", "procedure", "location", "bmi", "ending", "decision")
TABS: Final = (
    ("visits", gettext_lazy("Visits")),
    ("imaging", gettext_lazy("Imaging and staging")),
    ("symptoms", gettext_lazy("Symptoms and scores")),
    ("treatments", gettext_lazy("Treatments")),
    ("decisions", gettext_lazy("Decisions")),
    ("messages", gettext_lazy("Messages")),
    ("history", gettext_lazy("History")),
)
KINDS_OF_TAB: Final = {
    "imaging": ("imaging", "staging", "location"),
    "symptoms": ("symptom", "score", "bmi"),
    "treatments": ("procedure",),
    "decisions": ("decision", "ending"),
    "visits": tuple(MODELS),
}
PAGE: Final = 50


class VersionField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Any version of the protocol, also one that is only drafted, which says so."""

    def label_from_instance(self, obj: ProtocolVersion) -> str:
        return f"{obj.name} ({obj.get_state_display()})"


class WhatIfForm(forms.Form):
    """The day as of which the plan is asked for, and under which version of the protocol."""

    as_of = forms.DateField(label=gettext_lazy("As of"), widget=DayInput())
    protocol = VersionField(
        label=gettext_lazy("Under protocol"),
        queryset=ProtocolVersion.objects.exclude(state=ProtocolVersion.State.WITHDRAWN).order_by("-id"),
        required=False,
        empty_label=gettext_lazy("the one in force on that day"),
    )


def open_cases(patient_id: int) -> QuerySet[ReviewCase]:
    return ReviewCase.objects.filter(patient=patient_id, state=ReviewCase.State.OPEN).select_related("hip")


def frame_of(
    request: HttpRequest,
    patient: Patient,
    today: date,
    *,
    cases: Iterable[ReviewCase] = (),
    wishes: Iterable[ContactWish] | None = None,
    tab: str = "",
    heading: bool = True,
) -> dict[str, Any]:
    """What every page about a patient shows around its content: banner, alerts, actions, tabs."""
    viewer = access.viewer_of(request)
    wishes = ContactWish.objects.filter(patient=patient) if wishes is None else wishes
    may_record = viewer.may(Permission.RECORD, patient.clinic_id)
    return {
        "patient": patient,
        "banner": banner_of(patient, today, wishes),
        "alerts": [_alert(case, patient, today) for case in cases],
        "actions": _actions(patient) if may_record and not patient.is_closed else [],
        "may_record": may_record,
        "may_decide": viewer.may(Permission.DECIDE, patient.clinic_id),
        "tabs": _tabs(patient, tab, with_audit=may_see_looks(viewer, patient)),
        "heading": heading,
        "today": today,
    }


def _actions(patient: Patient) -> list[dict[str, str]]:
    kind = "" if patient.died_on else "primary"
    visit = {"text": _("Record a visit"), "url": reverse("visit_new", args=[patient.pk]), "kind": kind, "key": "v"}
    edit = {"text": _("Edit"), "url": reverse("patient_edit", args=[patient.pk])}
    phone = {"text": _("Telephone report"), "url": f"{visit['url']}?kind=telephone"}
    study = {"text": _("Imaging report"), "url": f"{visit['url']}?kind=report"}
    book = {"text": _("Book"), "url": reverse("appointment_book", args=[patient.pk]), "key": "b"}
    return [visit, edit] if patient.died_on else [visit, book, phone, study, edit]


def _alert(case: ReviewCase, patient: Patient, today: date) -> dict[str, str]:
    side = _("right hip") if case.hip.side == "right" else _("left hip")
    action = ACTIONS.get(case.action, case.action)
    words = f"{action}, {side}"
    late = case.act_by is not None and case.act_by < today
    if case.act_by and late:
        days = (today - case.act_by).days
        words = _("%(question)s: was to be decided by %(day)s, %(days)s days late") % {
            "question": words, "day": day_words(case.act_by), "days": days,
        }  # fmt: skip
    elif case.act_by:
        words = _("%(question)s: decide by %(day)s") % {"question": words, "day": day_words(case.act_by)}
    url = url_if_any("review_case", case.pk) or f"{reverse('patient', args=[patient.pk])}#hip-{case.hip.side}"
    tone = "bad" if late or case.urgency == "URGENT" else "warn" if case.urgency == "SOON" else "info"
    return {"text": words, "tone": tone, "url": url}


def _tabs(patient: Patient, current: str, *, with_audit: bool) -> list[dict[str, Any]]:
    overview = {"name": _("Overview"), "url": reverse("patient", args=[patient.pk]), "current": current == "overview"}
    others = [
        {"name": name, "url": reverse("patient_tab", args=[patient.pk, tab]), "current": current == tab}
        for tab, name in TABS
    ]
    audited = {"name": _("Audit"), "url": reverse("patient_audit", args=[patient.pk]), "current": current == "audit"}
    return [overview, *others, *([audited] if with_audit else [])]


@signed_in
def patient(request: HttpRequest, pk: int) -> HttpResponse:
    """Both hips, what is found of them and the timeline."""
    return _overview(request, pk, "monitoring/patient/page.html", "patient page")


@signed_in
def patient_print(request: HttpRequest, pk: int) -> HttpResponse:
    """The same on paper: everything open, nothing to press."""
    return _overview(request, pk, "monitoring/patient/print.html", "patient summary")


def _beside(*, patient: int, user: int, missed_since: datetime) -> Sequence[Question]:
    """What the overview shows beside the chart."""
    exposures = Exposure.objects.filter(patient=patient, withdrawn_at__isnull=True)
    return (
        open_cases(patient),
        Plan.objects.filter(patient=patient).order_by("cycle_on", "id"),
        Reminder.objects.filter(patient=patient, state=Reminder.State.SENT).order_by("send_on", "id"),
        ContactWish.objects.filter(patient=patient),
        exposures.order_by("id"),
        Snooze.objects.filter(patient=patient, ended_at__isnull=True).select_related("owner"),
        calendar.coming(patient, missed_since),
        merges_of(patient),
        VisitDraft.objects.filter(patient=patient, user=user),
    )


_BESIDE = Kept(_beside, patient=int, user=int, missed_since=datetime)


def _overview(request: HttpRequest, pk: int, template: str, what: str) -> HttpResponse:
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk)
    audit.looked(viewer.actor, [(person.clinic_id, person.pk)], what)
    chart = read_chart(person, OVERVIEW_KINDS)
    cases, plans, sent, wishes, exposures, snoozes, appointments, merges, drafts = _BESIDE.read(
        patient=person.pk,
        user=viewer.actor.user_id or 0,
        missed_since=calendar.missed_since(viewer, chart.today),
    )
    by_question = {(case.hip_id, case.action): case for case in cases}
    may_decide = viewer.may(Permission.DECIDE, person.clinic_id)
    drawing = timeline.draw(chart, plans=plans, reminders=sent)
    context = frame_of(request, person, chart.today, cases=cases, wishes=wishes, tab="overview") | {
        "chart": chart,
        "hips": [_with_ending(chart, side, by_question, may_decide=may_decide) for side in ON_SCREEN],
        "conditions": ", ".join(str(exposure.get_kind_display()) for exposure in exposures),
        "bmi": next(iter(reversed(chart.standing("bmi"))), None),
        "snooze": next(iter(snoozes), None),
        "appointments": calendar.rows_of(person, appointments, viewer),
        "timeline": drawing,
        "whatif_form": WhatIfForm(initial={"as_of": chart.today}),
        "stale": chart.is_stale,
        "merges": merges,
        "draft": next(iter(drafts), None),
    }
    return render(request, template, context)


def _with_ending(
    chart: Chart, side: Side, cases: dict[tuple[int, str], ReviewCase], *, may_decide: bool
) -> dict[str, Any]:
    panel = hip_panel(chart, side, chart.answer(side), as_of=chart.today, cases=cases, may_decide=may_decide)
    followed = chart.answer(side).get("pathway") not in {"replaced", "ended", "deceased"}
    return {"panel": panel, "side": side.value, "ending": ended_by(chart, side), "may_end": followed}


@signed_in
def patient_whatif(request: HttpRequest, pk: int) -> HttpResponse:
    """The plan as of another day, by the facts dated up to it: computed, never stored."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk)
    audit.looked(viewer.actor, [(person.clinic_id, person.pk)], "plan as of another day")
    chart = read_chart(person, OVERVIEW_KINDS)
    form = WhatIfForm(request.GET or None, initial={"as_of": chart.today})
    context = frame_of(request, person, chart.today) | {"whatif_form": form, "form": form}
    if form.is_valid():
        as_of = form.cleaned_data["as_of"]
        version = form.cleaned_data["protocol"]
        protocol = Protocol.from_json(version.parameters) if version else adoption.protocol_in_force(as_of)
        answer = evaluate(read_record(person.pk), protocol, as_of)
        context |= {
            "as_of": as_of,
            "protocol": answer.protocol,
            "hips": [hip_panel(chart, side, answer.hip(side).to_json(), as_of=as_of, cases=None) for side in ON_SCREEN],
        }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "monitoring/patient/whatif.html", context, status=status)


@signed_in
def patient_tab(request: HttpRequest, pk: int, tab: str) -> HttpResponse:
    """One full list: of facts, visits, messages or what was done and seen."""
    if tab not in dict(TABS):
        raise Http404(tab)
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk)
    audit.looked(viewer.actor, [(person.clinic_id, person.pk)], f"patient page, {tab}")
    chart = read_chart(person, KINDS_OF_TAB.get(tab, ()))
    context = frame_of(request, person, chart.today, tab=tab) | {"tab": tab, "title": dict(TABS)[tab]}
    if tab == "visits":
        context |= _visits(request, chart)
    elif tab in KINDS_OF_TAB:
        context |= _paged(request, fact_rows(chart), wanted=request.GET.get("fact", ""))
    elif tab == "messages":
        context |= _messages(request, person)
    else:
        context |= _history(request, chart)
    if tab == "treatments":
        context["exposures"] = list(Exposure.objects.filter(patient=person).order_by("-id"))
    return render(
        request, f"monitoring/patient/{tab if tab in ('visits', 'messages', 'history') else 'facts'}.html", context
    )


def _paged(request: HttpRequest, rows: list[Any], *, wanted: str = "") -> dict[str, Any]:
    """One page of the rows; with `wanted` the page on which that fact stands."""
    at = next((index for index, row in enumerate(rows) if wanted and row.key == wanted), None)
    page = at // PAGE if at is not None else _page_number(request)
    first = page * PAGE
    shown = rows[first : first + PAGE]
    return {
        "rows": shown,
        "shown": len(shown),
        "total": len(rows),
        "previous_url": f"?page={page - 1}" if page else "",
        "next_url": f"?page={page + 1}" if first + PAGE < len(rows) else "",
    }


def _page_number(request: HttpRequest) -> int:
    page = request.GET.get("page", "0")
    return int(page) if page.isascii() and page.isdecimal() and len(page) < 6 else 0


def _visits(request: HttpRequest, chart: Chart) -> dict[str, Any]:
    """Visits with what was recorded at each."""
    of_visit: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
    for facts in chart.facts.values():
        for fact in facts:
            side = chart.side_of(fact)
            url = fact_url(chart.patient.pk, fact.key)
            shown = {"url": url, "side": side.value if side else "", "name": name_of(fact), "words": words_of(fact)}
            of_visit[fact.visit_id].append(shown | {"stands": chart.stands(fact)})
    visits = Visit.objects.filter(Q(patient=chart.patient) | Q(pk__in=[pk for pk in of_visit if pk]))  # merged ones too
    paged = _paged(request, list(visits.order_by("-on", "-id")))
    rows = [{"visit": visit, "facts": sorted(of_visit[visit.pk], key=_right_first)} for visit in paged["rows"]]
    return paged | {"rows": rows}


def _right_first(shown: dict[str, Any]) -> int:
    return ["right", "left", ""].index(shown["side"])


def _messages(request: HttpRequest, patient: Patient) -> dict[str, Any]:
    reminders = list(Reminder.objects.filter(patient=patient).select_related("substitute").order_by("-send_on", "-id"))
    paged = _paged(request, reminders)
    events: dict[int, list[ReminderEvent]] = {reminder.pk: [] for reminder in paged["rows"]}
    for event in ReminderEvent.objects.filter(reminder__in=list(events)).order_by("at", "id"):
        events[event.reminder_id].append(event)
    return paged | {
        "rows": [(reminder, events[reminder.pk]) for reminder in paged["rows"]],
        **_contacts(request, patient),
    }


def _contacts(request: HttpRequest, patient: Patient) -> dict[str, Any]:
    """What came of calls and other tries to reach the patient, with what was said; what was taken back struck out."""
    found = ContactAttempt.objects.filter(patient=patient).select_related("owner").order_by("-at", "-id")
    page = Paginator(found, PAGE).get_page(request.GET.get("contacts"))
    return {
        "contacts": page,
        "contacts_in_all": page.paginator.count,
        "newer_contacts": f"?contacts={page.previous_page_number()}#contacts" if page.has_previous() else "",
        "older_contacts": f"?contacts={page.next_page_number()}#contacts" if page.has_next() else "",
    }


def _history(request: HttpRequest, chart: Chart) -> dict[str, Any]:
    """What was changed; who looked stands under Audit."""
    entries = AuditEntry.objects.filter(patient_id=chart.patient.pk).exclude(act__in=NO_CHANGE).order_by("-id")
    page = _page_number(request)
    first = page * PAGE
    shown = list(entries[first : first + PAGE + 1])
    return {
        "rows": history_rows(shown[:PAGE], sides_of(chart)),
        "shown": min(len(shown), PAGE),
        "total": entries.count(),
        "previous_url": f"?page={page - 1}" if page else "",
        "next_url": f"?page={page + 1}" if len(shown) > PAGE else "",
        "may_see_looks": may_see_looks(access.viewer_of(request), chart.patient),
    }

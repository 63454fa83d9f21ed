"""Visit: both hips recorded in one form, checked against the record, and what it has moved told afterwards."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients import access, recording
from patients.access import Permission
from patients.models import Visit
from patients.vocabulary import Side

from .. import audit, drafts
from ..models import AuditEntry, VisitDraft
from .chart import MODELS, ON_SCREEN, Chart, read_chart, sides_of
from .contradictions import Contradiction, contradictions, digest, keep_reason
from .entry import signed_in
from .follow_up import moved_since, needed
from .forms.section import SectionForm
from .forms.visit import VisitEntry, hip_words
from .history import NO_CHANGE, HistoryRow, history_rows
from .last_values import last_total, last_values
from .patient import frame_of, open_cases

# Which sections of a hip stand open from the start.
OPEN: dict[str, tuple[str, ...]] = {
    Visit.Kind.CLINIC: ("symptom", "radiograph"),
    Visit.Kind.TELEPHONE: ("symptom",),
    Visit.Kind.REPORT: ("radiograph", "mri", "ct"),
}
# Reports of one thing, asked for by the address: what they are called, and what their day is of.
QUICK: dict[str, tuple[Any, Any]] = {
    Visit.Kind.TELEPHONE: (gettext_lazy("Telephone report"), gettext_lazy("Date of the call")),
    Visit.Kind.REPORT: (gettext_lazy("Imaging report"), gettext_lazy("Date of the images")),
}
TOTALS = {"harris": "HHS", "hoos": "HOOS_JR", "oxford": "OHS"}


@signed_in
def visit_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, and record: all or nothing."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    chart = read_chart(person, MODELS)
    if request.method == "POST":
        return _record(request, chart)
    audit.looked(viewer.actor, [(person.clinic_id, person.pk)], "visit form")
    if draft := drafts.draft_of(person, viewer=viewer):
        return _page(request, chart, VisitEntry.resumed(_as_sent(draft)), draft=draft)
    kind = request.GET.get("kind", "")
    initial = {
        "on": chart.today,
        "kind": kind if kind in Visit.Kind.values else Visit.Kind.CLINIC,
        "record_version": person.record_version,
        "seen_entry": _last_entry(person.pk),
    }
    return _page(request, chart, VisitEntry.of(initial=initial))


def _as_sent(draft: VisitDraft) -> QueryDict:
    """The draft as the form would send it."""
    sent = QueryDict(mutable=True)
    for name, texts in draft.typed.items():
        sent.setlist(name, texts)
    return sent


def _record(request: HttpRequest, chart: Chart) -> HttpResponse:
    entry = VisitEntry.of(request.POST)
    if not entry.is_valid():
        return _page(request, chart, entry, status=422)
    if entry.visit.cleaned_data["record_version"] != chart.patient.record_version:
        return _conflict(request, chart)
    found = contradictions(chart, [(one.side, one.fact) for one in entry.entered])
    reason = entry.visit.cleaned_data["go_on_reason"]
    if not entry.visit.goes_on(found):
        return _page(request, chart, entry, warnings=found, status=422)
    keep_reason(found, reason)
    try:
        _save(request, chart, entry, reason if found else "")
    except recording.StaleRecord:
        return _conflict(request, chart)
    except recording.RecordingRefused as refused:
        entry.refuse(refused)
        return _page(request, chart, entry, warnings=found, status=422)
    drafts.discard(chart.patient, viewer=access.viewer_of(request))
    _tell(request, chart, {one.side for one in entry.entered if one.side})
    return redirect("patient", pk=chart.patient.pk)


def _save(request: HttpRequest, chart: Chart, entry: VisitEntry, reason: str) -> None:
    said = entry.visit.cleaned_data
    note = said["note"] if not reason else f"{said['note']}\n{reason}".strip()
    recording.record_facts(
        chart.patient.pk,
        [(one.side, one.fact) for one in entry.entered],
        by=access.viewer_of(request).actor,
        visit=Visit(on=said["on"], kind=said["kind"], note=note),
        act="record_visit",
        reason=reason[:300],
        expected_version=said["record_version"],
    )


def _tell(request: HttpRequest, chart: Chart, touched: set[Side]) -> None:
    """Say what the visit has moved."""
    messages.success(request, _("The visit is recorded."))
    for sentence in moved_since(chart, touched):
        messages.info(request, sentence)


def _conflict(request: HttpRequest, chart: Chart) -> HttpResponse:
    """Somebody else wrote meanwhile: what they did is shown, what was typed is kept, sending it again records it."""
    seen = request.POST.get("seen_entry", "")
    since = int(seen) if seen.isascii() and seen.isdecimal() else 0
    current = recording.lock_patient(chart.patient.pk)
    fresh = read_chart(current, MODELS)
    entries = AuditEntry.objects.filter(patient_id=current.pk, id__gt=since).exclude(act__in=NO_CHANGE).order_by("id")
    typed = request.POST.copy()
    typed["record_version"], typed["seen_entry"] = str(current.record_version), str(_last_entry(current.pk))
    entry = VisitEntry.of(typed)
    entry.is_valid()
    return _page(request, fresh, entry, meanwhile=history_rows(entries[:50], sides_of(fresh)), status=409)


def _last_entry(patient_id: int) -> int:
    last = AuditEntry.objects.filter(patient_id=patient_id).order_by("-id").values_list("id", flat=True).first()
    return last or 0


def _page(
    request: HttpRequest,
    chart: Chart,
    entry: VisitEntry,
    *,
    warnings: list[Contradiction] | None = None,
    meanwhile: list[HistoryRow] | None = None,
    draft: VisitDraft | None = None,
    status: int = 200,
) -> HttpResponse:
    on = _day_of(entry, chart)
    title, day_label = QUICK.get(request.GET.get("kind", ""), ("", "")) if draft is None else ("", "")
    hips = [_hip(chart, side, entry, on) for side in ON_SCREEN]
    if title:  # only what is asked for, and what was typed
        entry.visit.fields["on"].label = day_label
        hips = [hip | {"sections": [one for one in hip["sections"] if one["open"]]} for hip in hips]
    context = frame_of(request, chart.patient, chart.today, cases=open_cases(chart.patient.pk), heading=False) | {
        "chart": chart,
        "entry": entry,
        "errors": [] if status == 409 or draft else entry.problems(),
        "warnings": warnings or [],
        "warned": digest(warnings or []),
        "meanwhile": meanwhile,
        "draft": draft,
        "quick": title,
        "hips": hips,
        "body": _section(chart, None, entry.body, on),
        "actions": [],
    }
    return render(request, "monitoring/visit/page.html", context, status=status)


def _day_of(entry: VisitEntry, chart: Chart) -> date:
    typed = getattr(entry.visit, "cleaned_data", {}).get("on")
    return min(typed, chart.today) if typed else chart.today


def _hip(chart: Chart, side: Side, entry: VisitEntry, on: date) -> dict[str, Any]:
    return {
        "side": side.value,
        "name": hip_words(side),
        "needed": needed(chart, side, on),
        "sections": [_section(chart, side, section, on, kind=entry.kind) for section in entry.hips[side]],
    }


def _section(
    chart: Chart, side: Side | None, section: SectionForm, on: date, *, kind: str = Visit.Kind.CLINIC
) -> dict[str, Any]:
    filled = section.is_bound and not section.is_empty()
    total = last_total(chart, TOTALS[section.key], side, on) if side and section.key in TOTALS else ""
    return {
        "key": section.key,
        "id": section.prefix,
        "title": section.title,
        "hint": section.hint,
        "lines": section.lines(last_values(chart, section.key, side, on)),
        "open": section.key in OPEN.get(kind, ()) or filled,
        "total": total,
        "errors": section.errors.get("__all__", []) if filled else [],
    }

"""Audit tab: who changed a patient's record, who looked at it and who took it out, and the same as a file."""

import csv
import io
from typing import Final

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from patients import access
from patients.models import Patient
from patients.recording import today_at

from .. import audit, audit_search
from ..models import AuditEntry
from ..spreadsheets import harmless
from .chart import read_chart, sides_of
from .entry import signed_in
from .history import NO_CHANGE, HistoryRow, history_rows, may_see_looks
from .patient import frame_of
from .worklist_filters import with_query

PAGE: Final = 50
KINDS: Final = {
    "": gettext_lazy("Everything"),
    "changes": gettext_lazy("Changes"),
    "looks": gettext_lazy("Looks"),
    "exports": gettext_lazy("Exports"),
    "mails": gettext_lazy("Mails"),
}
_OF_KIND: Final = {
    "": Q(),
    "changes": ~Q(act__in=NO_CHANGE),
    "looks": Q(act__in=audit_search.LOOKS),
    "exports": Q(act="export"),
    "mails": Q(act__in=audit.MAILS),
}


def _patient(request: HttpRequest, pk: int) -> Patient:
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk)
    if not may_see_looks(viewer, person):
        raise PermissionDenied(_("Who looked is shown to clinicians and administrators."))
    return person


def _entries(patient: Patient, kind: str) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(_OF_KIND[kind], patient_id=patient.pk).order_by("-id")


@signed_in
@require_GET
def patient_audit(request: HttpRequest, pk: int) -> HttpResponse:
    """One page of who did or saw what, latest first; `?show=` keeps one kind, `?before=` goes on behind an entry."""
    person = _patient(request, pk)
    audit.looked(access.viewer_of(request).actor, [(person.clinic_id, person.pk)], "patient page, audit")
    chart = read_chart(person, ())
    kind = request.GET.get("show", "")
    kind = kind if kind in KINDS else ""
    before = request.GET.get("before", "")
    entries = _entries(person, kind)
    behind = entries.filter(pk__lt=int(before)) if _is_id(before) else entries
    found = list(behind[: PAGE + 1])
    url, kept = reverse("patient_audit", args=[pk]), {"show": kind} if kind else {}
    context = frame_of(request, person, chart.today, tab="audit") | {
        "title": _("Audit"),
        "rows": history_rows(found[:PAGE], sides_of(chart)),
        "kinds": [
            {"name": name, "url": with_query(url, {"show": code} if code else {}), "current": code == kind}
            for code, name in KINDS.items()
        ],
        "shown": min(len(found), PAGE),
        "total": entries.count(),
        "first_url": with_query(url, kept) if _is_id(before) else "",
        "next_url": with_query(url, {**kept, "before": str(found[PAGE - 1].pk)}) if len(found) > PAGE else "",
        "file_url": with_query(reverse("patient_audit_file", args=[pk]), kept),
    }
    return render(request, "monitoring/patient/audit.html", context)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 18


@signed_in
@require_GET
def patient_audit_file(request: HttpRequest, pk: int) -> HttpResponse:
    """The same, all of it, as CSV. Taking it out is an entry of its own, which the file does not hold yet."""
    person, viewer = _patient(request, pk), access.viewer_of(request)
    kind = request.GET.get("show", "")
    entries = list(_entries(person, kind if kind in KINDS else ""))
    sides = sides_of(read_chart(person, ()))
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([_("When"), _("Who"), _("What"), _("Reason"), _("Details"), _("Request")])
    for entry, said in zip(entries, history_rows(entries, sides), strict=True):
        cells = [said.actor, said.what, said.reason, _details(said), entry.request_id]
        writer.writerow([entry.at.isoformat(timespec="seconds"), *(harmless(cell) for cell in cells)])
    after = {"rows": len(entries), "of": kind, "format": "csv"}
    audit.note(
        viewer.actor,
        "export",
        clinic_id=person.clinic_id,
        patient_id=person.pk,
        object="audit of a patient",
        after=after,
    )
    response = HttpResponse(f"\ufeff{file.getvalue()}".encode(), content_type="text/csv; charset=utf-8")
    name = f"hipwatch-audit-{person.pk}-{today_at(person.clinic, timezone.now())}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _details(said: HistoryRow) -> str:
    return "; ".join(
        f"{change.name}: {' → '.join(part for part in (change.before, change.after) if part)}"
        for change in said.changes
    )

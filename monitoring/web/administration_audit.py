"""Audit search page: who did or saw what in the auditor's clinics, and the same as a file."""

import csv
import io
from collections.abc import Collection, Iterator
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic, Patient

from .. import audit, audit_search
from ..models import AuditEntry
from ..spreadsheets import harmless
from .act_words import ACTS
from .administration import may_audit, sections_of
from .detail_words import reference_words
from .entry import signed_in
from .forms.audit import AuditForm
from .history import HistoryRow, history_rows
from .identity import reference
from .worklist_filters import with_query

PAGE: Final = 50
TOGETHER: Final = 1000  # entries of a file that are read at once
MOST: Final = 200_000  # entries of one file


def _auditor(request: HttpRequest) -> Viewer:
    viewer = access.viewer_of(request)
    if not may_audit(viewer):
        raise PermissionDenied(_("Only administrators and auditors open the audit."))
    return viewer


def _asked(request: HttpRequest) -> tuple[AuditForm, dict[str, str]]:
    """The form, and what of it stands in the address."""
    given = request.POST if request.method == "POST" else request.GET
    kept = {name: given[name].strip()[:120] for name in AuditForm.base_fields if given.get(name, "").strip()}
    form = AuditForm(kept)
    form.is_valid()
    return form, kept


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def audit_search_page(request: HttpRequest) -> HttpResponse:
    """One page of entries, latest first; `?before=` goes on behind an entry.

    The form is posted, so that a record number stands in no address: it becomes the id of its patient.
    """
    viewer = _auditor(request)
    form, kept = _asked(request)
    if request.method == "POST" and form.is_valid():
        if (number := kept.pop("number", "")) and (patients := audit_search.patients_with(viewer, number)):
            return redirect(with_query(reverse("audit_search"), {**kept, "patient": str(patients[0])}))
        if not number:
            return redirect(with_query(reverse("audit_search"), {k: v for k, v in kept.items() if k != "patient"}))
        form.add_error("number", _("No patient of your clinics has this record number."))
    found = audit_search.find(viewer, form.question()) if form.is_valid() else AuditEntry.objects.none()
    before = request.GET.get("before", "")
    goes_on = before.isdecimal() and len(before) < 18
    page = list((found.filter(pk__lt=int(before)) if goes_on else found)[: PAGE + 1])
    more, page = len(page) > PAGE, page[:PAGE]
    total = audit_search.count(found)
    url = reverse("audit_search")
    context = {
        "tabs": sections_of(viewer, "audit_search"),
        "form": form if request.method == "POST" else _shown(form, kept, viewer),
        "narrowed": bool(kept),
        "only": ACTS.get(kept.get("act", ""), ""),
        "rows": _rows(page, viewer),
        "total": total,
        "counted": min(total, audit_search.COUNTED),
        "many": total > audit_search.COUNTED,
        "first_url": with_query(url, kept) if goes_on else "",
        "next_url": with_query(url, {**kept, "before": str(page[-1].pk)}) if more else "",
        "file_url": with_query(reverse("audit_file"), kept),
    }
    return render(request, "monitoring/administration/audit.html", context, status=422 if form.errors else 200)


def _shown(form: AuditForm, kept: dict[str, str], viewer: Viewer) -> AuditForm:
    """The form as it is shown: with the record number in the place of the patient's id."""
    if form.errors or "patient" not in kept:
        return form
    known = _numbers({int(kept["patient"])}, viewer)
    number = "" if int(kept["patient"]) in viewer.shut else next(iter(known.values()), "")
    return AuditForm(initial={**kept, "number": number, "patient": "" if number else kept["patient"]})


def _rows(entries: list[AuditEntry], viewer: Viewer) -> list[dict[str, Any]]:
    clinics = dict(Clinic.objects.filter(pk__in={one.clinic_id for one in entries}).values_list("id", "name"))
    numbers = _numbers({one.patient_id for one in entries if one.patient_id}, viewer)
    return [
        {
            "said": said,
            "clinic": clinics.get(entry.clinic_id or 0, ""),
            "patient": numbers.get(entry.patient_id or 0, ""),
            "patient_url": reverse("patient_audit", args=[entry.patient_id]) if entry.patient_id in numbers else "",
            "about": _about(entry),
            "request": entry.request_id,
            "shut": entry.patient_id in viewer.shut,
        }
        for entry, said in zip(entries, history_rows(entries, {}), strict=True)
    ]


def _about(entry: AuditEntry) -> str:
    told = entry.patient_id or entry.act in (*audit_search.LOOKS, "export")
    return "" if told else reference_words(entry.object)


def _numbers(ids: Collection[int], viewer: Viewer) -> dict[int, str]:
    """Record numbers of patients, references of restricted ones; an audit page names nobody."""
    seen = Patient.objects.filter(pk__in=ids, clinic__in=viewer.clinics_where(Permission.AUDIT))
    return {
        pk: reference(pk) if pk in viewer.shut else number for pk, number in seen.values_list("id", "record_number")
    }


@signed_in
@require_GET
def audit_file(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The same, all of it up to a bound, as CSV. Taking it out is audited before anything is read."""
    viewer = _auditor(request)
    form, kept = _asked(request)
    if not form.is_valid():
        raise PermissionDenied(_("This search cannot be read."))
    found = audit_search.find(viewer, form.question())
    newest = found.values_list("id", flat=True).first() or 0
    for clinic_id in viewer.clinics_where(Permission.AUDIT) or (None,):
        audit.note(viewer.actor, "export", clinic_id=clinic_id, object="audit", after={**kept, "format": "csv"})
    answer = StreamingHttpResponse(
        _file(found.filter(pk__lte=newest), viewer, get_language() or "en"), content_type="text/csv; charset=utf-8"
    )
    day = timezone.localdate().isoformat()
    answer["Content-Disposition"] = f'attachment; filename="hipwatch-audit-{day}.csv"'
    return answer


def _file(found: QuerySet[AuditEntry], viewer: Viewer, language: str) -> Iterator[bytes]:
    heads = [
        _("When"),
        _("Who"),
        _("Clinic"),
        _("Record number"),
        _("What"),
        _("About"),
        _("Reason"),
        _("Details"),
        _("Request"),
    ]
    yield b"\xef\xbb\xbf" + _lines([heads])
    last, written = None, 0
    while written < MOST:
        with access.reading(viewer), override(language):
            page = list((found if last is None else found.filter(pk__lt=last))[:TOGETHER])
            lines = _lines([_cells(row) for row in _rows(page, viewer)])
        if not page:
            return
        yield lines
        last, written = page[-1].pk, written + len(page)


def _cells(row: dict[str, Any]) -> list[str]:
    said: HistoryRow = row["said"]
    changes = () if row["shut"] else said.changes  # they may name whom the record is about
    details = "; ".join(
        f"{change.name}: {' → '.join(part for part in (change.before, change.after) if part)}" for change in changes
    )
    words = [said.actor, row["clinic"], row["patient"], said.what, row["about"], said.reason, details, row["request"]]
    return [said.at.isoformat(timespec="seconds"), *(str(harmless(word)) for word in words)]


def _lines(rows: list[list[str]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()

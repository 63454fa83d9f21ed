"""Who has seen me: for the patient, on paper and in their language, who looked at the record or wrote in it."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_GET

from patients import access
from patients.models import Patient
from patients.recording import today_at

from .. import audit
from ..models import AuditEntry
from .actor_words import who
from .entry import signed_in
from .history import may_see_looks

YEARS: Final = 3
MOST: Final = 20_000  # entries that are read for it
LOOKS: Final = ("look", "who_has_seen")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one person, system or run of the program did with a record on one day."""

    on: date
    who: str
    what: str
    times: int


def who_has_seen(patient: Patient, *, since: date, zone: ZoneInfo) -> tuple[list[Seen], bool]:
    """By day, latest first, and whether there is more than can be told."""
    begin = datetime.combine(since, time(), zone)
    entries = AuditEntry.objects.filter(patient_id=patient.pk, at__gte=begin).exclude(act__in=audit.MAILS)
    found = list(entries.order_by("-id").values_list("at", "actor", "act")[: MOST + 1])
    counted = Counter((at.astimezone(zone).date(), actor, _kind(act)) for at, actor, act in found[:MOST])
    lines = [Seen(on, actor, kind, times) for (on, actor, kind), times in counted.items()]
    return sorted(lines, key=lambda line: (line.on, line.who, line.what), reverse=True), len(found) > MOST


def _kind(act: str) -> str:
    if act in LOOKS:
        return "looked"
    return "took out" if act == "export" else "changed"


def _words(kind: str) -> str:
    return {"looked": _("looked at it"), "took out": _("took something out"), "changed": _("wrote in it")}[kind]


@signed_in
@require_GET
def patient_seen(request: HttpRequest, pk: int) -> HttpResponse:
    """The report, which is itself a look."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk)
    if not may_see_looks(viewer, person):
        raise PermissionDenied(_("Who looked is shown to clinicians and administrators."))
    audit.note(viewer.actor, "who_has_seen", clinic_id=person.clinic_id, patient_id=person.pk)
    today = today_at(person.clinic, timezone.now())
    since = today - timedelta(days=365 * YEARS)
    lines, more = who_has_seen(person, since=since, zone=person.clinic.zone)
    with override(person.language):
        rows: list[dict[str, Any]] = [
            {"on": line.on, "who": who(line.who), "what": _words(line.what), "times": line.times} for line in lines
        ]
        context = {"patient": person, "rows": rows, "since": since, "today": today, "more": more}
        return render(request, "monitoring/patient/seen.html", context)

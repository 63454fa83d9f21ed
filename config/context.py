"""What every page's frame shows: navigation, the user's clinics, the heartbeat."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from monitoring import heartbeats, review
from patients import access

NAVIGATION = [
    ("worklist", gettext_noop("Worklist")),
    ("patients", gettext_noop("Patients")),
    ("reviews", gettext_noop("Review")),
    ("messages", gettext_noop("Messages")),
    ("imports", gettext_noop("Import")),
    ("protocol", gettext_noop("Protocol")),
]


def frame(request: HttpRequest) -> dict[str, Any]:
    """Nothing but the version for people who have not signed in."""
    common = {"version": settings.VERSION, "production": settings.PRODUCTION}
    viewer = getattr(request, "viewer", access.NOBODY)
    if not viewer.clinic_ids:
        return common
    clinics = list(access.clinics_for(viewer))
    current = request.resolver_match.url_name if request.resolver_match else ""
    counts = {"reviews": review.open_cases_for(viewer).count()}
    return common | {
        "viewer": viewer,
        "clinics": clinics,
        "demonstration": any(clinic.synthetic for clinic in clinics),
        "heartbeat": _heartbeat(),
        "nav": [_entry(name, label, current or "", counts) for name, label in NAVIGATION],
        "search_url": _url("patients"),
        "request_id": getattr(request, "request_id", ""),
    }


def _entry(name: str, label: str, current: str, counts: dict[str, int]) -> dict[str, Any]:
    is_current = current.startswith(name.rstrip("s"))
    return {"name": _(label), "url": _url(name), "count": counts.get(name), "current": is_current}


def _heartbeat() -> dict[str, Any]:
    beat = heartbeats.sweep_heartbeat()
    if beat.finished_at is None:
        words = _("No sweep has finished yet.")
    else:
        when = date_format(timezone.localtime(beat.finished_at), "DATETIME_FORMAT")
        words = _("Sweep finished %(when)s, %(behind)s behind.") % {"when": when, "behind": beat.behind}
    return {"finished_at": beat.finished_at, "behind": beat.behind, "late": beat.late, "words": words}


def _url(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:  # INTERIM while pages are being written
        return ""

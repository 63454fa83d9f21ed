"""What every page's frame shows: navigation, the user's clinics, the heartbeat."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from monitoring import heartbeats, routes
from monitoring.emergency import may_open
from monitoring.web.administration import may_administer, may_audit
from monitoring.web.emergency import open_words
from monitoring.web.frame import facts_of
from patients import access

from .sessions import left_for_page

NAVIGATION = [
    ("worklist", gettext_noop("Worklist")),
    ("patients", gettext_noop("Patients")),
    ("reviews", gettext_noop("Review")),
    ("calendar", gettext_noop("Calendar")),
    ("messages", gettext_noop("Messages")),
    ("dashboard", gettext_noop("Dashboard")),
    ("imports", gettext_noop("Import")),
    ("protocol", gettext_noop("Protocol")),
]


def frame(request: HttpRequest) -> dict[str, Any]:
    """Nothing but the version for people who have not signed in."""
    common = {"version": settings.VERSION, "production": settings.PRODUCTION}
    viewer = getattr(request, "viewer", access.NOBODY)
    common |= left_for_page(request)
    common |= {"may_administer": may_administer(viewer), "may_audit": may_audit(viewer)}
    common["may_research"] = viewer.may_anywhere(access.Permission.RESEARCH)
    if viewer.emergencies:
        common["emergencies"] = open_words(viewer)
    if not viewer.clinic_ids:
        return common
    swept, cases = facts_of(request)
    clinics = viewer.clinics
    section = _section(request)
    counts = {"reviews": cases}
    return common | {
        "viewer": viewer,
        "may_open_in_emergency": may_open(viewer),
        "clinics": clinics,
        "demonstration": any(clinic.synthetic for clinic in clinics),
        "heartbeat": _heartbeat(swept),
        "nav": [_entry(name, label, section, counts) for name, label in NAVIGATION if routes.opens(viewer, name)],
        "search_url": reverse("patients"),
        "request_id": getattr(request, "request_id", ""),
    }


def _section(request: HttpRequest) -> str:
    """The entry of the navigation to which the page belongs: the longest that begins its address."""
    path = request.path
    inside = [name for name, _label in NAVIGATION if (url := reverse(name)) != "/" and path.startswith(url)]
    return inside[0] if inside else ("worklist" if path == "/" or path.startswith("/worklist/") else "")


def _entry(name: str, label: str, section: str, counts: dict[str, int]) -> dict[str, Any]:
    count = counts.get(name)
    return {
        "name": _(label),
        "url": reverse(name),
        "count": count,
        "current": section == name,
        "alert": name == "reviews" and bool(count),
    }


def _heartbeat(beat: heartbeats.Beat) -> dict[str, Any]:
    if beat.finished_at is None:
        words = _("No sweep has finished yet.")
    else:
        when = date_format(timezone.localtime(beat.finished_at), "DATETIME_FORMAT")
        words = _("Sweep finished %(when)s, %(behind)s behind.") % {"when": when, "behind": beat.behind}
    return {"finished_at": beat.finished_at, "behind": beat.behind, "late": beat.late, "words": words}

"""What every page's frame shows: navigation, the user's clinics, the heartbeat."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
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
        "heartbeat": heartbeats.sweep_heartbeat(),
        "nav": [
            {"name": _(label), "url": reverse(name), "count": counts.get(name), "current": current.startswith(name.rstrip("s"))}
            for name, label in NAVIGATION
        ],
    }

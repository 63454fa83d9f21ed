"""Protocol page: the guideline as a surgeon reads it, with the numbers in force, the sources and their grade."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from patients import access
from schedules import adoption
from schedules.guideline.rules import RULES
from schedules.models import ProtocolVersion

from .. import worklist
from .entry import signed_in
from .finding_words import ACTIONS, GRADES


@signed_in
@require_GET
def protocol_page(request: HttpRequest) -> HttpResponse:
    viewer = access.viewer_of(request)
    protocol = adoption.protocol_in_force(worklist.today_for(viewer, timezone.now()))
    context = {
        "name": str(protocol),
        "digest": protocol.digest(),
        "versions": ProtocolVersion.objects.all()[:20],
        "rules": [
            {
                "rule": rule,
                "action": ACTIONS.get(rule.action, rule.action),
                "grade": GRADES.get(rule.grade, rule.grade),
                "days": rule.urgency.days(protocol),
            }
            for rule in RULES.values()
        ],
        "parameters": [(name.replace("_", " "), _words(value)) for name, value in protocol.to_json().items()],
    }
    return render(request, "monitoring/protocol.html", context)


def _words(value: object) -> str:
    """A parameter's value; a list of spans as `6 weeks, 3 months`, a number for each of several as `HHS: 10`."""
    if isinstance(value, list):
        return ", ".join(" ".join(str(part) for part in reversed(span)) for span in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {number}" for name, number in value.items())
    return str(value)

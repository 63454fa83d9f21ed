"""Protocol pages: the guideline as a surgeon reads it, and its cases, run as the page is opened."""

from datetime import date
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from patients import access
from schedules import adoption
from schedules.guideline.evaluation import HipAnswer
from schedules.guideline.protocol import Protocol
from schedules.guideline.rules import RULES, Rule
from schedules.guideline.vignettes import Difference, Run, run, vignettes
from schedules.models import ProtocolVersion

from .. import protocol_drafts, worklist
from .entry import signed_in
from .finding_words import ACTIONS, GRADES, PATHWAYS, STATUSES, Words, day_words
from .guideline_words import asked_words, because_words
from .parameter_words import parameter_groups
from .worklist_filters import with_query

DAYS: Final = ("_on", "since", "act_by")  # how the names of dates end
WHAT: Final[dict[str, Words]] = {
    "due_on": gettext_lazy("due"),
    "opens_on": gettext_lazy("window opens"),
    "overdue_on": gettext_lazy("overdue"),
    "escalate_on": gettext_lazy("escalated"),
    "trace_on": gettext_lazy("traced"),
    "gap_on": gettext_lazy("gap"),
    "anchor_on": gettext_lazy("last complete follow-up"),
    "next_change_on": gettext_lazy("next change"),
    "interval_months": gettext_lazy("interval in months"),
    "pathway": gettext_lazy("pathway"),
    "status": gettext_lazy("status"),
    "symptomatic": gettext_lazy("symptomatic"),
    "window": gettext_lazy("window"),
    "findings": gettext_lazy("findings"),
    "findings_order": gettext_lazy("findings in order"),
    "findings_include": gettext_lazy("a finding that is to be there"),
    "findings_exclude": gettext_lazy("a finding that is not to be there"),
    "risk_factors": gettext_lazy("risk factors"),
    "since": gettext_lazy("since"),
    "act_by": gettext_lazy("to be acted on by"),
}


def tabs(current: str) -> list[dict[str, Any]]:
    """The pages of the protocol."""
    pages = (("protocol", _("Rules")), ("protocol_cases", _("Cases")), ("protocol_versions", _("Versions")))
    return [{"name": words, "url": reverse(name), "current": name == current} for name, words in pages]


def in_force(request: HttpRequest) -> Protocol:
    return adoption.protocol_in_force(worklist.today_for(access.viewer_of(request), timezone.now()))


@signed_in
@require_GET
def protocol_page(request: HttpRequest) -> HttpResponse:
    """Every rule with its sentence, action, deadline, grade and sources, and every parameter in force."""
    protocol = in_force(request)
    waiting = ProtocolVersion.objects.filter(state__in=protocol_drafts.WAITING).order_by("id")
    coming = ProtocolVersion.objects.filter(
        state=ProtocolVersion.State.APPROVED,
        in_force_from__gt=worklist.today_for(access.viewer_of(request), timezone.now()),
    ).order_by("in_force_from")
    context = {
        "tabs": tabs("protocol"),
        "name": str(protocol),
        "digest": protocol.digest(),
        "waiting": list(waiting),
        "coming": list(coming),
        "rules": [_rule(rule, protocol) for rule in RULES.values()],
        "groups": parameter_groups(protocol),
        "may_draft": protocol_drafts.may_draft(access.viewer_of(request)),
    }
    return render(request, "monitoring/protocol.html", context)


def _rule(rule: Rule, protocol: Protocol) -> dict[str, Any]:
    return {
        "rule": rule,
        "asks": asked_words(rule.asks),
        "action": ACTIONS.get(rule.action, rule.action),
        "grade": GRADES.get(rule.grade, rule.grade),
        "days": rule.urgency.days(protocol),
        "cases": [
            {"name": one.name, "number": one.name.partition("-")[0], "title": one.title}
            for one in vignettes()
            if rule.id in _expected_rules(one.expect)
        ],
    }


def _expected_rules(expect: dict[str, Any]) -> set[str]:
    lists = (hip.get(name, ()) for hip in expect.get("hips", ()) for name in ("findings", "findings_include"))
    return {rule for rules in lists for rule in rules}


@signed_in
@require_GET
def cases_page(request: HttpRequest) -> HttpResponse:
    """Every case run now, under the version in force or another; what is not as expected is said."""
    protocol, standing = asked_protocol(request), in_force(request)
    runs = [run(vignette, protocol) for vignette in vignettes()]
    context = {
        "tabs": tabs("protocol_cases"),
        "name": str(protocol),
        "is_default": protocol == adoption.DEFAULT,
        "default": str(adoption.DEFAULT),
        "runs": [_run(one) for one in runs],
        "other": sum(bool(one.differences) for one in runs),
        "choices": [
            {
                "name": str(version),
                "url": with_query(reverse("protocol_cases"), {"version": str(version.pk)}),
                "current": str(version) == str(protocol),
            }
            for version in ProtocolVersion.objects.exclude(state=ProtocolVersion.State.WITHDRAWN).order_by("-id")[:12]
        ],
        "in_force": str(standing),
    }
    return render(request, "monitoring/protocol/cases.html", context)


def asked_protocol(request: HttpRequest) -> Protocol:
    """The protocol of `version`, or the one in force. Raises Http404 for one there is not."""
    asked = request.GET.get("version", "")
    if not asked:
        return in_force(request)
    version = ProtocolVersion.objects.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 18 else None
    if version is None:
        raise Http404("No such version.")
    return Protocol.from_json(version.parameters)


def _run(one: Run) -> dict[str, Any]:
    return {
        "vignette": one.vignette,
        "as_of": one.answer.as_of,
        "hips": [_hip(hip) for hip in reversed(one.answer.hips)],  # right first, as on a radiograph
        "differences": [_difference(different) for different in one.differences],
    }


def _hip(hip: HipAnswer) -> dict[str, Any]:
    return {
        "side": _("Left hip") if hip.side == "left" else _("Right hip"),
        "pathway": PATHWAYS.get(hip.pathway, hip.pathway),
        "status": hip.status or "",
        "due_on": hip.window.due_on if hip.window else None,
        "because": because_words(hip.because),
        "findings": [
            {"rule": finding.rule, "action": ACTIONS.get(finding.action, finding.action), "act_by": finding.act_by}
            for finding in hip.findings
        ],
    }


def _difference(one: Difference) -> dict[str, str]:
    side = {"left": _("Left hip"), "right": _("Right hip")}.get(one.side, _("Patient"))
    name, _space, detail = one.what.partition(" ")
    what = f"{name}, {_what(detail)}" if name in RULES else _what(one.what)
    return {
        "where": f"{side}: {what}",
        "expected": _value(one.what, one.expected),
        "found": _value(one.what, one.found),
    }


def _what(name: str) -> str:
    return str(WHAT.get(name, name.replace("_", " ")))


def _value(what: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value) or _("none")
    if value is None:
        return _("none")
    if what.endswith(DAYS):
        return day_words(date.fromisoformat(value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str({"pathway": PATHWAYS, "status": STATUSES}.get(what, {}).get(value, value))

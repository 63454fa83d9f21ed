"""Retention pages: the rules of each clinic, whom they would concern, and the runs that take names out of records."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic, Patient

from .. import audit
from ..models import RetentionRule, RetentionRun
from ..privacy import retention as keeping
from ..privacy.retention import RetentionRefused
from .administration import sections_of
from .entry import signed_in
from .finding_words import day_words
from .forms.section import whole
from .identity import identity_of

SHOWN: Final = 50


class RuleForm(forms.Form):
    """For how long, and whether it is done by itself."""

    use_required_attribute = False

    months = whole(gettext_lazy("Months that are kept"), 12, 600, help_text=gettext_lazy("Empty: for ever."))
    automatic = forms.BooleanField(label=gettext_lazy("Every night by itself, without asking anybody"), required=False)


class RejectForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)


def _administrator(request: HttpRequest) -> Viewer:
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.ADMINISTER):
        raise PermissionDenied(_("Only administrators open this page."))
    return viewer


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def retention(request: HttpRequest) -> HttpResponse:
    """The rules with what they find today, which changes nothing; POST keeps a rule or proposes a run."""
    viewer = _administrator(request)
    clinics = Clinic.objects.filter(id__in=viewer.clinics_where(Permission.ADMINISTER)).order_by("name", "id")
    invalid: dict[tuple[int, str], RuleForm] = {}
    if request.method == "POST":
        clinic = clinics.filter(pk=_number(request.POST.get("clinic", ""))).first()
        kind = request.POST.get("kind", "")
        if clinic is None or kind not in RetentionRule.Kind.values:
            messages.error(request, _("There is no such rule."))
            return redirect("retention")
        form = RuleForm(request.POST, prefix=f"{clinic.pk}-{kind}")
        if "propose" in request.POST:
            return _propose(request, viewer, clinic, kind)
        if form.is_valid():
            said = form.cleaned_data
            keeping.set_rule(viewer, clinic, kind, months=said["months"], automatic=said["automatic"])
            messages.success(request, _("The rule is kept."))
            return redirect("retention")
        invalid[clinic.pk, kind] = form
    runs = RetentionRun.objects.filter(clinic__in=[clinic.pk for clinic in clinics]).select_related("clinic")
    context = {
        "tabs": sections_of(viewer, "retention"),
        "rules": [
            _rule(clinic, kind, words, invalid, viewer)
            for clinic in clinics
            for kind, words in RetentionRule.Kind.choices
        ],
        "runs": list(runs.order_by("-id")[:SHOWN]),
        "form": next(iter(invalid.values()), None),
    }
    return render(request, "monitoring/privacy/retention.html", context, status=422 if invalid else 200)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0


def _rule(
    clinic: Clinic, kind: str, words: Any, invalid: dict[tuple[int, str], RuleForm], viewer: Viewer
) -> dict[str, Any]:
    rule = RetentionRule.objects.filter(clinic=clinic, kind=kind).first()
    initial = {"months": rule.months, "automatic": rule.automatic} if rule else None
    before = keeping.before_of(clinic, rule.months, timezone.now()) if rule else None
    return {
        "clinic": clinic,
        "kind": kind,
        "title": f"{words}, {clinic.name}",
        "rule": rule,
        "form": invalid.get((clinic.pk, kind)) or RuleForm(initial=initial, prefix=f"{clinic.pk}-{kind}"),
        "before": day_words(before) if before else "",
        "count": keeping.due(clinic, kind, before).count() if before else 0,
        "first": [identity_of(one, viewer) for one in keeping.due(clinic, kind, before)[:SHOWN]] if before else [],
    }


def _propose(request: HttpRequest, viewer: Viewer, clinic: Clinic, kind: str) -> HttpResponse:
    rule = RetentionRule.objects.filter(clinic=clinic, kind=kind).select_related("clinic").first()
    if rule is None:
        raise Http404("No such rule.")
    try:
        run = keeping.propose(viewer, rule)
    except RetentionRefused as refused:
        messages.error(request, str(refused))
        return redirect("retention")
    messages.success(request, _("Proposed. Another administrator has to approve it; until then nothing has changed."))
    return redirect("retention_run", pk=run.pk)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def retention_run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: whom it concerns, and who decided; while it waits another administrator approves or rejects it."""
    viewer = _administrator(request)
    run = RetentionRun.objects.filter(clinic__in=viewer.clinics_where(Permission.ADMINISTER), pk=pk).first()
    if run is None:
        raise Http404("No such run.")
    form = RejectForm(request.POST if request.method == "POST" and "approve" not in request.POST else None)
    if request.method == "POST" and (form.is_valid() or "approve" in request.POST):
        return _decide(request, viewer, run, form)
    patients = list(Patient.objects.filter(pk__in=run.subjects).order_by("id")[:SHOWN])
    audit.looked(viewer.actor, [(run.clinic_id, one.pk) for one in patients], "retention")
    context = {
        "tabs": sections_of(viewer, "retention"),
        "run": run,
        "patients": [identity_of(one, viewer) for one in patients],
        "own": run.proposed_by_id == viewer.actor.user_id,
        "waits": run.state == RetentionRun.State.PROPOSED,
        "form": form,
    }
    return render(request, "monitoring/privacy/run.html", context, status=422 if form.is_bound else 200)


def _decide(request: HttpRequest, viewer: Viewer, run: RetentionRun, form: RejectForm) -> HttpResponse:
    try:
        if "approve" in request.POST:
            done = keeping.approve(viewer, run.pk)
            messages.success(request, _("Done for %(n)s patients.") % {"n": done.done})
        else:
            keeping.reject(viewer, run.pk, reason=form.cleaned_data["reason"])
            messages.success(request, _("Rejected: nothing has changed."))
    except RetentionRefused as refused:
        messages.error(request, str(refused))
    return redirect("retention_run", pk=run.pk)

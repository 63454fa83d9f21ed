"""Emergency pages: opening another clinic's record, judging that afterwards, and the gate of restricted records."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic, Restriction

from .. import emergency
from .administration import may_audit, sections_of
from .entry import signed_in
from .forms.emergency import EmergencyForm, GateForm, JudgementForm, RestrictedForm
from .identity import identity_of

PAGE: Final = 50
GATE_OPEN_FOR: Final = timedelta(minutes=30)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def emergency_open(request: HttpRequest) -> HttpResponse:
    """Open a record of another clinic, by its number and the birth date, with the reason."""
    viewer = access.viewer_of(request)
    if not emergency.may_open(viewer):
        raise PermissionDenied(_("Only clinicians open records of other clinics."))
    others = Clinic.objects.exclude(pk__in=viewer.clinic_ids).order_by("name", "id")
    form = EmergencyForm(request.POST or None, clinics=others)
    if form.is_valid():
        try:
            made = emergency.open_record(**form.cleaned_data, viewer=viewer, now=timezone.now())
        except ValidationError as refused:
            form.add_error(None, refused)
        else:
            if made is not None:
                request.session[access.EMERGENCY] = True
                messages.warning(request, _("The record is open to be read for an hour. Its clinic has been told."))
                return redirect("patient", made.patient_id)
            form.add_error(None, _("No record has this number and this birth date. The attempt is on record."))
    context = {"form": form, "others": others.exists()}
    return render(request, "monitoring/emergency/open.html", context, status=422 if form.is_bound else 200)


@signed_in
@require_POST
def emergency_end(request: HttpRequest, pk: int) -> HttpResponse:
    if emergency.end(pk, viewer=access.viewer_of(request), now=timezone.now()):
        messages.success(request, _("The other clinic's record is closed."))
    return redirect("worklist")


def open_words(viewer: Viewer) -> list[dict[str, Any]]:
    """What is open in this session, for the banner of every page: each record once; it names no patient."""
    latest = {one.patient_id: one for one in sorted(viewer.emergencies, key=lambda one: one.ends_at)}
    names = dict(Clinic.objects.filter(pk__in=[one.clinic_id for one in viewer.emergencies]).values_list("id", "name"))
    return [
        {
            "url": reverse("patient", args=[one.patient_id]),
            "end_url": reverse("emergency_end", args=[one.pk]),
            "words": _("Emergency: you may read a record of %(clinic)s until %(time)s.")
            % {
                "clinic": names.get(one.clinic_id, ""),
                "time": date_format(timezone.localtime(one.ends_at), "TIME_FORMAT"),
            },
        }
        for one in latest.values()
    ]


@signed_in
@require_GET
def emergency_reviews(request: HttpRequest) -> HttpResponse:
    """Who opened records of the auditor's clinics in an emergency, and which records are restricted."""
    viewer = access.viewer_of(request)
    if not may_audit(viewer):
        raise PermissionDenied(_("Only administrators and auditors open the audit."))
    return _reviews(request, viewer)


def _reviews(request: HttpRequest, viewer: Viewer, refused: dict[int, JudgementForm] | None = None) -> HttpResponse:
    """The page; `refused`: a judgement that is not complete, by what it is of."""
    refused = refused or {}
    before = request.GET.get("page", "")
    first = int(before) * PAGE if before.isdecimal() and len(before) < 6 else 0
    found = emergency.emergencies_for(viewer)
    page = list(found[first : first + PAGE + 1])
    clinics = viewer.clinics_where(Permission.AUDIT)
    restricted = Restriction.objects.filter(clinic__in=clinics, lifted_at__isnull=True)
    url = reverse("emergency_reviews")
    context = {
        "tabs": sections_of(viewer, "emergency_reviews"),
        "rows": [_row(one, viewer, refused.get(one.pk)) for one in page[:PAGE]],
        "total": found.count(),
        "next_url": f"{url}?page={first // PAGE + 1}" if len(page) > PAGE else "",
        "first_url": url if first else "",
        "restricted": [
            {"one": one, "who": identity_of(one.patient, viewer)}
            for one in restricted.select_related("patient", "clinic", "set_by").order_by("-id")[:200]
        ],
        "gates_url": f"{reverse('audit_search')}?act=pass_gate",
    }
    return render(request, "monitoring/emergency/reviews.html", context, status=422 if refused else 200)


def _row(one: Any, viewer: Viewer, refused: JudgementForm | None) -> dict[str, Any]:
    may = one.reviewed_at is None and one.user_id != viewer.actor.user_id
    judge = may and viewer.may(Permission.ADMINISTER, one.clinic_id)
    looks = f"{reverse('audit_search')}?patient={one.patient_id}"
    form = (refused or JudgementForm(auto_id=f"judge-{one.pk}-%s")) if judge else None
    who = identity_of(one.patient, viewer)
    return {"one": one, "who": who, "form": form, "looks_url": looks, "is_open": one.ends_at > timezone.now()}


@signed_in
@require_POST
def emergency_review(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = access.viewer_of(request)
    get_object_or_404(emergency.emergencies_for(viewer), pk=pk)
    form = JudgementForm(request.POST, auto_id=f"judge-{pk}-%s")
    if not form.is_valid():
        return _reviews(request, viewer, {pk: form})
    if emergency.review(pk, **form.cleaned_data, viewer=viewer, now=timezone.now()):
        messages.success(request, _("Your judgement is on record."))
    return redirect("emergency_reviews")


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def restricted_gate(request: HttpRequest, pk: int) -> HttpResponse:
    """Why a restricted record is opened; then it is open in this session for half an hour."""
    viewer = access.viewer_of(request)
    try:
        access.patient_for(viewer, pk)
        return redirect(_back(request, pk))
    except access.RestrictedRecord:
        patient = access.patient_at_gate(viewer, pk)
    form = GateForm(request.POST or None)
    if form.is_valid():
        emergency.pass_gate(patient, reason=form.cleaned_data["reason"], viewer=viewer)
        _keep_open(request, pk)
        return redirect(_back(request, pk))
    context = {"form": form, "next": _back(request, pk)}
    return render(request, "monitoring/emergency/gate.html", context, status=422 if form.is_bound else 200)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def restricted_open(request: HttpRequest) -> HttpResponse:
    """Open a restricted record of whom one has the papers or the person before oneself, since no search finds it."""
    viewer = access.viewer_of(request)
    form = RestrictedForm(request.POST or None)
    if form.is_valid():
        try:
            found = emergency.open_restricted(**form.cleaned_data, viewer=viewer, now=timezone.now())
        except ValidationError as refused:
            form.add_error(None, refused)
        else:
            if found is not None:
                _keep_open(request, found.pk)
                return redirect("patient", found.pk)
            form.add_error(
                None, _("No restricted record has this number and this birth date. The attempt is on record.")
            )
    return render(request, "monitoring/emergency/by_number.html", {"form": form}, status=422 if form.is_bound else 200)


def _keep_open(request: HttpRequest, pk: int) -> None:
    until = (timezone.now() + GATE_OPEN_FOR).timestamp()
    request.session[access.GATES] = {**request.session.get(access.GATES, {}), str(pk): until}


def _back(request: HttpRequest, pk: int) -> str:
    """Where somebody was going, a page of this site, else the patient's."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    safe = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if safe else reverse("patient", args=[pk])


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def patient_restriction(request: HttpRequest, pk: int) -> HttpResponse:
    """Restrict a record, or lift that."""
    viewer = access.viewer_of(request)
    patient = access.patient_for(viewer, pk, Permission.ADMINISTER)
    standing = Restriction.objects.filter(patient=patient, lifted_at__isnull=True).select_related("set_by").first()
    form = GateForm(request.POST or None)
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        if standing is None:
            emergency.restrict(patient, reason=reason, viewer=viewer)
            messages.success(request, _("Restricted: whoever opens the record gives a reason from now on."))
        else:
            emergency.lift(patient, reason=reason, viewer=viewer, now=timezone.now())
            messages.success(request, _("The restriction is lifted."))
        return redirect("patient", pk)
    context = {"form": form, "patient": patient, "standing": standing}
    return render(request, "monitoring/emergency/restriction.html", context, status=422 if form.is_bound else 200)

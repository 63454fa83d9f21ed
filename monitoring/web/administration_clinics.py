"""Clinics page: the particulars of each clinic, changed by its administrators; superusers add clinics."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from patients import access

from .. import clinics
from .administration import administrator, sections_of
from .entry import signed_in
from .forms.clinic import ClinicForm

MOST = 500  # clinics on the page; an installation has a handful


@signed_in
@require_GET
def clinic_list(request: HttpRequest) -> HttpResponse:
    viewer = administrator(request)
    mine = list(access.administered_clinics(viewer).order_by("name", "id")[:MOST])
    add = {"text": _("Add a clinic"), "url": reverse("clinic_new"), "kind": "primary"}
    context = {
        "tabs": sections_of(viewer, "clinics"),
        "rows": mine,
        "actions": [add] if viewer.superuser else [],
    }
    return render(request, "monitoring/administration/clinics.html", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def clinic_edit(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = administrator(request)
    clinic = get_object_or_404(access.administered_clinics(viewer), pk=pk)
    form = ClinicForm(request.POST or None, clinic=clinic)
    if form.is_valid():
        try:
            seen = form.cleaned_data["seen"]
            changed = clinics.change_clinic(clinic.pk, form.particulars(), seen=seen, viewer=viewer)
        except ValidationError as refused:
            _put(form, refused)
        else:
            messages.success(request, _("The clinic is changed.") if changed else _("Nothing was changed."))
            return redirect("clinics")
    context = {"tabs": sections_of(viewer, "clinics"), "form": form, "heading": clinic.name}
    return render(request, "monitoring/administration/clinic.html", context, status=422 if form.is_bound else 200)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def clinic_new(request: HttpRequest) -> HttpResponse:
    viewer = administrator(request)
    if not viewer.superuser:
        raise PermissionDenied(_("Only superusers add clinics."))
    form = ClinicForm(request.POST or None)
    if form.is_valid():
        try:
            clinic = clinics.add_clinic(form.particulars(), viewer=viewer)
        except ValidationError as refused:
            _put(form, refused)
        else:
            messages.success(request, _("%(clinic)s is added. Invite its first administrator.") % {"clinic": clinic})
            return redirect(f"{reverse('staff_new')}?clinic={clinic.pk}")
    context = {"tabs": sections_of(viewer, "clinics"), "form": form, "heading": _("Add a clinic")}
    return render(request, "monitoring/administration/clinic.html", context, status=422 if form.is_bound else 200)


def _put(form: ClinicForm, refused: ValidationError) -> None:
    """What the action refused, at the field it is about."""
    if not hasattr(refused, "error_dict"):
        form.add_error(None, refused)
        return
    for name, faults in refused.error_dict.items():
        taken = name == "name" and any(fault.code == "unique" for fault in faults)
        words = _("There is a clinic of this name already.") if taken else faults
        form.add_error(name if name in form.fields else None, words)

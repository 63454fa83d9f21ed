"""Ended follow-up: the list of endings that nobody has read for a year, each confirmed or taken back."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from patients import access
from patients.access import Permission, Viewer
from patients.models import Ending

from .. import audit, ending_checks
from .administration import sections_of
from .entry import signed_in
from .identity import identity_of

PAGE = 50


def _administrator(request: HttpRequest) -> Viewer:
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.ADMINISTER):
        raise PermissionDenied(_("Only administrators read endings of follow-up again."))
    return viewer


@signed_in
@require_safe
def ending_list(request: HttpRequest) -> HttpResponse:
    """What is due, oldest first."""
    return _page(request, _administrator(request))


def _page(request: HttpRequest, viewer: Viewer, *, refused: int = 0) -> HttpResponse:
    asked = request.GET.get("clinic", "")
    clinic = int(asked) if asked.isascii() and asked.isdecimal() else None
    rows = ending_checks.due(viewer, timezone.now(), clinic=clinic).select_related("patient", "clinic", "hip")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    audit.looked(viewer.actor, {(row.clinic_id, row.patient_id) for row in page}, "endings to read again")
    context = {
        "tabs": sections_of(viewer, "endings"),
        "page": page,
        "rows": [_row(ending, viewer, refused) for ending in page],
        "clinic": clinic or "",
        "several_clinics": len(viewer.clinic_ids) > 1,
        "refused": refused,
    }
    return render(request, "monitoring/endings.html", context, status=422 if refused else 200)


def _row(ending: Ending, viewer: Viewer, refused: int) -> dict[str, Any]:
    return {
        "ending": ending,
        "who": identity_of(ending.patient, viewer),
        "refused": ending.pk == refused,
        "may_reopen": viewer.may(Permission.DECIDE, ending.clinic_id),
    }


@signed_in
@require_POST
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """The ending still holds, and how that is known."""
    viewer = _administrator(request)
    known_from = request.POST.get("known_from", "")
    found = Ending.objects.filter(pk=pk, clinic__in=viewer.clinics_where(Permission.ADMINISTER)).first()
    if found is None:
        raise Http404("No such ending.")
    access.check_gate(viewer, found.patient_id)
    try:
        check = ending_checks.confirm(pk, viewer=viewer, known_from=known_from, now=timezone.now())
    except ending_checks.NotDue:
        if not known_from.strip():
            return _page(request, viewer, refused=pk)
        messages.warning(request, _("Somebody has confirmed this ending or taken it back meanwhile."))
        return redirect("endings")
    name = check.ending.patient.display_name
    messages.success(request, _("The ending for %(name)s is confirmed; it comes back in a year.") % {"name": name})
    return redirect("endings")

"""Visit drafts: what is typed into the visit form is kept from there, and dropped when it is not wanted."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from patients import access
from patients.access import Permission

from .. import drafts
from .entry import signed_in


@signed_in
@require_POST
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep what stands in the form. The form's script is answered in words, a person with the patient's page."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    by_script = "application/json" in request.headers.get("Accept", "")
    try:
        draft = drafts.keep(person, dict(request.POST.lists()), viewer=viewer, now=timezone.now())
    except drafts.TooLarge:
        words = _("This is more than a visit form holds; it was not kept.")
        if by_script:
            return JsonResponse({"words": words}, status=413)
        messages.error(request, words)
        return redirect("visit_new", pk=person.pk)
    time = date_format(timezone.localtime(draft.saved_at), "H:i")
    if by_script:
        return JsonResponse({"words": _("Kept as a draft at %(time)s. Nothing is recorded yet.") % {"time": time}})
    messages.success(request, _("Kept as a draft. “Record a visit” goes on with it; nothing is recorded yet."))
    return redirect("patient", pk=person.pk)


@signed_in
@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin with an empty form."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    drafts.discard(person, viewer=viewer)
    messages.success(request, _("The draft is gone."))
    return redirect(reverse("visit_new", args=[person.pk]))

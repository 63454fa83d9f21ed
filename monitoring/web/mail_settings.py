"""Mail settings page: what each clinic mails and when, chosen by its administrators."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from patients import access
from patients.access import Permission
from patients.models import Clinic
from schedules import choosing
from schedules.message_plans import wishes_of

from .entry import signed_in
from .forms.mail_settings import MailSettingsForm


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def mail_settings(request: HttpRequest) -> HttpResponse:
    """One clinic's settings, the first of the administrator's unless `clinic` names another."""
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.ADMINISTER):
        raise PermissionDenied(_("Only administrators change what is mailed."))
    mine = Clinic.objects.filter(id__in=viewer.clinics_where(Permission.ADMINISTER)).order_by("name", "id")
    asked = request.POST.get("clinic") or request.GET.get("clinic", "")
    clinic = get_object_or_404(mine, pk=int(asked)) if asked.isdecimal() and len(asked) < 18 else mine[0]
    form = MailSettingsForm(request.POST or None, wishes=wishes_of([clinic.pk])[clinic.pk])
    if form.is_valid():
        changed = choosing.choose(clinic, form.wishes(), by=viewer.actor, now=timezone.now())
        messages.success(request, _("Kept; what is planned follows it now.") if changed else _("Nothing was changed."))
        return redirect(f"{request.path}?clinic={clinic.pk}")
    context = {"form": form, "clinic": clinic, "others": [one for one in mine if one != clinic]}
    return render(request, "monitoring/messages/settings.html", context, status=422 if form.is_bound else 200)

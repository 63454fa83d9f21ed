"""Sign-in of one member of staff, as an administrator helps: end sessions, remove second steps, open after a lock."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from patients import access
from patients.access import Permission
from patients.models import User

from .. import sign_ins
from .entry import signed_in


@signed_in
@require_POST
def staff_sign_in(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    viewer = access.viewer_of(request)
    mine = viewer.clinics_where(Permission.ADMINISTER)
    user = User.objects.filter(pk=pk, memberships__clinic__in=mine).distinct().first()
    if user is None:
        raise Http404("No such person.")
    if act == "sign-out":
        sign_ins.end_sessions(user, by=viewer)
        said = _("%(name)s is signed out everywhere.")
    elif act == "second-step":
        sign_ins.remove_second_steps(user, by=viewer, now=timezone.now())
        said = _("%(name)s sets up a second step anew at the next sign-in.")
    elif act == "unlock":
        sign_ins.unlock(user, by=viewer)
        said = _("Sign-in is open again for %(name)s.")
    else:
        raise Http404(act)
    messages.success(request, said % {"name": user.name})
    return redirect("staff_person", pk=pk)

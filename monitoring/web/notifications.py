"""Notifications pages: what a person wants to be told by mail, what was sent, and what would be sent to them now."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic, User
from schedules import rehearsal
from schedules.mail import sender_address

from .. import digest, digest_mail, staff_notices, worklist
from ..models import NoticeChoice, StaffNotice
from .entry import signed_in
from .forms.notifications import NotificationsForm
from .mail_templates import FRAMING, MAIL_POLICY

SHOWN = 14


def _reader(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404("Nobody is signed in.")
    return request.user


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """One's own choice; below it what was sent, and for administrators what did not arrive."""
    user, viewer = _reader(request), access.viewer_of(request)
    known = {"wanted": staff_notices.wanted_by(user), "language": user.language}
    form = NotificationsForm(request.POST or None, initial=known)
    if form.is_valid():
        staff_notices.choose(user, by=viewer.actor, **form.cleaned_data)
        messages.success(request, _("Kept; it holds from the next digest on."))
        return redirect("notifications")
    clinic = _asked(request, viewer)
    sent = StaffNotice.objects.filter(user=user, clinic__in=viewer.clinic_ids).select_related("clinic")
    context = {
        "form": form,
        "email": user.email,
        "clinics": access.clinics_for(viewer).order_by("name", "id"),
        "sent": [_row(notice) for notice in sent.order_by("-day", "-id")[:SHOWN]],
        "lost": [_row(notice) for notice in _lost(viewer, clinic)],
    }
    return render(request, "monitoring/notifications/settings.html", context, status=422 if form.is_bound else 200)


def _asked(request: HttpRequest, viewer: Viewer) -> int | None:
    asked = request.GET.get("clinic", "")
    return next((pk for pk in viewer.clinic_ids if str(pk) == asked), None)


def _lost(viewer: Viewer, clinic: int | None) -> list[StaffNotice]:
    today = worklist.today_for(viewer, timezone.now(), clinic)
    mine = viewer.clinics_where(Permission.ADMINISTER)
    lost = digest.lost_notices(viewer, today, clinic=clinic).filter(clinic__in=mine)
    return list(lost.select_related("clinic", "user"))


def _row(notice: StaffNotice) -> dict[str, Any]:
    return {
        "notice": notice,
        "state": notice.get_state_display(),
        "reason": _(notice.reason) if notice.reason else "",
        "tone": "bad" if notice.state in (StaffNotice.State.FAILED, StaffNotice.State.UNCERTAIN) else "plain",
    }


def _clinic(request: HttpRequest) -> Clinic:
    """The clinic that is asked for, the viewer's first if none is."""
    clinics = access.clinics_for(access.viewer_of(request)).order_by("name", "id")
    asked = request.GET.get("clinic", "")
    found = get_object_or_404(clinics, pk=int(asked)) if asked.isdecimal() and len(asked) < 18 else clinics.first()
    if found is None:
        raise Http404("No clinic.")
    return found


@signed_in
@require_GET
def preview(request: HttpRequest) -> HttpResponse:
    """The digest as it would be sent to oneself now, by the code that sends."""
    user, clinic, now = _reader(request), _clinic(request), timezone.now()
    wanted = staff_notices.wanted_by(user)
    contents = staff_notices.part_wanted(digest.contents_of(user, clinic, now=now), wanted)
    context = {
        "clinic": clinic,
        "tabs": [
            {
                "name": one.name,
                "url": reverse("notifications_preview", query={"clinic": one.pk}),
                "current": one.pk == clinic.pk,
            }
            for one in access.clinics_for(access.viewer_of(request)).order_by("name", "id")
        ],
        "switched_off": wanted == NoticeChoice.Wanted.NONE,
        "message": digest_mail.compose(user, clinic, contents, now=now) if contents else None,
        "language": user.language,
        "sender": f"{clinic.mail_name} <{sender_address()}>",
        "frame_url": reverse("notifications_preview_html", query={"clinic": clinic.pk}),
        "rehearsal": rehearsal.recipient(),
    }
    response = render(request, "monitoring/notifications/preview.html", context)
    response._csp_update = FRAMING  # type: ignore[attr-defined]
    return response


@signed_in
@require_GET
@xframe_options_sameorigin
def preview_html(request: HttpRequest) -> HttpResponse:
    """The HTML part alone, under a policy that lets nothing load or run."""
    user, clinic, now = _reader(request), _clinic(request), timezone.now()
    contents = staff_notices.part_wanted(digest.contents_of(user, clinic, now=now), staff_notices.wanted_by(user))
    message = digest_mail.compose(user, clinic, contents, now=now)
    html = next(str(content) for content, kind in message.alternatives if kind == "text/html")
    response = HttpResponse(html)
    response._csp_config = MAIL_POLICY  # type: ignore[attr-defined]
    return response

"""Tokens page: which other systems may use the API, made by administrators and revoked by them."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic

from ..api import tokens
from ..models import ApiToken
from .administration import sections_of
from .entry import signed_in
from .forms.token import TokenForm


def _administrator(request: HttpRequest) -> Viewer:
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.ADMINISTER):
        raise PermissionDenied(_("Only administrators see and make API tokens."))
    return viewer


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def token_list(request: HttpRequest) -> HttpResponse:
    """All tokens of the administrator's clinics; a new one's secret is on the answer to its making, and never again."""
    viewer = _administrator(request)
    clinics = Clinic.objects.filter(id__in=viewer.clinics_where(Permission.ADMINISTER)).order_by("name", "id")
    form = TokenForm(request.POST or None, clinics=clinics)
    secret, made = "", None
    if form.is_valid():
        made, secret = tokens.make_token(viewer=viewer, **form.cleaned_data)
        form = TokenForm(None, clinics=clinics)
    context = {
        "tabs": sections_of(viewer, "tokens"),
        "form": form,
        "secret": secret,
        "made": made,
        "rows": [_row(token) for token in tokens.tokens_for(viewer)],
    }
    return render(request, "monitoring/tokens.html", context, status=422 if form.is_bound else 200)


def _row(token: ApiToken) -> dict[str, Any]:
    if token.revoked_at:
        state = _("revoked %(day)s") % {"day": _day(token.revoked_at)}
    elif token.expires_at <= timezone.now():
        state = _("expired %(day)s") % {"day": _day(token.expires_at)}
    else:
        state = _("until %(day)s") % {"day": _day(token.expires_at)}
    return {
        "token": token,
        "state": state,
        "dialog": f"revoke-{token.pk}",
        "open": not token.revoked_at and token.expires_at > timezone.now(),
    }


def _day(moment: Any) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")


@signed_in
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = _administrator(request)
    token = tokens.tokens_for(viewer).filter(pk=pk).first()
    if token is None:
        raise Http404("No such token.")
    tokens.revoke(token, viewer=viewer)
    messages.success(request, _("%(name)s is revoked: it opens nothing any more.") % {"name": token.name})
    return redirect("tokens")

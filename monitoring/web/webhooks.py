"""Webhooks page: which systems are told of new flags and reviews, whether that works, and their secrets' rotation."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Max, OuterRef, Q, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic

from .. import webhooks
from ..models import WebhookDelivery, WebhookEndpoint
from ..webhooks import EndpointRefused
from .administration import sections_of
from .entry import signed_in
from .forms.webhook import WebhookForm

PAGE: Final = 25
State = WebhookDelivery.State
ACTS: Final = frozenset({"rotate", "end", "again"})


def _administrator(request: HttpRequest) -> Viewer:
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.ADMINISTER):
        raise PermissionDenied(_("Only administrators see and make webhooks."))
    return viewer


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_list(request: HttpRequest) -> HttpResponse:
    """The endpoints of the administrator's clinics; a new secret is on the answer to its making, and never again."""
    viewer = _administrator(request)
    form = WebhookForm(request.POST or None, clinics=_clinics(viewer))
    if form.is_valid():
        try:
            made, secret = webhooks.make(viewer=viewer, **form.cleaned_data)
        except EndpointRefused as refused:
            form.add_error("url", str(refused))
        else:
            return _page(request, viewer, WebhookForm(None, clinics=_clinics(viewer)), made=made, secret=secret)
    return _page(request, viewer, form)


def _clinics(viewer: Viewer) -> Any:
    return Clinic.objects.filter(id__in=viewer.clinics_where(Permission.ADMINISTER)).order_by("name", "id")


def _page(
    request: HttpRequest, viewer: Viewer, form: WebhookForm, *, made: WebhookEndpoint | None = None, secret: str = ""
) -> HttpResponse:
    def of(*states: str) -> Count:
        return Count("deliveries", filter=Q(deliveries__state__in=states))

    failed = WebhookDelivery.objects.filter(endpoint=OuterRef("pk")).exclude(reason="").order_by("-not_before")
    endpoints = webhooks.endpoints_for(viewer).annotate(
        waiting=of(State.WAITING, State.SENDING),
        delivered=of(State.DELIVERED),
        given_up=of(State.GIVEN_UP),
        last_at=Max("deliveries__decided_at", filter=Q(deliveries__state=State.DELIVERED)),
        trouble=Subquery(failed.values("reason")[:1]),
    )
    page = Paginator(endpoints, PAGE).get_page(request.GET.get("page"))
    context = {
        "tabs": sections_of(viewer, "webhooks"),
        "form": form,
        "made": made,
        "secret": secret,
        "page": page,
        "rows": [_row(endpoint) for endpoint in page],
    }
    return render(request, "monitoring/webhooks.html", context, status=422 if form.is_bound and form.errors else 200)


def _row(endpoint: WebhookEndpoint) -> dict[str, Any]:
    events, trouble = dict(WebhookEndpoint.Event.choices), getattr(endpoint, "trouble", None)
    return {
        "endpoint": endpoint,
        "events": [events[event] for event in endpoint.events],
        "trouble": _(trouble) if trouble and endpoint.ended_at is None else "",
        "given_up_words": _("%(n)s given up") % {"n": getattr(endpoint, "given_up", 0)},
        "dialog": f"end-{endpoint.pk}",
    }


@signed_in
@require_POST
def act(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """Rotate the secret, end it, or send again what was given up."""
    viewer = _administrator(request)
    endpoint = webhooks.endpoints_for(viewer).filter(pk=pk).first()
    if endpoint is None or act not in ACTS:
        raise Http404("No such webhook.")
    try:
        if act == "rotate":
            secret = webhooks.rotate(endpoint, viewer=viewer)
            return _page(request, viewer, WebhookForm(None, clinics=_clinics(viewer)), made=endpoint, secret=secret)
        if act == "end":
            webhooks.end(endpoint, viewer=viewer)
            messages.success(request, _("%(name)s is told nothing any more.") % {"name": endpoint.name})
        else:
            count = webhooks.send_again(endpoint, viewer=viewer)
            said = ngettext("%(n)d message is sent again.", "%(n)d messages are sent again.", count)
            messages.success(request, said % {"n": count})
    except EndpointRefused as refused:
        messages.error(request, str(refused))
    return redirect("webhooks")

"""Gate: the one place where a page is refused to whoever may not open it, by the tables of `monitoring.routes`.

It is also where somebody is asked to prove again who they are before a dangerous act.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from monitoring import routes
from monitoring.web.confirming import proved_first
from monitoring.web.entry import sent_to_sign_in
from monitoring.web.keeping import page_of
from patients import access
from patients.models import User


class Gate:
    """Stands before every view. The API has a door of its own, since its callers are tokens."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """None lets the view answer. Raises PermissionDenied, and ImproperlyConfigured for a route without a row."""
        name = request.resolver_match.view_name if request.resolver_match else ""
        if request.path.startswith("/api/v1"):
            return None
        row = routes.row_of(name)
        if row is None:
            raise ImproperlyConfigured(f"The route {name!r} has no row in monitoring/routes.py: who may open it?")
        needed, user = row.needed(str(request.method)), request.user
        if routes.Special.ANYONE in needed:
            return None
        if not user.is_authenticated:
            return sent_to_sign_in(request)
        if not routes.may(
            access.viewer_of(request), needed, signed_in=True, builds_pages=bool(getattr(user, "is_staff", False))
        ):
            raise PermissionDenied(_("Your role does not allow this."))
        if routes.asks_for_proof(name, str(request.method)) and isinstance(user, User):
            return proved_first(request, user)
        return None

    def process_exception(self, request: HttpRequest, fault: Exception) -> HttpResponseBase | None:
        """Leads to the page that asks for the reason where a restricted record was to be opened."""
        if not isinstance(fault, access.RestrictedRecord):
            return None
        where, by_htmx = reverse("restricted_gate", args=[fault.patient_id]), "HX-Request" in request.headers
        going = page_of(request) if by_htmx else request.get_full_path() if request.method == "GET" else ""
        address = f"{where}?{urlencode({'next': going})}" if going else where
        if by_htmx:
            answer = HttpResponse(status=401)
            answer["HX-Redirect"] = address
            return answer
        return redirect(address)


@register
def every_route_has_a_row(**_options: Any) -> list[CheckMessage]:
    """So that a page nobody has thought of is found before anybody asks for it."""
    return [
        Error(f"The route {name!r} has no row: say in monitoring/routes.py who may open it.", id="hipwatch.E101")
        for name in sorted(set(_names(get_resolver().url_patterns)))
        if routes.row_of(name) is None and name not in routes.CALLS
    ]


def _names(patterns: Sequence[URLPattern | URLResolver], within: str = "") -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from _names(one.url_patterns, f"{one.namespace}:" if one.namespace else within)
        elif one.name:
            yield f"{within}{one.name}"

"""Confirming: before a dangerous act somebody proves once more who they are, unless they have just done so."""

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from patients.models import User

from .keeping import keep_and_lead


def is_confirmed(request: HttpRequest) -> bool:
    """Whether they signed in, or proved again who they are, within CONFIRMED_FOR_MINUTES."""
    return bool(did_recently_reauthenticate(request))


def proved_first(request: HttpRequest, user: User) -> HttpResponseBase | None:
    """The way to the proof for who is not confirmed, with what they sent kept meanwhile; None for who is."""
    if is_confirmed(request):
        return None
    if request.method == "POST":
        return keep_and_lead(request, user, reverse("account_reauthenticate"))
    return ask_to_confirm(request)


def ask_to_confirm(request: HttpRequest) -> HttpResponseBase:
    """Leads to the proof and back to this page."""
    answer = redirect_to_login(request.get_full_path(), reverse("account_reauthenticate"))
    if "HX-Request" not in request.headers:
        return answer
    by_htmx = HttpResponse(status=401)
    by_htmx["HX-Redirect"] = answer.url
    return by_htmx

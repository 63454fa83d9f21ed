"""Confirming: before a dangerous act somebody proves once more who they are, unless they have just done so."""

from functools import wraps
from typing import cast

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from patients.models import User

from .entry import P, View
from .keeping import keep_and_lead


def is_confirmed(request: HttpRequest) -> bool:
    """Whether they signed in, or proved again who they are, within CONFIRMED_FOR_MINUTES."""
    return bool(did_recently_reauthenticate(request))


def confirmed(view: View[P]) -> View[P]:
    """Takes a form only from somebody who is confirmed; what was typed is kept meanwhile. Pages are shown without.

    Beneath `signed_in`.
    """

    @wraps(view)
    def asked(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method != "POST" or is_confirmed(request) or not isinstance(request.user, User):
            return view(request, *args, **kwargs)
        return keep_and_lead(request, request.user, reverse("account_reauthenticate"))

    return cast(View[P], asked)


def confirmed_reader(view: View[P]) -> View[P]:
    """The same for what is dangerous to read, such as an export of everything."""

    @wraps(view)
    def asked(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return view(request, *args, **kwargs) if is_confirmed(request) else ask_to_confirm(request)

    return cast(View[P], asked)


def ask_to_confirm(request: HttpRequest) -> HttpResponseBase:
    """Leads to the proof and back to this page."""
    answer = redirect_to_login(request.get_full_path(), reverse("account_reauthenticate"))
    if "HX-Request" not in request.headers:
        return answer
    by_htmx = HttpResponse(status=401)
    by_htmx["HX-Redirect"] = answer.url
    return by_htmx

"""Keeping: a form that may not be taken now is kept for whoever typed it, who is led to what must come first."""

from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.models import User

from .. import kept_forms
from ..kept_forms import NotKept, Typed

NOT_KEPT = frozenset({"visit_draft"})  # a script sends it by itself; the visit's draft is what it has said before


def keep_and_lead(request: HttpRequest, owner: User, to: str) -> HttpResponseBase:
    """Keep the form that this request sends, and lead to `to`, which comes back to what was kept."""
    match = request.resolver_match
    back = reverse("kept_forms")
    if match is None or match.url_name not in NOT_KEPT:
        try:
            kept_forms.keep(owner, typed_in(request), now=timezone.now())
        except NotKept:
            messages.warning(request, _("What you sent could not be kept: it was too large."))
            back = page_of(request)
    answer = redirect_to_login(back, to)
    if "HX-Request" not in request.headers:
        return answer
    by_htmx = HttpResponse(status=401)
    by_htmx["HX-Redirect"] = answer.url
    return by_htmx


def typed_in(request: HttpRequest) -> Typed:
    return Typed(
        path=request.get_full_path(),
        page=page_of(request),
        fields=kept_forms.fields_of(request.POST.lists()),
        files=[str(file.name) for name in request.FILES for file in request.FILES.getlist(name)],
    )


def page_of(request: HttpRequest) -> str:
    """The page on which the form was, as a path of this site."""
    said = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    page = urlsplit(said)
    return f"{page.path or '/'}?{page.query}".rstrip("?") if page.netloc == request.get_host() else "/"

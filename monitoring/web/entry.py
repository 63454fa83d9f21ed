"""Entry: who may open a page of the staff at all."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def signed_in(view: View[P]) -> View[P]:
    """Sends who is not signed in to the sign-in page and back; a request by htmx makes the whole page go there."""

    @wraps(view)
    def entered(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return sent_to_sign_in(request)

    return cast(View[P], entered)


def sent_to_sign_in(request: HttpRequest) -> HttpResponseBase:
    """The way to the sign-in page and back, of the whole page where htmx asked for a part of it."""
    if "HX-Request" in request.headers:
        answer = HttpResponse(status=401)
        answer["HX-Redirect"] = redirect_to_login(_page_of(request)).url
        return answer
    return redirect_to_login(request.get_full_path())


def _page_of(request: HttpRequest) -> str:
    """The page from which htmx asked, as a path of this site."""
    page = urlsplit(request.headers.get("HX-Current-URL", ""))
    return f"{page.path or '/'}?{page.query}".rstrip("?")


def typed(request: HttpRequest, name: str) -> str:
    """What was typed into a field that no form reads, without the one sign that the database cannot keep."""
    return str(request.POST.get(name, "")).replace("\0", "")

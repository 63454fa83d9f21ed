"""Faults: the page shown when the server itself fails, without touching the database, which may be what failed."""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string


def server_error(request: HttpRequest) -> HttpResponse:
    """A page with the request's id, which is in the log."""
    request_id = getattr(request, "request_id", "")
    return HttpResponse(render_to_string("500.html", {"request_id": request_id}), status=500)

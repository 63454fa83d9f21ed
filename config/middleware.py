"""Middleware: request ids, headers, sizes and compression, and one transaction bound to the clinics of who asks."""

import secrets
from collections.abc import Callable

import pghistory
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.gzip import GZipMiddleware
from django.template.loader import render_to_string
from django.template.response import SimpleTemplateResponse
from django.urls import reverse
from django.utils import timezone

from config import logs
from patients import access

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class RequestId:
    """Gives each request an id, which error pages, the log and the audit share."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.request_id = secrets.token_hex(8)  # type: ignore[attr-defined]
        logged = logs.request_id.set(request.request_id)  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
        finally:
            logs.request_id.reset(logged)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response


class Headers:
    """Permissions-Policy, and no storing of pages that name patients."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if not request.path.startswith("/static/"):
            response.setdefault("Cache-Control", "no-store")
        if request.method == "POST" and request.path == reverse("account_logout"):
            response["Clear-Site-Data"] = '"cache", "storage"'  # not cookies: which browser this is stays known
        return response


class Compressed(GZipMiddleware):
    """Pages travel compressed, with a random number of bytes added, so that their length tells nothing of their words.

    Nothing else is: the API's ETags stand for the very bytes, and files are sent while they are made.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.streaming or not response.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


class Sizes:
    """Refuses a request that says it is larger than anything that is taken here, before a byte of it is read.

    One that does not say its length is empty to us: WSGI gives no more.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        said = request.META.get("CONTENT_LENGTH") or "0"
        if said.isdecimal() and int(said) > settings.LARGEST_REQUEST:
            return HttpResponse(render_to_string("413.html"), status=413)
        return self.get_response(request)


class Addresses:
    """Refuses an address with a NUL in it: no page has one, and the database takes none. The API says so itself."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asked = f"{request.path}?{request.META.get('QUERY_STRING', '')}"
        if ("\0" in asked or "%00" in asked) and not request.path.startswith("/api/"):
            return HttpResponse(render_to_string("400.html"), status=400)
        return self.get_response(request)


class OnlyByTls:
    """Refuses calls of the API in clear, where pages are led to https: a redirect would hide that the token was seen.

    The redirect leaves them alone by `SECURE_REDIRECT_EXEMPT`.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SECURE_SSL_REDIRECT and not request.is_secure() and request.path.startswith("/api/v1/"):
            body = {
                "type": "about:blank",
                "title": "Only by https",
                "status": 403,
                "detail": "This call came in clear. Call https://, and revoke the token: it was readable.",
                "request_id": getattr(request, "request_id", ""),
            }
            return JsonResponse(body, status=403, content_type="application/problem+json")
        return self.get_response(request)


class OwnClinics:
    """One transaction a request, in which the database shows the rows of the signed-in user's clinics only.

    A response of 500 or more rolls it back: Django turns exceptions into responses further in. The response is
    rendered inside, so lazily rendered templates still read.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path in {"/healthz", "/readyz", "/metrics"} or request.path.startswith(("/static/", "/anymail/")):
            return self.get_response(request)
        with transaction.atomic(), pghistory.context(request=getattr(request, "request_id", "")):
            viewer = access.bind_request(request, request_id=getattr(request, "request_id", ""))
            with timezone.override(viewer.time_zone):
                response = self._answer(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
            return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
            response = response.render()
        return response

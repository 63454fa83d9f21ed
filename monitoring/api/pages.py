"""The API's documentation page, with its assets from here; the site's own rules for scripts and styles hold."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    return render(request, "monitoring/api_docs.html")

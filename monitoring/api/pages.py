"""The API's reference page: drawn on the server from the OpenAPI document, and searched there too."""

from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from ..web.forms.token import SCOPES
from . import samples
from .reference import Reference, narrowed, reference_of

LONGEST_QUERY = 100


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:LONGEST_QUERY]
    found = narrowed(_whole(), query)
    context = {
        "reference": found,
        "count": sum(1 for _ in found.operations()),
        "query": query,
        "scopes": [words for _name, words in SCOPES],
    }
    return render(request, "monitoring/api/reference.html", context)


@cache
def _whole() -> Reference:
    """The same for everybody and as long as the process lives: it depends on the code alone."""
    with translation.override("en"):
        document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return reference_of(document, base=settings.PUBLIC_URL, samples=samples.by_name())

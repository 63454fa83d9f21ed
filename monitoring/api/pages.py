"""The API's documentation page, with its assets from here and scripts allowed by nonce only."""

from csp.constants import NONCE, SELF
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET


@require_GET
@csp_update({"style-src": [SELF, NONCE, "'unsafe-inline'"], "img-src": [SELF, "data:"], "script-src": [SELF, NONCE]})  # type: ignore[untyped-decorator]
def documentation(request: HttpRequest) -> HttpResponse:
    return render(request, "monitoring/api_docs.html")

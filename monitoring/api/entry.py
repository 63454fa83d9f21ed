"""Entry: who may call, how much may be sent, and that a refused call leaves nothing behind."""

from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http.response import HttpResponseBase
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from patients import access
from patients.access import Permission, Viewer

from ..models import ApiToken
from .problems import LengthRequired, TooLarge
from .throttling import PerMinute
from .tokens import viewer_of_token

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Scoped(BasePermission):
    """A token is there and has the scope of the view; the actions check it again for the clinic.

    A session is no token: a page in somebody's browser cannot be made to write here.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, ApiToken):
            return False
        if not hasattr(view, str(request.method).lower()):
            return True  # answered with 405
        check_scope(request, view.needs if request.method in READING else view.needs_to_write)
        return True


def check_scope(request: Request, needed: Permission) -> None:
    """Raise PermissionDenied, which names the scope, unless the token has it."""
    if not viewer_of(request).may_anywhere(needed):
        raise PermissionDenied(f"This token lacks the scope “{needed}”.")


def viewer_of(request: Request) -> Viewer:
    """What the token may do; the viewer of a session plays no part."""
    if not isinstance(request.auth, ApiToken):
        return access.NOBODY
    return viewer_of_token(request.auth, getattr(request._request, "request_id", ""))


class Endpoint(APIView):
    """What every view of the API shares: limits, and that a refusal leaves nothing.

    A write goes back to a savepoint, as its refusal is kept. Reading needs none: what it leaves, such as an audited
    look, is gone with the transaction of the request.
    """

    throttle_classes = (PerMinute,)
    most_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with nullcontext() if request.method in READING else transaction.atomic():
            answer = super().dispatch(request, *args, **kwargs)
            if answer.status_code >= 400:
                transaction.set_rollback(True)
            return answer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        length = str(request.META.get("CONTENT_LENGTH") or "")
        if not length and request.headers.get("Transfer-Encoding"):
            raise LengthRequired
        if length.isdecimal() and int(length[:12]) > self.most_bytes:
            raise TooLarge(f"A body has at most {self.most_bytes:,} bytes here.")

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Only the methods, in `Allow`; the rest is in the OpenAPI document."""
        return Response(status=204)


class Registry(Endpoint):
    """A view of a clinic's rows."""

    permission_classes = (Scoped,)
    needs = Permission.READ
    needs_to_write = Permission.RECORD

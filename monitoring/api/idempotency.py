"""Idempotency: a write repeated with the same key gets the first reply and writes nothing."""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.db import connection
from django.utils import timezone
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from ..models import ApiToken, IdempotentReply
from .problems import Unprocessable

Handler = Callable[..., Response]
KEPT = timedelta(hours=24)
_KEY = re.compile(r"[!-~]{1,80}")


def once(handler: Handler) -> Handler:
    """Keeps the reply to a successful write under its `Idempotency-Key`; the key with another body is refused (422)."""

    @wraps(handler)
    def handled(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None or not isinstance(request.auth, ApiToken):
            return handler(view, request, *args, **kwargs)
        if not _KEY.fullmatch(key):
            raise ParseError("An Idempotency-Key is 1 to 80 printable ASCII characters without blanks.")
        _wait_for(request.auth.pk, key)
        known = _reply_to(request, request.auth, key)
        if known is not None:
            return known
        reply = handler(view, request, *args, **kwargs)
        if reply.status_code < 300:
            _keep(reply, request, request.auth, key)
        return reply

    return handled


def _wait_for(token_id: int, key: str) -> None:
    """A repeat that arrives while the first is at work waits for it: both hold the same lock of their transaction."""
    number = int.from_bytes(hashlib.sha256(f"{token_id}:{key}".encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def _reply_to(request: Request, token: ApiToken, key: str) -> Response | None:
    since = timezone.now() - KEPT
    known = IdempotentReply.objects.filter(token=token, key=key, at__gt=since).first()
    if known is None:
        return None
    if known.request_digest != _digest(request):
        raise Unprocessable("This Idempotency-Key was used with another request.")
    return Response(known.body, status=known.status, headers={**etag_of(known.body), "Idempotent-Replay": "true"})


def _keep(reply: Response, request: Request, token: ApiToken, key: str) -> None:
    """For a day; what this token sent before that goes."""
    IdempotentReply.objects.filter(token=token, at__lte=timezone.now() - KEPT).delete()
    IdempotentReply.objects.create(
        clinic_id=token.clinic_id,
        token=token,
        key=key,
        request_digest=_digest(request),
        status=reply.status_code,
        body=json.loads(json.dumps(reply.data, cls=JSONEncoder)),
    )


def etag_of(body: Any) -> dict[str, str]:
    """The header for an answer that tells a record's version."""
    return {"ETag": f'"{body["version"]}"'} if isinstance(body, dict) and "version" in body else {}


def _digest(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, cls=JSONEncoder)
    return hashlib.sha256(f"{request.method} {request.path.rstrip('/')}\n{body}".encode()).hexdigest()

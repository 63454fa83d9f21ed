"""Idempotency: a write repeated with the same key gets the first reply and writes nothing."""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import connection
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from ..models import ApiToken, IdempotentReply
from .problems import Unprocessable

Handler = Callable[..., Response]
LONGEST = 80


def once(handler: Handler) -> Handler:
    """Keeps the reply to a successful write under its `Idempotency-Key`; the key with another body is refused (422)."""

    @wraps(handler)
    def handled(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not key or not isinstance(request.auth, ApiToken):
            return handler(view, request, *args, **kwargs)
        if len(key) > LONGEST:
            raise Unprocessable(f"An Idempotency-Key has at most {LONGEST} characters.")
        _wait_for(request.auth.pk, key)
        wanted = _digest(request)
        known = IdempotentReply.objects.filter(token=request.auth, key=key).first()
        if known is not None:
            if known.request_digest != wanted:
                raise Unprocessable("This Idempotency-Key was used with another request.")
            return Response(known.body, status=known.status, headers={"Idempotent-Replay": "true"})
        reply = handler(view, request, *args, **kwargs)
        if reply.status_code < 300:
            body = json.loads(json.dumps(reply.data, cls=JSONEncoder))
            IdempotentReply.objects.create(
                token=request.auth, key=key, request_digest=wanted, status=reply.status_code, body=body
            )
        return reply

    return handled


def _wait_for(token_id: int, key: str) -> None:
    """A repeat that arrives while the first is at work waits for it: both hold the same lock of their transaction."""
    number = int.from_bytes(hashlib.sha256(f"{token_id}:{key}".encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def _digest(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, cls=JSONEncoder)
    return hashlib.sha256(f"{request.method} {request.path}\n{body}".encode()).hexdigest()

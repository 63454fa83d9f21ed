"""Problems: every error of the API as application/problem+json (RFC 9457), with the request's id."""

import logging
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from patients.access import RestrictedRecord
from patients.recording import RecordingRefused, StaleRecord
from schedules.guideline.reading import RecordRefused

from ..review import CaseRefused

log = logging.getLogger(__name__)
Entries = list[dict[str, Any]]
MEDIA_TYPE = "application/problem+json"
TITLES = {
    307: "Part of another record",
    400: "The request cannot be read",
    401: "No valid token",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "No such representation",
    409: "Conflict",
    411: "Length required",
    412: "Somebody else has written meanwhile",
    413: "Too large",
    415: "Media type not understood",
    422: "What was sent cannot be true or is incomplete",
    429: "Too many requests",
    500: "The server has failed",
}


class Conflict(APIException):
    """`entries` tell what it conflicts with."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "The state has changed meanwhile."

    def __init__(self, detail: str, entries: Entries) -> None:
        super().__init__(detail)
        self.entries = entries


class Merged(APIException):
    """This record was merged; `address` is the same of the record that speaks for the person now."""

    status_code = status.HTTP_307_TEMPORARY_REDIRECT
    default_detail = "This record is part of another one now; Location names it."

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address


class Changed(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The record has changed since it was read."


class LengthRequired(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send the body with a Content-Length."


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."


class Unprocessable(APIException):
    """`entries` tell where; each has a `message` and a `pointer`, a `path` or a `parameter`."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "The request cannot be carried out."

    def __init__(self, detail: str, entries: Entries | None = None) -> None:
        super().__init__(detail)
        self.entries = entries


def problem(code: int, detail: str, request: Any, errors: Entries | None = None) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(code, "Error"),
        "status": code,
        "detail": detail,
        "request_id": getattr(request, "request_id", ""),
    }
    if errors:
        body["errors"] = errors
    return Response(body, status=code, content_type=MEDIA_TYPE)


def as_problem(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. What is no one's fault but ours is logged and becomes a 500."""
    request = context["request"]._request
    refusal = _of_ours(error, request)
    if refusal is not None:
        return refusal
    answer = exception_handler(error, context)
    if answer is None:
        log.error("%s %s failed, request %s", request.method, request.path, request.request_id, exc_info=error)
        return problem(500, "The fault is ours. It is in the log under the request's id.", request)
    made = problem(answer.status_code, _detail(error), request, getattr(error, "entries", None))
    if isinstance(error, Merged):
        made["Location"] = error.address
    for name in ("WWW-Authenticate", "Retry-After", "Allow"):
        if name in answer.headers:
            made[name] = answer[name]
    return made


def _of_ours(error: Exception, request: Any) -> Response | None:
    """What the actions beneath raise, in the terms of HTTP."""
    match error:
        case RecordRefused():
            found = [{"path": path, "message": message} for path, message in error.problems]
            return problem(422, "The record does not fit the schema.", request, found)
        case RecordingRefused():
            found = [
                {"pointer": pointer(key.split(".")), "message": text}
                for key, texts in error.problems.items()
                for text in texts
            ]
            return problem(422, "Nothing was saved.", request, found)
        case ValidationError():
            return problem(422, "Nothing was saved.", request, list(_flat(error.detail)))
        case StaleRecord():
            return problem(412, f"The record is at version {error.current} by now.", request)
        case CaseRefused():
            return problem(409, str(error), request)
    return None


def _detail(error: Exception) -> str:
    if isinstance(error, Http404):
        return "There is nothing here that this token may see."
    if isinstance(error, RestrictedRecord):
        return "This record is restricted; the token lacks the scope “restricted”."
    if isinstance(error, PermissionDenied):
        return "The token's scopes do not allow this."
    if isinstance(error, exceptions.NotAuthenticated):
        return "Send “Authorization: Bearer hw_…”."
    return str(getattr(error, "detail", error))


def pointer(names: list[str]) -> str:
    """A JSON Pointer (RFC 6901) into the body that was sent."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def _flat(detail: Any, at: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """DRF's nested errors, each with its place; an error of a whole object stands at the object."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flat(inner, at if name == "non_field_errors" else (*at, str(name)))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _flat(inner, (*at, str(index)) if isinstance(inner, dict | list) else at)
    else:
        yield {"pointer": pointer(list(at)), "message": str(detail)}

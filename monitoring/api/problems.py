"""Problems: every error of the API as application/problem+json (RFC 9457), with the request's id."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from patients.recording import RecordingRefused, StaleRecord
from schedules.guideline.reading import RecordRefused

from ..review import CaseRefused

TITLES = {
    400: "The request cannot be read",
    401: "No valid token",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "No such representation",
    409: "Conflict",
    412: "Somebody else has written meanwhile",
    415: "Media type not understood",
    422: "What was sent cannot be true or is incomplete",
    428: "A condition is required",
    429: "Too many requests",
}


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "The state has changed meanwhile."


class Changed(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The record has changed since it was read."


class Unprocessable(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "The request cannot be carried out."


def problem(code: int, detail: str, request: Any, errors: list[dict[str, str]] | None = None) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(code, "Error"),
        "status": code,
        "detail": detail,
        "request_id": getattr(request, "request_id", ""),
    }
    if errors:
        body["errors"] = errors
    return Response(body, status=code, content_type="application/problem+json")


def as_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None for what is no one's fault but ours: that becomes a 500."""
    request = context["request"]._request
    if isinstance(error, RecordRefused):
        found = [{"pointer": p.path, "message": p.message} for p in error.problems]
        return _refused(problem(422, "The record does not fit the schema.", request, found))
    if isinstance(error, RecordingRefused):
        found = [{"pointer": _pointer(key), "message": text} for key, texts in error.problems.items() for text in texts]
        return _refused(problem(422, "Nothing was saved.", request, found))
    if isinstance(error, StaleRecord):
        return _refused(problem(412, f"The record is at version {error.current} by now.", request))
    if isinstance(error, CaseRefused):
        return _refused(problem(409, str(error), request))
    if isinstance(error, ValidationError):
        return _refused(problem(422, "Nothing was saved.", request, list(_flat(error.detail))))
    answer = exception_handler(error, context)
    if answer is None:
        return None
    detail = str(getattr(error, "detail", "") or error)
    if isinstance(error, Http404):
        detail = "There is nothing here that this token may see."
    elif isinstance(error, PermissionDenied):
        detail = str(error) or "The token's scopes do not allow this."
    made = problem(answer.status_code, detail, request)
    for name in ("WWW-Authenticate", "Retry-After", "Allow"):
        if name in answer.headers:
            made[name] = answer[name]
    return made


def _refused(answer: Response) -> Response:
    set_rollback()
    return answer


def _pointer(key: str) -> str:
    return "/" + key.replace(".", "/")


def _flat(detail: Any, at: str = "") -> Any:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flat(inner, f"{at}/{name}")
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _flat(inner, f"{at}/{index}" if isinstance(inner, dict | list) else at)
    else:
        yield {"pointer": at or "/", "message": str(detail)}

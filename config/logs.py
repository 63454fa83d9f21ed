"""Logs: one line an event, for people or as JSON, with the id of its request or run, and nothing of a patient.

What an exception says is `config.discretion`'s to decide. Paths hold numbers and signed links, so routes are named
instead.
"""

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config.discretion import kind_of

request_id: ContextVar[str] = ContextVar("request_id", default="")
run_id: ContextVar[str] = ContextVar("run_id", default="")  # of a task, wherever it leads

MOST_FRAMES = 40
WATCHED = {"healthz", "readyz", "metrics"}


def chain(problem: BaseException) -> list[BaseException]:
    """The exception and what it came from, the first cause first."""
    found: list[BaseException] = []
    current: BaseException | None = problem
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return found[::-1]


def places(problem: BaseException) -> list[str]:
    """Where it went wrong, innermost last: files, lines and functions, no values and no source."""
    frames = traceback.extract_tb(problem.__traceback__)[-MOST_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


class Ids(logging.Filter):
    """Adds to each record the ids of the request and the run in which it was made.

    Django's word on a health check that answers 503 is left out: who asked has the answer, every few seconds.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = request_id.get() or getattr(request, "request_id", "")
        record.run_id = run_id.get()
        return not (record.name == "django.request" and request is not None and route_of(request) in WATCHED)


def words(record: logging.LogRecord) -> str:
    """The record's message; Django's about a request names its route where Django would write the path."""
    request, status = getattr(record, "request", None), getattr(record, "status_code", None)
    if request is None or status is None:
        return record.getMessage()
    return f"{request.method} {route_of(request)} answered {status}"


def route_of(request: Any) -> str:
    """The name of the address, such as `patient`, never the address."""
    match = getattr(request, "resolver_match", None)
    return (match.view_name if match else "") or "unknown"


class Line(logging.Formatter):
    """For people: time, level, who speaks, what, and the ids behind it."""

    def format(self, record: logging.LogRecord) -> str:
        ids = [f"{key}={value}" for key in ("request_id", "run_id") if (value := getattr(record, key, ""))]
        parts = [self.formatTime(record), record.levelname, record.name, words(record), *ids]
        return "\n".join([" ".join(parts), *([record.exc_text] if record.exc_text else [])])


class Json(logging.Formatter):
    """For machines: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry: dict[str, Any] = {"at": at, "level": record.levelname, "logger": record.name, "message": words(record)}
        entry |= {key: value for key in ("request_id", "run_id") if (value := getattr(record, key, ""))}
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1]:
            entry["exception"] = [{"kind": kind_of(one), "at": places(one)} for one in chain(record.exc_info[1])]
        return json.dumps(entry, ensure_ascii=False, default=str)


def configuration(*, form: str, level: str) -> dict[str, Any]:
    """Django's LOGGING. `form`: `json` or `line`. Raises ImproperlyConfigured for another."""
    if form not in {"json", "line"}:
        raise ImproperlyConfigured(f"LOG_FORMAT is json or line, not {form!r}.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"ids": {"()": "config.logs.Ids"}, "discreet": {"()": "config.discretion.Discreet"}},
        "formatters": {"json": {"()": "config.logs.Json"}, "line": {"()": "config.logs.Line"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": form, "filters": ["ids", "discreet"]},
            "faults": {"class": "config.fault_reports.Reporter", "level": "ERROR", "filters": ["ids", "discreet"]},
        },
        "root": {"handlers": ["stderr", "faults"], "level": level},
        "loggers": {
            # Scanners ask for foreign hosts all day: refused with 400, and not worth a traceback each.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "config.answered": {"level": "INFO"},
        },
    }

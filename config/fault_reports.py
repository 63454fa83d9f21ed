"""Fault reports: errors told to a Sentry-compatible service, where SENTRY_DSN names one; otherwise nothing leaves.

Only what `config.logs` would write is sent: kinds of exceptions, places in the code, ids of requests and runs. No
request, user, variable or breadcrumb is ever collected, so none can be sent by mistake.
"""

import json
import logging
import queue
import threading
import urllib.request
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from config import logs
from config.discretion import kind_of

WAITING = 100  # reports; what comes on top is in the log only
SECONDS = 5


class Reporter(logging.Handler):
    """Hands errors to a thread of this process, which posts them; never slows down or fails who logs."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == __name__ or not settings.SENTRY_DSN:
            return
        try:
            self._waiting.put_nowait(event_of(record))
        except queue.Full:
            return
        if self._thread is None or not self._thread.is_alive():  # a fork leaves its threads behind
            self._thread = threading.Thread(target=self._post_all, name="fault reports", daemon=True)
            self._thread.start()

    def _post_all(self) -> None:
        while True:
            try:
                event = self._waiting.get(timeout=30)
            except queue.Empty:
                return
            try:
                post(settings.SENTRY_DSN, event)
            except (OSError, ValueError) as problem:
                logging.getLogger(__name__).warning("a fault could not be reported: %s", type(problem).__name__)


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """The record as Sentry's events have it."""
    event: dict[str, Any] = {
        "event_id": uuid.uuid4().hex,
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "platform": "python",
        "level": record.levelname.lower(),
        "logger": record.name,
        "release": f"hipwatch@{settings.VERSION}",
        "environment": "production" if settings.PRODUCTION else "development",
        "message": {"formatted": str(record.msg)[:200] if record.args else logs.words(record)[:200]},
        "tags": {name: value for name in ("request_id", "run_id") if (value := getattr(record, name, ""))},
    }
    if record.exc_info and record.exc_info[1]:
        event["exception"] = {"values": [_value(one) for one in logs.chain(record.exc_info[1])]}
    return event


def _value(problem: BaseException) -> dict[str, Any]:
    kind, _, message = kind_of(problem).partition(": ")
    frames = []
    for place in logs.places(problem):
        where, _, function = place.rpartition(" ")
        file, _, line = where.rpartition(":")
        frames.append({"filename": file, "lineno": int(line), "function": function})
    return {"type": kind, "value": message, "stacktrace": {"frames": frames}}


def post(dsn: str, event: dict[str, Any]) -> None:
    """Send one event as an envelope. Raises OSError when the service refuses or is away, ValueError for a bad DSN."""
    parts = urlsplit(dsn)
    if parts.scheme not in {"http", "https"} or not parts.username or not parts.hostname:
        raise ValueError("SENTRY_DSN is not https://KEY@HOST/PROJECT")
    before, _, project = parts.path.rpartition("/")
    host = parts.hostname + (f":{parts.port}" if parts.port else "")
    lines = [{"event_id": event["event_id"], "dsn": dsn}, {"type": "event"}, event]
    request = urllib.request.Request(  # noqa: S310  # http or https, checked above
        f"{parts.scheme}://{host}{before}/api/{project}/envelope/",
        data="\n".join(json.dumps(line) for line in lines).encode(),
        headers={
            "Content-Type": "application/x-sentry-envelope",
            "X-Sentry-Auth": f"Sentry sentry_version=7, sentry_client=hipwatch/1, sentry_key={parts.username}",
        },
    )
    with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
        pass

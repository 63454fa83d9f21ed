"""Dead man's switch: an outside watch is told after each sweep that came to its end; its silence raises the alarm."""

import logging
from datetime import datetime

from django.conf import settings

from patients import access
from schedules import outgoing

from . import heartbeats

log = logging.getLogger(__name__)


def tell_if_swept(since: datetime) -> bool:
    """Call DEAD_MAN_URL, where there is one, if a sweep has ended since `since` and left nobody behind.

    Nothing is said of what was found. The watch being away is logged and harms nothing.
    """
    if not settings.DEAD_MAN_URL:
        return False
    with access.system_run("dead man", []):
        beat = heartbeats.sweep_heartbeat()
    if beat.finished_at is None or beat.finished_at < since or beat.behind:
        return False
    try:
        return outgoing.call("GET", settings.DEAD_MAN_URL).status < 400
    except (OSError, ValueError) as problem:
        log.warning("the outside watch could not be told of the sweep: %s", type(problem).__name__)
        return False

"""Pace: how many mails may go in a minute, in all and to one mail domain. What is over it waits for the next minute.

Counted in Redis for all workers together. Without Redis nothing is held back: a limit spares the receivers' patience,
and an outage of the counter must not become one of the mail.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from .models import Reminder

MINUTE = timedelta(minutes=1)
KEPT_FOR = 120  # seconds: longer than the minute that is counted


def within(rows: Sequence[Reminder], now: datetime) -> tuple[list[Reminder], list[Reminder]]:
    """Those that this minute has room for, and those that wait for the next. Patients must be loaded."""
    minute = int(now.timestamp()) // 60
    room = _room("all", settings.EMAIL_A_MINUTE, len(rows), minute)
    domains = Counter(domain_of(row) for row in rows)
    rooms = {name: _room(name, settings.EMAIL_A_MINUTE_PER_DOMAIN, many, minute) for name, many in domains.items()}
    go: list[Reminder] = []
    wait: list[Reminder] = []
    for row in rows:
        name = domain_of(row)
        if len(go) < room and rooms[name] > 0:
            rooms[name] -= 1
            go.append(row)
        else:
            wait.append(row)
    return go, wait


def next_minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) + MINUTE


def domain_of(row: Reminder) -> str:
    return row.patient.email.rpartition("@")[2].lower()


def _room(name: str, most: int, asked: int, minute: int) -> int:
    """How many of `asked` more mails there is room for; 0 as a limit means none."""
    if not most or not asked:
        return asked
    key = f"mail-pace:{name}:{minute}"
    try:
        cache.add(key, 0, KEPT_FOR)
        before = int(cache.incr(key, asked)) - asked
    except (RedisError, ValueError):
        return asked
    return max(0, min(asked, most - before))

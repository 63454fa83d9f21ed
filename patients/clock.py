"""The clock that all machines share: the database server's. One's own may be wrong, and nobody would notice.

What one worker writes down as a moment is judged by others: how long a mail is its own, when something is tried again,
whether a run kept its time. So workers take their time from here.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection

Clock = Callable[[], datetime]
WATCH = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while a machine sleeps, and nobody sets it


def shared_now() -> datetime:
    """What the database server's clock says at this moment, whatever transaction this is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        ((moment,),) = cursor.fetchall()
    said: datetime = moment
    return said


def shared_clock() -> Clock:
    """A clock set by the database server's once, now. From here on it counts by itself, so it needs no database."""
    began, watch = shared_now(), time.clock_gettime(WATCH)
    return lambda: began + timedelta(seconds=time.clock_gettime(WATCH) - watch)

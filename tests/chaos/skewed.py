"""A worker whose clock is wrong: it sweeps and sends as if it were some seconds later or earlier, again and again.

Usage: python -m tests.chaos.skewed SECONDS TOGETHER
"""

import sys
import time
from datetime import timedelta

import django
from django.db import DatabaseError, connection
from django.utils import timezone

django.setup()

from monitoring import pipeline  # noqa: E402  # needs the applications to be loaded
from schedules import delivery  # noqa: E402


def main(skew: timedelta, together: int) -> None:
    while True:
        try:
            pipeline.sweep(timezone.now() + skew)
            delivery.drain(together=together, seconds=2.0, clock=lambda: timezone.now() + skew)
        except DatabaseError:
            connection.close()
        time.sleep(0.5)


if __name__ == "__main__":
    main(timedelta(seconds=float(sys.argv[1])), int(sys.argv[2]))

"""A worker whose machine has the wrong time: it sweeps, sends, seals and looks for dead workers, again and again.

Usage: python -m tests.chaos.skewed SECONDS TOGETHER [mail]. The whole process lives so many seconds later, or earlier.
With "mail" it sweeps and seals nothing.
"""

import sys
import time

import django
import time_machine
from django.db import DatabaseError, connection


def main(skew: float, together: int, *, only_mail: bool) -> None:
    if skew:
        time_machine.travel(time.time() + skew).start()
    django.setup()
    from monitoring import audit_seals, pipeline  # needs the applications to be loaded
    from patients.clock import shared_now
    from schedules import delivery, tasks

    while True:
        try:
            delivery.drain(together=together, seconds=2.0)
            tasks.recover_leases()
            if not only_mail:
                pipeline.take_turn(seconds=2.0)
                audit_seals.seal_settled(shared_now())
        except DatabaseError:
            connection.close()
        time.sleep(0.5)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), only_mail="mail" in sys.argv[3:])

"""A worker whose machine has the wrong time: one run of mail, or one look for mails whose worker died.

Usage: python -m tests.schedules.shifted SECONDS (mail | recover). The whole process lives so many seconds later.
"""

import sys
import time

import django
import time_machine


def main(seconds: float, what: str) -> None:
    time_machine.travel(time.time() + seconds).start()
    django.setup()
    from schedules import delivery, tasks  # needs the applications to be loaded

    if what == "mail":
        delivery.drain()
    else:
        tasks.recover_leases()


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])

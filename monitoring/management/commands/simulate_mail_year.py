"""simulate_mail_year: rehearse a year of reminders in an empty database and print its books."""

import sys
import time
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring.simulation import mail_world, mail_year
from monitoring.simulation.demonstration import NotHere


class Command(BaseCommand):
    help = (
        "Live a year of reminders with invented patients, outages, bounces and opt-outs, against a mail server on this "
        "machine, and reckon what became of every mail. Needs a migrated database without clinics. Exits with 1 when "
        "the books differ."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--patients", type=int, default=240)
        parser.add_argument("--days", type=int, default=365)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--start", type=date.fromisoformat, default=mail_world.Order().start)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["patients"] < 1 or options["days"] < 1:
            raise CommandError("--patients and --days must be above 0.")
        order = mail_world.Order(**{name: options[name] for name in ("patients", "days", "seed", "start")})
        began = time.monotonic()

        def progress(day: date) -> None:
            if day.day == 1:
                self.stderr.write(f"{day} after {time.monotonic() - began:.0f} s")

        try:
            result = mail_year.rehearse(order, progress=progress)
        except NotHere as problem:
            raise CommandError(str(problem)) from problem
        for line in result.lines():
            self.stdout.write(line)
        if not result.adds_up:
            sys.exit(1)

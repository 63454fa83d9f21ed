"""keep_partitions: makes the parts of coming months of the tables that are divided by month."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from monitoring import tables
from patients.partitions import AHEAD


class Command(BaseCommand):
    help = (
        "Make the parts that the tables divided by month lack. Beat does it four times a day; twice does nothing more."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ahead", type=int, default=AHEAD, help=f"months after this one, 1 to 24; usually {AHEAD}")

    def handle(self, *args: Any, **options: Any) -> None:
        ahead, today = options["ahead"], timezone.now().date()
        if not 1 <= ahead <= 24:
            raise CommandError("--ahead is from 1 to 24 months.")
        try:
            made = tables.keep_months(today, ahead=ahead)
        except OperationalError as fault:
            raise CommandError(f"A table is in use; nothing has changed, try again: {fault}") from fault
        for part in made:
            self.stdout.write(f"made {part}")
        self.stdout.write(f"{len(made)} parts made; there are parts for {tables.months_ahead(today)} months to come.")

"""simulate_registry: fill synthetic clinics with invented patients."""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from monitoring.simulation import registry
from monitoring.simulation.natural_history import SmallLesions
from patients import access
from patients.changes import Actor
from patients.models import Clinic
from patients.recording import today_at
from schedules import adoption


class Command(BaseCommand):
    help = "Simulate patients, marked as synthetic, in clinics of their own. The same seed gives the same registry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--patients", type=int, default=240)
        parser.add_argument("--years", type=float, default=4.0, help="of history before the last day")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--clinics", type=int, default=1, help="over which the patients are spread")
        parser.add_argument("--as-of", type=date.fromisoformat, help="the day up to which is simulated (today)")
        parser.add_argument("--small-lesions", choices=[str(model) for model in SmallLesions], default="hernigou")
        parser.add_argument("--processes", type=int, default=1)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["patients"] < 1 or options["clinics"] < 1 or options["processes"] < 1 or options["years"] <= 0:
            raise CommandError("--patients, --clinics, --processes and --years must be above 0.")
        with transaction.atomic():
            adoption.ensure_default(Actor.system(registry.RUN))
        total, done = options["patients"], 0
        for place in range(1, options["clinics"] + 1):
            share = total // options["clinics"] + (place <= total % options["clinics"])
            if share:
                done += self._fill(place, share, done, options)

    def _fill(self, place: int, patients: int, before: int, options: dict[str, Any]) -> int:
        clinic = synthetic_clinic(place)
        today = today_at(clinic, timezone.now())
        as_of = options["as_of"] or today
        if as_of > today:
            raise CommandError("--as-of lies in the future.")
        with access.system_run(registry.RUN, [clinic.pk]):
            first = registry.next_number(clinic)
        order = registry.Order(
            clinic_id=clinic.pk,
            patients=patients,
            years=options["years"],
            seed=options["seed"] * 1000 + place,
            as_of=as_of,
            first=first,
            small=SmallLesions(options["small_lesions"]),
        )
        try:
            report = progress_on(self.stderr.write, clinic.name, patients)
            return registry.simulate(order, processes=options["processes"], progress=report)
        except registry.RealPatientsHere as problem:
            raise CommandError(str(problem)) from problem


def synthetic_clinic(place: int) -> Clinic:
    clinic, _created = Clinic.objects.get_or_create(
        name=f"Synthetic Clinic {place}",
        defaults={
            "mail_name": f"Clinic {place}",
            "telephone": f"+4420794600{place % 100:02d}",
            "reply_to": f"desk{place}@clinic.example",
            "synthetic": True,
        },
    )
    return clinic


def progress_on(write: Callable[[str], Any], name: str, total: int) -> registry.Progress:
    """Tell how far a clinic has come, at most once a second and at the end."""
    started = time.monotonic()
    last = 0.0

    def progress(done: int) -> None:
        nonlocal last
        seconds = time.monotonic() - started
        if seconds - last >= 1 or done == total:
            last = seconds
            write(f"{name}: {done:,} of {total:,} patients in {seconds:.0f} s")

    return progress

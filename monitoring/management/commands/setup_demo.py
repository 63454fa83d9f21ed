"""setup_demo: the demonstration clinics, when there is no clinic yet."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring.management.commands.simulate_registry import progress_on
from monitoring.simulation import demonstration


class Command(BaseCommand):
    help = "Create two synthetic clinics with staff and patients; the last line of the output is JSON."

    def handle(self, *args: Any, **options: Any) -> None:
        total = sum(clinic.patients for clinic in demonstration.CLINICS)
        try:
            made = demonstration.set_up(progress_on(self.stderr.write, "Demonstration", total))
        except demonstration.NotHere as problem:
            raise CommandError(str(problem)) from problem
        people = [asdict(person) for person in demonstration.sign_ins()]
        clinics = [clinic.name for clinic in demonstration.CLINICS]
        self.stdout.write(json.dumps({"sign_ins": people, "patients": made, "clinics": clinics}, ensure_ascii=False))

"""add_staff: a person with roles in a clinic; prints the first password once."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from patients import access
from patients.models import Clinic, Role

from ... import staffing


class Command(BaseCommand):
    help = "Give a person roles in a clinic; a new person gets a first password, printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", required=True)
        parser.add_argument("--clinic", required=True, help="The clinic's name.")
        parser.add_argument("--role", action="append", required=True, choices=Role.values, dest="roles")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with access.system_run("add_staff") as viewer:
                clinic = Clinic.objects.filter(name=options["clinic"]).first()
                if clinic is None:
                    known = ", ".join(Clinic.objects.values_list("name", flat=True)[:20]) or "none yet"
                    raise CommandError(f"There is no clinic “{options['clinic']}”; there are: {known}.")
                user, password = staffing.add_staff(
                    by=viewer.actor,
                    clinic=clinic,
                    email=options["email"],
                    name=options["name"],
                    roles=[Role(role) for role in options["roles"]],
                )
        except ValidationError as refused:
            problems = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in refused.message_dict.items())
            raise CommandError(problems) from refused
        self.stdout.write(f"{user.email}: {', '.join(options['roles'])} in {clinic.name}")
        if password:
            self.stdout.write(f"First password, shown once: {password}")

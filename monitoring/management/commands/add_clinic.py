"""add_clinic: the first thing a new installation needs."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from patients import access
from patients.models.clinic import LANGUAGES

from ... import staffing


class Command(BaseCommand):
    help = "Add a clinic. Staff follow with add_staff."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="As staff know it.")
        parser.add_argument("--mail-name", required=True, help="How mail names it: tells no disease and no body part.")
        parser.add_argument("--telephone", required=True)
        parser.add_argument("--reply-to", default="", help="Where answers to mail go.")
        parser.add_argument("--address", default="")
        parser.add_argument("--opening-hours", default="")
        parser.add_argument("--time-zone", default="Europe/London")
        parser.add_argument("--language", default="en", choices=[code for code, _words in LANGUAGES])

    def handle(self, *args: Any, **options: Any) -> None:
        details = {name: options[name] for name in ("reply_to", "address", "opening_hours", "time_zone", "language")}
        try:
            with access.system_run("add_clinic") as viewer:
                clinic = staffing.add_clinic(
                    by=viewer.actor,
                    name=options["name"],
                    mail_name=options["mail_name"],
                    telephone=options["telephone"],
                    **details,
                )
        except ValidationError as refused:
            problems = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in refused.message_dict.items())
            raise CommandError(problems) from refused
        self.stdout.write(f"Added {clinic.name}. Next: manage.py add_staff EMAIL --name … --clinic … --role admin")

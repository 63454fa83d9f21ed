"""export_patient: everything that is held of a patient, as one ZIP for them."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError
from django.http import Http404

from monitoring.api.staff import acting
from monitoring.privacy.subject_access import write_export
from patients import access
from patients.access import Permission


class Command(BaseCommand):
    help = "Write everything that is held of a patient, and who looked, into a ZIP (a PDF and JSON). It is audited."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("patient", type=int, help="the number in the address of the patient's page")
        parser.add_argument("--out", type=Path, required=True, help="the file to be written; it must not exist")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="the administrator who asks")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with acting(options["email"]) as desk, options["out"].open("xb") as file:
                patient = access.patient_for(desk.viewer, options["patient"], Permission.ADMINISTER)
                write_export(desk.viewer, patient, file)
        except (PermissionDenied, Http404, FileExistsError) as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(f"Written to {options['out']}.")

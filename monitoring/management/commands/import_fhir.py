"""import_fhir: patients and their hips from FHIR R4 Bundles and NDJSON. It only reads unless told to save."""

import csv
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from monitoring.fhir.loading import Choices, load, places
from monitoring.fhir.report import COLUMNS, Report
from monitoring.imports.running import Bar, table, who_and_where
from monitoring.spreadsheets import harmless

SHOWN = 20


class Command(BaseCommand):
    help = (
        "Read FHIR R4 files (Bundles, single resources, bulk NDJSON, mixed in a folder), account for every "
        "resource, and with --commit save what is new. See docs/import.md. Exit status 2: nothing could be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="a file or a folder")
        parser.add_argument("--clinic", required=True, help="name of the clinic that follows these patients")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="who imports")
        parser.add_argument("--commit", action="store_true", help="save; without it nothing is saved")
        parser.add_argument(
            "--only-with-hip-facts", action="store_true", help="enrol only those of whom the files hold a hip finding"
        )
        parser.add_argument("--enrolled-on", type=date.fromisoformat, metavar="DATE", help="default: today")
        parser.add_argument(
            "--identifier-system", default="", metavar="URI", help="which identifier is the record number"
        )
        parser.add_argument(
            "--agree-duplicates", action="store_true", help="import people likely known under another number"
        )
        parser.add_argument("--problems", type=Path, metavar="OUT.csv", help="write every invalid and skipped resource")

    def handle(self, *args: Any, **options: Any) -> None:
        by, clinic = who_and_where(options["email"], options["clinic"])
        choices = Choices(
            commit=options["commit"],
            only_with_hip_facts=options["only_with_hip_facts"],
            enrolled_on=options["enrolled_on"],
            identifier_system=options["identifier_system"],
            duplicates_agreed=options["agree_duplicates"],
        )
        bar = Bar("Read", unit="files")
        try:
            report = load(options["path"], clinic, by=by, choices=choices, now=timezone.now(), progress=bar)
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}.", returncode=2) from None
        if not report.counts:
            raise CommandError(f"{options['path']} holds no FHIR JSON.", returncode=2)
        if options["problems"]:
            _write_problems(options["problems"], report)
        self._tell(report, choices)

    def _tell(self, report: Report, choices: Choices) -> None:
        self.stdout.write(table(report.rows(), ("resource", *COLUMNS)))
        if report.reasons:
            self.stdout.write("\nSkipped, and why:")
            for (kind, why), count in report.reasons.most_common():
                self.stdout.write(f"  {count:>5}  {kind}: {why}")
        self._list(
            "Invalid, first fault of each", [f"{kind} at {place}: {fault}" for kind, place, fault in report.invalid]
        )
        self._list("Notes", [f"{place}: {text}" for place, text in report.notes])
        if report.left_alone:
            self._list("Files of another kind, not read", report.left_alone)
        new = report.counts["Patient"]["new"]
        would = "" if choices.commit else "would be "
        self.stdout.write(
            f"\n{new} patients {would}enrolled, of {report.blank_hips} of them nothing is known of either hip yet; "
            f"{report.counts['Patient']['updated']} {would}updated."
        )
        verdict = "Saved." if choices.commit else "Nothing was saved: this was a check. --commit saves."
        self.stdout.write(self.style.SUCCESS(verdict))

    def _list(self, title: str, texts: list[str]) -> None:
        if not texts:
            return
        self.stdout.write(f"\n{title}:")
        for text in texts[:SHOWN]:
            self.stdout.write(f"  {text}")
        if len(texts) > SHOWN:
            self.stdout.write(f"  ... and {len(texts) - SHOWN} more; --problems OUT.csv writes them all.")


def _write_problems(path: Path, report: Report) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["what", "resource", "place", "problem"])
        writer.writerows([harmless(text) for text in row] for row in places(report))

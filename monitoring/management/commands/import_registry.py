"""import_registry: a registry kept in a spreadsheet comes in, or goes out again. It only checks unless told to save."""

import csv
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from monitoring.imports import batch as batches
from monitoring.imports import undo
from monitoring.imports.batch import Options, bound
from monitoring.imports.cells import DateOrder
from monitoring.imports.registry_file import ImportRefused
from monitoring.imports.running import Bar, who_and_where
from monitoring.models import ImportBatch
from monitoring.spreadsheets import harmless
from patients.changes import Actor
from patients.models import Clinic

SHOWN = 50
REFUSED_ROWS, REFUSED_FILE = 1, 2


class Command(BaseCommand):
    help = (
        "Check a registry in a CSV file or Excel workbook, and with --commit save it. The columns are described in "
        "docs/import.md. Exit status: 0 all rows are fine, 1 some are refused, 2 the file is. With --undo: "
        "say what undoing a saved import would do, with --commit undo it; status 1 where something is left as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, nargs="?", help="CSV (comma, semicolon, tab; UTF-8 or Windows-1252) or .xlsx"
        )
        parser.add_argument("--clinic", required=True, help="name of the clinic that follows these patients")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="who imports")
        parser.add_argument("--commit", action="store_true", help="save; without it nothing is saved")
        parser.add_argument(
            "--row-by-row", action="store_true", help="save the rows that are fine; else one refused row keeps all out"
        )
        parser.add_argument(
            "--date-format", choices=[o.value for o in DateOrder], default="iso", help="iso (default): 2025-04-03"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="HEADING=COLUMN",
            help="take a column as ours; HEADING= leaves it out",
        )
        parser.add_argument(
            "--agree-duplicates", action="store_true", help="import people likely known under another number"
        )
        parser.add_argument("--undo", type=int, metavar="NUMBER", help="undo this saved import instead of importing")
        parser.add_argument("--reason", default="", help="why it is undone; needed with --undo")
        parser.add_argument("--problems", type=Path, metavar="OUT.csv", help="write every remark, one a line")
        parser.add_argument("--quiet", action="store_true", help="only the summary")

    def handle(self, *args: Any, **options: Any) -> None:
        by, clinic = who_and_where(options["email"], options["clinic"])
        if options["undo"] is not None:
            self._undo(options["undo"], clinic, by, options)
            return
        if options["file"] is None:
            raise CommandError("Name the file, or with --undo the import.", returncode=REFUSED_FILE)
        content = _content(options["file"])
        chosen = Options(
            all_or_nothing=not options["row_by_row"],
            date_order=DateOrder(options["date_format"]),
            mapping=_mapping(options["map"]),
            duplicates_agreed=options["agree_duplicates"],
        )
        saved = False
        try:
            batch = batches.check(
                clinic,
                content,
                file_name=options["file"].name,
                by=by,
                options=chosen,
                keep_content=options["commit"],
                progress=Bar("Checked"),
            )
            if options["commit"] and not (chosen.all_or_nothing and batch.rows_refused):
                batch = batches.commit(batch.pk, clinic_id=clinic.pk, by=by, progress=Bar("Saved"))
                saved = True
        except ImportRefused as error:
            raise CommandError(str(error), returncode=REFUSED_FILE) from None
        with bound(clinic.pk, by):
            if not saved and batch.content is not None:
                ImportBatch.objects.filter(pk=batch.pk).update(content=None)
            rows = list(batch.rows.exclude(problems=[]).values_list("number", "outcome", "problems"))
        self._tell(batch, rows, options, saved=saved)
        if batch.rows_refused:
            raise SystemExit(REFUSED_ROWS)

    def _undo(self, number: int, clinic: Clinic, by: Actor, options: dict[str, Any]) -> None:
        try:
            with bound(clinic.pk, by):
                batch = ImportBatch.objects.filter(pk=number, clinic=clinic).defer("content").first()
                if batch is None:
                    raise CommandError(f"{clinic} has no import {number}.", returncode=REFUSED_FILE)
                if batch.state != ImportBatch.State.UNDOING:  # else it was asked for, and whoever did it has died
                    undo.check_undoable(batch, reason=options["reason"])
                seen = undo.preview(batch, shown=SHOWN)
                if options["commit"] and batch.state != ImportBatch.State.UNDOING:
                    undo.ask_to_undo(batch, by, reason=options["reason"])
            if options["commit"]:
                bar = Bar("Undone", unit="patients")
                batch = undo.carry_out(number, clinic_id=clinic.pk, by=by, progress=bar)
        except ImportRefused as error:
            raise CommandError(str(error), returncode=REFUSED_FILE) from None
        counts = batch.undone if options["commit"] else seen.counts
        self._tell_undone(batch, counts, seen, options)
        if counts.get("left"):
            raise SystemExit(REFUSED_ROWS)

    def _tell_undone(
        self, batch: ImportBatch, counts: Mapping[str, int], seen: undo.Preview, options: dict[str, Any]
    ) -> None:
        if not options["quiet"]:
            for row, item in seen.left:
                self.stdout.write(f"line {row.number}, {row.patient}: left ({item.why}) {item.what}".rstrip())
        would = "" if options["commit"] else "would be "
        patients, ended, facts, exposures, details, left = (
            counts.get(name, 0) for name in ("patients", "ended", "facts", "exposures", "details", "left")
        )
        self.stdout.write(
            f"Import {batch.pk}, {batch.file_name}: {ended} of {patients} patients {would}ended as entered in error, "
            f"{facts} facts and {exposures} conditions {would}withdrawn, {details} details {would}put back, "
            f"{left} left."
        )
        done = "Undone." if options["commit"] else "Nothing was undone: this was a check. --commit undoes."
        self.stdout.write(self.style.SUCCESS(done))

    def _tell(
        self, batch: ImportBatch, rows: list[tuple[int, str, Any]], options: dict[str, Any], *, saved: bool
    ) -> None:
        if options["problems"]:
            _write_problems(options["problems"], rows)
        remarks = [(number, outcome, remark) for number, outcome, found in rows for remark in found]
        if not options["quiet"]:
            for number, _outcome, remark in remarks[:SHOWN]:
                kind = "" if remark["refuses"] else "(note) "
                self.stdout.write(f"line {number}, {remark['column'] or 'row'}: {kind}{remark['text']}")
            if len(remarks) > SHOWN:
                self.stdout.write(f"... and {len(remarks) - SHOWN} more; --problems OUT.csv writes them all.")
        self.stdout.write(f"{batch.file_name}: {batch.note}")
        would = "" if saved else "would be "
        self.stdout.write(
            f"{batch.rows_total} rows: {batch.rows_created} {would}enrolled, {batch.rows_updated} {would}updated, "
            f"{batch.rows_unchanged} unchanged, {batch.rows_refused} refused."
        )
        self.stdout.write(self.style.SUCCESS(_verdict(batch, options, saved=saved)))


def _verdict(batch: ImportBatch, options: dict[str, Any], *, saved: bool) -> str:
    if saved:
        return f"Saved as import {batch.pk}."
    if options["commit"]:
        return "Nothing was saved, because rows are refused; --row-by-row saves the others."
    return "Nothing was saved: this was a check. --commit saves."


def _content(path: Path) -> bytes:
    limit: int = settings.IMPORT_MAX_BYTES
    try:
        if path.stat().st_size > limit:
            raise CommandError(f"{path} is larger than {limit // 1024 // 1024} MB; divide it.", returncode=REFUSED_FILE)
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=REFUSED_FILE) from None


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        theirs, equals, ours = pair.partition("=")
        if not equals:
            raise CommandError(f"--map {pair}: write HEADING=COLUMN.", returncode=REFUSED_FILE)
        mapping[theirs] = ours
    return mapping


def _write_problems(path: Path, rows: list[tuple[int, str, Any]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["line", "outcome", "column", "refuses", "problem"])
        for number, outcome, remarks in rows:
            for remark in remarks:
                refuses = "yes" if remark["refuses"] else "no"
                writer.writerow([number, outcome, harmless(remark["column"]), refuses, harmless(remark["text"])])

"""assess: what the guideline asks of a patient on a day, from a file or a stream of records, without a database."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from patients.record import PatientRecord
from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import DEFAULT
from schedules.guideline.reading import RecordRefused, read_day, read_record
from schedules.guideline.stream import answer_lines
from schedules.guideline.telling import tell
from schedules.guideline.values import NotJson, parse_json


class Command(BaseCommand):
    help = "Say what the follow-up guideline asks of a patient's hips on a day."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("record", nargs="?", help="a record as JSON, see docs/assess.schema.json; - reads stdin")
        what.add_argument(
            "--jsonl",
            metavar="FILE",
            help='one {"record": ..., "as_of": ...} a line in (- is stdin), one answer a line out',
        )
        parser.add_argument("--as-of", metavar="DATE", help="the day to ask about; today if not given")
        parser.add_argument("--json", action="store_true", help="the answer as JSON")

    def handle(self, **options: Any) -> None:
        if options["jsonl"]:
            self._answer_stream(options["jsonl"])
        else:
            self._answer_one(options["record"], options["as_of"], options["json"])

    def _answer_stream(self, name: str) -> None:
        """Each answer leaves at once, for a program that asks and waits. A bad line is answered with its error, so
        it does not fail the run."""
        try:
            with _lines_of(name) as lines:
                for answer in answer_lines(lines, DEFAULT):
                    self.stdout.write(answer)
                    self.stdout.flush()
        except BrokenPipeError:
            # The reader has gone. Point stdout elsewhere, or the interpreter would complain when it closes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _answer_one(self, name: str, as_of: str | None, as_json: bool) -> None:
        try:
            day = read_day(as_of) if as_of else timezone.localdate()
            answer = evaluate(_record_in(name), DEFAULT, day)
        except RecordRefused as refused:
            raise CommandError("\n".join(f"{path}: {message}" for path, message in refused.problems)) from None
        self.stdout.write(json.dumps(answer.to_json(), indent=2) if as_json else tell(answer))


@contextmanager
def _lines_of(name: str) -> Iterator[Iterable[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below; a fault of the reader of lines is not one of opening
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from None
    with file:
        yield file


def _record_in(name: str) -> PatientRecord:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
        data = parse_json(text)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name}: is not UTF-8 text") from None
    except NotJson as refused:
        raise CommandError(f"{name}: {refused}") from None
    return read_record(data)

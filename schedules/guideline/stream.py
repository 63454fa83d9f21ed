"""Stream: one `{"record": ..., "as_of": ...}` a line in, one answer a line out, in the same order.

A line that cannot be answered gives `{"error": {"problems": [...]}}` in its place and the stream goes on.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from patients.record import PatientRecord

from .checks import Problem
from .evaluation import evaluate
from .protocol import Protocol
from .reading import RecordRefused, read_day, read_record
from .values import NotJson, parse_json


def answer_lines(lines: Iterable[bytes], protocol: Protocol) -> Iterator[str]:
    """One line of JSON, without its line end, for each line given."""
    for line in lines:
        yield json.dumps(answer_line(line, protocol), separators=(",", ":"))


def answer_line(line: bytes, protocol: Protocol) -> dict[str, Any]:
    """The answer to one line, or its error."""
    try:
        record, as_of = read_question(parse_json(line.decode("utf-8-sig")))
    except UnicodeDecodeError:
        return error([Problem("$", "is not UTF-8 text")])
    except NotJson as refused:
        return error([Problem("$", str(refused))])
    except RecordRefused as refused:
        return error(refused.problems)
    return evaluate(record, protocol, as_of).to_json()


def read_question(question: Any) -> tuple[PatientRecord, date]:
    """The record and the day that are asked about. Raises RecordRefused with every problem of both."""
    if not isinstance(question, dict):
        raise RecordRefused([Problem("$", 'must be an object with "record" and "as_of"')])
    problems = [Problem(name, "is missing") for name in ("record", "as_of") if name not in question]
    record: PatientRecord | None = None
    day: date | None = None
    try:
        record = read_record(question["record"]) if "record" in question else None
    except RecordRefused as refused:
        problems += refused.problems
    try:
        day = read_day(question["as_of"]) if "as_of" in question else None
    except RecordRefused as refused:
        problems += refused.problems
    if problems or record is None or day is None:
        raise RecordRefused(problems)
    return record, day


def error(problems: list[Problem]) -> dict[str, Any]:
    return {"error": {"problems": [{"path": path, "message": message} for path, message in problems]}}

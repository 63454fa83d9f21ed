"""Writing: a PatientRecord as the JSON values that `reading` reads back to the same record."""

from dataclasses import fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from patients.record import HipRecord, PatientRecord
from patients.vocabulary import Side


def write_record(record: PatientRecord) -> dict[str, Any]:
    """The record as JSON values; what is unknown is left out, and so is a hip of which nothing is known."""
    hips = [_written(record.hip(side)) for side in Side if record.hip(side) != HipRecord(side)]
    patient = {
        name: value for name, value in _written(record).items() if name not in (Side.LEFT.value, Side.RIGHT.value)
    }
    return {"patient": patient, "hips": hips}


def plain_number(value: Decimal) -> int | float | Decimal:
    """The same number as JSON has it. A decimal that no double equals stays one, so that nothing is lost unseen."""
    if value.as_tuple().exponent == 0:
        return int(value)
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else value


def _written(fact: Any) -> dict[str, Any]:
    values = {field.name: getattr(fact, field.name) for field in fields(fact)}
    return {
        name: _value(value) for name, value in values.items() if value is not None and value not in ((), frozenset())
    }


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(item.value for item in value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    return plain_number(value) if isinstance(value, Decimal) else value

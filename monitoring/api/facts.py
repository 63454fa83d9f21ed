"""Facts over the API: each kind's fields are those of the record, so what is read may be sent again.

A field takes the JSON type that it gives. What is null or left out is unknown.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models

from patients.models import HIP_FACTS, BmiReading, Ending, Fact, HipFact, Patient
from patients.models.facts import Origin
from patients.recording import Problems, RecordingRefused
from patients.vocabulary import EndReason, Side

_MODELS: Final[tuple[type[Fact], ...]] = (*HIP_FACTS, BmiReading)
FACT_KINDS: Final = {str(model.kind): model for model in _MODELS}
_OURS: Final = frozenset(
    {"id", "clinic", "patient", "hip", "visit", "on", "origin", "recorded_at", "recorded_by", "actor", "supersedes"}
    | {"correction_reason", "withdrawn_at", "withdrawn_actor", "withdrawn_reason"}
)


def _fields_of(model: type[Fact]) -> dict[str, "models.Field[Any, Any]"]:
    """The fields of a kind that say something about the patient."""
    return {field.name: field for field in model._meta.concrete_fields if field.name not in _OURS}


FIELDS: Final = {kind: _fields_of(model) for kind, model in FACT_KINDS.items()}


def facts_of(patient: Patient) -> list[dict[str, Any]]:
    """Everything recorded of a patient, oldest first. One query a kind."""
    sides = {hip.pk: hip.side for hip in patient.hips.all()}
    found: list[dict[str, Any]] = []
    for kind, model in FACT_KINDS.items():
        rows = model._default_manager.filter(patient=patient).order_by("on", "id")
        found += [_plain(kind, fact, sides) for fact in rows]
    return sorted(found, key=lambda fact: (fact["on"], fact["recorded_at"]))


def _plain(kind: str, fact: Fact, sides: Mapping[int, str]) -> dict[str, Any]:
    values = {name: getattr(fact, name) for name in FIELDS[kind]}
    earlier = fact.serializable_value("supersedes")
    return {
        "id": fact.key,
        "kind": kind,
        "side": sides.get(fact.hip_id) if isinstance(fact, HipFact) else None,
        "on": fact.on,
        "values": {name: _number(value) for name, value in values.items() if value not in (None, "", [])},
        "supersedes": f"{kind}-{earlier}" if earlier else None,
        "correction_reason": fact.correction_reason,
        "withdrawn": fact.withdrawn_at is not None,
        "withdrawn_reason": fact.withdrawn_reason,
        "recorded_at": fact.recorded_at,
        "actor": fact.actor,
        "origin": fact.origin,
    }


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def find_fact(patient: Patient, key: str) -> Fact | None:
    """The patient's fact of this key, such as imaging-12."""
    kind, _dash, number = key.rpartition("-")
    if kind not in FACT_KINDS or not (number.isascii() and number.isdecimal() and len(number) < 19):
        return None
    return FACT_KINDS[kind]._default_manager.filter(pk=int(number), patient=patient).first()


def facts_from(sent: list[dict[str, Any]], patient: Patient) -> list[tuple[Side | None, Fact]]:
    """Unsaved facts with their sides. Raises RecordingRefused with every problem, keyed as record_facts does."""
    facts: list[tuple[Side | None, Fact]] = []
    problems: Problems = {}
    for index, data in enumerate(sent):
        fact, found = _fact_from(data, patient)
        facts.append((Side(data["side"]) if data.get("side") else None, fact))
        problems |= {f"{index}.{name}": texts for name, texts in found.items()}
    if problems:
        raise RecordingRefused(problems)
    return facts


def _fact_from(data: Mapping[str, Any], patient: Patient) -> tuple[Fact, Problems]:
    model: type[Fact] = FACT_KINDS[data["kind"]]
    values, problems = _read(data["kind"], data["values"])
    reason = data.get("correction_reason") or ""
    fact = model(on=data["on"], origin=Origin.API, correction_reason=reason, **values)
    if key := data.get("supersedes"):
        earlier = find_fact(patient, key)
        if earlier is None or type(earlier) is not model:
            problems["supersedes"] = ["There is no such fact of this kind and patient."]
        else:
            fact.supersedes = earlier
    if issubclass(model, HipFact) and not data.get("side"):
        problems["side"] = ["Say which hip."]
    elif not issubclass(model, HipFact) and data.get("side"):
        problems["side"] = ["This is said of the person, not of a hip."]
    return fact, problems


def _read(kind: str, sent: Mapping[str, Any]) -> tuple[dict[str, Any], Problems]:
    values: dict[str, Any] = {}
    problems: Problems = {}
    for name, raw in sent.items():
        if name not in FIELDS[kind]:
            problems[name] = [f"A {kind} has no such field."]
        elif raw is not None:
            try:
                values[name] = _reader(FIELDS[kind][name])(raw)
            except ValueError as wrong:
                problems[name] = [str(wrong)]
    return values, problems


def asks_for_a_decision(fact: Fact) -> bool:
    """Whether recording it is for those who decide: answers, discharges, and whatever changes an ending."""
    if fact.kind == "decision":
        return True
    if not isinstance(fact, Ending):
        return False
    return fact.supersedes is not None or fact.reason in (EndReason.DISCHARGED, EndReason.REOPENED)


_ABOUT_THE_FACT: Final = frozenset({"on", "side", "supersedes", "correction_reason"})


def placed(refused: RecordingRefused) -> RecordingRefused:
    """The same problems, keyed by their place in the body of a visit: facts.0.values.pain_nrs."""
    problems: Problems = {}
    for key, texts in refused.problems.items():
        index, _dot, name = key.partition(".")
        inner = name if name in _ABOUT_THE_FACT else f"values.{name}"
        problems[f"facts.{index}.{inner}" if name else key] = list(texts)
    return RecordingRefused(problems)


def _reader(field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
    return next(read for kinds, read, _schema in _TYPES if isinstance(field, kinds))


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("Write true, false or null.")
    return raw


def _decimal(raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        raise ValueError("Write a number.")
    return Decimal(raw)


def _whole(raw: Any) -> int:
    value = _decimal(raw)
    if value.adjusted() > 9 or value != int(value):
        raise ValueError("Write a whole number of few digits.")
    return int(value)


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("Write text.")
    return raw


def _day(raw: Any) -> date:
    try:
        return date.fromisoformat(_text(raw))
    except ValueError:
        raise ValueError("Write a date such as 2026-03-31.") from None


def _codes(raw: Any) -> list[str]:
    if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
        raise ValueError("Write a list of codes.")
    if len(set(raw)) != len(raw):
        raise ValueError("A code comes twice.")
    return raw


def _object(raw: Any) -> Any:
    if not isinstance(raw, dict):
        raise ValueError("Write an object.")
    return {name: _plain_json(value) for name, value in raw.items()}


def _plain_json(raw: Any) -> Any:
    """JSON that the database takes: numbers that no double holds are refused."""
    if isinstance(raw, Decimal):
        if abs(raw) > Decimal("1e300"):
            raise ValueError("A number is too large.")
        return float(raw)
    if isinstance(raw, list):
        return [_plain_json(item) for item in raw]
    return {name: _plain_json(value) for name, value in raw.items()} if isinstance(raw, dict) else raw


_TYPES: Final[list[tuple[Any, Callable[[Any], Any], dict[str, Any]]]] = [
    (models.BooleanField, _flag, {"type": "boolean"}),
    (models.DecimalField, _decimal, {"type": "number"}),
    (models.IntegerField, _whole, {"type": "integer"}),
    (models.DateField, _day, {"type": "string", "format": "date"}),
    (ArrayField, _codes, {"type": "array", "uniqueItems": True}),
    (models.JSONField, _object, {"type": "object"}),
    ((models.CharField, models.TextField), _text, {"type": "string"}),
]


def values_schema(kind: str) -> dict[str, Any]:
    """What `values` of this kind may hold, as JSON Schema."""
    fields = FIELDS[kind]
    required = [name for name, field in fields.items() if not field.blank and not field.null]
    return {
        "type": "object",
        "title": f"Values of a {kind}",
        "properties": {name: _field_schema(field) for name, field in fields.items()},
        "required": required,
        "additionalProperties": False,
    }


def _field_schema(field: "models.Field[Any, Any]") -> dict[str, Any]:
    schema = dict(next(schema for kinds, _read, schema in _TYPES if isinstance(field, kinds)))
    if isinstance(field, ArrayField):
        schema["items"] = {"type": "string", "enum": [str(value) for value, _words in field.base_field.choices or ()]}
    elif field.choices:
        schema["enum"] = [str(value) for value, _words in field.choices]
    elif field.max_length and "format" not in schema:
        schema["maxLength"] = field.max_length
    for validator in field._validators:  # type: ignore[attr-defined]
        name = {"min_value": "minimum", "max_value": "maximum"}.get(validator.code)
        if name:
            schema[name] = validator.limit_value
    return schema

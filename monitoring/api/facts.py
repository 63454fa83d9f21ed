"""Facts over the API: each kind's fields are those of the record, so what is read may be sent again."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from patients.models import HIP_FACTS, BmiReading, Fact, HipFact, Patient
from patients.models.facts import Origin
from patients.recording import RecordingRefused
from patients.vocabulary import Side

FACT_KINDS: Final[dict[str, type[Fact]]] = {str(model.kind): model for model in (*HIP_FACTS, BmiReading)}
_OURS: Final = frozenset(
    {"id", "clinic", "patient", "hip", "visit", "on", "origin", "recorded_at", "recorded_by", "actor", "supersedes"}
    | {"correction_reason", "withdrawn_at", "withdrawn_actor", "withdrawn_reason"}
)
_PAGE: Final = 500


def fields_of(model: type[Fact]) -> list[str]:
    """The fields of a kind that say something about the patient."""
    return [field.name for field in model._meta.concrete_fields if field.name not in _OURS]


def facts_of(patient: Patient) -> list[dict[str, Any]]:
    """Everything recorded of a patient, oldest first, at most 500 of each kind."""
    sides = {hip.pk: hip.side for hip in patient.hips.all()}
    found: list[dict[str, Any]] = []
    for kind, model in FACT_KINDS.items():
        rows = model._default_manager.filter(patient=patient).order_by("on", "id")[:_PAGE]
        found += [_plain(kind, fact, sides) for fact in rows]
    return sorted(found, key=lambda fact: (fact["on"], fact["recorded_at"]))


def _plain(kind: str, fact: Fact, sides: Mapping[int, str]) -> dict[str, Any]:
    values = {name: getattr(fact, name) for name in fields_of(type(fact))}
    return {
        "id": fact.key,
        "kind": kind,
        "side": sides.get(fact.hip_id) if isinstance(fact, HipFact) else None,
        "on": fact.on,
        "values": {name: _number(value) for name, value in values.items() if value not in (None, "", [])},
        "supersedes": f"{kind}-{fact.supersedes.pk}" if fact.supersedes else None,
        "withdrawn": fact.withdrawn_at is not None,
        "recorded_at": fact.recorded_at,
        "actor": fact.actor,
        "origin": fact.origin,
    }


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def fact_from(data: Mapping[str, Any], index: int, patient: Patient) -> tuple[Side | None, Fact]:
    """An unsaved fact with its side. Raises RecordingRefused for unknown fields and for what is superseded."""
    model = FACT_KINDS[data["kind"]]
    values = dict(data["values"])
    if unknown := sorted(set(values) - set(fields_of(model))):
        raise RecordingRefused({f"{index}.values.{name}": [f"A {data['kind']} has no such field."] for name in unknown})
    fact = model(on=data["on"], origin=Origin.API, correction_reason=data.get("correction_reason") or "", **values)
    if key := data.get("supersedes"):
        fact.supersedes = _superseded(model, key, index, patient)
    side = data.get("side")
    if issubclass(model, HipFact) and side is None:
        raise RecordingRefused({f"{index}.side": ["Say which hip."]})
    return (Side(side) if side else None), fact


def _superseded(model: type[Fact], key: str, index: int, patient: Patient) -> Fact:
    kind, _dash, number = key.rpartition("-")
    earlier = None
    if kind == model.kind and number.isdigit() and len(number) < 19:
        earlier = model._default_manager.filter(pk=int(number), patient=patient).first()
    if earlier is None:
        raise RecordingRefused({f"{index}.supersedes": ["There is no such fact of this kind and patient."]})
    return earlier

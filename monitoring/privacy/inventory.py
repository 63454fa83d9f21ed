"""Inventory: in which tables something of a patient stands, found by looking, so that a new table is not forgotten."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.apps import apps
from django.db.models import Model, QuerySet

from patients.models import Merge, Patient, PossibleDuplicate

# Tables that tell of two people at once, and why neither is handed the other's.
OF_TWO_PEOPLE: Final[dict[type[Model], str]] = {
    Merge: "names another record; that a merge took place stands in the audit of both",
    PossibleDuplicate: "a guess about two records, either of which may be somebody else's",
}


@dataclass(frozen=True)
class Table:
    """One table and the look-up by which its rows of some patients are found."""

    model: type[Model]
    of: str

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    def rows(self, patient_ids: Sequence[int]) -> QuerySet[Any]:
        return self.model._default_manager.filter(**{f"{self.of}__in": list(patient_ids)}).order_by("pk")


@cache
def tables() -> tuple[Table, ...]:
    """Every table about one patient: the person, what names them, and what belongs to that; in order of name."""
    found: dict[type[Model], str] = {Patient: "pk"}
    models = [model for model in apps.get_models() if model not in OF_TWO_PEOPLE]
    for model in models:
        if model is not Patient and (name := _names_patient(model)):
            found[model] = name
    for model in models:
        if model not in found and (path := _belongs_to(model, found)):
            found[model] = path
    return tuple(Table(model, of) for model, of in sorted(found.items(), key=lambda item: item[0]._meta.db_table))


def _names_patient(model: type[Model]) -> str | None:
    for field in model._meta.concrete_fields:
        points = field.is_relation and field.related_model is Patient and field.name != "merged_into"
        if points or field.name == "patient_id":  # the audit holds no foreign keys
            return str(field.name)
    return None


def _belongs_to(model: type[Model], found: dict[type[Model], str]) -> str | None:
    for field in model._meta.concrete_fields:
        parent = field.related_model if field.is_relation else None
        if parent is not Patient and isinstance(parent, type) and parent in found and parent is not model:
            return f"{field.name}__{found[parent]}"
    return None


def held_of(patient_ids: Sequence[int]) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Table by table, each row as columns and values."""
    for table in tables():
        columns = [field.attname for field in table.model._meta.concrete_fields]
        yield table.name, table.rows(patient_ids).values(*columns).iterator(chunk_size=500)

"""Admin and patients: whom a row of any table is about, and that restricted records stay behind their gate there."""

from functools import cache
from typing import Any

from django.db import models

from patients import access
from patients.access import Viewer
from patients.models import Patient


@cache
def patient_columns(model: type[models.Model]) -> tuple[str, ...]:
    """The columns that name a patient: the table's own, else those of the row that it belongs to."""
    if model is Patient:
        return ("pk",)
    if getattr(model, "pgh_tracked_model", None) is Patient:
        return ("pgh_obj_id",)
    fields = model._meta.concrete_fields
    own = [field.attname for field in fields if field.related_model is Patient or field.name == "patient_id"]
    beyond = [
        f"{field.name}__{attname}"
        for field in fields
        if isinstance(field, models.ForeignKey) and _is_ours(field.related_model)
        for attname in _named_by(field.related_model)
    ]
    return tuple(own or beyond)


def _is_ours(model: Any) -> bool:
    return model._meta.app_label in ("patients", "schedules", "monitoring")


def _named_by(model: Any) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.related_model is Patient]


def patients_of(row: models.Model) -> list[int]:
    """The ids of the patients whom the row is about."""
    model: type[models.Model] = type(row)
    columns = patient_columns(model)
    if not columns:
        return []
    named = model._default_manager.filter(pk=row.pk).values_list(*columns)[0]
    return sorted({pk for pk in named if pk is not None})


def ungated(viewer: Viewer, rows: "models.QuerySet[Any]") -> "models.QuerySet[Any]":
    """The rows without those of restricted records for which the viewer has given no reason."""
    model: type[models.Model] = rows.model
    for column in patient_columns(model):
        rows = access.ungated(viewer, rows, column)
    return rows

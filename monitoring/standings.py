"""Standings: walking the lists in their order without sorting them, and whether what is kept is what follows."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db import connection
from django.db.models import F, Func, IntegerField, Q, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.db.models.lookups import GreaterThan

from .models import Standing
from .standing_sql import COLUMNS


class _Together(Func):
    """Columns compared as one, which an index over them can follow."""

    function = "ROW"
    output_field = IntegerField()


def mark_of(order: str, last: Any) -> str:
    """Where a page ended, `last` with the columns of a standing: by what the list is ordered, and the patient."""
    value = getattr(last, order)
    return f"{value.isoformat() if isinstance(value, date) else value}~{last.pk}"


def place_of(order: str, mark: str) -> tuple[int | date, int] | None:
    """What the mark says; nothing for one that is none, which begins anew."""
    try:
        text, pk = mark.split("~")
        value: Any = int(text) if order.endswith("rank") else date.fromisoformat(text)
        last = (value, int(pk))
    except ValueError:
        return None
    if not (0 <= last[1] < 2**63) or (isinstance(value, int) and not 0 <= value < 2**31):
        return None
    return last


def behind(order: str, place: tuple[int | date, int] | None) -> Q:
    """Standings behind that place in the list's order; all of them where there is none."""
    if place is None:
        return Q()
    return Q(GreaterThan(_Together(F(order), F("patient_id")), _Together(*(Value(one) for one in place))))


def first_of(
    standings: QuerySet[Standing], clinics: Sequence[int], order: str, size: int, columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    """The first of these standings in the order of the list: these columns, of which the first is the patient's key.

    Of one clinic they lie in an index in this order. Of several the first of each clinic are taken and then the first
    of all: nothing longer than a page of each is ever sorted.
    """
    if len(clinics) == 1:
        return list(columns_of_first(standings.filter(clinic=clinics[0]), order, size, columns))
    keys = _first_keys(standings, clinics, order, size)
    found = {row[0]: row for row in Standing.objects.filter(pk__in=keys).values_list(*columns)}
    return [found[pk] for pk in keys]


def columns_of_first(
    standings: QuerySet[Standing], order: str, size: int, columns: Sequence[str]
) -> QuerySet[Standing, tuple[Any, ...]]:
    """Who comes first is found before anything else of them is read."""
    first = standings.order_by(order, "patient_id").values("pk")[:size]
    return Standing.objects.filter(pk__in=first).order_by(order, "patient_id").values_list(*columns)


def _first_keys(standings: QuerySet[Standing], clinics: Sequence[int], order: str, size: int) -> list[int]:
    ofclinic = standings.filter(clinic=RawSQL("asked.clinic", ())).order_by(order, "patient_id")
    inner, values = ofclinic.values_list("patient_id", order)[:size].query.sql_with_params()
    statement = (
        f"SELECT found.* FROM unnest(%s::bigint[]) asked (clinic), LATERAL ({inner}) found (patient, place)"  # noqa: S608
        " ORDER BY found.place, found.patient LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(clinics), *values, size])
        return [row[0] for row in cursor.fetchall()]


def differing(clinic_ids: Sequence[int]) -> dict[int, list[int]]:
    """By clinic, the patients whose kept standing is not what follows from the facts; there should be none."""
    columns = ", ".join(COLUMNS)
    kept, follows = (
        f"SELECT {columns} FROM {table} WHERE clinic_id = ANY(%(clinics)s)"  # noqa: S608 - names of our own
        for table in ("monitoring_standing", "monitoring_standing_now")
    )
    differ = f"({kept} EXCEPT {follows}) UNION ALL ({follows} EXCEPT {kept})"
    statement = f"SELECT DISTINCT clinic_id, patient_id FROM ({differ}) d ORDER BY 1, 2"  # noqa: S608
    found: dict[int, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement, {"clinics": list(clinic_ids)})
        for clinic, patient in cursor.fetchall():
            found.setdefault(clinic, []).append(patient)
    return found


def refresh(patient_ids: Sequence[int]) -> None:
    """Make these patients' standings what follows from the facts now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT refresh_standings(%s::bigint[])", [list(patient_ids)])

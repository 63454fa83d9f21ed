"""Scope: whose rows a number is made of and as of which day, and which facts stood on that day."""

from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from django.db.models import Exists, OuterRef, QuerySet

from patients.models import HipFact

FactT = TypeVar("FactT", bound=HipFact)


@dataclass(frozen=True, slots=True)
class Scope:
    """The clinics counted, all of them the viewer's, and the day up to which facts count."""

    clinic_ids: tuple[int, ...]
    today: date


def standing(model: type[FactT], scope: Scope) -> QuerySet[FactT]:
    """The facts of this kind up to the day that nobody withdrew and no standing fact supersedes."""
    known: QuerySet[FactT] = model._default_manager.filter(
        clinic_id__in=scope.clinic_ids, on__lte=scope.today, withdrawn_at__isnull=True
    )
    # The patient is named beside the hip because facts are indexed by patient.
    newer = known.filter(supersedes=OuterRef("pk"), hip=OuterRef("hip"), patient=OuterRef("patient"))
    return known.filter(~Exists(newer)).order_by()


def share_of(part: int, whole: int) -> float | None:
    """None where there is nothing to take a share of."""
    return part / whole if whole else None

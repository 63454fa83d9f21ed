"""Merging: whether two records can be made one, in what their people differ, and the record that would follow. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from django.utils.translation import gettext as _

from . import duplicates, record
from .models import Patient
from .record import HipRecord, PatientRecord
from .vocabulary import EndReason, Side

# What the surviving record may take from the other: identity as a person gave it, and ways to reach them.
DETAILS: Final = (
    "family_name", "given_name", "born_on", "sex", "national_id", "email", "telephone", "address", "language",
    "responsible", "next_of_kin",
)  # fmt: skip
# Columns that go along with a detail.
ALONG: Final[dict[str, tuple[str, ...]]] = {
    "national_id": ("national_id_kind",),
    "email": ("email_bounced_on", "email_bounce_reason"),
    "telephone": ("telephone_as_given",),
}


@dataclass(frozen=True)
class Compared:
    """One detail of both people."""

    name: str
    survivor: Any
    merged: Any

    @property
    def differs(self) -> bool:
        return not _is_empty(self.merged) and self.merged != self.survivor

    @property
    def is_filled(self) -> bool:
        """The survivor has nothing here and the other something."""
        return _is_empty(self.survivor) and not _is_empty(self.merged)


def _is_empty(value: Any) -> bool:
    return value is None or str(value) in ("", "unknown")


def details_of(survivor: Patient, merged: Patient) -> list[Compared]:
    """Each detail side by side."""
    return [Compared(name, getattr(survivor, name), getattr(merged, name)) for name in DETAILS]


def differing_identifiers(survivor: Patient, merged: Patient) -> list[str]:
    """The details by which a person is told apart that are known of both and differ: then two people decide."""
    found = []
    for name in ("born_on", "sex", "national_id"):
        mine, other = getattr(survivor, name), getattr(merged, name)
        if not _is_empty(mine) and not _is_empty(other) and _plain(mine) != _plain(other):
            found.append(name)
    for name in ("family_name", "given_name"):
        mine, other = getattr(survivor, name), getattr(merged, name)
        if mine and other and not duplicates.same_name(mine, other):
            found.append(name)
    return found


def _plain(value: Any) -> str:
    return "".join(str(value).split()).casefold()


def joined(survivor: PatientRecord, merged: PatientRecord) -> PatientRecord:
    """The record that the guideline would read after the merge.

    Endings of the merged record do not come along: a merge never ends the follow-up of a hip.
    """
    return replace(
        survivor,
        enrolled_on=min(survivor.enrolled_on, merged.enrolled_on),
        left=_joined_hips(survivor.left, merged.left),
        right=_joined_hips(survivor.right, merged.right),
        born_on=survivor.born_on or merged.born_on,
        conditions=survivor.conditions | merged.conditions,
        bmi=tuple(_by_day((*survivor.bmi, *merged.bmi))),
    )


def _joined_hips(one: HipRecord, other: HipRecord) -> HipRecord:
    names = {field.name for field in fields(record.HipRecord)} - {"side", "endings"}
    lists: dict[str, Any] = {name: tuple(_by_day((*getattr(one, name), *getattr(other, name)))) for name in names}
    return replace(one, **lists)


def _by_day(facts: Iterable[Any]) -> list[Any]:
    return sorted(facts, key=lambda fact: fact.on)


def refusals(survivor: Patient, merged: Patient, records: dict[int, PatientRecord]) -> list[str]:
    """Why these two cannot be merged this way round, in words; empty where they can."""
    if survivor.pk == merged.pk or survivor.clinic_id != merged.clinic_id:
        return [_("Only two records of one clinic can be merged.")]
    if survivor.merged_into_id or merged.merged_into_id:
        return [_("One of the two is part of another record already.")]
    found = []
    if survivor.died_on != merged.died_on:
        found.append(_("One of the two stands as deceased. Settle that first, in both records."))
    mine, other = records[survivor.pk], records[merged.pk]
    for side in Side:
        if _ended_by(mine.hip(side)) and not _ended_by(other.hip(side)):
            found.append(_ends_quietly(side))
    return found


def _ends_quietly(side: Side) -> str:
    if side is Side.LEFT:
        return _(
            "The follow-up of the left hip has ended in the record that would stay, but not in the other. Take the"
            " ending back first, or keep the other record."
        )
    return _(
        "The follow-up of the right hip has ended in the record that would stay, but not in the other. Take the"
        " ending back first, or keep the other record."
    )


def _ended_by(hip: HipRecord) -> EndReason | None:
    """The reason of the ending that stands, if one does."""
    taken_back = {ending.supersedes for ending in hip.endings}
    standing = [e for e in hip.endings if e.id not in taken_back and e.reason is not EndReason.REOPENED]
    return standing[-1].reason if standing else None

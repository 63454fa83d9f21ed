"""Import words: what undoing an import did or would do, and what it left, in words and with links."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from patients.models import Patient

from ..imports.undo import Left
from ..models import ImportBatch, ImportRow
from .chart import MODELS, fact_url
from .fact_words import titled
from .finding_words import Words

SHOWN: Final = 50
WHY: Final[dict[str, Words]] = {
    "patient": _("Somebody has worked on this patient since; they stay under follow-up, without what was imported."),
    "answered": _("Answered by a later decision or ending; it stands."),
    "corrected": _("Corrected since; the correction stands."),
    "detail": _("Changed once more since; it stays as it is now."),
    "death": _("The date of death was changed since; it stays."),
    "no_to_mail": _("The file said no to e-mail; that stays until somebody records a yes."),
    "refused": _("It could not be taken back."),
}
COUNTED: Final[dict[str, Words]] = {
    "ended": _("patients ended as entered in error"),
    "facts": _("facts withdrawn"),
    "exposures": _("conditions withdrawn"),
    "details": _("details put back"),
    "left": _("left as they are"),
}
OUTCOMES: Final[dict[str, Words]] = {  # of a row
    "created": _("new"),
    "updated": _("changed"),
    "unchanged": _("unchanged"),
    "refused": _("refused"),
}


@dataclass(frozen=True, slots=True)
class LeftRow:
    """One thing left as it is: of which line and patient, what, why, and where it is looked at."""

    line: int
    patient: Patient | None
    what: str
    why: Words
    url: str


def numbers(counts: Mapping[str, int]) -> list[tuple[int, Words]]:
    """The counts in words, without what there is none of; patients always."""
    return [(counts.get(name, 0), words) for name, words in COUNTED.items() if counts.get(name) or name == "ended"]


def left_rows(found: Iterable[tuple[ImportRow, Left]]) -> list[LeftRow]:
    return [_left_row(row, item) for row, item in found]


def undone_rows(batch: ImportBatch) -> list[LeftRow]:
    """What undoing this batch left, the first SHOWN."""
    rows = ImportRow.objects.filter(batch=batch, undone__has_key="left").exclude(undone__left=[])
    found = [
        (row, Left(*item))
        for row in rows.select_related("patient").order_by("number", "id")[:SHOWN]
        for item in (row.undone or {}).get("left", ())
    ]
    return left_rows(found[:SHOWN])


def _left_row(row: ImportRow, item: Left) -> LeftRow:
    url = reverse("patient", args=[row.patient_id]) if row.patient_id else ""
    what = item.what
    kind, dash, number = item.what.rpartition("-")
    if dash and kind in MODELS and row.patient_id:
        fact = MODELS[kind]._default_manager.filter(pk=number).first()
        what, url = (titled(fact) if fact else item.what), fact_url(row.patient_id, item.what)
    elif item.why == "detail":
        what = item.what.removesuffix("_as_given")
    return LeftRow(row.number, row.patient, what, WHY.get(item.why, WHY["refused"]), url)

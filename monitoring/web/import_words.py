"""Import words: what saving or undoing an import did or would do, and what it left, in words and with links."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients.access import Viewer

from ..imports.columns import BY_NAME, Column
from ..imports.preview import Preview, Previewed
from ..imports.undo import Left
from ..models import ImportBatch, ImportRow
from .chart import MODELS, fact_url
from .fact_words import joined, number, titled
from .finding_words import Words, day_words
from .identity import Identity, identity_of, reference

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
    "ended": _("ended as entered in error"),
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
    who: Identity | None
    what: str
    why: Words
    url: str


def numbers(counts: Mapping[str, int]) -> list[tuple[int, Words]]:
    """The counts in words, without what there is none of; patients always."""
    return [(counts.get(name, 0), words) for name, words in COUNTED.items() if counts.get(name) or name == "ended"]


def problems_of(row: ImportRow, viewer: Viewer) -> list[dict[str, Any]]:
    """What is wrong with a row; of a restricted record, that somebody to whom it is open can read it."""
    named = {row.patient_id, *(problem.get("about") for problem in row.problems)}
    shut = sorted(pk for pk in named if pk in viewer.shut)
    if not shut:
        return list(row.problems)
    text = _("Restricted record, %(reference)s: open it with a reason to read what is wrong.")
    return [{"column": "", "text": text % {"reference": reference(pk)}} for pk in shut]


def preview_rows(preview: Preview, viewer: Viewer) -> list[tuple[Previewed, Words, list[tuple[str, str]]]]:
    """Each row with its outcome and, in the order of the headings, what was read and what the registry has instead."""
    return [
        (
            row,
            OUTCOMES[row.outcome],
            [
                (_read(BY_NAME[name], row.cells.get(name)), _read(BY_NAME[name], row.before.get(name)))
                for name in preview.headings
            ],
        )
        for row in preview.rows
        if row.patient_id not in viewer.shut
    ]


def _read(column: Column, value: Any) -> str:
    """A value as it was understood, in words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, date):
        return day_words(value).replace(" ", "\N{NO-BREAK SPACE}")
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, list):
        return joined(_read(column, part) for part in value)
    return str(column.codes.words.get(value, value))


def left_rows(found: Iterable[tuple[ImportRow, Left]], viewer: Viewer) -> list[LeftRow]:
    return [_left_row(row, item, viewer) for row, item in found]


def undone_rows(batch: ImportBatch, viewer: Viewer) -> list[LeftRow]:
    """What undoing this batch left, the first SHOWN."""
    rows = ImportRow.objects.filter(batch=batch, undone__has_key="left").exclude(undone__left=[])
    found = [
        (row, Left(*item))
        for row in rows.select_related("patient").order_by("number", "id")[:SHOWN]
        for item in (row.undone or {}).get("left", ())
    ]
    return left_rows(found[:SHOWN], viewer)


def _left_row(row: ImportRow, item: Left, viewer: Viewer) -> LeftRow:
    who = identity_of(row.patient, viewer) if row.patient else None
    if who and who.shut:
        return LeftRow(row.number, who, "", WHY.get(item.why, WHY["refused"]), who.url)
    url = reverse("patient", args=[row.patient_id]) if row.patient_id else ""
    what = item.what
    kind, dash, number = item.what.rpartition("-")
    if dash and kind in MODELS and row.patient_id:
        fact = MODELS[kind]._default_manager.filter(pk=number).first()
        what, url = (titled(fact) if fact else item.what), fact_url(row.patient_id, item.what)
    elif item.why == "detail":
        what = item.what.removesuffix("_as_given")
    return LeftRow(row.number, who, what, WHY.get(item.why, WHY["refused"]), url)

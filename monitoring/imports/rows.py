"""Rows: one row of a registry file as an arrival, every cell read and every fault named at its column."""

from collections import defaultdict
from datetime import date
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext as _
from phonenumber_field.phonenumber import PhoneNumber
from phonenumbers import NumberParseException

from patients.models import BmiReading, Fact, Imaging, LesionLocation, Procedure, Score, Staging, SymptomReport
from patients.models.facts import Origin
from patients.vocabulary import STAGE_CODES, Side

from .arrivals import Arrival, Remark, SaidExposure, SaidFact, SaidVisit
from .cells import CellRefused, DateOrder, read_cell
from .columns import BY_NAME, Column
from .registry_file import Row

_MODELS: Final[dict[str, type[Fact]]] = {
    "imaging": Imaging,
    "staging": Staging,
    "symptom": SymptomReport,
    "location": LesionLocation,
    "procedure": Procedure,
    "bmi": BmiReading,
}
# Alone they say nothing: a row with these and no other cell of the fact has no such fact.
_ACCOMPANYING: Final = frozenset({"on", "source", "version", "reader", "intent", "operator"})
_NEEDS: Final = {"imaging": "modality", "staging": "code", "procedure": "procedure"}
_NOT_OF_PERSON: Final = frozenset(
    {"record_number", "conditions", "email_consent", "email_consent_how", "died_on", "death_source"}
)


class _Reader:
    """Reads one row; remarks gather as it goes."""

    def __init__(self, row: Row, order: DateOrder) -> None:
        self.row = row
        self.remarks: list[Remark] = [Remark("", row.fault)] if row.fault else []
        self.values: dict[str, Any] = {}
        self.unreadable: set[str] = set()
        for name, written in row.cells.items():
            self._read(BY_NAME[name], written, order)

    def _read(self, column: Column, written: Any, order: DateOrder) -> None:
        try:
            value = read_cell(column, written, order)
        except CellRefused as error:
            self.refuse(column.name, str(error))
            self.unreadable.add(column.name)
            return
        if value is not None and value != []:
            self.values[column.name] = value
        elif column.required:
            self.refuse(column.name, _("This must be filled in."))

    def refuse(self, column: str, text: str) -> None:
        self.remarks.append(Remark(column, text))

    def note(self, column: str, text: str) -> None:
        self.remarks.append(Remark(column, text, refuses=False))


def read_row(row: Row, *, order: DateOrder) -> Arrival:
    """What the row says. Faults do not raise: they are among its remarks."""
    reader = _Reader(row, order)
    values = reader.values
    return Arrival(
        line=row.line,
        record_number=str(values.get("record_number", "")),
        person=_person(reader),
        visits=_visits(reader),
        exposures=tuple(SaidExposure(kind) for kind in values.get("conditions", ())),
        email_wish=_email_wish(reader),
        died_on=values.get("died_on"),
        death_source=_death_source(reader),
        remarks=tuple(reader.remarks),
    )


def _person(reader: _Reader) -> dict[str, Any]:
    person = {
        column.attribute: reader.values[name]
        for name, column in BY_NAME.items()
        if not column.of and name in reader.values and name not in _NOT_OF_PERSON
    }
    written = person.get("telephone_as_given")
    if written:
        person["telephone"] = dialled(written)
        if not person["telephone"]:
            reader.note("telephone", _("“%(text)s” cannot be dialled and is kept as written.") % {"text": written})
    return person


@lru_cache(maxsize=4096)
def dialled(written: str) -> str:
    """The number in international form, or "" where it is none."""
    try:
        number = PhoneNumber.from_string(written, region=settings.PHONENUMBER_DEFAULT_REGION)
    except NumberParseException:
        return ""
    return str(number.as_e164) if number.is_valid() else ""


def _email_wish(reader: _Reader) -> tuple[bool, str] | None:
    allowed, how = reader.values.get("email_consent"), reader.values.get("email_consent_how", "")
    if allowed is None:
        return None
    if not how:
        reader.refuse("email_consent_how", _("Say how the patient told you, such as “on paper, 3 Nov 2025”."))
    return (allowed, how)


def _death_source(reader: _Reader) -> str:
    source = str(reader.values.get("death_source", ""))
    if "died_on" in reader.values and not source:
        reader.refuse("death_source", _("Say how the death is known."))
    return source


def _visits(reader: _Reader) -> tuple[SaidVisit, ...]:
    groups: dict[tuple[Side | None, str], dict[str, Any]] = defaultdict(dict)
    for name, value in reader.values.items():
        column = BY_NAME[name]
        if column.of and column.of != "visit":
            groups[column.side, column.of][column.attribute] = value
    visit_on = reader.values.get("visit_on")
    said = [_said_fact(reader, side, of, found, visit_on) for (side, of), found in groups.items()]
    facts = tuple(fact for fact in said if fact is not None)
    unsure = {BY_NAME[name].of for name in reader.unreadable} - {""}
    if facts and visit_on is None and "visit_on" not in reader.unreadable:
        reader.refuse("visit_on", _("The row says something of a visit; give its date."))
    if "visit_note" in reader.values and not facts and not unsure:
        reader.refuse("visit_note", _("The visit has a note but no finding; write the finding into its column."))
    if visit_on is not None and not facts and not unsure:
        reader.note("visit_on", _("The visit has a date but nothing was found at it; it is not saved."))
    if not facts or visit_on is None:
        return ()
    note = reader.values.get("visit_note", "")
    return (SaidVisit(visit_on, facts, kind=reader.values.get("visit_kind", "clinic"), note=note),)


def _said_fact(
    reader: _Reader, side: Side | None, of: str, found: dict[str, Any], visit_on: date | None
) -> SaidFact | None:
    columns = {c.attribute: c.name for c in BY_NAME.values() if c.side is side and c.of == of}
    columns.setdefault("on", "visit_on")
    if "on" not in found:
        columns["on"] = "visit_on"
    if not set(found) - _ACCOMPANYING:
        reader.refuse(columns[next(iter(found))], _("This belongs to something that the row does not say."))
        return None
    needed = _NEEDS.get(of)
    if needed and needed not in found:
        if columns[needed] not in reader.unreadable:
            reader.refuse(columns[needed], _("This must be filled in, since the row says more of it."))
        return None
    if of == "staging" and not _settle_system(reader, found, columns):
        return None
    if of == "symptom":
        found.setdefault("source", "clinician")
    if of == "imaging" and {"lesion_volume_percent", "lesion_volume_cm3"} & set(found) and "volume_method" not in found:
        reader.refuse(columns["volume_method"], _("Say how the volume was found."))
    found.setdefault("on", visit_on)
    return SaidFact(side, _made(of, found), columns)


def _settle_system(reader: _Reader, found: dict[str, Any], columns: dict[str, str]) -> bool:
    """Fill in the version where the system has only one."""
    if "system" not in found:
        if columns["system"] not in reader.unreadable:
            reader.refuse(columns["system"], _("Say of which system the stage is."))
        return False
    versions = [version for system, version in STAGE_CODES if system == found["system"]]
    if "version" not in found:
        if len(versions) > 1:
            reader.refuse(
                columns["version"],
                _("%(system)s has the versions %(versions)s, which differ; say which.")
                % {"system": found["system"], "versions": _(" and ").join(versions)},
            )
            return False
        found["version"] = versions[0]
    found["code"] = found["code"].upper()
    return True


def _made(of: str, found: dict[str, Any]) -> Fact:
    if of.startswith("score:"):
        return Score(instrument=of.removeprefix("score:"), origin=Origin.IMPORT, **found)
    return _MODELS[of](origin=Origin.IMPORT, **found)

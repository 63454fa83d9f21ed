"""History: audit entries as sentences: who changed what of a patient, and who looked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext_noop

from patients.access import Permission, Viewer
from patients.models import Fact, Patient
from patients.vocabulary import Side

from .. import audit_search
from ..audit import MAILS
from ..models import AuditEntry
from .act_words import ACTS
from .chart import MODELS, fact_url
from .detail_words import how_words, name_words, seen_words, value_words
from .fact_words import name_of, words_of
from .finding_words import day_words
from .forms.visit import hip_words

# What was looked at is stored as it stands here, so that it can be read in any language.
LOOKS: Final = (
    gettext_noop("patient page"),
    gettext_noop("patient summary"),
    gettext_noop("plan as of another day"),
    gettext_noop("visit form"),
    gettext_noop("form about the patient"),
    gettext_noop("letter"),
    gettext_noop("letter to the doctor"),
    gettext_noop("audit of a patient"),
    gettext_noop("possible duplicate"),
    gettext_noop("patient page, audit"),
    gettext_noop("patient page, visits"),
    gettext_noop("patient page, imaging"),
    gettext_noop("patient page, symptoms"),
    gettext_noop("patient page, treatments"),
    gettext_noop("patient page, decisions"),
    gettext_noop("patient page, messages"),
    gettext_noop("patient page, history"),
)
SEEN: Final = (*audit_search.LOOKS, "export")  # what changes nothing
NO_CHANGE: Final = (*SEEN, *MAILS)  # and what changes no record


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that an act changed."""

    name: str
    before: str
    after: str
    url: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    at: datetime
    actor: str
    what: str
    reason: str
    changes: tuple[Changed, ...]


def may_see_looks(viewer: Viewer, patient: Patient) -> bool:
    """Who looked is for administrators, and for the clinicians who answer for the clinic's patients."""
    return any(viewer.may(permission, patient.clinic_id) for permission in (Permission.AUDIT, Permission.DECIDE))


def history_row(entry: AuditEntry, sides: Mapping[int, Side]) -> HistoryRow:
    """The entry in words; `sides` names the patient's hips by id."""
    what = str(ACTS.get(entry.act, entry.act.replace("_", " ")))
    if entry.act in SEEN and entry.object:
        what = f"{what}: {seen_words(entry.object)}"
    before, after = entry.before or {}, entry.after or {}
    names = list(dict.fromkeys([*before, *after]))
    changes = tuple(_changed(entry, name, before.get(name), after.get(name), sides) for name in names)
    return HistoryRow(entry.at, entry.actor, what, how_words(entry.reason), changes)


def _changed(entry: AuditEntry, name: str, before: Any, after: Any, sides: Mapping[int, Side]) -> Changed:
    kind = name.rpartition("-")[0]
    if kind not in MODELS:
        return Changed(name_words(name), value_words(name, before), value_words(name, after), "")
    url = fact_url(entry.patient_id, name) if entry.patient_id else ""
    was, now = _fact(kind, before), _fact(kind, after)
    fact = now or was
    side = sides.get(getattr(fact, "hip_id", None) or 0)
    label = ", ".join(part for part in (hip_words(side) if side else "", name_of(fact) if fact else name) if part)
    return Changed(label, _fact_words(was), _fact_words(now), url)


def _fact(kind: str, stored: Any) -> Fact | None:
    """The fact that an entry tells of, as it was written down there."""
    if not isinstance(stored, Mapping):
        return None
    model = MODELS[kind]
    columns = {field.name: field for field in model._meta.concrete_fields}
    values = {
        columns[name].attname: columns[name].to_python(value) for name, value in stored.items() if name in columns
    }
    return model(**values)


def _fact_words(fact: Fact | None) -> str:
    return f"{day_words(fact.on)}, {words_of(fact)}" if fact else ""

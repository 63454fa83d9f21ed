"""History: audit entries as sentences: who changed what of a patient, and who looked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext_noop

from patients.access import Permission, Viewer
from patients.models import Fact, Patient, User
from patients.vocabulary import Side

from .. import audit_search
from ..audit import MAILS
from ..models import AuditEntry
from .act_words import ACTS
from .actor_words import who
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
_OF_STAFF: Final = ("owner", "responsible", "user")  # details that are the id of somebody's account


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


def history_rows(entries: Iterable[AuditEntry], sides: Mapping[int, Side]) -> list[HistoryRow]:
    """The entries in words; `sides` names the patient's hips by id."""
    told = list(entries)
    said = [details for entry in told for details in (entry.before, entry.after) if details]
    ids = {details[name] for details in said for name in _OF_STAFF if isinstance(details.get(name), int)}
    names = dict(User.objects.filter(pk__in=ids).values_list("id", "name")) if ids else {}
    return [_row(entry, sides, names) for entry in told]


def _row(entry: AuditEntry, sides: Mapping[int, Side], names: Mapping[Any, str]) -> HistoryRow:
    what = str(ACTS.get(entry.act, entry.act.replace("_", " ")))
    if entry.act in SEEN and entry.object:
        what = f"{what}: {seen_words(entry.object)}"
    before, after = entry.before or {}, entry.after or {}
    changes = []
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if name in _OF_STAFF:
            was, now = names.get(was, was), names.get(now, now)
        told = _changed(entry, name, was, now, sides)
        if told.before or told.after:
            changes.append(replace(told, before="") if told.before == told.after else told)
    return HistoryRow(entry.at, who(entry.actor), what, how_words(entry.reason), tuple(changes))


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

"""History: audit entries as sentences: who changed what of a patient, and who looked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from patients.models import Patient

from ..models import AuditEntry
from .chart import MODELS, fact_url
from .finding_words import Words

ACTS: Final[dict[str, Words]] = {
    "look": gettext_lazy("Looked"),
    "enrol_patient": gettext_lazy("Enrolled the patient"),
    "amend_patient": gettext_lazy("Changed details of the person"),
    "set_contact_wish": gettext_lazy("Recorded a contact wish"),
    "record_bounce": gettext_lazy("Recorded that mail came back"),
    "record_facts": gettext_lazy("Recorded facts"),
    "record_visit": gettext_lazy("Recorded a visit"),
    "correct_fact": gettext_lazy("Corrected a fact"),
    "record_decision": gettext_lazy("Recorded a decision"),
    "record_procedure": gettext_lazy("Recorded a treatment"),
    "end_follow_up": gettext_lazy("Ended the follow-up of a hip"),
    "reopen_follow_up": gettext_lazy("Took the follow-up of a hip up again"),
    "record_death": gettext_lazy("Recorded the death"),
    "withdraw_death": gettext_lazy("Took the record of death back"),
    "withdraw_fact": gettext_lazy("Marked a fact as entered in error"),
    "record_exposure": gettext_lazy("Recorded a condition"),
    "withdraw_exposure": gettext_lazy("Marked a condition as entered in error"),
    "case_assigned": gettext_lazy("Assigned a review"),
    "case_comment": gettext_lazy("Commented on a review"),
    "case_second_opinion": gettext_lazy("Asked for a second opinion"),
}
# What was looked at is stored as it stands here, so that it can be read in any language.
LOOKS: Final = (
    gettext_noop("patient page"),
    gettext_noop("patient summary"),
    gettext_noop("plan as of another day"),
    gettext_noop("visit form"),
    gettext_noop("form about the patient"),
)


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


def history_row(entry: AuditEntry) -> HistoryRow:
    what = str(ACTS.get(entry.act, entry.act.replace("_", " ")))
    if entry.act == "look" and entry.object:
        what = f"{what}: {_(entry.object)}"
    before, after = entry.before or {}, entry.after or {}
    names = list(dict.fromkeys([*before, *after]))
    changes = tuple(_changed(entry, name, before.get(name), after.get(name)) for name in names)
    return HistoryRow(entry.at, entry.actor, what, entry.reason, changes)


def _changed(entry: AuditEntry, name: str, before: Any, after: Any) -> Changed:
    kind = name.rpartition("-")[0]
    is_fact = kind in MODELS
    url = fact_url(entry.patient_id, name) if is_fact and entry.patient_id else ""
    return Changed(_label(name, kind), _said(before, kind), _said(after, kind), url)


def _label(name: str, kind: str) -> str:
    if kind in MODELS:
        return _(_KINDS[kind])
    return _field_label(Patient, name)


def _field_label(model: type[Any], name: str) -> str:
    field = next((field for field in model._meta.get_fields() if field.name == name), None)
    label = str(getattr(field, "verbose_name", name.replace("_", " ")))
    return label[:1].upper() + label[1:]


def _said(value: Any, kind: str) -> str:
    """A stored value in words; a fact as its fields."""
    if value is None or value == "":
        return ""
    if isinstance(value, Mapping):
        model = MODELS.get(kind, Patient)
        return ", ".join(
            f"{_field_label(model, name)} {_said(part, kind)}" for name, part in value.items() if name != "hip"
        )
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return str(value)


_KINDS: Final[dict[str, str]] = {
    "imaging": gettext_noop("Imaging"),
    "staging": gettext_noop("Stage"),
    "symptom": gettext_noop("Symptom report"),
    "score": gettext_noop("Score"),
    "procedure": gettext_noop("Treatment"),
    "decision": gettext_noop("Decision"),
    "location": gettext_noop("Location"),
    "ending": gettext_noop("End of follow-up"),
    "bmi": gettext_noop("Body mass index"),
}

"""History: audit entries as sentences: who changed what of a patient, and who looked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from patients.access import Permission, Viewer
from patients.models import Fact, Patient
from patients.vocabulary import Side

from ..models import AuditEntry
from .chart import MODELS, fact_url
from .fact_words import name_of, words_of
from .finding_words import Words, day_words
from .forms.visit import hip_words

ACTS: Final[dict[str, Words]] = {
    "look": gettext_lazy("Looked"),
    "who_has_seen": gettext_lazy("Made the report of who has seen the record"),
    "enrol_patient": gettext_lazy("Enrolled the patient"),
    "amend_patient": gettext_lazy("Changed details of the person"),
    "set_contact_wish": gettext_lazy("Recorded a contact wish"),
    "anonymise_patient": gettext_lazy("Took the name out of the record"),
    "forget_addresses": gettext_lazy("Forgot the addresses of old mail"),
    "set_consent": gettext_lazy("Recorded a consent"),
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
    "book_appointment": gettext_lazy("Booked an appointment"),
    "move_appointment": gettext_lazy("Moved an appointment"),
    "cancel_appointment": gettext_lazy("Cancelled an appointment"),
    "appointment_attended": gettext_lazy("Noted that the patient came to an appointment"),
    "appointment_missed": gettext_lazy("Noted that the patient did not come to an appointment"),
    "print_letter": gettext_lazy("Printed a letter"),
    "take_back_letter": gettext_lazy("Took a printed letter back"),
    "import_facts": gettext_lazy("Imported facts"),
    "simulate": gettext_lazy("Invented the patient"),
    "record_outcome": gettext_lazy("Recorded what came of a contact"),
    "undo_outcome": gettext_lazy("Took back what came of a contact"),
    "snooze": gettext_lazy("Put the patient off"),
    "end_snooze": gettext_lazy("Brought the patient back to the lists"),
    "answer_symptom_check": gettext_lazy("Answered the symptom check"),
    "send_reminder_again": gettext_lazy("Asked for a mail to be sent again"),
    "withhold_reminder": gettext_lazy("Withheld a mail"),
    "resolve_uncertain": gettext_lazy("Settled whether a mail arrived"),
    "send_reminder_now": gettext_lazy("Asked for mail to go out now"),
    "export": gettext_lazy("Exported"),
    "propose_merge": gettext_lazy("Proposed to merge two records"),
    "reject_merge": gettext_lazy("Rejected the merge of two records"),
    "merge_patients": gettext_lazy("Merged two records"),
    "undo_merge": gettext_lazy("Undid the merge of two records"),
    "dismiss_duplicate": gettext_lazy("Said that two alike records are of two people"),
    "case_assigned": gettext_lazy("Assigned a review"),
    "case_comment": gettext_lazy("Commented on a review"),
    "case_second_opinion": gettext_lazy("Asked for a second opinion"),
    "break_glass": gettext_lazy("Opened the record in an emergency"),
    "break_glass_missed": gettext_lazy("Tried to open a record in an emergency; there was none"),
    "end_break_glass": gettext_lazy("Closed the record opened in an emergency"),
    "review_break_glass": gettext_lazy("Judged an emergency access"),
    "restrict_patient": gettext_lazy("Restricted the record"),
    "lift_restriction": gettext_lazy("Lifted the restriction of the record"),
    "pass_gate": gettext_lazy("Opened the restricted record"),
    "add_clinic": gettext_lazy("Added a clinic"),
    "change_clinic": gettext_lazy("Changed a clinic"),
    "add_staff": gettext_lazy("Added a member of staff"),
    "invite_staff": gettext_lazy("Invited somebody"),
    "resend_invitation": gettext_lazy("Sent an invitation again"),
    "revoke_invitation": gettext_lazy("Took an invitation back"),
    "accept_invitation": gettext_lazy("Accepted an invitation"),
    "change_roles": gettext_lazy("Changed roles"),
    "deactivate_staff": gettext_lazy("Deactivated an account"),
    "reactivate_staff": gettext_lazy("Opened an account again"),
    "change_account": gettext_lazy("Changed an account"),
    "make_token": gettext_lazy("Made an API token"),
    "revoke_token": gettext_lazy("Revoked an API token"),
    "stop_mail": gettext_lazy("Stopped or resumed mail"),
    "change_message_plan": gettext_lazy("Changed what is mailed"),
    "send_test_mail": gettext_lazy("Sent a test mail"),
    "send_digest": gettext_lazy("Sent a digest"),
    "choose_notices": gettext_lazy("Changed what one is told by mail"),
    "receive_import": gettext_lazy("Received an import"),
    "check_import": gettext_lazy("Checked an import"),
    "ask_to_save_import": gettext_lazy("Asked for an import to be saved"),
    "import": gettext_lazy("Saved an import"),
    "ask_to_undo_import": gettext_lazy("Asked for an import to be undone"),
    "undo_import": gettext_lazy("Undid an import"),
    "import_fhir": gettext_lazy("Imported FHIR resources"),
}
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
SEEN: Final = ("look", "export")  # what changes nothing


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
        what = f"{what}: {_(entry.object)}"
    before, after = entry.before or {}, entry.after or {}
    names = list(dict.fromkeys([*before, *after]))
    changes = tuple(_changed(entry, name, before.get(name), after.get(name), sides) for name in names)
    return HistoryRow(entry.at, entry.actor, what, entry.reason, changes)


def _changed(entry: AuditEntry, name: str, before: Any, after: Any, sides: Mapping[int, Side]) -> Changed:
    kind = name.rpartition("-")[0]
    if kind not in MODELS:
        return Changed(_field_label(Patient, name), _said(before), _said(after), "")
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


def _field_label(model: type[Any], name: str) -> str:
    field = next((field for field in model._meta.get_fields() if field.name == name), None)
    label = str(getattr(field, "verbose_name", name.replace("_", " ")))
    return label[:1].upper() + label[1:]


def _said(value: Any) -> str:
    """A stored value in words."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return str(value)

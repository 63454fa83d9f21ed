"""Detail words: what stands in an entry of the audit besides what was done: names of details, values, what was seen.

The audit keeps codes, days as 2026-12-01 and English names, so that it can be read in any language. A detail without
words here is shown as it is kept.
"""

import re
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import Patient, Role
from patients.models.choices import CONDITIONS
from patients.models.patient import Purpose, Sex
from schedules.models import Appointment, ProtocolVersion, Reminder

from .finding_words import Words, with_dates

NAMES: Final[dict[str, Words]] = {
    **{str(value): words for value, words in Purpose.choices},
    "active": gettext_lazy("Active"),
    "address": gettext_lazy("Address"),
    "appointment": gettext_lazy("Appointment"),
    "batch": gettext_lazy("Print run"),
    "born_on": gettext_lazy("Date of birth"),
    "browser": gettext_lazy("Browser"),
    "by": gettext_lazy("By"),
    "counts": gettext_lazy("Counts"),
    "death_source": gettext_lazy("How it is known"),
    "died_on": gettext_lazy("Died on"),
    "digest": gettext_lazy("Digest"),
    "email": gettext_lazy("E-mail"),
    "enrolled_on": gettext_lazy("Followed since"),
    "expires_at": gettext_lazy("Expires"),
    "facts": gettext_lazy("Facts"),
    "family_name": gettext_lazy("Family name"),
    "file": gettext_lazy("File"),
    "format": gettext_lazy("Format"),
    "given_name": gettext_lazy("Given name"),
    "greeting": gettext_lazy("Greeting"),
    "justified": gettext_lazy("Justified"),
    "kind": gettext_lazy("Kind"),
    "kinds": gettext_lazy("Kinds"),
    "language": gettext_lazy("Language of mail"),
    "letter": gettext_lazy("Letter"),
    "mail_stopped": gettext_lazy("Mail stopped"),
    "merge": gettext_lazy("Merge"),
    "message_id": gettext_lazy("Number of the mail"),
    "months": gettext_lazy("Months"),
    "name": gettext_lazy("Name"),
    "national_id": gettext_lazy("National number"),
    "national_id_kind": gettext_lazy("Kind of national number"),
    "next_of_kin": gettext_lazy("Next of kin"),
    "of": gettext_lazy("Of"),
    "other": gettext_lazy("Other record"),
    "outcome": gettext_lazy("Outcome"),
    "pages": gettext_lazy("Pages"),
    "patients": gettext_lazy("Patients"),
    "place": gettext_lazy("Place"),
    "purpose": gettext_lazy("What for"),
    "record_number": gettext_lazy("Record number"),
    "responsible": gettext_lazy("Responsible clinician"),
    "roles": gettext_lazy("Roles"),
    "rows": gettext_lazy("Rows"),
    "rows_created": gettext_lazy("Rows: new"),
    "rows_refused": gettext_lazy("Rows: refused"),
    "rows_total": gettext_lazy("Rows"),
    "rows_unchanged": gettext_lazy("Rows: unchanged"),
    "rows_updated": gettext_lazy("Rows: changed"),
    "run": gettext_lazy("Run"),
    "scopes": gettext_lazy("Scopes"),
    "send_on": gettext_lazy("Day of sending"),
    "sentence": gettext_lazy("In your own words"),
    "sessions": gettext_lazy("Sign-ins"),
    "sex": gettext_lazy("Sex"),
    "state": gettext_lazy("State"),
    "step": gettext_lazy("Message"),
    "telephone": gettext_lazy("Telephone"),
    "telephone_as_given": gettext_lazy("Telephone, as written"),
    "to": gettext_lazy("To"),
    "until": gettext_lazy("Until"),
    "user": gettext_lazy("Account"),
    "visits": gettext_lazy("Visits"),
    "wanted": gettext_lazy("Wanted"),
}
_STATES = (ProtocolVersion.State, Reminder.State, Appointment.State)
VALUES: Final[dict[str, dict[str, Any]]] = {
    "kind": dict(CONDITIONS),
    "purpose": dict(Appointment.Purpose.choices),
    "roles": dict(Role.choices),
    "sex": dict(Sex.choices),
    "state": {str(value): words for states in _STATES for value, words in states.choices},
    "step": dict(Reminder.Step.choices),
}
SEEN: Final[dict[str, Words]] = {  # besides the pages of one patient
    "endings to read again": gettext_lazy("endings to read again"),
    "retention": gettext_lazy("retention"),
    "dashboard list, hips": gettext_lazy("dashboard list, hips"),
    "dashboard list, overdue": gettext_lazy("dashboard list, overdue hips"),
    "dashboard list, windows": gettext_lazy("dashboard list, windows"),
    "dashboard list, tracking": gettext_lazy("dashboard list, windows lost track of"),
    "dashboard list, waits": gettext_lazy("dashboard list, new symptoms"),
    "dashboard list, course": gettext_lazy("dashboard list, course of the disease"),
    "dashboard list, forecast": gettext_lazy("dashboard list, forecast"),
}
_NUMBERED: Final[dict[str, Words]] = {
    "case-": gettext_lazy("review %(name)s"),
    "effect of ": gettext_lazy("effect of protocol %(name)s"),
}
# What the program itself writes where people may write too.
_BY_LINK: Final[dict[str, Words]] = {
    "by the link in a mail": gettext_lazy("by the link in a mail"),
    "unsubscribed by the link in a mail": gettext_lazy("unsubscribed by the link in a mail"),
}
_ADOPTED = re.compile(r"Adopted at installation on (\d{4}-\d\d-\d\d)\.")
_NUMBER = re.compile(r"(case-|effect of )(.+)")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*")


def name_words(name: str) -> str:
    """What a detail is called."""
    if name in NAMES:
        return str(NAMES[name])
    field = next((field for field in Patient._meta.get_fields() if field.name == name), None)
    label = str(getattr(field, "verbose_name", name.replace("_", " ")))
    return label[:1].upper() + label[1:]


def value_words(name: str, value: Any) -> str:
    """What a detail says."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(value_words(name, part) for part in value)
    text = str(value)
    if text in VALUES.get(name, {}):
        return str(VALUES[name][text])
    return with_dates(_MOMENT.sub(_moment, text))


def seen_words(seen: str) -> str:
    """What was looked at or taken out."""
    if seen in SEEN:
        return str(SEEN[seen])
    if found := _NUMBER.fullmatch(seen):
        return str(_NUMBERED[found[1]]) % {"name": found[2]}
    return _(seen)


def how_words(how: str) -> str:
    """How a wish was said: what the patient's own pages write down, or what somebody typed."""
    return str(_BY_LINK.get(how, how))


def note_words(note: str) -> str:
    """What a version of the protocol changes: what an installation writes down by itself, or what somebody typed."""
    found = _ADOPTED.fullmatch(note)
    return _("Adopted at installation on %(day)s.") % {"day": with_dates(found[1])} if found else note


def _moment(found: re.Match[str]) -> str:
    """A moment as people read it; one without a zone is the clinic's own clock already."""
    try:
        moment = datetime.fromisoformat(found[0])
        return date_format(timezone.localtime(moment) if moment.tzinfo else moment, "DATETIME_FORMAT")
    except (ValueError, OverflowError):  # typed by somebody, or at the end of all years
        return found[0]

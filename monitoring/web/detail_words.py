"""Detail words: what stands in an entry of the audit besides what was done: names of details, values, what was seen.

The audit keeps codes, days as 2026-12-01 and English names, so that it can be read in any language. A detail without
words here is shown as it is kept.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import Patient, Role
from patients.models.choices import CONDITIONS
from patients.models.clinic import LANGUAGES, PATIENT_LANGUAGES
from patients.models.patient import Purpose, Sex
from schedules.models import Appointment, ProtocolVersion, Reminder

from .. import digest_mail
from ..digest import Kind
from ..models import ContactAttempt, NoticeChoice, RetentionRule, WebhookEndpoint
from ..worklist import TABS
from .finding_words import Words, with_dates

NAMES: Final[dict[str, Words]] = {
    **{str(value): words for value, words in (*Purpose.choices, *Reminder.Step.choices, *RetentionRule.Kind.choices)},
    "active": gettext_lazy("Active"),
    "address": gettext_lazy("Address"),
    "appointment": gettext_lazy("Appointment"),
    "batch": gettext_lazy("Print run"),
    "born_on": gettext_lazy("Date of birth"),
    "browser": gettext_lazy("Browser"),
    "by": gettext_lazy("By"),
    "counts": gettext_lazy("Counts"),
    "days": gettext_lazy("Days"),
    "death_source": gettext_lazy("How it is known"),
    "deliveries": gettext_lazy("Deliveries"),
    "details": gettext_lazy("Details"),
    "died_on": gettext_lazy("Died on"),
    "digest": gettext_lazy("Digest"),
    "email": gettext_lazy("E-mail"),
    "ended": gettext_lazy("Ended as entered in error"),
    "enrolled_on": gettext_lazy("Followed since"),
    "events": gettext_lazy("Events"),
    "expires_at": gettext_lazy("Expires"),
    "exposures": gettext_lazy("Conditions"),
    "facts": gettext_lazy("Facts"),
    "family_name": gettext_lazy("Family name"),
    "file": gettext_lazy("File"),
    "format": gettext_lazy("Format"),
    "given_name": gettext_lazy("Given name"),
    "greeting": gettext_lazy("Greeting"),
    "in_force_from": gettext_lazy("In force from"),
    "invalid": gettext_lazy("Invalid"),
    "is_superuser": gettext_lazy("Superuser"),
    "justified": gettext_lazy("Justified"),
    "kind": gettext_lazy("Kind"),
    "kinds": gettext_lazy("Kinds"),
    "known": gettext_lazy("Known"),
    "language": gettext_lazy("Language of mail"),
    "left": gettext_lazy("Left as they are"),
    "letter": gettext_lazy("Letter"),
    "list": gettext_lazy("List"),
    "mail_from": gettext_lazy("Mail from (o'clock)"),
    "mail_name": gettext_lazy("Name in mail"),
    "mail_stopped": gettext_lazy("Mail stopped"),
    "mail_until": gettext_lazy("Mail until (o'clock)"),
    "merge": gettext_lazy("Merge"),
    "message_id": gettext_lazy("Number of the mail"),
    "months": gettext_lazy("Months"),
    "name": gettext_lazy("Name"),
    "national_id": gettext_lazy("National number"),
    "national_id_kind": gettext_lazy("Kind of national number"),
    "new": gettext_lazy("New"),
    "next_of_kin": gettext_lazy("Next of kin"),
    "next_on": gettext_lazy("Next date"),
    "of": gettext_lazy("Of"),
    "on": gettext_lazy("On"),
    "opening_hours": gettext_lazy("Opening hours"),
    "opening_hours_in": gettext_lazy("Opening hours in other languages"),
    "other": gettext_lazy("Other record"),
    "outcome": gettext_lazy("Outcome"),
    "owner": gettext_lazy("Owner"),
    "pages": gettext_lazy("Pages"),
    "patients": gettext_lazy("Patients"),
    "people": gettext_lazy("People"),
    "place": gettext_lazy("Place"),
    "purpose": gettext_lazy("What for"),
    "read": gettext_lazy("Read"),
    "record_number": gettext_lazy("Record number"),
    "reply_to": gettext_lazy("Answers go to"),
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
    "skipped": gettext_lazy("Skipped"),
    "state": gettext_lazy("State"),
    "step": gettext_lazy("Message"),
    "steps": gettext_lazy("Messages"),
    "telephone": gettext_lazy("Telephone"),
    "telephone_as_given": gettext_lazy("Telephone, as written"),
    "time_zone": gettext_lazy("Time zone"),
    "to": gettext_lazy("To"),
    "understood": gettext_lazy("Understood"),
    "until": gettext_lazy("Until"),
    "updated": gettext_lazy("Changed"),
    "url": gettext_lazy("Its address"),
    "user": gettext_lazy("Account"),
    "visits": gettext_lazy("Visits"),
    "volume_multiple": gettext_lazy("Times a usual day"),
    "wanted": gettext_lazy("Wanted"),
}
_STATES = (ProtocolVersion.State, Reminder.State, Appointment.State)
_FACTORS: Final = {
    "totp": gettext_lazy("code from an app"),
    "webauthn": gettext_lazy("passkey"),
    "recovery_codes": gettext_lazy("recovery codes"),
}
VALUES: Final[dict[str, dict[str, Any]]] = {
    "by": {"password": gettext_lazy("password"), "mfa": gettext_lazy("second step")},
    "events": dict(WebhookEndpoint.Event.choices),
    "kind": {**dict(CONDITIONS), **_FACTORS},
    "kinds": _FACTORS,
    "language": dict((*LANGUAGES, *PATIENT_LANGUAGES)),
    "list": TABS,
    "national_id_kind": {"nhs": gettext_lazy("NHS number"), "other": gettext_lazy("Other")},
    "of": {
        "selected": gettext_lazy("selected"),
        "changes": gettext_lazy("Changes"),
        "looks": gettext_lazy("Looks"),
        "exports": gettext_lazy("Exports"),
        "mails": gettext_lazy("Mails"),
    },
    "outcome": dict(ContactAttempt.Outcome.choices),
    "purpose": dict(Appointment.Purpose.choices),
    "roles": dict(Role.choices),
    "sex": dict(Sex.choices),
    "state": {str(value): words for states in _STATES for value, words in states.choices},
    "step": dict(Reminder.Step.choices),
    "wanted": dict(NoticeChoice.Wanted.choices),
}
SEEN: Final[dict[str, Words]] = {  # besides the pages of one patient
    "endings to read again": gettext_lazy("endings to read again"),
    "retention": gettext_lazy("retention"),
    "audit": gettext_lazy("audit"),
    "everything held": gettext_lazy("everything held"),
    "research": gettext_lazy("research"),
    "dashboard list, hips": gettext_lazy("dashboard list, hips"),
    "dashboard list, overdue": gettext_lazy("dashboard list, overdue hips"),
    "dashboard list, windows": gettext_lazy("dashboard list, windows"),
    "dashboard list, tracking": gettext_lazy("dashboard list, windows lost track of"),
    "dashboard list, waits": gettext_lazy("dashboard list, new symptoms"),
    "dashboard list, course": gettext_lazy("dashboard list, course of the disease"),
    "dashboard list, forecast": gettext_lazy("dashboard list, forecast"),
}
_KINDS: Final[dict[str, Words]] = {
    "clinic": gettext_lazy("clinic"),
    "emergency": gettext_lazy("emergency access"),
    "ending": gettext_lazy("ending"),
    "import": gettext_lazy("import"),
    "invitation": gettext_lazy("invitation"),
    "notice": gettext_lazy("message to staff"),
    "token": gettext_lazy("API token"),
    "user": gettext_lazy("account"),
    "webhook": gettext_lazy("webhook"),
}
_NUMBERED: Final[dict[str, Words]] = {
    "import-": gettext_lazy("problems of import %(name)s"),
    "case-": gettext_lazy("review %(name)s"),
    "effect of ": gettext_lazy("effect of protocol %(name)s"),
}
# What the program itself writes where people may write too.
_OF_PROGRAM: Final[dict[str, Words]] = {
    "Invented patient; no fact is about a real person.": gettext_lazy(
        "Invented patient; no fact is about a real person."
    ),
    "by the link in a mail": gettext_lazy("by the link in a mail"),
    "unsubscribed by the link in a mail": gettext_lazy("unsubscribed by the link in a mail"),
}
_ADOPTED = re.compile(r"Adopted at installation on (\d{4}-\d\d-\d\d)\.")
_NUMBER = re.compile(r"(case-|effect of |import-)(.+?)(?: problems)?")
_WORKLIST: Final = "worklist "
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
    if isinstance(value, Mapping):
        return ", ".join(_part_words(name, part, said) for part, said in value.items())
    if isinstance(value, list):
        return ", ".join(value_words(name, part) for part in value)
    text = str(value)
    if text in VALUES.get(name, {}):
        return str(VALUES[name][text])
    return with_dates(_MOMENT.sub(_moment, text))


def _part_words(name: str, part: str, said: Any) -> str:
    """One of several things that one detail says: how many of a kind, or what stands under a name of its own."""
    if name == "counts" and part in Kind.__members__.values():
        return digest_mail.words_of(Kind(part), said)
    told = value_words(part, said)
    return f"{name_words(part)}: {f'({told})' if isinstance(said, Mapping) else told}"


def seen_words(seen: str) -> str:
    """What was looked at or taken out."""
    if seen in SEEN:
        return str(SEEN[seen])
    if seen.removeprefix(_WORKLIST) in TABS:
        return _("worklist, %(list)s") % {"list": TABS[seen.removeprefix(_WORKLIST)]}
    if found := _NUMBER.fullmatch(seen):
        return str(_NUMBERED[found[1]]) % {"name": found[2]}
    return _(seen)


def reference_words(reference: str) -> str:
    """What an entry is about that is about no patient: an account, an import, a token, by its number."""
    kind, _dash, number = reference.rpartition("-")
    return f"{_KINDS[kind]} {number}" if kind in _KINDS else reference


def how_words(how: str) -> str:
    """How a wish was said: what the patient's own pages write down, or what somebody typed."""
    return str(_OF_PROGRAM.get(how, how))


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

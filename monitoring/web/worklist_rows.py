"""Worklist rows: what the list says of a patient, in words: why, how late, who acts next since when, last contact."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from django.urls import get_script_prefix, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import ngettext
from phonenumber_field.phonenumber import to_python

from patients.access import Viewer

from ..escalation import Rung, steps_of
from ..models import ContactAttempt, ReviewCase
from ..outreach import longest_snooze
from ..worklist_row import ESCALATED, OPEN, CaseSaid, ContactSaid, HipSaid, PatientSaid, Row
from .badges import status_badge, urgency_badge
from .finding_words import ACTIONS, PATHWAYS, day_words
from .guideline_words import because_words
from .identity import identity_of
from .phrases import one_language
from .phrases import said as _
from .symptom_clock import SymptomClock, symptom_clock

SYMPTOM_ACTIONS = ("CORE_DECOMPRESSION_REVIEW", "IMAGE_PAINFUL_HIP")  # their `since` is the first day of pain
LEFT_OUT = ("deceased", "ended", "replaced", "not_enrolled", "not_affected", "contralateral_watch", "not_assessed")


class Why(NamedTuple):
    """Why a patient is on a tab; `status` or `urgency` choose the badge."""

    words: str
    second: str = ""
    status: str = ""
    urgency: str = ""
    clock: SymptomClock | None = None
    sides: frozenset[str] = frozenset()


@dataclass(eq=False)
class RowWords:
    """A row of the table. All but the ids and dates are words ready to be shown."""

    row: Row
    id: str
    pk: int
    url: str
    act_url: str  # of its forms
    name: str
    born: str
    number: str
    clinic: str
    clinic_id: int
    clinician: str
    hips: str
    why: Why
    late: str
    days_late: int
    next: str
    since: str
    last: str
    last_second: str
    snoozed_until: date | None
    latest_snooze: date
    shut: bool = False  # a restricted record that is not open to the viewer: why it stands here, and not whose it is

    @property
    def identifiers(self) -> str:
        return f"{self.born}, {self.number}"

    @property
    def select(self) -> str:
        return _("Select %(name)s") % {"name": self.name}

    @property
    def badge(self) -> SafeString | str:
        if self.why.urgency:
            return urgency_badge(self.why.urgency)
        return status_badge(self.why.status) if self.why.status else ""

    # Only the forms of a row ask for these.

    @cached_property
    def telephone(self) -> str:
        return telephone_of(self.row.patient)

    @cached_property
    def telephone_link(self) -> str:
        number = to_python(self.row.patient.telephone)
        return str(number.as_rfc3966) if number else ""

    @cached_property
    def mail(self) -> str:
        return mail_words(self.row)


def address(name: str, pk: int) -> str:
    """As `reverse`, which looks through all routes each time; a page has a hundred of these."""
    before, after = _around(name, get_script_prefix())
    return f"{before}{pk}{after}"


@lru_cache(maxsize=32)
def _around(name: str, script_prefix: str) -> tuple[str, str]:
    before, _number, after = reverse(name, args=[_ANY]).partition(str(_ANY))
    return before, after


_ANY = 987654321
_OUTCOMES = {outcome.value: outcome.label for outcome in ContactAttempt.Outcome}


def words_for(rows: Iterable[Row], tab: str, today: date, viewer: Viewer) -> list[RowWords]:
    with one_language():
        return [row_words(row, tab, today, viewer) for row in rows]


def row_words(row: Row, tab: str, today: date, viewer: Viewer) -> RowWords:
    patient = row.patient
    whose = identity_of(patient, viewer)
    shown = tab if tab != "all" else _weightiest(row)
    why = _WHY.get(shown, _standing)(row, today)
    if why.status == tab:  # the tab says so already; how the hips stand says more
        why = why._replace(status=_worst(row))
    days = _days_late(row, shown, today)
    who, since = _next(row, shown, today)
    last, second = _last_contact(row)
    if whose.shut:
        why, second = _without_particulars(why, row, shown), ""
    return RowWords(
        row=row,
        id=f"row-{patient.pk}",
        pk=patient.pk,
        url=address("patient", patient.pk),
        act_url=address("worklist_act", patient.pk),
        name=whose.name,
        born=whose.born,
        number=whose.number,
        clinic=row.clinic.name,
        clinic_id=patient.clinic_id,
        clinician=row.clinician,
        hips=side_words(why.sides),
        why=why,
        late=(_("%(days)d d") % {"days": days}).replace(" ", "\u00a0") if days else "",
        days_late=days,
        next=who,
        since=since,
        last=last,
        last_second=second,
        snoozed_until=row.snooze.until if row.snooze else None,
        latest_snooze=today + longest_snooze(any(hip.status == "gap" for hip in row.hips.values())),
        shut=whose.shut,
    )


def _without_particulars(why: Why, row: Row, shown: str) -> Why:
    """What is to be done and by when, without what somebody typed, what ails them beside, a way to reach them, or what
    became of them."""
    words, second = why.words, why.second if shown in _SAYS_WHAT_TO_DO else ""
    if shown == "snoozed" and row.snooze:
        words = _("Back on %(day)s") % {"day": day_words(row.snooze.until)}
    elif why.status in _STATUS_OF.values():
        words = why.second  # the pathway
    return why._replace(words=words, second=second)


_SAYS_WHAT_TO_DO = ("reviews", "never_started", "incomplete", "snoozed")  # tabs whose second line is an action or a day


def side_words(sides: Iterable[str]) -> str:
    found = set(sides)
    if len(found) == 2:
        return _("both")
    return {"right": _("right"), "left": _("left")}[found.pop()] if found else ""


def telephone_of(patient: PatientSaid) -> str:
    return _spaced(patient.telephone) or patient.telephone_as_given


@lru_cache(maxsize=4096)
def _spaced(telephone: str) -> str:
    """The number as it is read aloud; empty where it cannot be dialled."""
    number = to_python(telephone)
    return str(number.as_international) if number else ""


def mail_words(row: Row) -> str:
    """Why e-mail cannot reach the patient; empty when it can."""
    if row.no_mail == "bounced" and row.patient.email_bounced_on:
        return _("E-mail came back on %(day)s") % {"day": day_words(row.patient.email_bounced_on)}
    words = {
        "no_address": _("No e-mail address"),
        "no_consent": _("Consent to e-mail missing"),
        "declined": _("No e-mail wished"),
    }
    return words.get(row.no_mail, "")


def _worst(row: Row) -> str:
    statuses = {hip.status for hip in row.hips.values()}
    return next((status for status in ("gap", "overdue", "due", "open") if status in statuses), "")


def _weightiest(row: Row) -> str:
    """Of all tabs on which the patient stands, the one that says most."""
    if row.cases:
        return "reviews"
    if row.snooze:
        return "snoozed"
    if row.late_hips():
        return "overdue"
    if row.due_hips(*OPEN):
        return "due"
    followed = [hip for hip in row.hips.values() if hip.status]
    if any(hip.anchor_on is None for hip in followed):
        return "never_started"
    if row.incomplete():
        return "incomplete"
    if row.calls:
        return "calls"
    return "unreachable" if row.no_mail and followed else ""


def _review(row: Row, today: date) -> Why:
    case = row.cases[0]
    words = because_words(case.because).rstrip(".")
    if case.act_by:
        words = _("%(finding)s; review by %(day)s") % {"finding": words, "day": day_words(case.act_by)}
    asked = [_question(other) for other in row.cases]
    sides = frozenset(other.side for other in row.cases)
    return Why(words, "; ".join(asked), urgency=case.urgency, clock=_clock(row.cases, today), sides=sides)


def _question(case: CaseSaid) -> str:
    side = _("right hip") if case.side == "right" else _("left hip")
    return f"{ACTIONS.get(case.action, case.action)}, {side}"


def _clock(cases: Iterable[CaseSaid], today: date) -> SymptomClock | None:
    """Of the hip that began to hurt first."""
    began = [case.since for case in cases if case.action in SYMPTOM_ACTIONS]
    return symptom_clock(min(began), today) if began else None


def _overdue(row: Row, today: date) -> Why:
    return _window(row.late_hips())


def _due(row: Row, today: date) -> Why:
    return _window(row.due_hips(*OPEN))


def _window(hips: list[HipSaid]) -> Why:
    first = hips[0]
    due = _("Due %(day)s") % {"day": day_words(first.due_on)} if first.due_on else _("Due")
    return Why(due, reason_words(hips), status=first.status or "", sides=frozenset(hip.side for hip in hips))


def reason_words(hips: list[HipSaid]) -> str:
    """The reasons for the interval of each hip, said once where they are the same."""
    reasons = {hip.side: because_words(hip.because) for hip in sorted(hips, key=_right_first)}
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return " ".join(f"{side_words([side]).capitalize()}: {reason}" for side, reason in reasons.items())


def _right_first(hip: HipSaid) -> bool:
    """As on a radiograph."""
    return hip.side == "left"


def _never_started(row: Row, today: date) -> Why:
    hips = [hip for hip in row.hips.values() if hip.status and hip.anchor_on is None]
    first = min((hip.due_on for hip in hips if hip.due_on), default=None)
    enrolled = day_words(row.patient.enrolled_on)
    words = _("No complete follow-up since enrolment on %(day)s") % {"day": enrolled}
    second = _("First due %(day)s") % {"day": day_words(first)} if first else ""
    return Why(words, second, status="never_started", sides=frozenset(hip.side for hip in hips))


def _incomplete(row: Row, today: date) -> Why:
    flags = row.incomplete()
    others = [str(ACTIONS.get(flag.action, flag.action)) for flag in flags[1:]]
    second = _("Also: %(what)s") % {"what": ", ".join(dict.fromkeys(others))} if others else ""
    words = because_words(flags[0].because)
    return Why(words, second, status="incomplete", sides=frozenset(flag.side for flag in flags))


def _call(row: Row, today: date) -> Why:
    if not row.calls:
        return _standing(row, today)
    call = row.calls[0]
    about = {"message": call.reminder.get_step_display(), "day": day_words(call.reminder.due_on)}
    if call.reminder.appointment_id:
        words = _("Tell by telephone: %(message)s, appointment on %(day)s") % about
    else:
        words = _("Tell by telephone: %(message)s, follow-up due %(day)s") % about
    number = telephone_of(row.patient)
    how = _("Call %(number)s") % {"number": number} if number else _("No telephone number is known: find one.")
    sides = frozenset(side for side, hip in row.hips.items() if hip.status)
    return Why(words, f"{how}. {_(call.why)}" if number else f"{how} {_(call.why)}", sides=sides)


def _unreachable(row: Row, today: date) -> Why:
    telephone = telephone_of(row.patient)
    second = _("Call %(number)s") % {"number": telephone} if telephone else _("No telephone number either")
    sides = frozenset(side for side, hip in row.hips.items() if hip.status)
    return Why(mail_words(row), second, status="unreachable", sides=sides)


def _snoozed(row: Row, today: date) -> Why:
    if row.snooze is None:  # brought back a moment ago
        return _WHY.get(_weightiest(row), _standing)(row, today)
    words = _("Back on %(day)s: %(reason)s") % {"day": day_words(row.snooze.until), "reason": row.snooze.reason}
    late = row.late_hips() or row.due_hips(*OPEN)
    second = _("Due %(day)s") % {"day": day_words(late[0].due_on)} if late and late[0].due_on else ""
    sides = frozenset(side for side, hip in row.hips.items() if hip.status)
    return Why(words, second, status="snoozed", sides=sides)


def _standing(row: Row, today: date) -> Why:
    """Nothing is asked now: the next date, or why nobody follows this patient."""
    hips = row.due_hips("upcoming", *OPEN)
    if hips and hips[0].due_on:
        words = _("Next due %(day)s") % {"day": day_words(hips[0].due_on)}
        return Why(words, reason_words(hips), status="upcoming", sides=frozenset(hip.side for hip in hips))
    if not row.hips:
        return Why(_("Not evaluated yet"))
    pathways = {hip.pathway for hip in row.hips.values()}
    code = next(code for code in (*LEFT_OUT, *sorted(pathways)) if code in pathways)
    told = {because_words(hip.because) for hip in row.hips.values() if hip.pathway == code}
    return Why(" ".join(sorted(told)), str(PATHWAYS.get(code, code)), status=_STATUS_OF.get(code, ""))


_STATUS_OF = {"deceased": "deceased", "ended": "ended", "replaced": "replaced", "not_affected": "not_affected"}
_WHY = {
    "reviews": _review,
    "overdue": _overdue,
    "due": _due,
    "never_started": _never_started,
    "incomplete": _incomplete,
    "calls": _call,
    "unreachable": _unreachable,
    "snoozed": _snoozed,
}


def _days_late(row: Row, tab: str, today: date) -> int:
    if tab == "reviews":
        act_by = row.cases[0].act_by
        return max((today - act_by).days, 0) if act_by else 0
    return row.days_late(today)


def _next(row: Row, tab: str, today: date) -> tuple[str, str]:
    """Who acts next, and since when."""
    if tab == "reviews":
        return _decider(row)
    if tab == "snoozed" and row.snooze:
        return row.snooze.owner, _until(row.snooze.until)
    if tab == "calls" and row.calls:
        return _("Coordinator"), _since(row.calls[0].opened_at.astimezone(row.clinic.zone).date())
    if late := row.late_hips():
        return _ladder(row, late, today)
    if tab == "incomplete" and row.incomplete():
        return _("Coordinator"), _since(row.incomplete()[0].since)
    opened = [hip.opens_on for hip in row.due_hips(*OPEN) if hip.opens_on]
    if opened:
        return _("Coordinator"), _since(min(opened))
    if tab == "unreachable":
        return _("Coordinator"), _since(row.patient.email_bounced_on)
    if tab == "never_started":
        return _("Coordinator"), _since(row.patient.enrolled_on)
    return "", ""


def _decider(row: Row) -> tuple[str, str]:
    case = row.cases[0]
    if case.level == ReviewCase.Level.ADMIN:
        escalated = [flag.since for flag in row.flags if flag.rule == ESCALATED]
        return _("Administrator"), _since(min(escalated, default=case.since))
    return case.assigned_to or _("Clinician, unassigned"), _since(case.since)


def _ladder(row: Row, late: list[HipSaid], today: date) -> tuple[str, str]:
    """Coordinator from the day it was overdue, clinician from escalation, administrator from tracing or a gap."""
    steps = steps_of(late, today)
    if not steps:
        return _("Coordinator"), ""
    who = {
        Rung.COORDINATOR: _("Coordinator"),
        Rung.CLINICIAN: row.clinician or _("Clinician"),
        Rung.ADMIN: _("Administrator"),
    }
    return who[steps[0].rung], _since(steps[0].since)


def _since(day: date | None) -> str:
    return _("since %(day)s") % {"day": day_words(day)} if day else ""


def _until(day: date) -> str:
    return _("on %(day)s") % {"day": day_words(day)}


def _last_contact(row: Row) -> tuple[str, str]:
    """What came of the last contact and when; then what was agreed."""
    contact = row.contact
    arranged = _arranged(row)
    if contact is None:
        return arranged, ""
    on = day_words(timezone.localtime(contact.at).date())
    what = outcome_words(contact)
    if row.unanswered > 1:
        what = ngettext("No answer once", "No answer, %(n)d times", row.unanswered) % {"n": row.unanswered}
    agreed = [arranged or _agreed(contact), contact.note]
    return f"{what}, {on}", "; ".join(part for part in agreed if part)


def outcome_words(contact: ContactSaid) -> str:
    return str(_OUTCOMES[contact.outcome])


def _arranged(row: Row) -> str:
    """The appointment that stands, or that was not kept."""
    if row.appointment is None:
        return ""
    day = {"day": day_words(row.appointment.starts_at.astimezone(row.clinic.zone).date())}
    if row.appointment.is_standing:
        return _("Appointment on %(day)s") % day
    return _("Did not attend on %(day)s") % day


def _agreed(contact: ContactSaid) -> str:
    who = contact.owner or ""
    if contact.next_on is None:
        return who
    day = day_words(contact.next_on)
    if contact.outcome == ContactAttempt.Outcome.BOOKED:
        words = _("booked for %(day)s") % {"day": day}
    else:
        words = _("again on %(day)s") % {"day": day}
    return f"{words}, {who}" if who else words


def suggested_next(today: date) -> date:
    """A week on, never at a weekend."""
    day = today + timedelta(days=7)
    return day + timedelta(days=(7 - day.weekday()) % 7 if day.weekday() > 4 else 0)

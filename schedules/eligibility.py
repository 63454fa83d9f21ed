"""Eligibility: may this mail go to this patient now? One pure function, asked at the moment of sending."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_noop as _

MAIL_FROM, MAIL_UNTIL = time(8), time(18)  # the clinic's clock
MOST_PER_EPISODE = 5  # then a person


class Reason(StrEnum):
    """Why a mail does not go out now, in the words that are stored; pages translate them."""

    DEAD = _("The patient has died.")
    NOT_A_PERSON = _("The record was merged into another or entered in error.")
    NOT_ENROLLED = _("The patient is not enrolled yet.")
    NOT_FOLLOWED = _("No follow-up is asked for.")
    PURPOSE_MET = _("A follow-up took place or its date moved, so this mail has no purpose any more.")
    TOO_LATE = _("Too late to be of help.")
    SYMPTOMS_KNOWN = _("How the patient is was told lately, or symptoms are known, so nobody need ask.")
    ENOUGH = _("Five mails went out for this follow-up; a person takes over.")
    PURPOSE_REFUSED = _("The patient does not want to be asked between visits how they are.")
    CONSENT_MISSING = _("The patient has not said that e-mail is wanted.")
    OPTED_OUT = _("The patient does not want e-mail.")
    NO_ADDRESS = _("There is no e-mail address.")
    BOUNCED = _("Mail to this address came back.")
    MAIL_STOPPED = _("Mail of this clinic is switched off.")
    HELD = _("More mail is due than usual; a person decides.")
    SNOOZED = _("Put off by the clinic for now.")
    APPOINTMENT_CHANGED = _("The appointment was moved, cancelled or is over, so this mail has no purpose any more.")
    APPOINTMENT_BOOKED = _("An appointment is booked.")
    NOT_YET = _("The day has not come.")
    WRITTEN_TODAY = _("The patient had a mail today.")
    NIGHT = _("Mail goes out in the daytime of the clinic.")


# The patient cannot or must not be reached by e-mail, though there is something to be told.
CONTACT_REASONS = frozenset({Reason.CONSENT_MISSING, Reason.OPTED_OUT, Reason.NO_ADDRESS, Reason.BOUNCED})


class Action(StrEnum):
    SEND = "send"
    REFUSE = "refuse"
    EXPIRE = "expire"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with the mail; `not_before`: when to ask again, None for as soon as the reason is gone."""

    action: Action
    reason: str = ""
    not_before: datetime | None = None


SEND = Verdict(Action.SEND)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """All that the decision rests on. `consent`: None when the patient was never asked about e-mail.

    `wanted`: the mail's window is still the patient's; `last_written_on` and `snoozed_until` are days of the clinic.
    `until`: the moment from which the mail is too late. `booked_until`: the last day for which an appointment holds
    back mails that ask to arrange one. `about_appointment`: the mail tells of an appointment, so it goes to whoever has
    one, snoozed or not followed any more; `is_news`: it tells of a change, also on the same day as another mail.
    `symptoms_known`: the mail asks how the patient is, and of every hip that is followed the answer is known.
    `known_by`: by when it is known what came of the mail of `last_written_on`, where that is still on its way.
    `at_any_hour`: the people are simulated and do not sleep.
    """

    now: datetime
    zone: ZoneInfo
    send_on: date
    useful_until: date
    alive: bool
    enrolled_on: date
    followed: bool
    wanted: bool
    consent: bool | None
    address: str
    bounced: bool
    sent_in_episode: int
    last_written_on: date | None
    snoozed_until: date | None
    mail_stopped: bool
    until: datetime | None = None
    booked_until: date | None = None
    about_appointment: bool = False
    is_news: bool = False
    symptoms_known: bool = False
    purpose_refused: bool = False  # the patient wants no mail of this purpose
    at_any_hour: bool = False
    no_person: bool = False  # the record was merged into another, or both hips stand as entered in error
    known_by: datetime | None = None
    held: bool = False  # an unusual number of mails waits for a person
    mail_from: time = MAIL_FROM
    mail_until: time = MAIL_UNTIL

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()


def morning(day: date, zone: ZoneInfo, begin: time = MAIL_FROM) -> datetime:
    """When mail of this day may begin to go out."""
    return datetime.combine(day, begin, tzinfo=zone)


def is_daytime(now: datetime, zone: ZoneInfo, hours: tuple[time, time] = (MAIL_FROM, MAIL_UNTIL)) -> bool:
    return hours[0] <= now.astimezone(zone).time() < hours[1]


def decide(case: Eligibility) -> Verdict:
    """Send, refuse for good, expire, or ask again later. The first reason that holds is the one given."""
    if refusal := _refusal(case):
        return Verdict(Action.REFUSE, refusal)
    if case.today > case.useful_until or (case.until is not None and case.now >= case.until):
        return Verdict(Action.EXPIRE, Reason.TOO_LATE)
    if refusal := _contact_refusal(case):
        return Verdict(Action.REFUSE, refusal)
    return _timing(case)


def decide_by_hand(case: Eligibility) -> Verdict:
    """The same decision on a letter or a call in the mail's place: neither asks for an e-mail address, rests on the
    clinic's mail or keeps to its hours."""
    reachable = replace(case, consent=True, address="by hand", bounced=False, known_by=None)
    return decide(replace(reachable, mail_stopped=False, held=False, at_any_hour=True))


def _refusal(case: Eligibility) -> Reason | None:
    """The mail serves no purpose, whoever it could be sent to."""
    if not case.alive:
        return Reason.DEAD
    if case.no_person:
        return Reason.NOT_A_PERSON
    if case.enrolled_on > case.today:
        return Reason.NOT_ENROLLED
    if case.about_appointment:
        return None if case.wanted else Reason.APPOINTMENT_CHANGED
    if not case.followed:
        return Reason.NOT_FOLLOWED
    if not case.wanted:
        return Reason.PURPOSE_MET
    if case.purpose_refused:
        return Reason.PURPOSE_REFUSED
    if case.symptoms_known:
        return Reason.SYMPTOMS_KNOWN
    if case.sent_in_episode >= MOST_PER_EPISODE:
        return Reason.ENOUGH
    return None


def _contact_refusal(case: Eligibility) -> Reason | None:
    """The patient cannot or must not be reached by e-mail."""
    if case.consent is None:
        return Reason.CONSENT_MISSING
    if not case.consent:
        return Reason.OPTED_OUT
    if not case.address:
        return Reason.NO_ADDRESS
    return Reason.BOUNCED if case.bounced else None


def _timing(case: Eligibility) -> Verdict:
    """The mail may go, but perhaps not at this hour."""
    today = case.today
    tomorrow = morning(today + timedelta(days=1), case.zone, case.mail_from)
    if case.mail_stopped:
        return Verdict(Action.LATER, Reason.MAIL_STOPPED)
    if case.held:
        return Verdict(Action.LATER, Reason.HELD)
    if case.send_on > today:
        return Verdict(Action.LATER, Reason.NOT_YET, morning(case.send_on, case.zone, case.mail_from))
    if case.booked_until is not None and case.booked_until >= today:
        return Verdict(
            Action.LATER,
            Reason.APPOINTMENT_BOOKED,
            morning(case.booked_until + timedelta(days=1), case.zone, case.mail_from),
        )
    snoozed = case.snoozed_until is not None and case.snoozed_until > today
    if snoozed and not case.about_appointment:
        return Verdict(Action.LATER, Reason.SNOOZED, tomorrow)  # asked each morning: a snooze may end early
    if case.last_written_on == today and not case.is_news:
        return Verdict(Action.LATER, Reason.WRITTEN_TODAY, case.known_by or tomorrow)
    if not case.at_any_hour and not is_daytime(case.now, case.zone, (case.mail_from, case.mail_until)):
        begin = morning(today, case.zone, case.mail_from)
        return Verdict(Action.LATER, Reason.NIGHT, begin if case.now < begin else tomorrow)
    return SEND

"""Mail: what a reminder says, as text and HTML, in the patient's language. It tells nobody else why."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import formataddr, parseaddr
from functools import lru_cache

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac
from django.utils.formats import date_format, time_format
from django.utils.html import escape
from django.utils.translation import gettext, override, pgettext

from patients.models import Clinic, Patient

from . import calendar_files
from .links import Purpose, link_of, url_of
from .models import Reminder

_CSS = css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentences of one step; `day` is already written out."""

    subject: str
    heading: str
    lead: str
    ask: str
    already: str
    button: str = ""  # what the link of this step does; without one the button telephones


def _symptom_check(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("How are you? A few questions from %(clinic)s") % {"clinic": clinic},
        heading=gettext("How are you?"),
        lead=gettext(
            "Your next routine visit to %(clinic)s is due on %(day)s. Until then we would like to hear from you."
        )
        % {"clinic": clinic, "day": day},
        ask=gettext("Please answer a few short questions. It takes about two minutes."),
        already=gettext("If anything has become worse or worries you, please do not wait: telephone us today."),
        button=gettext("Answer the questions"),
    )


def _booking_prompt(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("Time to arrange your next visit: %(clinic)s") % {"clinic": clinic},
        heading=gettext("It is time to arrange your next visit"),
        lead=gettext("Your next routine visit to %(clinic)s should take place around %(day)s.")
        % {"clinic": clinic, "day": day},
        ask=gettext("Please telephone us now, so that we can find a time that suits you."),
        already=gettext("If you have already arranged a time with us, there is nothing you need to do."),
    )


def _due(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("Your next visit to %(clinic)s") % {"clinic": clinic},
        heading=gettext("Your next visit is due"),
        lead=gettext("Your next routine visit to %(clinic)s is due on %(day)s.") % {"clinic": clinic, "day": day},
        ask=gettext("Please telephone us to arrange a time that suits you."),
        already=gettext("If you have already arranged a time with us, there is nothing you need to do."),
    )


def _missed(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("Please arrange your visit to %(clinic)s") % {"clinic": clinic},
        heading=gettext("Your visit has not taken place yet"),
        lead=gettext("Your routine visit to %(clinic)s was due on %(day)s, and we have not seen you yet.")
        % {"clinic": clinic, "day": day},
        ask=gettext("Please telephone us to arrange a time that suits you."),
        already=gettext("If you have already arranged a time with us, there is nothing you need to do."),
    )


def _second_missed(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("We would like to hear from you: %(clinic)s") % {"clinic": clinic},
        heading=gettext("We would like to see you"),
        lead=gettext("Your routine visit to %(clinic)s was due on %(day)s. It matters to us that you are seen.")
        % {"clinic": clinic, "day": day},
        ask=gettext("Please telephone us. If coming is difficult for you, tell us: we will find a way together."),
        already=gettext("If you no longer wish to come, please tell us that as well."),
    )


def _appointment(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("Your appointment: %(clinic)s") % {"clinic": clinic},
        heading=gettext("Your appointment"),
        lead=gettext("We expect you at %(clinic)s on %(day)s.") % {"clinic": clinic, "day": day},
        ask=gettext("If you cannot come, please telephone us: we will find another time."),
        already=gettext("You need not confirm the appointment."),
    )


def _appointment_moved(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("New time of your appointment: %(clinic)s") % {"clinic": clinic},
        heading=gettext("Your appointment has changed"),
        lead=gettext("We now expect you at %(clinic)s on %(day)s. The earlier time no longer holds.")
        % {"clinic": clinic, "day": day},
        ask=gettext("If you cannot come then, please telephone us: we will find another time."),
        already=gettext("You need not confirm the new time."),
    )


def _appointment_cancelled(clinic: str, day: str) -> Wording:
    return Wording(
        subject=gettext("Your appointment does not take place: %(clinic)s") % {"clinic": clinic},
        heading=gettext("This appointment does not take place"),
        lead=gettext("Your appointment at %(clinic)s on %(day)s has been cancelled.") % {"clinic": clinic, "day": day},
        ask=gettext("Please telephone us to arrange another time."),
        already=gettext("If we have already arranged another time, there is nothing you need to do."),
    )


WORDINGS: dict[str, Callable[[str, str], Wording]] = {
    Reminder.Step.BOOKING_PROMPT: _booking_prompt,
    Reminder.Step.SYMPTOM_CHECK: _symptom_check,
    Reminder.Step.DUE: _due,
    Reminder.Step.MISSED: _missed,
    Reminder.Step.SECOND_MISSED: _second_missed,
    Reminder.Step.APPOINTMENT_SOON: _appointment,
    Reminder.Step.APPOINTMENT_NEAR: _appointment,
    Reminder.Step.APPOINTMENT_MOVED: _appointment_moved,
    Reminder.Step.APPOINTMENT_CANCELLED: _appointment_cancelled,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """All that a mail's words depend on, except what is this patient's own: that is put into the slots of its form."""

    step: str
    language: str
    clinic: str
    telephone: str
    address: str
    hours: str
    reply_to: str
    placed: bool


@dataclass(frozen=True, slots=True)
class Form:
    """The words of one kind of mail, with slots in place of what is the patient's own."""

    subject: str
    text: str
    html: str


SLOTS = {name: f"zqslot{name}zq" for name in ("patient", "day", "place", "checkurl", "wishesurl")}
_SLOT = re.compile("|".join(SLOTS.values()))


@lru_cache(maxsize=256)
def form_of(kind: Kind) -> Form:
    """Templates and style sheet cost more than everything else of a mail, and are the same for most: made once."""
    with override(kind.language):
        wording = WORDINGS[kind.step](kind.clinic, SLOTS["day"])
        context = {
            "wording": wording,
            "day": "" if wording.button else SLOTS["day"],
            "check_url": SLOTS["checkurl"] if wording.button else "",
            "place": SLOTS["place"] if kind.placed else "",
            "language": kind.language,
            "patient": SLOTS["patient"],
            "clinic": kind.clinic,
            "telephone": _one_line(kind.telephone),
            "unbroken": _one_line(kind.telephone).replace(" ", "\N{NO-BREAK SPACE}"),  # on one line of a button
            "telephone_link": re.sub(r"[^\d+]", "", kind.telephone),
            "address": [line.strip() for line in kind.address.splitlines() if line.strip()],
            "hours": kind.hours,
            "reply_to": kind.reply_to,
            "wishes_url": SLOTS["wishesurl"],
        }
        text = render_to_string("schedules/mail/reminder.txt", context)
        html = _CSS.inline(render_to_string("schedules/mail/reminder.html", context))
    return Form(_one_line(wording.subject), text.strip() + "\n", html)


def kind_of(reminder: Reminder, patient: Patient, clinic: Clinic) -> Kind:
    appointment = reminder.appointment
    return Kind(
        step=reminder.step,
        language=patient.language,
        clinic=_one_line(clinic.mail_name),
        telephone=clinic.telephone,
        address=clinic.address,
        hours=_one_line(clinic.hours_in(patient.language)),
        reply_to=clinic.reply_to,
        placed=bool(appointment and appointment.place.strip()),
    )


def own_words(reminder: Reminder, patient: Patient, clinic: Clinic, form: Form) -> dict[str, str]:
    """What is put into the slots of this patient's mail."""
    appointment = reminder.appointment
    if appointment:
        with override(patient.language):
            day = moment_written_out(appointment.starts_at, clinic)
    else:
        day = _day_in(patient.language, reminder.due_on)
    return {
        SLOTS["patient"]: _one_line(patient.display_name),
        SLOTS["day"]: day,
        SLOTS["place"]: _one_line(appointment.place) if appointment else "",
        SLOTS["checkurl"]: url_of(link_of(reminder, Purpose.CHECK)) if SLOTS["checkurl"] in form.text else "",
        SLOTS["wishesurl"]: url_of(link_of(reminder, Purpose.WISHES)),
    }


def compose(reminder: Reminder, patient: Patient, clinic: Clinic) -> EmailMultiAlternatives:
    """The mail of one reminder, ready to be handed over, in the patient's language."""
    kind = kind_of(reminder, patient, clinic)
    form = form_of(kind)
    own = own_words(reminder, patient, clinic, form)
    stop, name = url_of(link_of(reminder, Purpose.STOP)), message_id(reminder)
    html = _filled(form.html, {slot: escape(words) for slot, words in own.items()})
    message = put_together(
        kind, _filled(form.subject, own), _filled(form.text, own), html, to=patient.email, message_id=name, stop=stop
    )
    if reminder.appointment:
        calendar_files.attach(message, reminder.appointment, patient=patient, clinic=clinic)
    return message


def put_together(
    kind: Kind, subject: str, text: str, html: str, *, to: str, message_id: str, stop: str
) -> EmailMultiAlternatives:
    """The parts of a mail of this kind under its headers. `stop`: the address of one-click unsubscribing."""
    stops = [stop]
    if kind.reply_to:
        stops.append(f"mailto:{kind.reply_to}?subject=STOP")
    message = EmailMultiAlternatives(
        subject=subject,
        body=text,
        from_email=formataddr((kind.clinic, sender_address())),
        to=[to],
        reply_to=[kind.reply_to] if kind.reply_to else None,
        headers={
            "Message-ID": message_id,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "Content-Language": kind.language,
            "List-Unsubscribe": ", ".join(f"<{one}>" for one in stops),
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
    message.attach_alternative(html, "text/html")
    return message


def _filled(text: str, own: Mapping[str, str]) -> str:
    """Every slot filled in one pass: what is put in is not looked at again."""
    return _SLOT.sub(lambda slot: own[slot[0]], text)


def message_id(reminder: Reminder) -> str:
    """The same for every copy of the same mail, so that a receiver can tell a double; it reveals nothing."""
    key = f"{reminder.patient_id}|{reminder.cycle_on}|{reminder.due_on}|{reminder.step}"
    if reminder.appointment_id:
        key += f"|{reminder.appointment_id}|{reminder.appointment_sequence}"
    domain = sender_address().rpartition("@")[2] or "localhost"
    return f"<{salted_hmac('schedules.mail.message_id', key, algorithm='sha256').hexdigest()[:40]}@{domain}>"


def sender_address() -> str:
    return _address_in(settings.DEFAULT_FROM_EMAIL)


@lru_cache(maxsize=8)
def _address_in(field: str) -> str:
    return parseaddr(field)[1]


@lru_cache(maxsize=4096)
def _day_in(language: str, day: date) -> str:
    with override(language):
        return written_out(day)


def written_out(day: date) -> str:
    """27 March 2027, 27. März 2027, 27 de marzo de 2027: with the month in words, in the language that is active."""
    if day.day == 1:  # the one day that French counts as first
        return date_format(day, pgettext("the first of a month written out", "j F Y"))
    return date_format(day, pgettext("date written out", "j F Y"))


def moment_written_out(at: datetime, clinic: Clinic) -> str:
    """27 March 2027, 09:30 by the clinic's clock, in the language that is active."""
    there = at.astimezone(clinic.zone)
    return gettext("%(day)s, %(time)s") % {"day": written_out(there.date()), "time": time_format(there, "H:i")}


def _one_line(text: str) -> str:
    """Header fields and sentences take no line breaks."""
    return " ".join(text.split())


# What a mail must not tell, in every language that mail is written in; whole words, and stems that end with *.
TELLING = (
    "hip hips groin leg legs femur femoral femor* thigh pelvi* joint* bone bones necro* osteonecro* osteo* avn onfh "
    "arco ficat steinberg jic lesion* collapse* avascular ischaemi* ischemi* diagnos* disease* stage* stadium "
    "radiograph* x-ray* xray* mri mrt ct scan* imaging surger* operat* arthroplast* replac* decompress* prosthe* "
    "orthop* left right pain painful score* harris hoos oxford born birth* dob mrn registry "
    "hüft* leiste* oberschenkel* becken* gelenk* knochen* nekros* schmerz* röntgen* befund* krank* erkrank* "
    "bildgeb* aufnahme* kernspin* operation* eingriff* links rechts linke* rechte* geburt* geboren* register "
    "fallnummer patientennummer aktenzeichen "
    "cadera* ingle pierna* muslo* fémur* pélvi* pelvis articula* rodilla* hueso* óse* osteo* isquémi* lesión lesiones "
    "colapso* avascul* diagnós* enfermedad* enfermo* enferma* estadio* radiograf* radiolog* resonancia* rayos tac rmn "
    "imágenes cirug* quirúrg* opera* prótesis dolor* izquierd* derech* nacid* nacimiento registro expediente* "
    "puntuación traumatolog* "
    "hanche* aine jambe* cuisse* fémur* fémor* bassin articulation* genou* osseux osseuse* nécros* ostéo* isch* "
    "lésion* affaiss* avasculaire* diagnost* maladie* malade* stade* irm scanner* radio* imagerie* chirurg* opéra* "
    "prothè* douleur* douloureu* gauche* droit* né née naissance* registre* dossier*"
)
_TELLING = re.compile(
    r"(?<!\w)(?:" + "|".join(word.replace("*", r"\w*") for word in TELLING.split()) + r")(?!\w)", re.IGNORECASE
)


def telling_words(text: str) -> list[str]:
    """The words of `text` that would tell a stranger what the patient has."""
    return list(dict.fromkeys(found.lower() for found in _TELLING.findall(text)))

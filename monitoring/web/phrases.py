"""Phrases: the words of rows in the language of the page, looked up once and not for each row."""

from functools import lru_cache

from django.utils.translation import get_language, gettext


def said(message: str) -> str:
    """As `gettext`, for words that a page says fifty times; modules import it as `_`, where catalogues look for it."""
    return _in(get_language(), message)


@lru_cache(maxsize=4096)
def _in(language: str | None, message: str) -> str:
    return gettext(message)

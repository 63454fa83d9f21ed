"""Phrases: the words of rows in the language of the page, looked up once and not for each row."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from django.utils.translation import get_language, gettext

_ROWS: ContextVar[str | None] = ContextVar("language of the rows that are being written", default=None)


@contextmanager
def one_language() -> Iterator[None]:
    """While many rows are written the language does not change: Django, which takes its time, is asked for it once."""
    token = _ROWS.set(get_language())
    try:
        yield
    finally:
        _ROWS.reset(token)


def language() -> str | None:
    """The language of the page."""
    return _ROWS.get() or get_language()


def said(message: str) -> str:
    """As `gettext`, for words that a page says fifty times; modules import it as `_`, where catalogues look for it."""
    return _in(language(), message)


@lru_cache(maxsize=4096)
def _in(language: str | None, message: str) -> str:
    return gettext(message)

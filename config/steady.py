"""Steady: components that are the same on every page, rendered once in each language. A template library."""

from functools import lru_cache
from typing import Any, Final

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

register = template.Library()
_MOST: Final = 256  # components, with what they are given, in all languages


@register.simple_tag
def steady(component: str, **given: str) -> SafeString:
    """As `include … only`, for a component of which nothing depends on who asks: `given` are constants of the page."""
    return _rendered(get_language(), component, **given)


@lru_cache(maxsize=_MOST)
def _rendered(language: str | None, component: str, **given: Any) -> SafeString:
    return render_to_string(component, given)

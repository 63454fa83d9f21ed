"""Browsers: what a browser says of itself, in the words its owner knows it by. A template library."""

from typing import Final

from django import template
from django.utils.translation import gettext as _

register = template.Library()

# The first that is found; browsers also name those they want to be taken for, so the order counts.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@register.filter
def browser_words(said: str) -> str:
    """`Firefox, Windows`; the beginning of what it says where it names nothing that is known."""
    browser = next((name for sign, name in _BROWSERS if sign in said), "")
    system = next((name for sign, name in _SYSTEMS if sign in said), "")
    known = ", ".join(name for name in (browser, system) if name)
    return known or said[:40] or _("unknown")

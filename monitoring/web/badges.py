"""Badges: a status, an urgency or an appointment as ready HTML, each rendered once in each language."""

from functools import lru_cache

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from schedules.models import Appointment

from .phrases import language


def status_badge(status: str) -> SafeString:
    return _rendered("status", status, language())


def urgency_badge(urgency: str) -> SafeString:
    return _rendered("urgency", urgency, language())


def appointment_badge(state: str) -> SafeString:
    return _of_appointment(state, language())


@lru_cache(maxsize=64)
def _of_appointment(state: str, language: str | None) -> SafeString:
    return render_to_string("monitoring/calendar/_state.html", {"appointment": Appointment(state=state)})


@lru_cache(maxsize=512)
def _rendered(kind: str, code: str, language: str | None) -> SafeString:
    """`language` is part of what is remembered; the component is rendered in the one that is active."""
    return render_to_string(f"components/{kind}_badge.html", {kind: code})

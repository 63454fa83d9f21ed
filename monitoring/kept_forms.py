"""Kept forms: what somebody sent too late is kept for them, encrypted and for an hour; nothing typed is lost."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from patients.models import User

from . import secrecy
from .models import KeptForm

KEPT_FOR: Final = timedelta(hours=1)
MOST_FIELDS, MOST_TEXT, MOST_FORMS = 1000, 200_000, 20
PASSING: Final = frozenset({"csrfmiddlewaretoken", "kept_form"})  # of one page view


class NotKept(ValueError):
    """It is more than any form holds, or too many wait already."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Where a form was sent, from which page, and its fields in order; files are named only."""

    path: str
    page: str
    fields: list[tuple[str, str]]
    files: list[str]


def keep(user: User, typed: Typed, *, now: datetime) -> KeptForm:
    """Keep it for this person. Raises NotKept."""
    if len(typed.fields) > MOST_FIELDS or sum(len(text) for _name, text in typed.fields) > MOST_TEXT:
        raise NotKept("This is more than a form holds.")
    if kept_for(user, now=now).count() >= MOST_FORMS:
        raise NotKept("Too many forms wait already.")
    return KeptForm.objects.create(user=user, content=secrecy.encrypt(json.dumps(asdict(typed))), kept_at=now)


def fields_of(lists: Iterable[tuple[str, Iterable[object]]]) -> list[tuple[str, str]]:
    """What of a request is worth keeping: everything but passwords and what belongs to one page view."""
    return [
        (name, str(text)) for name, texts in lists if name not in PASSING and "password" not in name for text in texts
    ]


def kept_for(user: User, *, now: datetime) -> QuerySet[KeptForm]:
    return KeptForm.objects.filter(user=user, kept_at__gt=now - KEPT_FOR).order_by("-kept_at", "-id")


def read(kept: KeptForm) -> Typed:
    """What was typed. Raises secrecy.Unreadable."""
    said = json.loads(secrecy.decrypt(kept.content))
    return Typed(said["path"], said["page"], [(name, text) for name, text in said["fields"]], said["files"])


def drop(user: User, pk: int) -> bool:
    """It was sent, or is not wanted. False where there was none of this person."""
    return bool(KeptForm.objects.filter(user=user, pk=pk).delete()[0])


def drop_forgotten(*, now: datetime) -> int:
    return KeptForm.objects.filter(kept_at__lte=now - KEPT_FOR).delete()[0]

"""Staffing: clinics and the people who work in them, as an administrator sets them up."""

import re
import secrets
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from patients import access
from patients.changes import Actor, Change, announce
from patients.models import Clinic, Membership, Role, User
from patients.plausibility import hidden_signs_problems
from schedules.mail import telling_words

from . import audit

MAILED: Final = (
    "mail_name",
    "address",
    "opening_hours",
    "opening_hours_in",
    "reply_to",
)  # of a clinic; the telephone has no words
SEVERAL_LINES: Final = ("address", "opening_hours_in")
_DIALLED: Final = re.compile(r"[+(\d][\d\s()/.+-]{4,}")


def mail_problems(clinic: Clinic) -> dict[str, list[str]]:
    """By field, what no mail may say of what the patients have, and a telephone number that nobody can dial."""
    problems = {}
    for name in MAILED:
        if telling := telling_words(getattr(clinic, name)):
            problems[name] = [_("Mail must not say %(words)s.") % {"words": ", ".join(telling)}]
    if not _DIALLED.fullmatch(clinic.telephone):
        problems["telephone"] = [_("Write a telephone number: it stands in every mail.")]
    return problems


@transaction.atomic
def add_clinic(*, by: Actor, name: str, mail_name: str, telephone: str, **details: str) -> Clinic:
    """A new clinic. Raises ValidationError by field, also for a mail name that tells what the patients have."""
    clinic = Clinic(name=name.strip(), mail_name=mail_name.strip(), telephone=telephone.strip(), **details)
    texts = {"name": clinic.name, "mail_name": clinic.mail_name, "telephone": clinic.telephone, **details}
    if hidden := hidden_signs_problems({field: text for field, text in texts.items() if field not in SEVERAL_LINES}):
        raise ValidationError(hidden)
    clinic.full_clean()
    if problems := mail_problems(clinic):
        raise ValidationError(problems)
    clinic.save()
    _announce("add_clinic", by, clinic, {"name": clinic.name})
    return clinic


@transaction.atomic
def add_staff(*, by: Actor, clinic: Clinic, email: str, name: str, roles: list[Role]) -> tuple[User, str]:
    """A member of staff with these roles in the clinic, and a first password if they are new (otherwise empty).

    Raises ValidationError for an address that is none or for no role.
    """
    if not roles:
        raise ValidationError({"roles": ["Give at least one role."]})
    user = User.objects.filter(email=email.strip().lower()).first()
    password = ""
    if user is None:
        password = secrets.token_urlsafe(12)
        user = User(email=email.strip().lower(), name=name.strip(), language=clinic.language)
        user.set_password(password)
        user.full_clean()
        user.save()
    for role in roles:
        Membership.objects.get_or_create(user=user, clinic=clinic, role=role)
    _announce("add_staff", by, clinic, {"user": user.pk, "roles": [str(role) for role in roles]})
    return user, password


@transaction.atomic
def change_own_details(user: User, *, by: Actor, name: str, language: str) -> None:
    """A person's own name and language. Raises ValidationError."""
    before = {"name": user.name, "language": user.language}
    user.name, user.language = " ".join(name.split()), language
    user.full_clean()
    user.save(update_fields=["name", "language"])
    after = {"name": user.name, "language": user.language}
    audit.note(by, "change_own_details", object=f"user-{user.pk}", before=before, after=after)


def _announce(act: str, by: Actor, clinic: Clinic, after: dict[str, object]) -> None:
    access.bind_clinics([clinic.pk])
    announce(Change(act=act, by=by, clinic_id=clinic.pk, patient_id=None, after=after, clinical=False))

"""Demonstration: two synthetic clinics with their staff, for a first look at an installation that has no clinic yet."""

import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from patients import access
from patients.changes import Actor
from patients.models import Clinic, Membership, Role, User
from patients.recording import today_at
from schedules import adoption, substitutes
from schedules.models import Reminder

from . import diary
from .registry import RUN, Order, Progress, simulate

SEED: Final = 22  # of those tried, one whose lists are neither empty nor long
YEARS: Final = 4.0
LOOKED_BACK: Final = timedelta(days=120)  # no mail helps for longer
PASSWORD_FILE: Final = "demo-password"  # noqa: S105  # a file's name


class NotHere(RuntimeError):
    """A demonstration has no place in this installation; the message says why."""


@dataclass(frozen=True, slots=True)
class DemoClinic:
    name: str
    mail_name: str
    telephone: str
    address: str
    opening_hours: str
    opening_hours_in: str  # in other languages
    reply_to: str
    time_zone: str
    language: str
    patients: int


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A member of staff: `roles` pairs the place of a clinic in CLINICS with a role there."""

    email: str
    name: str
    language: str
    roles: tuple[tuple[int, Role], ...]

    @property
    def title(self) -> str:
        return ", ".join(dict.fromkeys(role.value for _place, role in self.roles))


@dataclass(frozen=True, slots=True)
class SignIn:
    role: str
    email: str
    password: str


CLINICS: Final = (
    DemoClinic(
        name="Northside Hip Clinic",
        mail_name="Northside Clinic",
        telephone="+44 20 7946 0100",
        address="1 Heron Way\nNorthmere ZZ1 4QX",
        opening_hours="Mon-Fri 8:30-17:00",
        opening_hours_in="de:Mo-Fr 8:30-17 Uhr\nes:lu-vi 8:30-17:00\nfr:lun-ven 8h30-17h",
        reply_to="desk@northside.example",
        time_zone="Europe/London",
        language="en",
        patients=200,
    ),
    DemoClinic(
        name="Hüftzentrum Südstadt",
        mail_name="Klinik Südstadt",
        telephone="+49 30 23125 100",
        address="Kranichstraße 1\n00001 Südstadt am See",
        opening_hours="Mo-Fr 8-16 Uhr",
        opening_hours_in="en:Mon-Fri 8:00-16:00\nes:lu-vi 8:00-16:00\nfr:lun-ven 8h-16h",
        reply_to="empfang@suedstadt.example",
        time_zone="Europe/Berlin",
        language="de",
        patients=40,
    ),
)
STAFF: Final = (
    DemoPerson("coordinator@demo.example", "Nora Ellwood", "en", ((0, Role.COORDINATOR),)),
    DemoPerson("clinician@demo.example", "Dr Samir Holt", "en", ((0, Role.CLINICIAN),)),
    DemoPerson("admin@demo.example", "Ruth Calder", "en", ((0, Role.ADMIN),)),
    DemoPerson("clinician2@demo.example", "Dr Yetunde Marsh", "en", ((0, Role.CLINICIAN),)),
    DemoPerson(
        "both@demo.example", "Dr. Jonas Weidenthal", "de", ((0, Role.CLINICIAN), (1, Role.CLINICIAN), (1, Role.ADMIN))
    ),
    DemoPerson("koordination@demo.example", "Heike Brandmeier", "de", ((1, Role.COORDINATOR),)),
)


def set_up(progress: Progress = lambda done: None) -> int:
    """Clinics, staff, protocol and patients; returns the number of patients, also where they stood already.

    Raises NotHere in production and where clinics of other people exist. What an interrupted attempt left is completed.
    """
    if settings.PRODUCTION:
        raise NotHere("Invented patients and a shared password have no place in production.")
    names = {clinic.name for clinic in CLINICS}
    if Clinic.objects.exclude(name__in=names, synthetic=True).exists():
        raise NotHere("There are clinics already; the demonstration is for an empty installation.")
    with transaction.atomic():
        adoption.ensure_default(Actor.system(RUN))
        clinics = [_clinic(demo) for demo in CLINICS]
        _staff(clinics, ensure_password())
    made = 0
    for place, (clinic, demo) in enumerate(zip(clinics, CLINICS, strict=True)):
        made += _fill(clinic, demo, place)
        diary.fill(clinic, SEED + place, timezone.now())
        _open_substitutes(clinic)
        progress(made)
    return made


def _clinic(demo: DemoClinic) -> Clinic:
    details = {name: getattr(demo, name) for name in DemoClinic.__slots__ if name not in ("name", "patients")}
    clinic, _created = Clinic.objects.get_or_create(name=demo.name, defaults={**details, "synthetic": True})
    return clinic


def _staff(clinics: list[Clinic], password: str) -> None:
    for person in STAFF:
        user = User.objects.filter(email=person.email).first() or User.objects.create_user(
            person.email, password, name=person.name, language=person.language
        )
        for place, role in person.roles:
            Membership.objects.get_or_create(user=user, clinic=clinics[place], role=role)


def _fill(clinic: Clinic, demo: DemoClinic, place: int) -> int:
    """The clinic's patients, unless an earlier attempt has written them: they are one transaction."""
    with access.system_run(RUN, [clinic.pk]):
        if there := clinic.patients.count():
            return there
    order = Order(clinic.pk, demo.patients, YEARS, SEED + place, today_at(clinic, timezone.now()))
    return simulate(order)


def _open_substitutes(clinic: Clinic) -> None:
    """Letters and calls for whom the simulated mail did not reach and would still be helped by one."""
    now = timezone.now()
    with access.system_run(RUN, [clinic.pk]) as run:
        unreached = Reminder.objects.filter(clinic=clinic, state__in=substitutes.UNREACHED, substitute__isnull=True)
        lately = unreached.filter(send_on__gte=today_at(clinic, now) - LOOKED_BACK).values_list("id", flat=True)
        substitutes.open_for(list(lately), by=run.actor, at=now)


def password_file() -> Path:
    return Path(settings.DATA_DIR) / PASSWORD_FILE


def ensure_password() -> str:
    """The shared password: of DEMO_PASSWORD, or made once for this installation and kept readable by its owner only."""
    if given := os.environ.get("DEMO_PASSWORD"):
        return given
    password_file().parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(password_file(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return password_file().read_text().strip()
    password = secrets.token_urlsafe(12)
    with os.fdopen(handle, "w") as kept:
        kept.write(f"{password}\n")
    return password


def sign_ins() -> list[SignIn]:
    """Who may sign in to the demonstration; none where it was not set up."""
    password = os.environ.get("DEMO_PASSWORD") or (
        password_file().read_text().strip() if password_file().exists() else ""
    )
    known = set(User.objects.filter(email__in=[p.email for p in STAFF], is_active=True).values_list("email", flat=True))
    return [SignIn(p.title, p.email, password) for p in STAFF if password and p.email in known]

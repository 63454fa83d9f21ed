"""Audit search: who did or saw what, found by person, act, patient, thing and period, a page at a time."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils import timezone

from patients.access import Permission, Viewer, findable
from patients.models import Membership, User

from .audit import MAILS
from .models import AuditEntry

LOOKS: Final = ("look", "who_has_seen")
EXPORTS: Final = ("export",)
PERSONS: Final = 200  # whom one name may mean
COUNTED: Final = 10_000  # entries that are counted; more are “more than”


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for; what is empty leaves it open."""

    who: str = ""
    act: str = ""
    kind: str = ""  # changes, looks, exports, mails or rights
    number: str = ""  # a patient's record number
    patient: int | None = None
    object: str = ""
    since: date | None = None
    until: date | None = None


RIGHTS: Final = (
    "add_clinic",
    "change_clinic",
    "add_staff",
    "invite_staff",
    "change_roles",
    "deactivate_staff",
    "reactivate_staff",
    "make_token",
    "revoke_token",
    "break_glass",
    "break_glass_missed",
    "end_break_glass",
    "review_break_glass",
    "restrict_patient",
    "lift_restriction",
    "pass_gate",
    "gate_missed",
)
OF_KIND: Final = {
    "": Q(),
    "changes": ~Q(act__in=(*LOOKS, *EXPORTS, *MAILS)),
    "looks": Q(act__in=LOOKS),
    "exports": Q(act__in=EXPORTS),
    "mails": Q(act__in=MAILS),
    "rights": Q(act__in=RIGHTS) | Q(act__startswith="sign"),
}


def entries_for(viewer: Viewer) -> QuerySet[AuditEntry]:
    """What an auditor of clinics may read: their entries, and those of no clinic about people who work there."""
    if viewer.superuser:
        return AuditEntry.objects.all()
    clinics = viewer.clinics_where(Permission.AUDIT)
    staff = Membership.objects.filter(clinic__in=clinics).values("user")
    return AuditEntry.objects.filter(Q(clinic_id__in=clinics) | Q(clinic_id__isnull=True, user_id__in=staff))


def find(viewer: Viewer, asked: Question) -> QuerySet[AuditEntry]:
    """The entries that answer the question, latest first."""
    found = entries_for(viewer).filter(OF_KIND.get(asked.kind, Q()))
    if asked.who:
        found = found.filter(_by(asked.who))
    if asked.act:
        found = found.filter(act=asked.act)
    if asked.object:
        found = found.filter(object=asked.object)
    if asked.patient:
        found = found.filter(patient_id=asked.patient)
    if asked.number:
        found = found.filter(patient_id__in=patients_with(viewer, asked.number))
    if asked.since:
        found = found.filter(at__gte=_midnight(asked.since))
    if asked.until:
        found = found.filter(at__lt=_midnight(asked.until + timedelta(days=1)))
    return found.order_by("-id")


def patients_with(viewer: Viewer, number: str) -> list[int]:
    """The ids of the patients with this record number in the clinics whose audit the viewer may read.

    A restricted record is looked for by its id, from the list of restricted records, until it is open.
    """
    clinics = viewer.clinics_where(Permission.AUDIT)
    found = findable(viewer).filter(clinic__in=clinics, record_number__iexact=number).order_by("id")
    return list(found.values_list("id", flat=True)[:PERSONS])


def count(found: QuerySet[AuditEntry]) -> int:
    """How many, at most one more than are counted."""
    return found.order_by()[: COUNTED + 1].count()


def _by(who: str) -> Q:
    """By a member of staff whose name or address holds these words, or under a name that begins so: runs, systems."""
    users = User.objects.all()
    for word in who.split():
        users = users.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return Q(user_id__in=list(users.values_list("id", flat=True)[:PERSONS])) | Q(actor__istartswith=who)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.get_current_timezone())

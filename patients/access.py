"""Access: the only door to rows. Who acts, in which clinics, and what their roles allow.

`app.clinic_ids` is a setting of the transaction that PostgreSQL's row-level security reads: without it every query of
a clinic's rows is an error, with an empty list it finds nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import pghistory
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from .at_once import Kept
from .changes import Actor
from .models import Clinic, EmergencyAccess, Hip, Membership, Patient, Restriction, Role, User

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser


EMERGENCY = "emergency"  # in the session: somebody has opened another clinic's record here
GATES = "gates"  # in the session: until when a restricted record is open here, by the patient's id


class Permission(StrEnum):
    READ = "read"
    RECORD = "record"  # enrol, amend, record visits and facts
    WORK = "work"  # outcomes, snoozes, assignments, sending
    DECIDE = "decide"  # answer reviews, end and reopen follow-up
    IMPORT = "import"
    ADMINISTER = "administer"  # staff, clinics, tokens, protocol, mail switch
    AUDIT = "audit"
    RESEARCH = "research"  # take out records that name nobody
    RESTRICTED = "restricted"  # a machine's, which can give no reason: restricted records too


ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.COORDINATOR: frozenset({Permission.READ, Permission.RECORD, Permission.WORK, Permission.IMPORT}),
    Role.CLINICIAN: frozenset({Permission.READ, Permission.RECORD, Permission.WORK, Permission.DECIDE}),
    Role.ADMIN: frozenset(
        {
            Permission.READ,
            Permission.RECORD,
            Permission.WORK,
            Permission.IMPORT,
            Permission.ADMINISTER,
            Permission.AUDIT,
        }
    ),
    Role.AUDITOR: frozenset({Permission.READ, Permission.AUDIT}),
    Role.RESEARCH: frozenset({Permission.RESEARCH}),
}


@dataclass(frozen=True, slots=True)
class Emergency:
    """A record of a clinic in which the viewer has no role, open to be read until a moment."""

    pk: int
    patient_id: int
    clinic_id: int
    ends_at: datetime


class RestrictedRecord(PermissionDenied):
    """The record is opened only after a reason was given."""

    def __init__(self, patient_id: int) -> None:
        super().__init__("This record is restricted: it opens with a reason, or to a token of that scope.")
        self.patient_id = patient_id


_RESTRICTED = "restricted_patients"  # of a clinic that `Viewer.clinics` has read


@dataclass(frozen=True)
class Viewer:
    """Who looks: a person with roles by clinic, a system run that may see every clinic, or a machine with scopes."""

    actor: Actor
    roles: tuple[tuple[int, Role], ...]
    time_zone: str = "UTC"  # of the first clinic: how times are shown
    scopes: tuple[tuple[int, Permission], ...] = ()  # of an API token, by clinic
    superuser: bool = False  # sets up clinics and opens the Django admin; sees no patient by it
    emergencies: tuple["Emergency", ...] = ()  # other clinics' records that are open to this session for an hour
    gates: frozenset[int] = frozenset()  # restricted records for which this session has given a reason lately

    @cached_property
    def clinic_ids(self) -> tuple[int, ...]:
        """The clinics whose rows the viewer may see."""
        return self.clinics_where(Permission.READ)

    @cached_property
    def clinics(self) -> tuple[Clinic, ...]:
        """These clinics, read once for as long as this viewer lasts, each with the restricted records in it."""
        (found,) = _CLINICS.read(clinics=list(self.clinic_ids))
        return tuple(found)

    def know_clinics(self, found: Iterable[Clinic]) -> None:
        """They were read with others, by `clinics_with_restricted`."""
        vars(self)["clinics"] = tuple(found)

    @cached_property
    def shut(self) -> frozenset[int]:
        """The restricted records of these clinics that are not open to the viewer: on lists they have no name.

        For every page that lists patients; it costs no statement beyond the one for the clinics, which the frame of
        the page needs anyway.
        """
        return frozenset(
            pk for clinic in self.clinics for pk in getattr(clinic, _RESTRICTED) if not self.passes_gate(pk, clinic.pk)
        )

    def may(self, permission: Permission, clinic_id: int) -> bool:
        by_role = any(clinic == clinic_id and permission in ALLOWED[role] for clinic, role in self.roles)
        return by_role or (clinic_id, permission) in self.scopes

    def may_anywhere(self, permission: Permission) -> bool:
        return bool(self.clinics_where(permission))

    def check(self, permission: Permission, clinic_id: int) -> None:
        """Raise PermissionDenied unless one of the viewer's roles in that clinic allows it."""
        if not self.may(permission, clinic_id):
            raise PermissionDenied(f"Your role in this clinic does not allow you to {permission}.")

    def passes_gate(self, patient_id: int, clinic_id: int) -> bool:
        """Whether a restricted record is open: to a person with a reason, a token with the scope, a run."""
        if self.scopes:
            return self.may(Permission.RESTRICTED, clinic_id)
        return self.actor.user_id is None or patient_id in self.gates

    def clinics_where(self, permission: Permission) -> tuple[int, ...]:
        known = dict.fromkeys(clinic for clinic, _ in (*self.roles, *self.scopes))
        return tuple(clinic for clinic in known if self.may(permission, clinic))


def _roles(user: int) -> tuple[QuerySet[Membership, tuple[int, str, str]]]:
    memberships = Membership.objects.filter(user_id=user).order_by("clinic_id", "role")
    return (memberships.values_list("clinic_id", "role", "clinic__time_zone"),)


def clinics_with_restricted(clinics: Sequence[int]) -> QuerySet[Clinic]:
    """What `Viewer.clinics` is made of."""
    standing = Restriction.objects.filter(clinic=OuterRef("pk"), lifted_at__isnull=True).order_by("id")
    known = Clinic.objects.filter(pk__in=clinics)
    return known.annotate(**{_RESTRICTED: ArraySubquery(standing.values("patient_id"))})


_ROLES = Kept(_roles, user=int)
_CLINICS = Kept(lambda clinics: (clinics_with_restricted(clinics),), clinics=list)
NOBODY = Viewer(actor=Actor(name="nobody"), roles=())


def viewer_for(user: "User | AnonymousUser", request_id: str = "") -> Viewer:
    """The viewer for a signed-in user, with today's roles; NOBODY for anyone else."""
    if not isinstance(user, User):
        return NOBODY
    (roles,) = _ROLES.read(user=user.pk)
    return Viewer(
        actor=Actor(name=user.name or user.email, user_id=user.pk, request_id=request_id),
        roles=tuple((clinic, Role(role)) for clinic, role, _zone in roles),
        time_zone=roles[0][2] if roles else "UTC",
        superuser=user.is_superuser,
    )


_BIND = "SELECT set_config('app.clinic_ids', %s::text, true)"


def bind_clinics(clinic_ids: Iterable[int]) -> None:
    """Let this transaction see these clinics' rows and no others."""
    with connection.cursor() as cursor:
        cursor.execute(_BIND, [listed(clinic_ids)])


def listed(ids: Iterable[int]) -> str:
    """Numbers as PostgreSQL writes an array of them."""
    return "{" + ",".join(str(int(one)) for one in ids) + "}"


@contextmanager
def reading(viewer: Viewer) -> Iterator[None]:
    """A transaction that sees the viewer's clinics, for what is read when the request's own is over."""
    with transaction.atomic():
        bind_clinics(viewer.clinic_ids)
        yield


def bind_request(request: HttpRequest, request_id: str = "") -> Viewer:
    """Attach the viewer to the request and its clinics to the transaction."""
    viewer = viewer_for(request.user, request_id)
    session = getattr(request, "session", {})
    if session.get(EMERGENCY) or session.get(GATES):
        viewer = replace(viewer, emergencies=_open_emergencies(viewer), gates=_gates_of(session.get(GATES) or {}))
    bind_clinics(viewer.clinic_ids)
    request.viewer = viewer  # type: ignore[attr-defined]
    return viewer


def _open_emergencies(viewer: Viewer) -> tuple[Emergency, ...]:
    mine = EmergencyAccess.objects.filter(user=viewer.actor.user_id, ends_at__gt=timezone.now()).order_by("id")
    return tuple(Emergency(*row) for row in mine.values_list("id", "patient_id", "clinic_id", "ends_at"))


def _gates_of(passed: Mapping[str, float]) -> frozenset[int]:
    now = timezone.now().timestamp()
    return frozenset(int(patient) for patient, until in passed.items() if until > now)


def viewer_of(request: HttpRequest) -> Viewer:
    viewer: Viewer = request.viewer  # type: ignore[attr-defined]
    return viewer


@contextmanager
def system_run(name: str, clinic_ids: Iterable[int] | None = None) -> Iterator[Viewer]:
    """One transaction of a named system run, over all clinics unless some are given."""
    actor = Actor.system(name)
    with transaction.atomic(), pghistory.context(actor=actor.name):
        ids = tuple(Clinic.objects.order_by("id").values_list("id", flat=True) if clinic_ids is None else clinic_ids)
        bind_clinics(ids)
        yield Viewer(actor=actor, roles=tuple((clinic, Role.ADMIN) for clinic in ids))


def clinics_for(viewer: Viewer) -> QuerySet[Clinic]:
    return Clinic.objects.filter(id__in=viewer.clinic_ids)


def administered_clinics(viewer: Viewer) -> QuerySet[Clinic]:
    """The clinics whose staff and particulars the viewer may change; all of them for a superuser."""
    if viewer.superuser:
        return Clinic.objects.all()
    return Clinic.objects.filter(id__in=viewer.clinics_where(Permission.ADMINISTER))


def enter_administered_clinics(viewer: Viewer) -> None:
    """Let a superuser's transaction see what belongs to the clinics, such as invitations; it opens no door here."""
    if viewer.superuser:
        bind_clinics({*viewer.clinic_ids, *administered_clinics(viewer).values_list("id", flat=True)})


def enter_as_administrator(viewer: Viewer, clinic_id: int) -> None:
    """Let the transaction write what belongs to a clinic that the viewer administers. Raises PermissionDenied."""
    if not administered_clinics(viewer).filter(pk=clinic_id).exists():
        raise PermissionDenied("You do not administer this clinic.")
    bind_clinics({*viewer.clinic_ids, *viewer.clinics_where(Permission.ADMINISTER), clinic_id})
    enter_administered_clinics(viewer)


def patients_for(viewer: Viewer) -> QuerySet[Patient]:
    return Patient.objects.filter(clinic_id__in=viewer.clinic_ids)


def findable(viewer: Viewer) -> QuerySet[Patient]:
    """Whom a search may find: a restricted record is not looked for by name, number or birth date until it is open."""
    return patients_for(viewer).exclude(pk__in=viewer.shut)


def patient_for(viewer: Viewer, pk: int, permission: Permission = Permission.READ) -> Patient:
    """The patient, or 404 where it is another clinic's; PermissionDenied where the role does not reach.

    Another clinic's is there to be read, and only that, while an emergency access is open: from then on this
    transaction sees that clinic's rows. Raises RestrictedRecord where a reason, or a scope, is needed first.
    """
    patient = patient_at_gate(viewer, pk, permission)
    if getattr(patient, "is_restricted", False) and not viewer.passes_gate(pk, patient.clinic_id):
        raise RestrictedRecord(pk)
    return patient


def patient_at_gate(viewer: Viewer, pk: int, permission: Permission = Permission.READ) -> Patient:
    """As `patient_for`, before the gate of a restricted record: for the page that asks for the reason alone."""
    found = _PATIENT.read(pk=pk, clinics=list(viewer.clinic_ids))[0] if pk < 2**63 else []
    if not found:
        return _in_emergency(viewer, pk, permission)
    patient: Patient = found[0]
    viewer.check(permission, patient.clinic_id)
    return patient


def _with_restriction(patients: QuerySet[Patient]) -> QuerySet[Patient]:
    open_ones = Restriction.objects.filter(patient=OuterRef("pk"), lifted_at__isnull=True)
    return patients.select_related("clinic", "responsible").annotate(is_restricted=Exists(open_ones))


_PATIENT = Kept(
    lambda pk, clinics: (_with_restriction(Patient.objects.filter(clinic__in=clinics, pk=pk)),), pk=int, clinics=list
)


def _in_emergency(viewer: Viewer, pk: int, permission: Permission) -> Patient:
    grant = next((one for one in viewer.emergencies if one.patient_id == pk), None)
    if grant is None or permission is not Permission.READ:
        raise Http404("No such patient.")
    bind_clinics({*viewer.clinic_ids, grant.clinic_id})
    return _with_restriction(Patient.objects.all()).get(pk=pk, clinic=grant.clinic_id)


def check_gate(viewer: Viewer, patient_id: int) -> None:
    """Raise RestrictedRecord where the viewer needs a reason, or a scope, before they see anything of this patient."""
    standing = Restriction.objects.filter(patient=patient_id, lifted_at__isnull=True).first()
    if standing is not None and not viewer.passes_gate(patient_id, standing.clinic_id):
        raise RestrictedRecord(patient_id)


M = TypeVar("M", bound=Model)


def ungated(viewer: Viewer, rows: QuerySet[M], patient: str = "patient_id") -> QuerySet[M]:
    """The rows without those of restricted records that are not open to the viewer, by the column that names them."""
    return without_restricted(rows, patient, viewer.gates, viewer.clinics_where(Permission.RESTRICTED))


def without_restricted(
    rows: QuerySet[M], patient: str, passed: Collection[int], trusted: Collection[int]
) -> QuerySet[M]:
    """The rows without those of restricted records, but for these patients and these clinics."""
    shut = Restriction.objects.filter(patient=OuterRef(patient), lifted_at__isnull=True)
    return rows.exclude(Exists(shut.exclude(patient__in=passed).exclude(clinic__in=trusted)))


def hips_for(viewer: Viewer) -> QuerySet[Hip]:
    return Hip.objects.filter(clinic_id__in=viewer.clinic_ids)


class UnsafeRole(RuntimeError):
    """The application connects as a role that row-level security does not bind."""


def refuse_unsafe_role() -> None:
    """Raise UnsafeRole when the application's database role is superuser, bypasses RLS or owns its tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolbypassrls, EXISTS (SELECT 1 FROM pg_class c WHERE c.relname = 'patients_patient'"
            " AND pg_has_role(current_user, c.relowner, 'USAGE')) FROM pg_roles WHERE rolname = current_user"
        )
        row = cursor.fetchone()
    if row is None or row[0] or row[1]:
        raise UnsafeRole(
            "The application must connect as a role that is no superuser, has no BYPASSRLS and owns no table;"
            " see docs/operations.md, Two database roles."
        )

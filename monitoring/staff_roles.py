"""Staff roles: who holds which role in a clinic, and whose account is closed, as an administrator decides.

Nobody changes their own rights, and no clinic is left without an administrator who can sign in.
"""

from collections.abc import Collection, Iterable

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from patients import access
from patients.access import Viewer
from patients.models import Clinic, Membership, Role, User

from . import audit


def staff_for(viewer: Viewer) -> QuerySet[User]:
    """Who works in a clinic that the viewer administers; everybody for a superuser."""
    if viewer.superuser:
        return User.objects.all()
    mine = Membership.objects.filter(clinic__in=access.administered_clinics(viewer).values("id"))
    return User.objects.filter(pk__in=mine.values("user"))


def roles_in(user: User, clinic_id: int) -> list[Role]:
    held = set(Membership.objects.filter(user=user, clinic=clinic_id).values_list("role", flat=True))
    return [role for role in Role if role in held]


@transaction.atomic
def change_roles(
    user: User, clinic_id: int, roles: Collection[Role], *, seen: Collection[Role], reason: str, viewer: Viewer
) -> bool:
    """The person holds exactly these roles in the clinic; False where they did before.

    Raises PermissionDenied to whoever does not administer the clinic and for one's own roles; ValidationError where
    the roles no longer are what was `seen`, without a reason, and for the last administrator of the clinic.
    """
    _check_may(viewer, user, [clinic_id])
    clinic = _lock([clinic_id])[0]
    held = roles_in(user, clinic_id)
    if set(held) != set(seen):
        raise ValidationError(_("Somebody changed these roles since you opened the page. Open it again to see how."))
    if set(held) == set(roles):
        return False
    if not reason.strip():
        raise ValidationError(_("Give the reason."))
    if Role.ADMIN in held and Role.ADMIN not in roles:
        _keep_an_administrator([clinic], without=user)
    Membership.objects.filter(user=user, clinic=clinic).exclude(role__in=list(roles)).delete()
    for role in roles:
        Membership.objects.get_or_create(user=user, clinic=clinic, role=role)
    audit.note(
        viewer.actor,
        "change_roles",
        clinic_id=clinic.pk,
        object=f"user-{user.pk}",
        before={"roles": [str(role) for role in held]},
        after={"roles": [str(role) for role in Role if role in roles]},
        reason=reason.strip(),
    )
    return True


@transaction.atomic
def deactivate(user: User, *, reason: str, viewer: Viewer) -> bool:
    """The account is closed at once, in every clinic; False where it was. The roles stay for when it is opened again.

    Raises PermissionDenied to whoever does not administer every clinic of the person, for oneself, and for a
    superuser's account to anybody but a superuser; ValidationError for the last administrator of a clinic.
    """
    clinics = _open_or_close(user, viewer)
    _keep_an_administrator(clinics, without=user)
    return _set_active(user, False, clinics, "deactivate_staff", reason, viewer)


@transaction.atomic
def reactivate(user: User, *, reason: str, viewer: Viewer) -> bool:
    """The account is open again, with the roles it had; False where it was open. Raises as `deactivate` does."""
    return _set_active(user, True, _open_or_close(user, viewer), "reactivate_staff", reason, viewer)


def may_open_or_close(user: User, viewer: Viewer) -> bool:
    """Whether the account is wholly the viewer's to close: every clinic it works in, and not one's own."""
    try:
        _check_may(viewer, user, _clinics_of(user))
    except PermissionDenied:
        return False
    return viewer.superuser or not user.is_superuser


def _open_or_close(user: User, viewer: Viewer) -> list[Clinic]:
    if not may_open_or_close(user, viewer):
        raise PermissionDenied(_("Only who administers every clinic of a person closes or opens their account."))
    return _lock(_clinics_of(user))


def _set_active(user: User, active: bool, clinics: list[Clinic], act: str, reason: str, viewer: Viewer) -> bool:
    if not reason.strip():
        raise ValidationError(_("Give the reason."))
    if not User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active):
        return False
    concerned: list[int | None] = [clinic.pk for clinic in clinics]
    for clinic_id in concerned or [None]:
        audit.note(
            viewer.actor,
            act,
            clinic_id=clinic_id,
            object=f"user-{user.pk}",
            before={"active": not active},
            after={"active": active},
            reason=reason.strip(),
        )
    return True


def _check_may(viewer: Viewer, user: User, clinic_ids: Iterable[int]) -> None:
    if user.pk == viewer.actor.user_id:
        raise PermissionDenied(_("Nobody changes their own rights. Ask another administrator."))
    mine = set(access.administered_clinics(viewer).values_list("id", flat=True))
    if not set(clinic_ids) <= mine or not (mine or viewer.superuser):
        raise PermissionDenied(_("You do not administer this clinic."))


def _clinics_of(user: User) -> list[int]:
    return list(
        Membership.objects.filter(user=user).values_list("clinic_id", flat=True).distinct().order_by("clinic_id")
    )


def _lock(clinic_ids: Collection[int]) -> list[Clinic]:
    """The clinics, in one order, so that two administrators cannot each take away the other's role."""
    return list(Clinic.objects.select_for_update(no_key=True).filter(pk__in=clinic_ids).order_by("pk"))


def _keep_an_administrator(clinics: Iterable[Clinic], *, without: User) -> None:
    is_admin = Q(role=Role.ADMIN, user__is_active=True)
    for clinic in clinics:
        admins = Membership.objects.filter(is_admin, clinic=clinic)
        if admins.filter(user=without).exists() and not admins.exclude(user=without).exists():
            raise ValidationError(
                _("%(name)s is the last administrator of %(clinic)s. Make somebody else an administrator first.")
                % {"name": without, "clinic": clinic}
            )

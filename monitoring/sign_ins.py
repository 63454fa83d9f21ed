"""Sign-ins: second steps, sessions and locks of staff, as their owners and their administrators see and end them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext, override

from patients.access import Permission, Viewer
from patients.models import Membership, User

from . import account_mail, audit


@dataclass(frozen=True, slots=True)
class SignInState:
    """What an administrator is shown of how somebody signs in."""

    factors: list[str]
    sessions: int
    locked: bool


def state_of(user: User) -> SignInState:
    kinds = Authenticator.objects.filter(user_id=user.pk).order_by("type").values_list("type", flat=True)
    tried = AccessAttempt.objects.filter(username=user.email, failures_since_start__gte=settings.AXES_FAILURE_LIMIT)
    return SignInState(sorted(set(kinds)), UserSession.objects.filter(user_id=user.pk).count(), tried.exists())


def end_session(session_id: int, *, user: User, by: Viewer) -> bool:
    """One's own session elsewhere ends. False where it has ended already."""
    found = UserSession.objects.filter(pk=session_id, user_id=user.pk).first()
    if found is None or by.actor.user_id != user.pk:
        return False
    _end([found])
    audit.note(by.actor, "end_session", object=f"user-{user.pk}", after={"address": found.ip})
    return True


@transaction.atomic
def end_sessions(user: User, *, by: Viewer) -> int:
    """The person is signed out everywhere. Raises PermissionDenied. Returns how many sessions ended."""
    _check(by, user)
    ended = _end(UserSession.objects.filter(user_id=user.pk))
    audit.note(by.actor, "end_sessions", object=f"user-{user.pk}", after={"sessions": ended})
    return ended


@transaction.atomic
def remove_second_steps(user: User, *, by: Viewer, now: datetime) -> None:
    """Somebody who lost telephone, keys and codes sets up anew: signed out, and told by mail. Raises PermissionDenied.

    The password stays what it is, so an administrator alone cannot sign in as somebody else.
    """
    _check(by, user, everywhere=True)
    kinds = sorted(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))
    Authenticator.objects.filter(user_id=user.pk).delete()
    _end(UserSession.objects.filter(user_id=user.pk))
    audit.note(by.actor, "remove_second_steps", object=f"user-{user.pk}", before={"kinds": kinds})
    with override(user.language):
        said = {"name": user.name, "who": by.actor.name}
        text = "\n\n".join(
            [
                gettext("Dear %(name)s,") % said,
                gettext("%(who)s has removed the second steps of your account. You set them up anew when you sign in.")
                % said,
                gettext("If you did not ask for this, tell another administrator at once."),
            ]
        )
        letter = account_mail.Letter(gettext("Your second step was removed"), text + "\n", user.language)
    account_mail.queue("second_steps_removed", user.email, letter, now=now)


@transaction.atomic
def unlock(user: User, *, by: Viewer) -> None:
    """Open sign-in again after too many tries. Raises PermissionDenied."""
    _check(by, user)
    AccessAttempt.objects.filter(username=user.email).delete()
    audit.note(by.actor, "unlock_sign_in", object=f"user-{user.pk}")


def _end(sessions: Iterable[UserSession]) -> int:
    ended = 0
    for session in sessions:
        session.end()
        ended += 1
    return ended


def _check(by: Viewer, user: User, *, everywhere: bool = False) -> None:
    """Another person who works in a clinic that the viewer administers, or only in such clinics."""
    mine = by.clinics_where(Permission.ADMINISTER)
    held = Membership.objects.filter(user=user)
    beyond = everywhere and held.exclude(clinic__in=mine).exists()
    if by.actor.user_id == user.pk or beyond or not held.filter(clinic__in=mine).exists():
        raise PermissionDenied("Only an administrator of the person's clinic may do this, and not to themselves.")

"""Invitations: who is asked to work in a clinic, by a link that is good once and for a few days.

A person holds the roles from the moment they accept. The link is signed from a number in the row, so the database
alone opens nothing; a new mail, or the answer, ends every link sent before.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, override

from patients import access
from patients.access import Viewer
from patients.changes import Actor, Change, announce
from patients.models import Clinic, Membership, Role, User

from . import account_mail, audit
from .models import Invitation

GOOD_FOR = timedelta(days=7)
_SALT = "monitoring.invitations"


class InvitationClosed(ValueError):
    """The link opens nothing: it was never ours, is used, taken back or too old."""


# ---- Administrators


@transaction.atomic
def invite(*, by: Viewer, clinic: Clinic, email: str, name: str, roles: Sequence[Role], now: datetime) -> Invitation:
    """Ask somebody to work in the clinic with these roles, by mail.

    Raises PermissionDenied, and ValidationError by field: for an address that is none, one's own, or already invited,
    for no role or one that is held already.
    """
    access.enter_as_administrator(by, clinic.pk)
    email, name = email.strip().lower(), " ".join(name.split())
    wanted = [role for role in Role if role in roles]
    _check(by, clinic, email, name, wanted)
    invitation = Invitation.objects.create(
        clinic=clinic,
        email=email,
        name=name,
        roles=[role.value for role in wanted],
        nonce=secrets.token_hex(16),
        invited_by_id=by.actor.user_id,
        invited_at=now,
        expires_at=now + GOOD_FOR,
    )
    known = {"email": email, "roles": invitation.roles}
    audit.note(by.actor, "invite_staff", clinic_id=clinic.pk, object=f"invitation-{invitation.pk}", after=known)
    _send(invitation, now)
    return invitation


def _check(by: Viewer, clinic: Clinic, email: str, name: str, roles: list[Role]) -> None:
    faults: dict[str, list[str]] = {}
    try:
        validate_email(email)
    except ValidationError as wrong:
        faults["email"] = [str(text) for text in wrong.messages]
    if not name:
        faults["name"] = [gettext("Enter the person's name.")]
    if not roles:
        faults["roles"] = [gettext("Choose at least one role.")]
    user = User.objects.filter(email=email).first()
    if user and user.pk == by.actor.user_id:
        faults["email"] = [gettext("This is your own address. Another administrator gives you roles.")]
    elif user and roles and not (set(roles) - _held(user, clinic)):
        faults["roles"] = [gettext("This person holds these roles here already.")]
    elif Invitation.objects.filter(clinic=clinic, email=email, accepted_at=None, revoked_at=None).exists():
        faults["email"] = [gettext("This person is invited already. Send the invitation again, or take it back first.")]
    if faults:
        raise ValidationError(faults)


def _held(user: User, clinic: Clinic) -> set[Role]:
    held = Membership.objects.filter(user=user, clinic=clinic).order_by("role").values_list("role", flat=True)
    return {Role(role) for role in held}


@transaction.atomic
def resend(invitation: Invitation, *, by: Viewer, now: datetime) -> None:
    """A new link by mail, good for as long as the first was; the old one opens nothing more.

    Raises PermissionDenied, and InvitationClosed when it was answered or taken back meanwhile.
    """
    access.enter_as_administrator(by, invitation.clinic_id)
    held = _held_open(invitation.pk)
    held.nonce, held.expires_at = secrets.token_hex(16), now + GOOD_FOR
    held.save()
    audit.note(by.actor, "resend_invitation", clinic_id=held.clinic_id, object=f"invitation-{held.pk}")
    _send(held, now)


@transaction.atomic
def revoke(invitation: Invitation, *, by: Viewer, now: datetime) -> None:
    """Take it back: its link opens nothing more. Raises PermissionDenied, InvitationClosed."""
    access.enter_as_administrator(by, invitation.clinic_id)
    held = _held_open(invitation.pk)
    held.revoked_at = now
    held.save()
    audit.note(by.actor, "revoke_invitation", clinic_id=held.clinic_id, object=f"invitation-{held.pk}")


def open_for(viewer: Viewer) -> QuerySet[Invitation]:
    """Invitations nobody has answered yet, also those whose link is too old, in the clinics the viewer administers."""
    mine = Invitation.objects.filter(clinic__in=access.administered_clinics(viewer).values("id"))
    waiting = mine.filter(accepted_at__isnull=True, revoked_at__isnull=True)
    return waiting.select_related("clinic", "invited_by").order_by("-invited_at", "-id")


def _held_open(pk: int) -> Invitation:
    found = Invitation.objects.filter(pk=pk, accepted_at=None, revoked_at=None)
    held = found.select_related("clinic").select_for_update(of=("self",)).first()
    if held is None:
        raise InvitationClosed("It was answered or taken back meanwhile.")
    return held


# ---- Whoever holds the link


def link_of(invitation: Invitation) -> str:
    """The address that accepts it, as mailed."""
    path = reverse("invitation", query={"key": key_of(invitation)})
    return f"{settings.PUBLIC_URL}{path}"


def key_of(invitation: Invitation) -> str:
    return _signer().sign(f"{invitation.clinic_id}-{invitation.pk}-{invitation.nonce}")


def find_invitation(key: str, *, now: datetime) -> Invitation:
    """The invitation behind a link; binds the transaction to its clinic. Raises InvitationClosed."""
    try:
        clinic_id, pk, nonce = _signer().unsign(key).split("-")
    except (BadSignature, ValueError) as wrong:
        raise InvitationClosed("This link was not made here.") from wrong
    access.bind_clinics([int(clinic_id)])
    found = Invitation.objects.select_related("clinic", "invited_by").filter(pk=int(pk), nonce=nonce).first()
    if found is None or found.accepted_at or found.revoked_at or found.expires_at <= now:
        raise InvitationClosed("This link was used, taken back or is too old.")
    return found


@transaction.atomic
def accept_as_new(key: str, *, name: str, password: str, now: datetime, request_id: str = "") -> User:
    """The account that the link promises, with its roles. The password has been judged by the form.

    Raises InvitationClosed, also where somebody with that address has an account by now.
    """
    invitation = _held_open(find_invitation(key, now=now).pk)
    if User.objects.filter(email=invitation.email).exists():
        raise InvitationClosed("There is an account with this address by now: sign in and open the link again.")
    user = User(email=invitation.email, name=" ".join(name.split()), language=invitation.clinic.language)
    user.set_password(password)
    user.full_clean()
    user.save()
    _accept(invitation, user, now, request_id)
    return user


@transaction.atomic
def accept(key: str, *, user: User, now: datetime, request_id: str = "") -> None:
    """Give somebody who has an account the roles. Raises InvitationClosed, also for another person's invitation."""
    invitation = _held_open(find_invitation(key, now=now).pk)
    if invitation.email != user.email or not user.is_active:
        raise InvitationClosed("This invitation is for somebody else.")
    _accept(invitation, user, now, request_id)


def _accept(invitation: Invitation, user: User, now: datetime, request_id: str) -> None:
    before = sorted(_held(user, invitation.clinic))
    for role in invitation.roles:
        Membership.objects.get_or_create(user=user, clinic=invitation.clinic, role=role)
    invitation.accepted_at, invitation.accepted_by = now, user
    invitation.save()
    announce(
        Change(
            act="accept_invitation",
            by=Actor(name=user.name or user.email, user_id=user.pk, request_id=request_id),
            clinic_id=invitation.clinic_id,
            patient_id=None,
            facts=(("invitation", invitation.pk),),
            before={"roles": [str(role) for role in before]},
            after={"user": user.pk, "roles": invitation.roles},
            clinical=False,
        )
    )


def _signer() -> Signer:
    return Signer(salt=_SALT)


# ---- The mail


def _send(invitation: Invitation, now: datetime) -> None:
    known = User.objects.filter(email=invitation.email).first()
    language = known.language if known else invitation.clinic.language
    with override(language):
        letter = account_mail.Letter(
            subject=gettext("You are invited to %(clinic)s") % {"clinic": invitation.clinic.mail_name},
            text=_words(invitation, has_account=known is not None),
            language=language,
        )
    account_mail.queue("invitation", invitation.email, letter, now=now, useful_for=GOOD_FOR)


def _words(invitation: Invitation, *, has_account: bool) -> str:
    until = date_format(localtime(invitation.expires_at, invitation.clinic.zone), "DATETIME_FORMAT")
    said = {
        "name": invitation.name,
        "clinic": invitation.clinic.mail_name,
        "who": invitation.invited_by.name if invitation.invited_by else gettext("The administrator"),
        "roles": ", ".join(str(Role(role).label) for role in invitation.roles),
        "link": link_of(invitation),
        "until": until,
    }
    next_step = (
        gettext("Open this link and sign in with the account you have:")
        if has_account
        else gettext("Open this link and choose a password:")
    )
    return (
        "\n\n".join(
            [
                gettext("Dear %(name)s,") % said,
                gettext("%(who)s invites you to work with the records of %(clinic)s, as: %(roles)s.") % said,
                f"{next_step}\n{said['link']}",
                gettext("The link is good once and until %(until)s. Pass it on to nobody.") % said,
                gettext(
                    "If you do not know what this is about, do nothing: without you the invitation comes to nothing."
                ),
            ]
        )
        + "\n"
    )

"""API tokens: made once, shown once, kept as a digest; each bound to one clinic, with scopes and an expiry."""

import hashlib
import secrets
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, Q, QuerySet, When
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from patients import access
from patients.access import Permission, Viewer
from patients.at_once import Kept
from patients.changes import Actor
from patients.models import Clinic

from .. import audit
from ..models import ApiToken

PREFIX = "hw_"
SCOPES = ("read", "record", "work", "decide", "restricted")
MOST_DAYS = 365
USED_EVERY = timedelta(minutes=5)


def make_token(*, name: str, clinic: Clinic, scopes: Sequence[str], days: int, viewer: Viewer) -> tuple[ApiToken, str]:
    """A new token and its secret, which is not kept. Raises PermissionDenied, ValueError for an unknown scope."""
    viewer.check(Permission.ADMINISTER, clinic.pk)
    return issue(name=name, clinic=clinic, scopes=scopes, days=days, by=viewer.actor)


@transaction.atomic
def issue(*, name: str, clinic: Clinic, scopes: Sequence[str], days: int, by: Actor) -> tuple[ApiToken, str]:
    """For an actor who may: the command line, or `make_token` after its check."""
    if unknown := set(scopes) - set(SCOPES):
        raise ValueError(f"There is no scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}.")
    if "read" not in scopes:
        raise ValueError("Every token needs the scope read: what is written is answered with the record.")
    if not name.strip():
        raise ValueError("A token needs a name.")
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"A token lives 1 to {MOST_DAYS} days.")
    body = secrets.token_urlsafe(32)
    secret = f"{PREFIX}{body}_{_check(body)}"
    token = ApiToken.objects.create(
        name=name.strip()[:80],
        clinic=clinic,
        digest=digest(secret),
        prefix=secret[:8],
        scopes=[scope for scope in SCOPES if scope in scopes],
        created_by_id=by.user_id,
        expires_at=timezone.now() + timedelta(days=days),
    )
    known = {"name": token.name, "scopes": token.scopes, "expires_at": token.expires_at.isoformat()}
    audit.note(by, "make_token", clinic_id=clinic.pk, object=f"token-{token.pk}", after=known)
    return token, secret


@transaction.atomic
def revoke(token: ApiToken, *, viewer: Viewer) -> bool:
    """The token opens nothing any more. False where it was revoked already. Raises PermissionDenied."""
    viewer.check(Permission.ADMINISTER, token.clinic_id)
    if not ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
        return False
    audit.note(viewer.actor, "revoke_token", clinic_id=token.clinic_id, object=f"token-{token.pk}")
    return True


def tokens_for(viewer: Viewer) -> QuerySet[ApiToken]:
    """The tokens that the viewer administers, those that still open something first, newest first."""
    mine = ApiToken.objects.filter(clinic__in=viewer.clinics_where(Permission.ADMINISTER))
    ended = Case(When(Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now()), then=1), default=0)
    return mine.select_related("clinic", "created_by").order_by(ended, "-id")


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(body: str) -> str:
    """A check sum, so that a mistyped or truncated token is told apart from a revoked one without a query."""
    return f"{zlib.crc32(body.encode()):08x}"


def viewer_of_token(token: ApiToken, request_id: str = "") -> Viewer:
    """What the token may do: those of its scopes that there are, in its clinic."""
    actor = Actor(name=f"API: {token.name}"[:120], user_id=None, request_id=request_id)
    scopes = tuple((token.clinic_id, Permission(scope)) for scope in token.scopes if scope in SCOPES)
    return Viewer(actor=actor, roles=(), scopes=scopes)


_TOKEN = Kept(lambda digest: (ApiToken.objects.select_related("clinic").filter(digest=digest),), digest=str)


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer hw_…`. Binds the transaction to the token's clinic."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Write “Authorization: Bearer hw_…”.")
        secret = words[1].decode("ascii", "replace")
        body, _mark, check = secret.removeprefix(PREFIX).rpartition("_")
        if not secret.startswith(PREFIX) or _check(body) != check:
            raise AuthenticationFailed("This is no token of ours; was it cut off?")
        (found,) = _TOKEN.read(digest=digest(secret))
        token = found[0] if found else None
        if token is None or token.revoked_at is not None:
            raise AuthenticationFailed("This token was revoked or never issued.")
        now = timezone.now()
        if token.expires_at <= now:
            raise AuthenticationFailed("This token has expired.")
        if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        access.bind_clinics([token.clinic_id])
        return Machine(token), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Hipwatch"'


class Machine:
    """Who calls with a token, in the shape DRF expects of a user."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, token: ApiToken) -> None:
        self.token = token
        self.pk = f"token-{token.pk}"

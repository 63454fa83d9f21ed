"""Sign-in notes: what happens to accounts goes into the audit; a sign-in from a new browser, to its owner by mail."""

from typing import Any

from allauth.account import signals as account
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from axes.signals import user_locked_out
from axes.utils import reset
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext, override

from monitoring import account_mail, audit
from patients.changes import Actor
from patients.models import User

from . import devices
from .accounts import address_of, typed_address
from .sessions import begin, end_too_many

STRANGER = "somebody at the sign-in page"


def connect() -> None:
    """Listen; calling it twice has no effect."""
    account.user_logged_in.connect(_signed_in, dispatch_uid="note sign-in")
    user_logged_out.connect(_signed_out, dispatch_uid="note sign-out")
    user_login_failed.connect(_failed, dispatch_uid="note failure")
    user_locked_out.connect(_locked, dispatch_uid="note lock")
    mfa.authentication_failed.connect(_second_step_failed, dispatch_uid="note second step failure")
    for signal, act in (
        (account.password_changed, "change_password"),
        (account.password_set, "set_password"),
        (account.password_reset, "reset_password"),
        (mfa.authenticator_removed, "remove_second_step"),
    ):
        signal.connect(_noting(act), dispatch_uid=f"note {act}", weak=False)
    post_save.connect(_second_step_added, sender=Authenticator, dispatch_uid="note second step")
    account.password_reset.connect(_opened_again, dispatch_uid="unlock after reset")


def _by(user: User, request: HttpRequest | None) -> Actor:
    return Actor(name=user.name or user.email, user_id=user.pk, request_id=getattr(request, "request_id", ""))


def _where(request: HttpRequest | None) -> dict[str, str]:
    if request is None:
        return {}
    return {"address": address_of(request) or "", "browser": request.headers.get("User-Agent", "")[:200]}


def _noting(act: str) -> Any:
    def note(sender: Any, user: User, request: HttpRequest | None = None, **more: Any) -> None:
        authenticator = more.get("authenticator")
        kind = {"kind": str(authenticator.type)} if authenticator else {}
        audit.note(_by(user, request), act, object=f"user-{user.pk}", after={**kind, **_where(request)})

    return note


def _second_step_added(sender: Any, instance: Authenticator, created: bool, **more: Any) -> None:
    """When its row is written: allauth tells of it only once that is committed, and the entry might be lost then."""
    if created:
        is_codes = instance.type == Authenticator.Type.RECOVERY_CODES
        act = "renew_recovery_codes" if is_codes else "add_second_step"
        _noting(act)(sender, instance.user, context.request, authenticator=instance)


def _signed_in(sender: Any, request: HttpRequest, user: User, response: HttpResponse, **more: Any) -> None:
    """Audit it, tell the owner of a browser that was never here, and let this one be known next time."""
    begin(request, timezone.now())
    methods = [record["method"] for record in request.session.get("account_authentication_methods", [])]
    record_authentication(request, user, method="signed_in", reauthenticated=True)  # who has just come in is confirmed
    audit.note(_by(user, request), "sign_in", object=f"user-{user.pk}", after={"by": methods, **_where(request)})
    if ended := end_too_many(request, user):
        said = ngettext(
            "One of your other sign-ins has ended: there may be %(most)d at once.",
            "%(n)d of your other sign-ins have ended: there may be %(most)d at once.",
            ended,
        )
        messages.info(request, said % {"n": ended, "most": settings.SESSIONS_AT_ONCE})
    if not devices.is_known(request, user):
        tell_of_new_browser(request, user)
    devices.remember(response, user)


def tell_of_new_browser(request: HttpRequest, user: User) -> None:
    where, now = _where(request), timezone.now()
    with override(user.language):
        said = {
            "name": user.name,
            "when": date_format(timezone.localtime(now), "DATETIME_FORMAT"),
            "zone": timezone.get_current_timezone_name(),
            "sessions": settings.PUBLIC_URL + reverse("usersessions_list"),
            "password": settings.PUBLIC_URL + reverse("account_reset_password"),
            **where,
        }
        text = "\n\n".join(
            [
                gettext("Dear %(name)s,") % said,
                gettext("somebody has signed in to your account in a browser that was not used for it before:") % said,
                gettext("Time: %(when)s (%(zone)s)\nAddress: %(address)s\nBrowser: %(browser)s") % said,
                gettext("If it was you, there is nothing to do.") % said,
                gettext(
                    "If not, set a new password, which ends every sign-in: %(password)s\nThen tell your administrator."
                )
                % said,
            ]
        )
        subject = gettext("New sign-in to your account")
    letter = account_mail.Letter(subject=subject, text=text + "\n", language=user.language)
    account_mail.queue("new_browser", user.email, letter, now=now)


def _signed_out(sender: Any, request: HttpRequest | None, user: User | None, **more: Any) -> None:
    if isinstance(user, User):
        audit.note(_by(user, request), "sign_out", object=f"user-{user.pk}")


def _failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **more: Any) -> None:
    """Which account was tried, where there is one; what else was typed may be a password and is kept nowhere."""
    if request is None:
        return
    user = User.objects.filter(email=typed_address(request, credentials)).first()
    actor = Actor(name=STRANGER, user_id=user.pk if user else None, request_id=getattr(request, "request_id", ""))
    audit.note(actor, "sign_in_failed", object=f"user-{user.pk}" if user else "", after=_where(request))


def _locked(sender: Any, request: HttpRequest, username: str, **more: Any) -> None:
    user = User.objects.filter(email=username).first()
    actor = Actor(name=STRANGER, user_id=user.pk if user else None, request_id=getattr(request, "request_id", ""))
    audit.note(actor, "sign_in_locked", object=f"user-{user.pk}" if user else "", after=_where(request))


def _second_step_failed(sender: Any, user: User, request: HttpRequest, **more: Any) -> None:
    actor = Actor(name=STRANGER, user_id=user.pk, request_id=getattr(request, "request_id", ""))
    audit.note(actor, "second_step_failed", object=f"user-{user.pk}", after=_where(request))


def _opened_again(sender: Any, user: User, **more: Any) -> None:
    """Whoever holds the mailbox is let in again after a lock."""
    reset(username=user.email)

"""Accounts: how allauth is used here. Staff are invited; their secrets are encrypted; their mail waits in rows."""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import ratelimit
from allauth.core.internal.httpkit import get_client_ip
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AddWebAuthnForm, LoginWebAuthnForm
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy, override

from monitoring import account_mail, secrecy
from patients.models import User

from . import devices, own_language, second_step

RESET_GOOD_FOR = timedelta(hours=1)


class StaffAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Have a worker send it, in its reader's language: how fast a page answers tells nobody who has an account."""
        user = context.get("user") or User.objects.filter(email=email).first()
        language = user.language if isinstance(user, User) else (get_language() or settings.LANGUAGE_CODE)
        with override(language):
            known = {"request": self.request, "email": email, "site": settings.PUBLIC_URL, **context}
            message = self.render_mail(template_prefix, email, known)
        letter = account_mail.Letter(subject=str(message.subject), text=str(message.body) + "\n", language=language)
        kind = template_prefix.rpartition("/")[2][:40]
        useful_for = RESET_GOOD_FOR if kind.startswith("password_reset_key") else account_mail.USEFUL_FOR
        account_mail.queue(kind, email, letter, now=timezone.now(), useful_for=useful_for)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """With the address of the settings: a forged Host header must not lead the mail's reader elsewhere."""
        path: str = super().get_reset_password_from_key_url(key)
        return f"{settings.PUBLIC_URL}/{path[path.index('account/') :]}"

    def post_login(self, request: HttpRequest, user: Any, **known: Any) -> HttpResponse:
        """In a browser in which no language was chosen yet, the pages speak the person's own."""
        language = (get_language() if own_language.is_chosen_here(request) else user.language) or user.language
        with override(language):  # it greets
            answer: HttpResponse = super().post_login(request, user, **known)
        if not own_language.is_chosen_here(request):
            own_language.keep_in_browser(answer, user)
        return answer

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Beside the limits of an address, one for the account, from which a browser is free that was let in before.

        So nobody who guesses can keep the account's owner out of their own browser.
        """
        super().pre_authenticate(request, **credentials)
        email = str(credentials.get("email", "")).lower()
        if devices.is_known(request, User.objects.filter(email=email).first()):
            return
        if not ratelimit.consume(request, action="sign_in_anywhere", key=email):
            raise self.validation_error("too_many_login_attempts")

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """allauth's own limit by account holds for one address, too: otherwise anybody could lock anybody out."""
        return f"{super()._get_login_attempts_cache_key(request, **credentials)}:{self.get_client_ip(request)}"


class SecondFactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return secrecy.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Also what was kept before secrets were encrypted; `reencrypt_secrets` ends that."""
        return secrecy.decrypt(encrypted_text) if secrecy.is_encrypted(encrypted_text) else encrypted_text

    def get_totp_issuer(self) -> str:
        return "Hipwatch"

    def _get_site_name(self) -> str:
        return "Hipwatch"

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Not the last one of somebody who needs one."""
        if not second_step.is_required(authenticator.user):
            return True
        return second_step.factors_of(authenticator.user).exclude(pk=authenticator.pk).exists()


class AddPasskeyForm(AddWebAuthnForm):
    """A passkey signs in by itself; a security key without PIN is the second step after the password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = gettext_lazy("Name of the key")
        self.fields["name"].help_text = gettext_lazy("So that you know it again, such as “Laptop at work”.")
        self.fields["passwordless"].label = gettext_lazy("Sign in with it alone, without password")
        self.fields["passwordless"].help_text = gettext_lazy(
            "The device then asks for your PIN, finger or face each time."
        )
        self.fields["passwordless"].initial = True


class PasskeySignInForm(LoginWebAuthnForm):
    """Only keys that were set up for it sign in without a password."""

    def clean_credential(self) -> Authenticator:
        authenticator = super().clean_credential()
        passwordless = authenticator.data.get("credential", {}).get("clientExtensionResults", {}).get("credProps", {})
        if passwordless.get("rk") is False or not authenticator.user.is_active:
            raise SecondFactorAdapter().validation_error("incorrect_code")
        return authenticator


# ---- Lock-out (django-axes)


def typed_address(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The account that is tried, as axes should count it; whether there is one makes no difference."""
    given = (credentials or {}).get("email") or (credentials or {}).get("username") or request.POST.get("login", "")
    return str(given).strip().lower()[:255]


def address_of(request: HttpRequest) -> str | None:
    """From where: as many proxies are believed as TRUSTED_PROXIES says."""
    address: str | None = get_client_ip(request)
    return address


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    return render(request, "account/locked_out.html", {"minutes": minutes}, status=429)

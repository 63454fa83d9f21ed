"""Mail settings: what the environment says of how mail leaves and how what becomes of it is heard, judged at the start.

EMAIL_URL names a mail server (`smtp+tls://…`) or a provider (`postmark://`), whose keys are ANYMAIL_… variables under
the names that django-anymail gives them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

PREFIX = "ANYMAIL_"
WEBHOOK_SECRET = "WEBHOOK_SECRET"  # noqa: S105  # the name of a variable
SHORTEST_SECRET = 20
WAIT_FOR_PROVIDER = (10, 120)  # seconds to connect, and for an answer: giving up early leaves mails in doubt
SERVERS = ("smtp", "smtp+tls", "smtp+ssl", "smtps")
MAILBOXES = ("imaps", "imap", "maildir")
NOT_TRACKED = {"track_opens": False, "track_clicks": False}


@dataclass(frozen=True, slots=True)
class Provider:
    """`keys`: what sending needs; `secrets`: what a webhook is told from a forged one by; `more`: what may be set too.

    `quiet`: whether each mail can say that nobody is to watch who opens it and which links are followed.
    """

    keys: tuple[str, ...]
    secrets: tuple[str, ...]
    more: tuple[str, ...] = ()
    quiet: bool = True


PROVIDERS = {
    "postmark": Provider(
        ("POSTMARK_SERVER_TOKEN",), (WEBHOOK_SECRET,), ("POSTMARK_MESSAGE_STREAM", "POSTMARK_API_URL")
    ),
    "mailgun": Provider(
        ("MAILGUN_API_KEY",),
        ("MAILGUN_WEBHOOK_SIGNING_KEY",),
        ("MAILGUN_SENDER_DOMAIN", "MAILGUN_API_URL", WEBHOOK_SECRET),
    ),
    "sendgrid": Provider(
        ("SENDGRID_API_KEY",),
        ("SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY",),
        ("SENDGRID_API_URL", WEBHOOK_SECRET),
    ),
    "brevo": Provider(("BREVO_API_KEY",), (WEBHOOK_SECRET,), ("BREVO_API_URL",), quiet=False),
    "mailjet": Provider(("MAILJET_API_KEY", "MAILJET_SECRET_KEY"), (WEBHOOK_SECRET,), ("MAILJET_API_URL",)),
}


def read(environment: Mapping[str, str], *, default_url: str, production: bool) -> dict[str, Any]:
    """The settings of Django, of anymail and of ours. Raises ImproperlyConfigured, in words for who runs the server."""
    url = environment.get("EMAIL_URL") or default_url
    scheme = urlsplit(url).scheme.lower()
    if scheme in PROVIDERS:
        settings = _by_provider(scheme, environment, production=production)
    else:
        settings = _by_server(url, scheme, production=production)
    return {
        **settings,
        "BOUNCE_ADDRESS": _bounce_address(environment.get("BOUNCE_ADDRESS", "")),
        "BOUNCE_MAILBOX_URL": _bounce_mailbox(environment, production=production),
    }


def _by_server(url: str, scheme: str, *, production: bool) -> dict[str, Any]:
    if scheme not in (SERVERS if production else environ.Env.EMAIL_SCHEMES):
        raise ImproperlyConfigured(
            f"EMAIL_URL begins with {scheme}://, which is neither a mail server ({', '.join(SERVERS)}) nor a"
            f" provider ({', '.join(PROVIDERS)})."
        )
    known = environ.Env.email_url_config(url)
    return {
        "MAIL_PROVIDER": "",
        "ANYMAIL": {},
        "EMAIL_BACKEND": known["EMAIL_BACKEND"],
        "EMAIL_HOST": known["EMAIL_HOST"] or "",
        "EMAIL_PORT": known["EMAIL_PORT"] or 25,
        "EMAIL_HOST_USER": known.get("EMAIL_HOST_USER") or "",
        "EMAIL_HOST_PASSWORD": known.get("EMAIL_HOST_PASSWORD") or "",
        "EMAIL_USE_TLS": known.get("EMAIL_USE_TLS", False),
        "EMAIL_USE_SSL": known.get("EMAIL_USE_SSL", False),
    }


def _by_provider(name: str, environment: Mapping[str, str], *, production: bool) -> dict[str, Any]:
    provider = PROVIDERS[name]
    names = dict.fromkeys((*provider.keys, *provider.secrets, *provider.more))
    given = {key: value for key in names if (value := environment.get(PREFIX + key, "").strip())}
    needed = (*provider.keys, *provider.secrets) if production else provider.keys
    if missing := [PREFIX + key for key in needed if key not in given]:
        raise ImproperlyConfigured(f"Mail by {name} needs {', '.join(missing)} in the environment.")
    if production and (
        clear := [PREFIX + key for key in given if key.endswith("_API_URL") and not _is_https(given[key])]
    ):
        raise ImproperlyConfigured(
            f"{', '.join(clear)} must begin with https://: mails and keys would travel in the clear."
        )
    if WEBHOOK_SECRET in given:
        _check_webhook_secret(given[WEBHOOK_SECRET])
    tracking = {f"{name.upper()}_SEND_DEFAULTS": dict(NOT_TRACKED)} if provider.quiet else {}
    return {
        "MAIL_PROVIDER": name,
        "ANYMAIL": {**given, **tracking, "REQUESTS_TIMEOUT": WAIT_FOR_PROVIDER},
        "EMAIL_BACKEND": f"anymail.backends.{name}.EmailBackend",
    }


def _is_https(url: str) -> bool:
    return url.lower().startswith("https://")


def _check_webhook_secret(secret: str) -> None:
    user, colon, password = secret.partition(":")
    if not (user and colon and len(password) >= SHORTEST_SECRET):
        raise ImproperlyConfigured(
            f"{PREFIX}{WEBHOOK_SECRET} is user:password, the password of {SHORTEST_SECRET} signs or more."
        )


def takes_webhooks(provider: str, anymail: Mapping[str, Any]) -> bool:
    """Whether what this provider posts can be told from a forgery; without that nothing is taken."""
    known = PROVIDERS.get(provider)
    return known is not None and all(anymail.get(key) for key in known.secrets)


def _bounce_address(address: str) -> str:
    address = address.strip()
    name, at, domain = address.rpartition("@")
    if address and not (name and at and "." in domain and "+" not in name and " " not in address and len(name) <= 20):
        raise ImproperlyConfigured("BOUNCE_ADDRESS is one plain address, such as bounces@example.org, without a plus.")
    return address


def _bounce_mailbox(environment: Mapping[str, str], *, production: bool) -> str:
    url = environment.get("BOUNCE_MAILBOX_URL", "").strip()
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in MAILBOXES or not (parts.path if parts.scheme == "maildir" else parts.hostname):
        raise ImproperlyConfigured(
            "BOUNCE_MAILBOX_URL is imaps://USER:PASSWORD@HOST/FOLDER or maildir:///FOLDER, with special signs"
            " percent-encoded."
        )
    if production and parts.scheme == "imap":
        raise ImproperlyConfigured("BOUNCE_MAILBOX_URL must be imaps://: the password would travel in the clear.")
    if not environment.get("BOUNCE_ADDRESS", "").strip():
        raise ImproperlyConfigured("BOUNCE_MAILBOX_URL needs BOUNCE_ADDRESS, the address that the mailbox belongs to.")
    return url

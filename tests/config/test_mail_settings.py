"""Mail settings: what is missing or mistaken is said at the start, in words."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.mail_settings import PROVIDERS, read, takes_webhooks
from monitoring.web.mail_events import VIEWS

SECRET = "hooks:" + "s" * 32
POSTMARK = {"EMAIL_URL": "postmark://", "ANYMAIL_POSTMARK_SERVER_TOKEN": "t", "ANYMAIL_WEBHOOK_SECRET": SECRET}


def settings_of(environment, *, production=True):
    return read(environment, default_url="smtp://127.0.0.1:1025", production=production)


def test_a_mail_server_is_named_by_its_address():
    settings = settings_of({"EMAIL_URL": "smtp+tls://user:p%40ss@smtp.example.org:587"})
    assert settings["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"
    assert (settings["EMAIL_HOST"], settings["EMAIL_PORT"], settings["EMAIL_USE_TLS"]) == (
        "smtp.example.org",
        587,
        True,
    )
    assert (settings["EMAIL_HOST_USER"], settings["EMAIL_HOST_PASSWORD"]) == ("user", "p@ss")
    assert (settings["MAIL_PROVIDER"], settings["ANYMAIL"]) == ("", {})


def test_without_an_address_the_local_mailbox_gets_all_mail():
    assert settings_of({}, production=False)["EMAIL_PORT"] == 1025


def test_a_provider_is_named_by_its_scheme_and_its_keys_by_variables():
    settings = settings_of(
        POSTMARK | {"ANYMAIL_POSTMARK_MESSAGE_STREAM": "reminders", "ANYMAIL_DEBUG_API_REQUESTS": "1"}
    )
    assert settings["EMAIL_BACKEND"] == "anymail.backends.postmark.EmailBackend"
    assert settings["ANYMAIL"]["POSTMARK_MESSAGE_STREAM"] == "reminders"
    assert settings["ANYMAIL"]["POSTMARK_SEND_DEFAULTS"] == {"track_opens": False, "track_clicks": False}
    assert "DEBUG_API_REQUESTS" not in settings["ANYMAIL"]  # it would print mails


@pytest.mark.parametrize("url", ["mandrill://", "amazon-ses://", "consolemail://", "https://x", "nonsense"])
def test_an_unknown_provider_is_refused_with_those_that_are_known(url):
    with pytest.raises(ImproperlyConfigured, match=r"smtp.*postmark, mailgun, sendgrid, brevo, mailjet"):
        settings_of({"EMAIL_URL": url})


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_without_its_keys_is_refused_by_name(name):
    with pytest.raises(ImproperlyConfigured, match=f"ANYMAIL_{PROVIDERS[name].keys[0]}"):
        settings_of({"EMAIL_URL": f"{name}://"}, production=False)


@pytest.mark.parametrize("name", PROVIDERS)
def test_production_refuses_a_provider_whose_webhooks_could_be_forged(name):
    keys = {f"ANYMAIL_{key}": "k" for key in PROVIDERS[name].keys}
    with pytest.raises(ImproperlyConfigured, match=f"ANYMAIL_{PROVIDERS[name].secrets[0]}"):
        settings_of({"EMAIL_URL": f"{name}://", **keys})
    elsewhere = settings_of({"EMAIL_URL": f"{name}://", **keys}, production=False)
    assert not takes_webhooks(name, elsewhere["ANYMAIL"])


@pytest.mark.parametrize("secret", ["short:pass", "no-colon-but-long-enough-for-anyone", ":" + "s" * 30])
def test_a_webhook_password_that_is_none_is_refused(secret):
    with pytest.raises(ImproperlyConfigured, match="user:password"):
        settings_of(POSTMARK | {"ANYMAIL_WEBHOOK_SECRET": secret})


def test_every_provider_has_a_webhook():
    assert set(VIEWS) == set(PROVIDERS)


@pytest.mark.parametrize("address", ["bounces", "bounces+x@example.org", "two words@example.org", "bounces@localhost"])
def test_a_bounce_address_is_a_plain_one(address):
    with pytest.raises(ImproperlyConfigured, match="BOUNCE_ADDRESS"):
        settings_of({"EMAIL_URL": "smtp://x", "BOUNCE_ADDRESS": address})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("imap://user:pass@host/INBOX", "in the clear"),
        ("pop3://user:pass@host", "imaps://"),
        ("imaps:///INBOX", "imaps://"),
        ("maildir://", "maildir:///"),
    ],
)
def test_a_bounce_mailbox_that_cannot_be_read_is_refused(url, words):
    known = {"EMAIL_URL": "smtp://x", "BOUNCE_ADDRESS": "bounces@example.org", "BOUNCE_MAILBOX_URL": url}
    with pytest.raises(ImproperlyConfigured, match=words):
        settings_of(known)


def test_a_mailbox_needs_the_address_that_it_belongs_to():
    with pytest.raises(ImproperlyConfigured, match="BOUNCE_ADDRESS"):
        settings_of({"EMAIL_URL": "smtp://x", "BOUNCE_MAILBOX_URL": "imaps://u:p@host/INBOX"})

"""Second step: required by role, set up before anything else, kept encrypted, asked for at the next sign-in."""

import base64
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, hotp_value, yield_hotp_counters_from_time
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from monitoring import secrecy
from monitoring.models import AuditEntry, WebhookEndpoint

PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def required(settings, db):
    settings.MFA_REQUIRED = True
    cache.clear()


def enter(user, client=None):
    browser = client or Client()
    answer = browser.post("/account/login/", {"login": user.email, "password": PASSWORD})
    return browser, answer


def code(secret=SECRET):
    counter = next(iter(yield_hotp_counters_from_time()))
    return f"{hotp_value(secret, counter):06d}"


@pytest.mark.parametrize("role", ["clinician", "admin"])
def test_who_decides_or_administers_is_led_to_the_set_up_and_nowhere_else(clinic, make_user, role):
    browser, _answer = enter(make_user(clinic, role))
    for path in ("/", "/review/", "/patients/", "/tokens/", "/notifications/"):
        assert browser.get(path).url == "/account/second-step/", path
    assert browser.get("/account/second-step/").status_code == 200
    by_htmx = browser.get("/", headers={"HX-Request": "true"})
    assert by_htmx.status_code == 401 and by_htmx["HX-Redirect"] == "/account/second-step/"


def test_a_coordinator_may_do_without(clinic, make_user):
    browser, _answer = enter(make_user(clinic, "coordinator"))
    assert browser.get("/").status_code == 200


def test_a_clinic_may_ask_it_of_everybody(clinic, make_user, settings):
    settings.MFA_FREE_ROLES = []
    browser, _answer = enter(make_user(clinic, "coordinator"))
    assert browser.get("/").url == "/account/second-step/"


def test_nobody_is_led_anywhere_where_the_settings_do_not_ask(clinic, make_user, settings):
    settings.MFA_REQUIRED = False
    browser, _answer = enter(make_user(clinic, "clinician"))
    assert browser.get("/").status_code == 200


def test_a_new_account_has_the_days_of_grace_that_the_settings_give(clinic, make_user, settings):
    settings.MFA_GRACE_DAYS = 3
    browser, _answer = enter(make_user(clinic, "clinician"))
    assert browser.get("/").status_code == 200


def test_an_app_is_set_up_right_after_signing_in_and_its_secret_is_encrypted(clinic, make_user):
    browser, _answer = enter(make_user(clinic, "clinician"))
    page = browser.get("/account/2fa/totp/activate/")
    secret = page.context["form"].secret
    answer = browser.post("/account/2fa/totp/activate/", {"code": code(secret)})
    assert answer.status_code == 302 and "recovery" in answer.url
    kept = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in kept and secrecy.decrypt(kept) == secret
    assert secrecy.is_encrypted(Authenticator.objects.get(type="recovery_codes").data["seed"])
    assert browser.get("/").status_code == 200


def test_what_is_added_is_in_the_audit_before_its_transaction_is_committed(clinic, make_user):
    user = make_user(clinic, "clinician")
    browser, _answer = enter(user)
    secret = browser.get("/account/2fa/totp/activate/").context["form"].secret
    browser.post("/account/2fa/totp/activate/", {"code": code(secret)})
    browser.post("/account/2fa/recovery-codes/generate/")
    entries = AuditEntry.objects.filter(act__in=["add_second_step", "renew_recovery_codes"]).order_by("id")
    assert [(one.act, one.after["kind"], one.user_id) for one in entries] == [
        ("add_second_step", "totp", user.pk),
        ("renew_recovery_codes", "recovery_codes", user.pk),
        ("renew_recovery_codes", "recovery_codes", user.pk),
    ]
    assert all(one.after["address"] == "127.0.0.1" and one.request_id for one in entries)


@pytest.fixture
def careful(clinic, make_user):
    """A clinician with an app."""
    user = make_user(clinic, "clinician")
    TOTP.activate(user, SECRET)
    return user


def test_the_password_alone_opens_nothing_then(careful):
    browser, answer = enter(careful)
    assert answer.url.startswith("/account/2fa/authenticate/")
    assert browser.get("/").url.startswith("/account/login/")


def test_the_figures_of_the_app_open_it_once(careful):
    browser, _answer = enter(careful)
    figures = code()
    assert browser.post("/account/2fa/authenticate/", {"code": figures}).status_code == 302
    assert browser.get("/").status_code == 200
    again, _answer = enter(careful)
    assert again.post("/account/2fa/authenticate/", {"code": figures}).status_code == 200, (
        "overheard figures are worth nothing"
    )
    assert AuditEntry.objects.filter(act="second_step_failed", user_id=careful.pk).exists()


def test_guessing_the_figures_is_stopped(careful):
    browser, _answer = enter(careful)
    for n in range(11):
        answer = browser.post("/account/2fa/authenticate/", {"code": f"{n:06d}"})
    assert "Too many" in answer.content.decode()


def test_a_recovery_code_opens_it_once(careful):
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

    first = RecoveryCodes.activate(careful).generate_codes()[0]
    browser, _answer = enter(careful)
    assert browser.post("/account/2fa/authenticate/", {"code": first}).status_code == 302
    again, _answer = enter(careful)
    assert again.post("/account/2fa/authenticate/", {"code": first}).status_code == 200


def test_the_last_second_step_of_who_needs_one_stays(careful):
    browser, _answer = enter(careful)
    browser.post("/account/2fa/authenticate/", {"code": code()})
    browser.post("/account/2fa/totp/deactivate/")
    assert Authenticator.objects.filter(user=careful, type="totp").exists()


def test_a_key_can_be_replaced_without_anybody_setting_up_anew(careful, settings):
    kept = Authenticator.objects.get(type="totp").data["secret"]
    settings.ENCRYPTION_KEYS = ["a new key, long enough to be one", *settings.ENCRYPTION_KEYS]
    call_command("reencrypt_secrets", stdout=StringIO())
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    renewed = Authenticator.objects.get(type="totp").data["secret"]
    assert renewed != kept and secrecy.decrypt(renewed) == SECRET


def test_a_new_key_reaches_the_secrets_of_webhooks_too(clinic, settings):
    told = WebhookEndpoint.objects.create(
        clinic=clinic, name="EHR", url="https://ehr.example/", events=["flag.opened"], told_until=timezone.now(),
        secret=secrecy.encrypt("whsec_now"), former_secret=secrecy.encrypt("whsec_before"), former_until=timezone.now(),
    )  # fmt: skip
    settings.ENCRYPTION_KEYS = ["a new key, long enough to be one", *settings.ENCRYPTION_KEYS]
    call_command("reencrypt_secrets", stdout=StringIO())
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    told.refresh_from_db()
    assert [secrecy.decrypt(one) for one in (told.secret, told.former_secret)] == ["whsec_now", "whsec_before"]


def test_what_was_encrypted_in_the_way_of_before_is_read_and_renewed(settings):
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"hipwatch.secrecy")
    key = base64.urlsafe_b64encode(derived.derive(settings.ENCRYPTION_KEYS[0].encode()))
    old = Fernet(key).encrypt(b"a seed").decode()
    assert secrecy.is_encrypted(old) and secrecy.decrypt(old) == "a seed"
    renewed = secrecy.renew(old)
    assert renewed.startswith("gcm1.") and secrecy.is_encrypted(renewed) and secrecy.decrypt(renewed) == "a seed"


@pytest.mark.parametrize("change", [lambda kept: kept[:-8] + "AAAAAAA=", lambda kept: kept[:20], str.lower])
def test_what_was_changed_is_not_read(change):
    kept = secrecy.encrypt("a seed that is long enough")
    with pytest.raises(secrecy.Unreadable):
        secrecy.decrypt(change(kept))


def test_the_same_text_is_never_encrypted_alike():
    assert len({secrecy.encrypt("seed") for _n in range(50)}) == 50


def test_secrets_from_before_there_was_encryption_are_read_and_then_encrypted(careful):
    factor = Authenticator.objects.get(type="totp")
    factor.data["secret"] = SECRET
    factor.save()
    assert TOTP(factor).validate_code(code())
    call_command("reencrypt_secrets", stdout=StringIO())
    factor.refresh_from_db()
    assert secrecy.decrypt(factor.data["secret"]) == SECRET


def test_the_demonstration_does_not_ask_and_a_server_does():
    import os
    import subprocess
    import sys

    from tests.config.test_compose import environment_of
    from tests.conftest import PROJECT

    asked = "from django.conf import settings; print(settings.MFA_REQUIRED)"
    for environment, wanted in ((environment_of("web"), "True"), ({"HIPWATCH_ENV": "development"}, "False")):
        known = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings", **environment}
        reply = subprocess.run([sys.executable, "-c", asked], cwd=PROJECT, env=known, capture_output=True, text=True)
        assert reply.stdout.strip() == wanted, reply.stderr

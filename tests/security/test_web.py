"""The web as an attacker sees it: headers of every answer, where redirects lead, what a request may measure."""

import re
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse

from config import guard
from monitoring.web import sealed_words
from tests.conftest import PROJECT

FOREIGN = ["https://evil.example/", "//evil.example/", r"/\evil.example", "javascript:alert(1)", "/patients/../x"]


@pytest.fixture
def desk(clinic, make_user, sign_in):
    signed_in = sign_in(make_user(clinic, "coordinator"))
    signed_in.raise_request_exception = False
    return signed_in


def has_headers(answer):
    """The headers that every answer has, whoever made it."""
    policy = answer.headers.get("Content-Security-Policy", "")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, answer.headers
    assert not re.search(r"script-src[^;]*unsafe|style-src[^;]*unsafe", policy)
    assert answer.headers.get("X-Content-Type-Options") == "nosniff"
    assert answer.headers.get("X-Frame-Options") == "DENY" and "camera=()" in answer.headers["Permissions-Policy"]
    assert answer.headers.get("X-Request-Id") and answer.headers.get("Referrer-Policy")


@pytest.mark.parametrize("path", ["/import/template.csv", "/api/schema/", "/api/v1/nothing", "/static/none.css", "/x"])
def test_files_and_errors_have_the_headers_of_pages(desk, path):
    has_headers(desk.get(path))


def test_a_refused_host_a_redirect_to_tls_and_a_fault_outside_of_pages_have_them_too(desk, settings, monkeypatch):
    has_headers(desk.get("/", headers={"host": "evil.example"}))
    settings.SECURE_SSL_REDIRECT = True
    redirect = Client().get("/patients/")
    assert redirect.status_code == 301 and redirect.url.startswith("https://")
    has_headers(redirect)
    settings.SECURE_SSL_REDIRECT = False
    monkeypatch.setattr("patients.access.bind_request", lambda *_a, **_n: 1 / 0)  # as if the database were away
    fault = desk.get("/patients/")
    assert fault.status_code == 500
    has_headers(fault)


@pytest.mark.django_db
def test_a_call_of_the_api_in_clear_is_refused_and_not_led_to_https(settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for path in ("/api/v1/patients/", "/api/v1/assess"):
        refused = Client().get(path, headers={"Authorization": "Bearer hw_x"})
        assert refused.status_code == 403 and "Location" not in refused.headers
        assert refused["Content-Type"] == "application/problem+json" and "revoke" in refused.json()["detail"]
        has_headers(refused)
    assert Client().get("/api/v1/patients/", headers={"X-Forwarded-Proto": "https"}).status_code == 401


def test_signing_out_has_the_browser_forget_what_it_keeps(desk):
    assert "Clear-Site-Data" not in desk.get("/account/logout/").headers
    assert desk.post("/account/logout/").headers["Clear-Site-Data"] == '"cache", "storage"'


@pytest.mark.parametrize("to", FOREIGN)
def test_signing_in_leads_to_no_other_site(clinic, make_user, to):
    user = make_user(clinic, "coordinator")
    client = Client()
    answer = client.post("/account/login/", {"login": user.email, "password": "correct horse battery", "next": to})
    assert answer.status_code == 302 and re.match(r"/(?![/\\])", answer.url), answer.url


@pytest.mark.parametrize("to", [*FOREIGN, "/account/logout/", "", "/worklist/none"])
def test_a_search_is_answered_by_lists_of_ours_only(desk, to):
    answer = desk.post("/search/", {"q": "Berg", "to": to})
    assert answer.url.startswith(("/patients/?q=~", "/worklist/none/?q=~", "/worklist/none?q=~")), answer.url


def test_what_was_searched_for_stands_sealed_in_the_address_and_finds_all_the_same(desk, patient):
    leads = desk.post("/search/", {"q": patient.family_name, "to": "/worklist/all/", "late": "3"}).url
    assert patient.family_name not in leads and "late=3" in leads
    page = desk.get(leads).content.decode()
    assert f"<strong>{patient.family_name}</strong>" in page, "the chip shows the words"
    again = re.findall(r'href="([^"]*q=[^"]*)"', page)
    assert again and all("q=~" in one and patient.family_name not in one for one in again)


def test_a_seal_that_is_not_ours_is_empty_and_one_of_an_earlier_key_still_opens(settings):
    sealed = sealed_words.seal("Berg 1981")
    assert sealed_words.opened(sealed) == "Berg 1981" and sealed_words.opened("plain") == "plain"
    assert sealed_words.opened(sealed[:-2]) == sealed_words.opened("~") == sealed_words.opened("~§") == ""
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-" * 6
    assert sealed_words.opened(sealed) == "Berg 1981"
    settings.SECRET_KEY_FALLBACKS = []
    assert sealed_words.opened(sealed) == ""


def test_too_many_fields_and_too_much_text_are_refused_and_not_read(desk):
    many = desk.post(reverse("worklist_bulk"), {f"field{n}": "1" for n in range(2000)})
    assert many.status_code == 400
    assert desk.post(reverse("patient_enrol"), {"family_name": "x" * 6_000_000}).status_code == 400


def test_production_does_not_serve_with_a_key_from_the_source(settings):
    guard.refuse_public_key()
    settings.SECRET_KEY = "only-for-this-check-0123456789"
    with pytest.raises(ImproperlyConfigured):
        guard.refuse_public_key()


GOOD = {
    "HIPWATCH_ENV": "production",
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "PUBLIC_URL": "https://registry.example",
    "DATABASE_URL": "postgresql://a@localhost/h",
    "REDIS_URL": "redis://localhost/0",
    "EMAIL_URL": "smtp+tls://localhost:587",
}
BAD = {
    "debug": {"DEBUG": "1"},
    "no key": {"SECRET_KEY": ""},
    "weak key": {"SECRET_KEY": "a" * 80},
    "weak earlier key": {"SECRET_KEY_FALLBACKS": "secret"},
    "no TLS": {"PUBLIC_URL": "http://registry.example"},
    "a scanner that cannot be called": {"VIRUS_SCANNER": "clamav:3310"},
    "any host": {"ALLOWED_HOSTS": "*"},
    "no database": {"DATABASE_URL": ""},
    "a mail provider in clear": {
        "EMAIL_URL": "postmark://",
        "ANYMAIL_POSTMARK_SERVER_TOKEN": "x",
        "ANYMAIL_WEBHOOK_SECRET": "user:long-enough-to-be-taken",
        "ANYMAIL_POSTMARK_API_URL": "http://proxy.example/",
    },
}


NAMES = "s.DEBUG, s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.LANGUAGE_COOKIE_NAME"


def settings_with(more):
    """Whether the settings can be read in a process with this environment, and what it says."""
    environment = {"PATH": "/usr/bin", "PYTHONDONTWRITEBYTECODE": "1", **GOOD, **more}
    command = [
        sys.executable,
        "-c",
        f"from config import settings as s; print({NAMES})",
    ]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_production_starts_with_settings_that_are_safe_and_with_no_others():
    code, said = settings_with({})
    assert code == 0 and "False __Host-session __Host-csrf __Host-language" in said, said
    for name, more in BAD.items():
        code, said = settings_with(more)
        assert code != 0 and "ImproperlyConfigured" in said, name

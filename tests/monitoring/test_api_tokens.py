"""API tokens: made once, shown once, opening one clinic, until they end; by command and by page."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisAway

from monitoring.api import throttling, tokens
from monitoring.models import ApiToken, AuditEntry
from patients import access
from patients.models import Clinic

SECRET = re.compile(r"hw_[\w-]{43}_[0-9a-f]{8}")


def rebind():
    access.bind_clinics(Clinic.objects.values_list("id", flat=True))


@pytest.fixture
def admin(clinic, make_user):
    return make_user(clinic, "admin")


def test_only_the_digest_of_the_secret_is_kept(issue_token, clinic):
    token, secret = issue_token(clinic, "read")
    assert SECRET.fullmatch(secret)
    stored = str(list(ApiToken.objects.filter(pk=token.pk).values()))
    assert secret not in stored and secret[8:] not in stored and token.digest == tokens.digest(secret)


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer a b", "Bearer hw_", "Bearer \xe9", "Token x"])
def test_what_is_no_token_is_401(caller, clinic, header):
    answer = caller().get("patients/", Authorization=header)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_mistyped_an_expired_and_a_revoked_token_are_401(caller, issue_token, clinic, admin):
    token, secret = issue_token(clinic)

    def called(text):
        return caller().get("patients/", Authorization=f"Bearer {text}")

    assert called(secret).status_code == 200
    assert "cut off" in called(secret[:-3]).json()["detail"]
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert "expired" in called(secret).json()["detail"]
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() + timedelta(days=1))
    assert tokens.revoke(token, viewer=access.viewer_for(admin)) and not tokens.revoke(
        token, viewer=access.viewer_for(admin)
    )
    assert called(secret).status_code == 401
    assert AuditEntry.objects.filter(act="revoke_token", user_id=admin.pk).count() == 1


def test_the_last_use_is_stamped(api, clinic):
    assert ApiToken.objects.get().last_used_at is None
    api.get("patients/")
    assert timezone.now() - ApiToken.objects.get().last_used_at < timedelta(minutes=1)


@pytest.mark.parametrize("scopes", [["administer"], ["read", "audit"], ["read", "import"], [], ["record"]])
def test_scopes_are_those_listed_and_read_is_always_one(clinic, admin, scopes):
    with pytest.raises(ValueError, match="scope"):
        tokens.make_token(name="x", clinic=clinic, scopes=scopes, days=1, viewer=access.viewer_for(admin))


def test_a_scope_that_got_into_the_table_opens_nothing(issue_token, clinic):
    token, _secret = issue_token(clinic)
    token.scopes = ["read", "administer", "audit", "nonsense"]
    assert tokens.viewer_of_token(token).scopes == ((clinic.pk, "read"),)


@pytest.mark.parametrize("days", [0, 366])
def test_a_token_lives_a_year_at_most(clinic, admin, days):
    with pytest.raises(ValueError, match="lives"):
        tokens.make_token(name="x", clinic=clinic, scopes=["read"], days=days, viewer=access.viewer_for(admin))


def test_only_an_administrator_of_the_clinic_makes_and_revokes(clinic, other_clinic, make_user, issue_token):
    token, _secret = issue_token(clinic)
    for user in (make_user(clinic, "coordinator", "clinician"), make_user(other_clinic, "admin")):
        viewer = access.viewer_for(user)
        with pytest.raises(PermissionDenied):
            tokens.make_token(name="x", clinic=clinic, scopes=["read"], days=1, viewer=viewer)
        with pytest.raises(PermissionDenied):
            tokens.revoke(token, viewer=viewer)
        assert token not in tokens.tokens_for(viewer)


# Commands


def run(*arguments, **options):
    out, told = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=told, **options)
    finally:
        rebind()
    return out.getvalue().strip(), told.getvalue()


def test_a_token_is_made_and_revoked_at_the_command_line(clinic, admin, caller):
    secret, told = run(
        "create_api_token",
        *("--clinic", "northside hip clinic", "--name", "lab", "--scopes", "record,read"),
        *("--days", "90", "--as", admin.email.upper()),
    )
    assert SECRET.fullmatch(secret) and secret not in told and "read, record" in told
    token = ApiToken.objects.get()
    assert (token.created_by, token.expires_at.date()) == (admin, (timezone.now() + timedelta(days=90)).date())
    assert caller().get("patients/", Authorization=f"Bearer {secret}").status_code == 200
    assert "is revoked" in run("revoke_api_token", token.prefix, "--as", admin.email)[0]
    assert "already" in run("revoke_api_token", str(token.pk), "--as", admin.email)[0]
    assert caller().get("patients/", Authorization=f"Bearer {secret}").status_code == 401


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--as": "nobody@clinic.example"}, "no active member"),
        ({"--clinic": "Elsewhere"}, "works in no clinic"),
        ({"--scopes": "read,administer"}, "no scope administer"),
        ({"--days": "999"}, "1 to 365 days"),
        ({"--name": " "}, "needs a name"),
    ],
)
def test_the_command_refuses_in_words(clinic, admin, change, words):
    given = {"--clinic": clinic.name, "--name": "lab", "--scopes": "read", "--days": "9", "--as": admin.email} | change
    with pytest.raises(CommandError, match=words):
        run("create_api_token", *(part for pair in given.items() for part in pair))
    assert not ApiToken.objects.exists()


def test_the_commands_are_for_administrators(clinic, make_user, issue_token):
    clerk, (token, _secret) = make_user(clinic, "coordinator"), issue_token(clinic)
    with pytest.raises(CommandError, match="does not allow"):
        run("create_api_token", "--clinic", clinic.name, "--name", "x", "--as", clerk.email)
    with pytest.raises(CommandError, match="no such token"):
        run("revoke_api_token", str(token.pk), "--as", clerk.email)


# The page


def make(client, **said):
    return client.post("/tokens/", {"name": "lab", "scopes": ["read", "record"], "days": "90"} | said)


def test_the_page_shows_a_new_secret_once(clinic, admin, sign_in, caller):
    client = sign_in(admin)
    page = make(client, clinic=clinic.pk).content.decode()
    (secret,) = set(SECRET.findall(page))
    rebind()
    assert ApiToken.objects.get().scopes == ["read", "record"]
    later = client.get("/tokens/").content.decode()
    assert secret not in later and secret[:8] in later
    assert caller().get("hips/", Authorization=f"Bearer {secret}").status_code == 200


def test_the_page_revokes(clinic, admin, sign_in, issue_token):
    token, _secret = issue_token(clinic)
    client = sign_in(admin)
    assert client.get(f"/tokens/{token.pk}/revoke/").status_code == 405
    assert "revoked" in client.post(f"/tokens/{token.pk}/revoke/", follow=True).content.decode()
    rebind()
    assert ApiToken.objects.get().revoked_at


@pytest.mark.parametrize(
    "said", [{"name": ""}, {"name": "a\x00b"}, {"scopes": ["administer"]}, {"days": "3650"}, {"clinic": "0"}]
)
def test_a_wrong_form_is_told_at_the_field(clinic, admin, sign_in, said):
    answer = make(sign_in(admin), **{"clinic": clinic.pk, **said})
    rebind()
    assert answer.status_code == 422 and "error" in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_the_page_is_for_administrators_and_their_clinics(
    clinic, other_clinic, make_user, sign_in, issue_token, client
):
    assert client.get("/tokens/").status_code == 302
    token, _secret = issue_token(clinic, name="secret-lab")
    assert sign_in(make_user(clinic, "coordinator", "clinician")).get("/tokens/").status_code == 403
    rebind()
    stranger = sign_in(make_user(other_clinic, "admin"))
    assert "secret-lab" not in stranger.get("/tokens/").content.decode()
    assert stranger.post(f"/tokens/{token.pk}/revoke/").status_code == 404
    assert make(stranger, clinic=clinic.pk).status_code == 422
    rebind()
    assert ApiToken.objects.filter(clinic=clinic).count() == 1 and not ApiToken.objects.get(pk=token.pk).revoked_at


def test_the_menu_names_the_page_to_administrators_only(clinic, admin, make_user, sign_in):
    assert 'href="/administration/"' in sign_in(admin).get("/messages/").content.decode()
    rebind()
    assert 'href="/administration/"' not in sign_in(make_user(clinic, "clinician")).get("/messages/").content.decode()


# How often


def test_too_many_calls_are_429_until_the_minute_is_over(api, settings):
    settings.API_CALLS_A_MINUTE = 3
    assert [api.get("hips/?limit=1").status_code for _ in range(4)] == [200, 200, 200, 429]
    last = api.get("hips/")
    assert 0 < int(last.headers["Retry-After"]) <= 60 and last.json()["title"] == "Too many requests"


def test_assess_without_a_token_is_counted_by_address(caller, clinic, settings):
    settings.API_ANONYMOUS_CALLS_A_MINUTE = 2
    nobody = caller()
    assert [nobody.post("assess", {}).status_code for _ in range(3)] == [422, 422, 429]
    assert caller(clinic).post("assess", {}).status_code == 422


def test_without_redis_nobody_is_held_back(api, monkeypatch, settings):
    def away(*_args, **_kwargs):
        raise RedisAway("gone")

    settings.API_CALLS_A_MINUTE = 0
    with monkeypatch.context() as patched:
        patched.setattr(throttling.cache, "add", away, raising=False)
        assert throttling.count_call("token-1", 1) == 0
        assert api.get("hips/").status_code == 200
    cache.clear()
    assert api.get("hips/").status_code == 429

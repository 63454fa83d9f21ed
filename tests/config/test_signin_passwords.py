"""Passwords: long and not guessable, without rules about signs; set anew by a link that is good once."""

import re
import time

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.urls import reverse

from config.passwords import is_known, known_passwords, why_guessable
from monitoring import account_mail
from monitoring.models import AccountMail, AuditEntry
from patients.models import User
from tests.config.test_signin_invitations import GOOD

ADA = User(email="ada.okoye@clinic.example", name="Ada Okoye")
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "seven herons by the mill",
        "brücke über den fluß",
        "x7Gq!pLw02zR",
        "w" * 12 + "anderer weg",
    ],
)
def test_long_passwords_of_any_signs_are_taken(password):
    validate_password(password, ADA)


@pytest.mark.parametrize(
    "password",
    [
        "elevensigns",
        "Password2026!!",
        "P@ssw0rd1234",
        "passw0rdpassw0rd",
        "qwertyuiopas",
        "abcdefghijklm",
        "abcabcabcabcabc",
        "111111111111111",
        "Sunshine1987!!",
        "Hipwatch-Clinic-2026",
        "ada.okoye@clinic",
        "sonnenschein1",
        "iLoveYouForever",
        "monkeydragon99",
        "Trustno1Trustno1",
        "LiverpoolFC1892",
        "12031987 12031987",
        "MichaelJordan23",
        "x" * 257,
    ],
)
def test_what_others_would_guess_is_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password, ADA)


GERMAN = ["sonnenblume12", "Schmetterling1", "schmetterling99!", "weihnachtsmann", "Erdbeerkuchen", "hundkatzemaus"]


@pytest.mark.parametrize("password", [*GERMAN, "einszweidreivier", "donaudampfschiff", "lieblingsmensch2024"])
def test_german_passwords_of_breaches_are_refused_capitals_or_not(password):
    with pytest.raises(ValidationError):
        validate_password(password, ADA)


@pytest.mark.parametrize("password", ["drei Reiher an der Mühle", "~" * 40, "x" * 300, "ß" * 9 + "\0"])
def test_no_password_breaks_the_list(password):
    assert isinstance(is_known(password), bool)


@pytest.mark.parametrize("password", ["Northside Hip Clinic", "N0rthside-Okoye-2026", "okoye ada hipwatch"])
def test_what_everybody_knows_of_the_person_and_the_clinic_is_refused(clinic, password):
    with pytest.raises(ValidationError):
        validate_password(password, ADA)


def test_a_password_of_the_clinics_name_and_words_of_ones_own_is_taken(clinic):
    validate_password("northside herons by the mill", ADA)


def test_the_list_is_that_of_breaches_and_case_makes_no_difference():
    assert len(known_passwords()) > 20_000
    assert why_guessable("QWERTYUIOP123") == why_guessable("qwertyuiop123") != ""


def test_a_password_of_megabytes_or_of_one_repeated_part_is_judged_at_once():
    began = time.process_time()
    for password in ("passwordpassword" * 16, "ab1!" * 64, "x" * 5_000_000):
        with pytest.raises(ValidationError):
            validate_password(password, ADA)
    assert time.process_time() - began < 5


def ask_for_link(client, email):
    return client.post("/account/password/reset/", {"email": email})


def link_in_mail():
    letter = account_mail.read(AccountMail.objects.latest("id"))
    return re.search(r"https?://[^/]+(/account/password/reset/key/\S+)", letter.text)[1]


def test_a_forgotten_password_is_set_anew_by_a_link_that_is_good_once(client, clinic, make_user):
    user = make_user(clinic, "coordinator")
    ask_for_link(client, user.email)
    link = link_in_mail()
    form = client.get(link).url
    assert client.post(form, {"password1": GOOD, "password2": GOOD}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(GOOD) and "_auth_user_id" not in client.session, (
        "one signs in with it, second step and all"
    )
    assert "no longer good" in client.get(link, follow=True).content.decode()
    assert AuditEntry.objects.filter(act="reset_password", user_id=user.pk).count() == 1


def test_nobody_learns_from_a_reset_who_has_an_account(client, clinic, make_user):
    user = make_user(clinic, "coordinator")
    known = ask_for_link(client, user.email)
    unknown = ask_for_link(client, "nobody@clinic.example")
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert AccountMail.objects.count() == 1


def test_a_reset_link_leads_to_our_own_address_whatever_host_was_asked(client, clinic, make_user, settings):
    settings.PUBLIC_URL = "https://registry.example"
    user = make_user(clinic, "coordinator")
    client.post("/account/password/reset/", {"email": user.email}, headers={"host": "localhost"})
    assert "https://registry.example/account/password/reset/key/" in account_mail.read(AccountMail.objects.get()).text


def test_changing_the_password_is_told_by_mail_and_in_the_audit(client, clinic, make_user, sign_in):
    user = make_user(clinic, "coordinator")
    answer = sign_in(user).post(
        reverse("account_change_password"),
        {"oldpassword": "correct horse battery", "password1": GOOD, "password2": GOOD},
    )
    assert answer.status_code == 302
    assert AuditEntry.objects.filter(act="change_password", user_id=user.pk).exists()
    letter = account_mail.read(AccountMail.objects.get(kind="password_changed"))
    assert "changed" in letter.text and "127.0.0.1" in letter.text

"""Lock-out: who guesses is stopped by account and address; the account's owner is not; everything is in the audit."""

import pytest
from django.core.cache import cache
from django.test import Client

from monitoring import account_mail
from monitoring.models import AccountMail, AuditEntry
from patients.models import User

RIGHT = "correct horse battery"


@pytest.fixture
def owner(clinic, make_user):
    cache.clear()
    return make_user(clinic, "coordinator", name="Ada Okoye")


def try_password(user, password="a wrong password", *, address="198.51.100.7", client=None):
    browser = client or Client()
    return browser.post("/account/login/", {"login": user.email, "password": password}, REMOTE_ADDR=address)


def guess(user, times, **details):
    return [try_password(user, f"a wrong password {n}", **details).status_code for n in range(times)]


def acts():
    return list(AuditEntry.objects.order_by("id").values_list("act", flat=True))


def test_after_eight_wrong_passwords_even_the_right_one_is_refused_from_there(owner):
    assert guess(owner, 8)[:7] == [200] * 7
    answer = try_password(owner, RIGHT)
    assert answer.status_code == 429 and "Too many tries" in answer.content.decode()
    assert acts().count("sign_in_failed") >= 8 and "sign_in_locked" in acts()


def test_the_owner_signs_in_from_elsewhere_meanwhile(owner):
    guess(owner, 9)
    assert try_password(owner, RIGHT, address="203.0.113.5").status_code == 302


def test_an_address_that_is_locked_for_one_account_still_opens_another(owner, clinic, make_user):
    guess(owner, 9)
    assert try_password(make_user(clinic, "coordinator"), RIGHT).status_code == 302


def test_guessing_on_does_not_make_the_lock_longer(owner, time_machine_at):
    with time_machine_at(0):
        guess(owner, 9)
    with time_machine_at(14):
        assert try_password(owner, RIGHT).status_code == 429
    with time_machine_at(16):
        assert try_password(owner, RIGHT).status_code == 302


@pytest.fixture
def time_machine_at():
    """`with time_machine_at(minutes)`: so many minutes after one and the same moment."""
    from datetime import timedelta

    import time_machine
    from django.utils import timezone

    begun = timezone.now()
    return lambda minutes: time_machine.travel(begun + timedelta(minutes=minutes), tick=False)


def test_a_browser_that_was_let_in_before_is_free_of_what_others_guess(owner, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": None, "sign_in_anywhere": "5/h/key"}
    own = Client()
    assert try_password(owner, RIGHT, address="203.0.113.5", client=own).status_code == 302
    own.post("/account/logout/")
    for n in range(6):
        try_password(owner, address=f"198.51.100.{n}")
    strange = try_password(owner, RIGHT, address="203.0.113.99")
    assert strange.status_code == 200 and "Too many" in strange.content.decode()
    assert try_password(owner, RIGHT, address="203.0.113.5", client=own).status_code == 302


def test_an_unknown_account_is_answered_and_locked_like_a_known_one(owner, db):
    nobody = User(email="nobody@clinic.example")
    assert guess(nobody, 9) == guess(owner, 9, address="203.0.113.5")


def test_signing_in_and_out_is_in_the_audit_with_where_from(owner):
    browser = Client()
    try_password(owner, RIGHT, client=browser)
    browser.post("/account/logout/")
    entry = AuditEntry.objects.get(act="sign_in")
    assert entry.actor == "Ada Okoye" and entry.after["address"] == "198.51.100.7" and entry.after["by"] == ["password"]
    assert acts()[-1] == "sign_out"


def test_no_password_that_was_typed_is_kept_anywhere(owner):
    try_password(owner, "hunter2 is my real one")
    from axes.models import AccessAttempt

    kept = f"{list(AccessAttempt.objects.values())} {list(AuditEntry.objects.values())}"
    assert "hunter2" not in kept


def test_a_new_browser_is_told_by_mail_and_a_known_one_is_not(owner):
    browser = Client()
    for _time in range(2):
        try_password(owner, RIGHT, client=browser)
        browser.post("/account/logout/")
    letter = account_mail.read(AccountMail.objects.get(kind="new_browser"))
    assert "Ada Okoye" in letter.text and "198.51.100.7" in letter.text

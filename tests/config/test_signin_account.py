"""One's own account, and what an administrator does for somebody who cannot sign in."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from monitoring import account_mail, sign_ins
from monitoring.models import AccountMail, AuditEntry
from patients.models import Membership
from tests.conftest import as_signed_in

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(clinic, make_user):
    cache.clear()
    return make_user(clinic, "coordinator", name="Ada Okoye")


@pytest.fixture
def admin(clinic, make_user):
    return as_signed_in(Client(), make_user(clinic, "admin", name="Ruth Amsel"))


def enter(user):
    browser = Client()
    assert browser.post("/account/login/", {"login": user.email, "password": PASSWORD}).status_code == 302
    return browser


def test_one_changes_ones_own_name_and_language(ada):
    browser = enter(ada)
    assert browser.post("/account/", {"name": " Ada  Obi ", "language": "de"}).status_code == 302
    ada.refresh_from_db()
    assert (ada.name, ada.language) == ("Ada Obi", "de")
    assert "Mein Konto" in browser.get("/account/").content.decode()
    assert AuditEntry.objects.get(act="change_own_details").before == {"name": "Ada Okoye", "language": "en"}


def test_whoever_signs_in_finds_the_pages_in_their_language_unless_the_browser_has_another(ada):
    ada.language = "de"
    ada.save()
    page = enter(ada).get("/account/").content.decode()
    assert 'lang="de"' in page and "angemeldet" in page and "Successfully" not in page
    shared = Client()
    shared.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    shared.post("/account/login/", {"login": ada.email, "password": PASSWORD})
    assert 'lang="en"' in shared.get("/account/").content.decode()


def test_the_address_of_an_account_is_the_administrators_to_change(ada):
    browser = enter(ada)
    assert browser.get("/account/email/").url == "/account/"
    browser.post("/account/email/", {"action_add": "", "email": "own@other.example"})
    assert not EmailAddress.objects.filter(email="own@other.example").exists()


def test_an_empty_name_is_refused_at_its_field(ada):
    answer = enter(ada).post("/account/", {"name": "", "language": "en"})
    assert answer.status_code == 422 and "required" in answer.content.decode()


def test_one_ends_ones_own_session_in_another_browser(ada):
    lost, here = enter(ada), enter(ada)
    first = UserSession.objects.order_by("id").first()
    assert "127.0.0.1" in here.get("/account/sessions/").content.decode()
    here.post(f"/account/sessions/{first.pk}/end/")
    assert lost.get("/").status_code == 302 and here.get("/").status_code == 200


def test_nobody_ends_anothers_session_that_way(ada, admin):
    browser = enter(ada)
    admin.post(f"/account/sessions/{UserSession.objects.get(user=ada).pk}/end/")
    assert browser.get("/").status_code == 200


def test_a_new_password_ends_every_other_session(ada):
    elsewhere, here = enter(ada), enter(ada)
    new = "seven herons by the mill"
    here.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert elsewhere.get("/").status_code == 302 and here.get("/").status_code == 200


def test_an_administrator_signs_somebody_out_everywhere(ada, admin):
    browser = enter(ada)
    assert admin.post(f"/administration/staff/{ada.pk}/sign-in/sign-out/").status_code == 302
    assert browser.get("/").status_code == 302
    assert AuditEntry.objects.get(act="end_sessions").actor == "Ruth Amsel"


def test_an_administrator_opens_sign_in_after_a_lock(ada, admin):
    for _time in range(9):
        Client().post("/account/login/", {"login": ada.email, "password": "a wrong password"})
    assert sign_ins.state_of(ada).locked
    admin.post(f"/administration/staff/{ada.pk}/sign-in/unlock/")
    cache.clear()
    assert not sign_ins.state_of(ada).locked
    enter(ada)


def test_a_lost_second_step_is_removed_by_an_administrator_and_its_owner_told(ada, admin):
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    admin.post(f"/administration/staff/{ada.pk}/sign-in/second-step/")
    assert not Authenticator.objects.filter(user=ada).exists()
    letter = account_mail.read(AccountMail.objects.get(kind="second_steps_removed"))
    assert "Ruth Amsel" in letter.text


def test_nobody_does_that_to_themselves_nor_for_a_person_of_other_clinics(ada, admin, other_clinic, make_user):
    from patients.models import User

    own = User.objects.get(name="Ruth Amsel")
    stranger = make_user(other_clinic, "coordinator")
    assert admin.post(f"/administration/staff/{own.pk}/sign-in/second-step/").status_code == 403
    assert admin.post(f"/administration/staff/{stranger.pk}/sign-in/sign-out/").status_code == 404
    Membership.objects.create(user=ada, clinic=other_clinic, role="coordinator")
    assert admin.post(f"/administration/staff/{ada.pk}/sign-in/second-step/").status_code == 403

"""Invitations: a link by mail, good once, which gives a clinic's roles to whoever holds the address."""

import re
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from monitoring import account_mail, invitations
from monitoring.models import AccountMail, AuditEntry, Invitation
from patients import access
from patients.models import Membership, Role, User
from tests.schedules.conftest import channel, sink  # noqa: F401  a real mail server

NOW = timezone.now()
GOOD = "seven herons by the mill"


@pytest.fixture
def admin(clinic, make_user):
    return access.viewer_for(make_user(clinic, "admin", name="Ruth Amsel"))


@pytest.fixture
def invite(clinic, admin):
    def make(email="ada@new.example", *roles, by=admin, **details):
        chosen = [Role(role) for role in roles or ("coordinator",)]
        return invitations.invite(by=by, clinic=clinic, email=email, name="Ada Okoye", roles=chosen, now=NOW, **details)

    return make


def path_in_mail():
    letter = account_mail.read(AccountMail.objects.latest("id"))
    return re.search(r"https?://[^/]+(/account/invitation/\S+)", letter.text)[1]


def follow(client, path):
    assert client.get(path).url == "/account/invitation/", "the key leaves the address at once"
    return client.get("/account/invitation/")


def test_whoever_is_invited_chooses_a_password_and_works_in_the_clinic(invite, client, clinic):
    invite("Ada@New.example", "coordinator", "clinician")
    page = follow(client, path_in_mail()).content.decode()
    assert "Northside Hip Clinic" in page and "ada@new.example" in page and "Ada Okoye" in page
    answer = client.post("/account/invitation/", {"name": "Ada  Okoye", "password": GOOD})
    user = User.objects.get(email="ada@new.example")
    assert answer.status_code == 302 and client.session["_auth_user_id"] == str(user.pk)
    assert user.name == "Ada Okoye" and user.check_password(GOOD)
    assert set(user.memberships.values_list("role", flat=True)) == {"coordinator", "clinician"}
    acts = AuditEntry.objects.order_by("id").values_list("act", "actor")
    assert list(acts)[:2] == [("invite_staff", "Ruth Amsel"), ("accept_invitation", "Ada Okoye")]


def test_nobody_holds_a_role_before_they_accept(invite):
    invite()
    assert not User.objects.filter(email="ada@new.example").exists()


def test_a_link_is_good_once(invite, client):
    invite()
    path = path_in_mail()
    follow(client, path)
    client.post("/account/invitation/", {"name": "Ada", "password": GOOD})
    client.logout()
    answer = follow(client, path)
    assert answer.status_code == 410 and "no longer good" in answer.content.decode()


@pytest.mark.parametrize("key", ["", "nonsense", "1-1-abc:AAAA", "1-1-" + "0" * 32])
def test_a_link_that_was_not_made_here_opens_nothing(db, client, key):
    assert follow(client, f"/account/invitation/?key={key}").status_code == 410


def test_a_link_is_good_for_a_week(invite, client):
    made = invite()
    Invitation.objects.filter(pk=made.pk).update(expires_at=NOW - timedelta(seconds=1))
    assert follow(client, path_in_mail()).status_code == 410


def test_a_new_mail_ends_the_link_before(invite, client, admin):
    made = invite()
    old = path_in_mail()
    invitations.resend(made, by=admin, now=NOW)
    assert follow(client, old).status_code == 410
    assert follow(client, path_in_mail()).status_code == 200


def test_an_invitation_can_be_taken_back(invite, client, admin):
    made = invite()
    invitations.revoke(made, by=admin, now=NOW)
    assert follow(client, path_in_mail()).status_code == 410
    assert not invitations.open_for(admin).exists()
    with pytest.raises(invitations.InvitationClosed):
        invitations.resend(made, by=admin, now=NOW)


def test_somebody_with_an_account_accepts_with_it(invite, client, other_clinic, make_user, sign_in, clinic):
    known = make_user(other_clinic, "clinician")
    invite(known.email, "coordinator")
    assert follow(client, path_in_mail()).url.startswith("/account/login/?next=/account/invitation/")
    sign_in(known)
    assert "Accept the invitation" in follow(client, path_in_mail()).content.decode()
    client.post("/account/invitation/")
    assert Membership.objects.filter(user=known, clinic=clinic, role="coordinator").exists()


def test_an_invitation_of_another_person_gives_one_nothing(invite, client, clinic, make_user, sign_in):
    invite()
    sign_in(make_user(clinic, "coordinator"))
    assert "Sign out and open the link" in follow(client, path_in_mail()).content.decode()
    client.post("/account/invitation/", {"name": "Eve", "password": GOOD})
    assert not User.objects.filter(email="ada@new.example").exists()
    assert Invitation.objects.get().accepted_at is None


@pytest.mark.parametrize(
    ("password", "words"),
    [("short", "at least 12"), ("password1234", "too common"), ("ada@new.example", "too similar"), ("", "required")],
)
def test_a_password_that_others_would_guess_is_refused_in_words(invite, client, password, words):
    invite()
    follow(client, path_in_mail())
    answer = client.post("/account/invitation/", {"name": "Ada", "password": password})
    assert answer.status_code == 422 and words in answer.content.decode()


def test_who_is_no_administrator_invites_nobody(invite, clinic, other_clinic, make_user):
    for somebody in (make_user(clinic, "clinician"), make_user(other_clinic, "admin")):
        with pytest.raises(PermissionDenied):
            invite(by=access.viewer_for(somebody))


def test_nobody_invites_themselves_nor_the_same_person_twice(invite, admin):
    own = User.objects.get(pk=admin.actor.user_id)
    with pytest.raises(ValidationError, match="your own address"):
        invite(own.email, "clinician")
    invite()
    with pytest.raises(ValidationError, match="invited already"):
        invite("ADA@new.example")


def test_the_mail_goes_out_once_and_its_link_is_kept_nowhere(invite, sink, channel):  # noqa: F811
    invite()
    waiting = AccountMail.objects.get()
    assert "invitation" not in waiting.content
    assert account_mail.send_waiting(now=timezone.now(), channel=channel) == 1
    assert account_mail.send_waiting(now=timezone.now(), channel=channel) == 0
    waiting.refresh_from_db()
    assert waiting.state == "sent" and waiting.content == "" and len(sink.arrived) == 1

"""Staffing: what a new installation needs first, from the command line."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from monitoring.models import AuditEntry
from patients.models import Clinic, Membership, User


def run(*arguments, **options):
    output = StringIO()
    call_command(*arguments, stdout=output, **options)
    return output.getvalue()


def add_clinic(**details):
    return run(
        "add_clinic", "Northside Hip Clinic", **{"mail_name": "Northside", "telephone": "+44 20 7946 0000", **details}
    )


def test_a_clinic_and_its_first_administrator_are_added_from_the_command_line(db):
    add_clinic()
    told = run("add_staff", "Ada@Clinic.example", name="Ada Okoye", clinic="Northside Hip Clinic", roles=["admin"])
    password = told.rpartition(": ")[2].strip()
    ada = User.objects.get(email="ada@clinic.example")
    assert ada.check_password(password) and ada.name == "Ada Okoye"
    assert Membership.objects.get().role == "admin"
    assert list(AuditEntry.objects.values_list("act", flat=True).order_by("id")) == ["add_clinic", "add_staff"]


def test_a_second_clinic_gives_a_known_person_no_new_password(db):
    add_clinic()
    run("add_staff", "ada@clinic.example", name="Ada", clinic="Northside Hip Clinic", roles=["admin"])
    run("add_clinic", "Southside Hip Clinic", mail_name="Southside", telephone="020 7946 0001")
    told = run("add_staff", "ADA@clinic.example", name="Ada", clinic="Southside Hip Clinic", roles=["clinician"])
    assert "password" not in told and Membership.objects.count() == 2


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"mail_name": "Northside Hip Clinic"}, "mail_name"),
        ({"time_zone": "Europe/Atlantis"}, "time zone"),
        ({"reply_to": "nobody"}, "reply_to"),
    ],
)
def test_a_clinic_that_cannot_be_is_refused_in_words(db, details, words):
    with pytest.raises(CommandError, match=words):
        add_clinic(**details)
    assert not Clinic.objects.exists()


def test_an_unknown_clinic_is_told_with_those_there_are(db):
    add_clinic()
    with pytest.raises(CommandError, match="Northside Hip Clinic"):
        run("add_staff", "a@b.example", name="A", clinic="Elsewhere", roles=["admin"])

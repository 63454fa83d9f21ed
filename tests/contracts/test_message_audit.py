"""Message audit: each mail that went out, or may have, is an entry of the audit, by the database itself."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.models import AuditEntry
from patients.changes import Actor
from schedules import reminders, substitutes
from schedules.models import Reminder

BY = Actor.system("mail")
NOW = timezone.now()
State = Reminder.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def mail(patient):
    day = timezone.localdate()
    return Reminder.objects.create(
        clinic_id=patient.clinic_id, patient=patient, cycle_on=day, due_on=day, send_on=day, step="due",
        message_id="<m@clinic.example>", language="de", sent_to=patient.email,
    )  # fmt: skip


def moved(mail, to, out_of, **details):
    reminders.move([mail.pk], to, out_of=[out_of], at=NOW, by=BY, **details)


def entries():
    return list(AuditEntry.objects.filter(act__startswith="message_").order_by("id"))


def test_a_mail_that_went_out_is_an_entry_that_names_its_patient_and_no_address(mail):
    moved(mail, State.SENDING, State.PLANNED, lease_until=NOW + timedelta(minutes=5))
    moved(mail, State.SENT, State.SENDING)
    (entry,) = entries()
    assert (entry.act, entry.actor, entry.at) == ("message_sent", BY.name, NOW)
    assert (entry.clinic_id, entry.patient_id, entry.object) == (mail.clinic_id, mail.patient_id, f"reminder-{mail.pk}")
    assert entry.after == {"step": "due", "language": "de", "message_id": "<m@clinic.example>"}


def test_what_may_have_gone_and_what_then_failed_are_entries_with_their_reasons(mail):
    moved(mail, State.SENDING, State.PLANNED, lease_until=NOW + timedelta(minutes=5))
    moved(mail, State.UNCERTAIN, State.SENDING, reason="The connection broke.")
    moved(mail, State.FAILED, State.UNCERTAIN, reason="It did not arrive.")
    told = [(entry.act, entry.reason) for entry in entries()]
    assert told == [("message_uncertain", "The connection broke."), ("message_failed", "It did not arrive.")]


def test_what_never_left_is_none(mail):
    moved(mail, State.CANCELLED, State.PLANNED, reason="Not needed.")
    assert entries() == []


def test_a_letter_printed_in_its_place_is_no_mail_that_failed_again(mail):
    moved(mail, State.FAILED, State.PLANNED, reason="The mailbox is unknown.")
    mail.refresh_from_db()
    substitutes.remember([(mail, "Printed as a letter.")], by=BY, at=NOW)
    assert [entry.act for entry in entries()] == ["message_failed"]

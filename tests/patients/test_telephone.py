"""Telephone numbers of a patient are what they were, whenever they are parsed."""

import pytest
from phonenumber_field.phonenumber import PhoneNumber

from patients.models import Patient

pytestmark = pytest.mark.django_db
NUMBER = "+442079460100"


def test_a_number_is_parsed_when_it_is_read_and_stays_parsed(patient):
    Patient.objects.filter(pk=patient.pk).update(telephone=NUMBER)
    read = Patient.objects.get(pk=patient.pk)
    assert read.__dict__["telephone"] == NUMBER, "as the row has it, until somebody asks"
    assert isinstance(read.telephone, PhoneNumber) and read.telephone.as_international == "+44 20 7946 0100"
    assert read.__dict__["telephone"] is read.telephone


def test_what_is_assigned_as_text_is_stored_in_one_form(patient):
    patient.telephone = "+44 20 7946 0100"
    patient.save()
    assert Patient.objects.filter(telephone=NUMBER).get() == patient


def test_no_number_and_none_that_could_be_read_do_no_harm(patient):
    for given in ("", "call the ward"):
        patient.telephone = given
        patient.save()
        assert str(Patient.objects.get(pk=patient.pk).telephone) == given

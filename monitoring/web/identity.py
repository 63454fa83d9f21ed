"""Identity: what a list says of who a patient is; of a restricted record that it is one, which, and nothing else.

The row stays, so that nobody falls out of follow-up and a count is the length of its list. Every list, file and table
that names patients asks here, and `Viewer.shut` decides.
"""

from typing import NamedTuple

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from patients.access import Viewer
from patients.models import Patient

from ..worklist_row import PatientSaid
from .finding_words import day_words


class Identity(NamedTuple):
    """A name and two identifiers, ready to be shown; of a record that is `shut` none of them."""

    pk: int
    name: str
    born: str
    number: str
    shut: bool = False

    @property
    def url(self) -> str:
        """The page of the record, which leads to the gate where it is shut."""
        return reverse("patient", args=[self.pk])


def identity_of(patient: Patient | PatientSaid, viewer: Viewer) -> Identity:
    if patient.pk in viewer.shut:
        return Identity(patient.pk, _("Restricted record"), _("opens with a reason"), reference(patient.pk), shut=True)
    return Identity(patient.pk, patient.display_name, born_words(patient), patient.record_number)


def born_words(patient: Patient | PatientSaid) -> str:
    """The birth date; where the name was taken out only the year of it is true."""
    if patient.born_on is None:
        return _("birth date unknown")
    return str(patient.born_on.year) if patient.anonymised_on else day_words(patient.born_on)


def reference(pk: int) -> str:
    """By what people may speak of a restricted record: its number here, which is in no other system."""
    return _("reference %(number)d") % {"number": pk}


def gate_address(pk: int) -> str:
    """The whole address of the gate, for a file that is read elsewhere."""
    return f"{settings.PUBLIC_URL}{reverse('restricted_gate', args=[pk])}"

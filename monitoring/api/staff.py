"""Staff at the command line: who acts, and in which of their clinics."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pghistory
from django.core.management.base import CommandError
from django.db import transaction

from patients import access
from patients.access import Viewer
from patients.models import Clinic, User


@dataclass(frozen=True)
class Desk:
    viewer: Viewer

    def clinic(self, name: str) -> Clinic:
        """One of the person's clinics by name. Raises CommandError, which lists theirs."""
        clinics = list(access.clinics_for(self.viewer))
        found = next((clinic for clinic in clinics if clinic.name.casefold() == name.casefold()), None)
        if found is None:
            known = ", ".join(f"“{clinic.name}”" for clinic in clinics) or "none"
            raise CommandError(f"{self.viewer.actor.name} works in no clinic “{name}”. Theirs: {known}.")
        return found


@contextmanager
def acting(email: str) -> Iterator[Desk]:
    """One transaction of an active member of staff, over their clinics. Raises CommandError for anybody else."""
    with transaction.atomic():
        user = User.objects.filter(email__iexact=email, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active member of staff with the address {email}.")
        viewer = access.viewer_for(user)
        access.bind_clinics(viewer.clinic_ids)
        with pghistory.context(actor=viewer.actor.name):
            yield Desk(viewer)

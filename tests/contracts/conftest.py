"""Fixtures of the contracts: two clinics with one thing of each kind in them."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from monitoring import invitations, protocol_drafts
from monitoring.api import tokens
from monitoring.imports import batch
from monitoring.models import ContactAttempt, ReviewCase
from patients import access, recording
from patients.changes import Actor
from patients.models import Imaging, Membership, Role, SymptomReport
from patients.vocabulary import Side
from schedules import appointments
from schedules.models import Reminder

ACTOR = Actor(name="Ada Okoye")


@dataclass
class Things:
    """One thing of each kind in a clinic."""

    clinic: Any
    patient: Any
    fact: str
    case: int
    appointment: int
    attempt: int
    batch: int
    reminder: int
    token: int
    invitation: int
    person: int
    more: dict[str, Any] = field(default_factory=dict)


def things_of(clinic, make_user, enrol, boss):
    day = timezone.localdate() - timedelta(days=150)
    patient = enrol(clinic, enrolled_on=day)
    lesion = Imaging(
        on=day, modality="MR", necrosis=True, lesion_volume_percent=12, volume_method="MRI_3D_SEGMENTATION"
    )
    pain = SymptomReport(
        on=day + timedelta(days=120), source="patient", symptomatic=True, pain_nrs=4, pain_site="groin"
    )
    recorded = recording.record_facts(patient.pk, [(Side.LEFT, lesion), (Side.LEFT, pain)], by=ACTOR)
    in_a_week = timezone.now() + timedelta(days=7)
    booked = appointments.book(patient.pk, appointments.Wanted(starts_at=in_a_week), by=ACTOR)
    content = b"record_number,family_name\nA-3,Lund\n"
    return Things(
        clinic=clinic,
        patient=patient,
        fact=recorded.facts[0].key,
        case=ReviewCase.objects.filter(patient=patient).values_list("id", flat=True)[0],
        appointment=booked.pk,
        attempt=ContactAttempt.objects.create(
            patient=patient, clinic=clinic, outcome="no_answer", at=timezone.now()
        ).pk,
        batch=batch.check(clinic, content, file_name="registry.csv", by=ACTOR).pk,
        reminder=Reminder.objects.filter(patient=patient).values_list("id", flat=True)[0],
        token=tokens.issue(name="lab", clinic=clinic, scopes=["read"], days=3, by=ACTOR)[0].pk,
        invitation=_invited(clinic, boss).pk,
        person=make_user(clinic, "coordinator").pk,
    )


def _invited(clinic, boss):
    Membership.objects.create(user=boss, clinic=clinic, role=Role.ADMIN)
    viewer = access.viewer_for(boss)
    roles = [Role.CLINICIAN]
    return invitations.invite(
        by=viewer, clinic=clinic, email="new@clinic.example", name="New", roles=roles, now=timezone.now()
    )


@pytest.fixture
def world(clinic, other_clinic, make_user, enrol):
    """Both clinics with one thing of each kind, and somebody for every role of the first."""
    boss, both = make_user(clinic), [clinic, other_clinic]
    things = []
    for one in both:
        things.append(things_of(one, make_user, enrol, boss))
        access.bind_clinics(place.pk for place in both)
    own, other = things
    now = timezone.now()
    draft = protocol_drafts.start_draft(None, note="Closer.", viewer=access.viewer_for(boss), now=now)
    own.more["draft"] = other.more["draft"] = draft.pk
    Membership.objects.filter(user=boss).delete()
    return own, other

"""Fixtures of the security tests: the registry of the journeys, and one patient whom nobody can mistake."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from tests.journeys.conftest import registry, site  # noqa: F401
from tests.journeys.test_every_page import full  # noqa: F401

SEED = {
    "family_name": "Xqvortzberg",
    "given_name": "Zwynthia",
    "record_number": "QZX-77813",
    "email": "qvx.marked@mail.example",
    "telephone": "+442079461713",
    "address": "Kvortzlane 99, Wyxmouth",
    "born_on": date(1987, 2, 23),
    "next_of_kin": "Yzqthor",
}
BIRTH = ("1987-02-23", "23 Feb 1987", "23.02.1987", "23/02/1987")
REMARK = "Pwyxquill noted at the desk"


@pytest.fixture
def marked(full: Any) -> Any:  # noqa: F811
    """`full`, in which the patient of the samples is the one nobody can mistake, with a case and mail of her own."""
    from monitoring.models import ReviewCase
    from patients import access
    from patients.models import Patient
    from schedules import links
    from schedules.models import Reminder

    known = {field.name for field in Patient._meta.get_fields()}
    seed = {name: value for name, value in SEED.items() if name in known}
    with access.system_run("test"):
        full.marked = full.watched(days_ago=230, **seed)
        full.hurts(full.marked, days_ago=20)
        _remark(full)
        case = ReviewCase.objects.filter(patient=full.marked).first()
        mail = Reminder.objects.filter(patient=full.marked).first()
        assert case and mail
        tokens = {purpose.value: links.sign(links.link_of(mail, purpose)) for purpose in links.Purpose}
        full.samples = replace(full.samples, patient=full.marked.pk, case=case.pk, fact=full.fact, tokens=tokens)
    return full


def _remark(world: Any) -> None:
    from patients import recording
    from patients.models import Imaging
    from patients.vocabulary import Side

    day = world.today - timedelta(days=3)
    read = Imaging(on=day, modality="XR", views=["AP_PELVIS"], report=REMARK)
    world.fact = recording.record_facts(world.marked.pk, [(Side.LEFT, read)], by=world.actor).facts[0].key


@pytest.fixture
def issue_token() -> Any:
    """`issue_token(clinic, *scopes)`: a token of these scopes, of all unless told, and its secret."""
    from monitoring.api import tokens
    from patients.changes import Actor

    def issue(clinic: Any, *scopes: str) -> Any:
        wanted = scopes or ("read", "record", "work", "decide")
        return tokens.issue(name="lab", clinic=clinic, scopes=wanted, days=1, by=Actor(name="Ada Okoye"))

    return issue

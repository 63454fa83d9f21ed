"""A list says of each row, value for value, what its serializer says."""

import json

import pytest
import time_machine
from rest_framework.renderers import JSONRenderer

from monitoring.api import lists, patients
from monitoring.models import HipEvaluation
from patients.models import Patient
from tests.monitoring.test_api import NOON, PAIN, PERSON, baseline

LISTED = {
    "patients": patients.Patients,
    "hips": lists.Hips,
    "plans": lists.Plans,
    "flags": lists.Flags,
    "reviews": lists.Reviews,
    "reminders": lists.Reminders,
}


@pytest.fixture(autouse=True)
def noon():
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def lived(api):
    """One patient with findings, a decided case, wishes and numbers, and one of whom little is known."""
    pk = api.post("patients/", PERSON).json()["id"]
    api.post("patients/", {"record_number": "A-2", "family_name": "O'Neill", "enrolled_on": "2026-01-10"})
    assert api.post(f"patients/{pk}/facts/", {"on": "2026-01-10", "facts": baseline()}).status_code == 201
    assert api.post(f"patients/{pk}/facts/", PAIN).status_code == 201
    case = api.get("reviews/").json()["results"][0]["id"]
    verdict = {"outcome": "observe", "reason": "mild, wants to wait", "on": "2026-03-05"}
    assert api.post(f"reviews/{case}/decide/", verdict).status_code == 200
    Patient.objects.filter(pk=pk).update(telephone_as_given="020 7946 0018")
    HipEvaluation.objects.filter(patient=pk, pathway="symptomatic").update(volume_percent="12.50")


@pytest.mark.parametrize("name", LISTED)
def test_a_list_says_what_its_serializer_says(api, lived, name):
    view = LISTED[name]
    shown = api.get(f"{name}/?state=any" if name in ("flags", "reviews") else f"{name}/").json()["results"]
    model = view.serializer_class.Meta.model
    rows = view.serializer_class(model.objects.order_by("-pk"), many=True).data
    assert shown == json.loads(JSONRenderer().render(rows)), name
    assert shown and (name != "reviews" or any(row["decision"] for row in shown))

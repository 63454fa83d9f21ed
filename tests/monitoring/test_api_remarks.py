"""Remarks over the API: what the record speaks against is recorded, told, and refused where that is preferred."""

from copy import copy
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.cache import cache

from monitoring.models import AuditEntry
from monitoring.web.contradictions import CODES
from patients.models import Imaging, Patient, Staging, Visit
from tests.monitoring.test_api import PAIN, PERSON, baseline, fact

ON = "2026-03-03"
STAGE_I = fact("staging", ON, system="ARCO", version="2019", code="I")


@pytest.fixture(autouse=True)
def noon():
    cache.clear()
    with time_machine.travel(datetime(2026, 3, 5, 12, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def record(api):
    """`record(fact, ...)`: the answer to recording them of somebody with a baseline and ARCO II in the left hip."""
    pk = api.post("patients/", PERSON).json()["id"]
    stage = fact("staging", "2026-01-10", system="ARCO", version="2019", code="II")
    earlier = api.post(f"patients/{pk}/facts/", {"on": "2026-01-10", "facts": [*baseline(), stage]})
    assert earlier.json()["remarks"] == []

    def post(*facts, **headers):
        return api.post(f"patients/{pk}/facts/", {"on": ON, "facts": facts}, **headers)

    post.stage_key = earlier.json()["facts"][-1]
    return post


def codes(answer):
    assert answer.status_code == 201, answer.json()
    return [(remark["pointer"], remark["code"]) for remark in answer.json()["remarks"]]


SMALLER = {"necrosis": True, "lesion_volume_percent": 4, "volume_method": "MRI_3D_SEGMENTATION"}
REMARKED = [
    (STAGE_I, "lower_stage"),
    (fact("imaging", ON, modality="MR", **SMALLER), "improbable_volume"),
    (fact("imaging", ON, modality="MR", necrosis=False), "sign_gone"),
    (fact("imaging", ON, "right", modality="MR", necrosis=True), "wrong_side"),
    (fact("symptom", ON, source="patient", symptomatic=False, pain_nrs=3), "self_contradiction"),
    (fact("imaging", "2026-01-10", modality="MR", necrosis=True), "recorded_already"),
    (fact("procedure", "2025-12-01", procedure="THA"), "replaced_before"),
    (fact("imaging", "2026-01-10", modality="CT", depression_mm=3), "stage_and_signs"),
]


@pytest.mark.parametrize(("sent", "code"), REMARKED, ids=[code for _sent, code in REMARKED])
def test_what_the_record_speaks_against_is_recorded_and_told(sent, code, record):
    answer = record(PAIN["facts"][0], sent)
    assert codes(answer) == [("/facts/1", code)] and code in CODES
    assert len(answer.json()["facts"]) == 2


def test_what_a_hip_out_of_follow_up_is_said_to_have_is_told(record):
    assert codes(record(fact("procedure", "2026-02-01", procedure="THA"))) == []
    assert codes(record(STAGE_I)) == [("/facts/0", "lower_stage"), ("/facts/0", "out_of_follow_up")]


def test_decisions_of_one_day_on_other_questions_are_not_the_same(record):
    asked = ("CORE_DECOMPRESSION_REVIEW", "IMAGE_PAINFUL_HIP", "IMAGE_PAINFUL_HIP")
    told = [codes(record(fact("decision", ON, action=action, outcome="observe", reason="mild"))) for action in asked]
    assert told == [[], [], [("/facts/0", "recorded_already")]]


def test_two_facts_of_one_call_are_held_against_each_other_once(record):
    collapsed = fact("imaging", ON, modality="CT", depression_mm=3)
    stage = fact("staging", ON, system="ARCO", version="2019", code="II")
    assert codes(record(collapsed, stage)) == [("/facts/1", "stage_and_signs")]


def test_a_remark_says_both_sides_of_it(record):
    (remark,) = record(STAGE_I).json()["remarks"]
    assert "is a lower stage than" in remark["message"] and "10 Jan 2026" in remark["message"]


def test_what_is_corrected_speaks_against_nothing(record):
    right = {**copy(STAGE_I), "supersedes": record.stage_key, "correction_reason": "read again"}
    assert codes(record(right)) == []


def test_what_is_impossible_is_refused_before_anything_is_remarked(record):
    answer = record(fact("imaging", ON, modality="XX", **SMALLER))
    assert answer.status_code == 422 and "code" not in answer.json()["errors"][0]


@pytest.mark.parametrize("preferred", ["handling=strict", 'respond-async, Handling = "strict"; x=1'])
def test_who_prefers_it_is_refused_and_nothing_is_saved(preferred, record):
    entries, version = AuditEntry.objects.count(), Patient.objects.get().record_version
    answer = record(PAIN["facts"][0], STAGE_I, Prefer=preferred, Idempotency_Key="k")
    assert answer.status_code == 409 and answer.headers["Content-Type"] == "application/problem+json"
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [("/facts/1", "lower_stage")]
    assert (Staging.objects.count(), Visit.objects.count()) == (1, 1)
    assert (AuditEntry.objects.count(), Patient.objects.get().record_version) == (entries, version)
    assert codes(record(PAIN["facts"][0], STAGE_I, Idempotency_Key="k")) == [("/facts/1", "lower_stage")]


@pytest.mark.parametrize("preferred", ["handling=lenient", "handling=strictly", ""])
def test_who_prefers_nothing_of_the_kind_is_not_refused(preferred, record):
    assert record(STAGE_I, Prefer=preferred).status_code == 201


def test_strict_handling_records_what_nothing_speaks_against(record):
    film = fact("imaging", ON, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])
    assert codes(record(film, Prefer="handling=strict")) == []
    assert Imaging.objects.filter(on=ON).exists()


def test_a_repeat_with_the_same_key_gets_the_same_remarks(record):
    first = record(STAGE_I, Idempotency_Key="again").json()
    assert record(STAGE_I, Idempotency_Key="again").json() == first and first["remarks"]

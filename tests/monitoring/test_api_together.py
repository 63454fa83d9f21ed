"""API with real transactions: the same write arriving twice at once is done once."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction
from django.test import Client

from monitoring.api import tokens
from monitoring.models import IdempotentReply
from patients import access
from patients.changes import Actor
from patients.models import BmiReading, Visit

VISIT = {"on": "2026-03-05", "facts": [{"kind": "bmi", "on": "2026-03-05", "values": {"value": 24}}]}


@pytest.fixture
def written(committed_database, django_db_blocker, make_clinic, enrol):
    """The path of a committed patient's facts, and the secret of a token."""
    with django_db_blocker.unblock():
        with transaction.atomic():
            clinic = make_clinic("Northside Hip Clinic")
            patient = enrol(clinic)
            _token, secret = tokens.issue(
                name="lab", clinic=clinic, scopes=["read", "record"], days=1, by=Actor(name="Ada")
            )
        yield f"/api/v1/patients/{patient.pk}/facts/", secret, clinic


def post(path, secret, **headers):
    try:
        headers = {"Authorization": f"Bearer {secret}", **headers}
        return Client().post(path, json.dumps(VISIT), content_type="application/json", headers=headers)
    finally:
        connections.close_all()


def test_one_write_sent_by_many_at_once_is_done_once(written):
    path, secret, clinic = written
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(post, path, secret, **{"Idempotency-Key": "visit-1"}) for _ in range(6)]
        answers = [call.result() for call in calls]
    assert [answer.status_code for answer in answers] == [201] * 6
    assert sum("Idempotent-Replay" in answer.headers for answer in answers) == 5
    assert all(answer.json() == answers[0].json() for answer in answers)
    with transaction.atomic():
        access.bind_clinics([clinic.pk])
        assert (BmiReading.objects.count(), Visit.objects.count(), IdempotentReply.objects.count()) == (1, 1, 1)


def test_of_many_who_have_read_the_same_version_one_writes(written):
    path, secret, clinic = written
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(post, path, secret, **{"If-Match": '"1"'}) for _ in range(6)]
        codes = sorted(call.result().status_code for call in calls)
    assert codes == [201, 412, 412, 412, 412, 412]
    with transaction.atomic():
        access.bind_clinics([clinic.pk])
        assert BmiReading.objects.count() == 1

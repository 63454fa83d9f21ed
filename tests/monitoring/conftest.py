"""Fixtures of several of these tests: callers of the API, and somebody who is watched."""

import json
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from monitoring.api import tokens
from patients import access, recording
from patients.changes import Actor
from patients.models import Clinic

NOON = datetime(2026, 7, 8, 12, tzinfo=UTC)
ALL = ("read", "record", "work", "decide")


class Caller:
    """Calls the API with a token, or with none; the test's transaction sees every clinic again afterwards."""

    def __init__(self, secret=None):
        self.client = Client(raise_request_exception=True)
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    def __call__(self, method, path, body=None, *, raw=None, content_type="application/json", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = raw if raw is not None else b"" if body is None else json.dumps(body)
        kind = content_type if sent or body is not None else None
        extra = {"content_type": kind} if kind else {}
        answer = self.client.generic(
            method, path if path.startswith("/") else f"/api/v1/{path}", sent, headers=self.headers | named, **extra
        )
        access.bind_clinics(Clinic.objects.values_list("id", flat=True))
        return answer

    def get(self, path, **headers):
        return self("GET", path, **headers)

    def post(self, path, body, **headers):
        return self("POST", path, body, **headers)

    def patch(self, path, body, **headers):
        return self("PATCH", path, body, **headers)


@pytest.fixture
def issue_token():
    def issue(clinic, *scopes, name="lab", days=30):
        return tokens.issue(name=name, clinic=clinic, scopes=scopes or ALL, days=days, by=Actor(name="Ada Okoye"))

    return issue


@pytest.fixture
def caller(issue_token):
    """`caller(clinic, "read")`: calls with a new token of these scopes, of all unless told; `caller()` has none."""
    cache.clear()

    def make(clinic=None, *scopes):
        return Caller(issue_token(clinic, *scopes)[1] if clinic else None)

    return make


@pytest.fixture
def api(caller, clinic):
    """Calls with a token that may do everything in the clinic."""
    return caller(clinic)


@pytest.fixture
def watched(clinic, enrol, actor):
    """Somebody with a baseline, who is seen at noon on 8 Jul 2026."""
    from tests.monitoring.test_patient_page import baseline

    with time_machine.travel(NOON, tick=False):
        patient = enrol(clinic)
        recording.record_facts(patient.pk, baseline(), by=actor)
        yield patient


@pytest.fixture
def client_(watched, clinic, make_user, sign_in):
    return sign_in(make_user(clinic, "coordinator"))

"""The API against its own document: whatever is sent, the answer is one that the document describes."""

from collections import Counter

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from monitoring.models import ReviewCase
from patients import access, recording
from patients.models import Clinic, Imaging, Patient, SymptomReport
from patients.vocabulary import Side

load_all_checks()
JUDGES = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@pytest.fixture
def application(db, settings):
    """The site as its server calls it, in the transaction of the test."""
    settings.API_CALLS_A_MINUTE = settings.API_ANONYMOUS_CALLS_A_MINUTE = 10**9
    cache.clear()
    yield get_wsgi_application()
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture
def schema(application):
    document = Client().get("/api/schema/", headers={"accept": "application/json"}).json()
    loaded = schemathesis.openapi.from_dict(document)
    loaded.app = application
    request_started.disconnect(close_old_connections)  # the test's transaction would end with its connection
    request_finished.disconnect(close_old_connections)
    return loaded


@pytest.fixture
def known(clinic, patient, actor):
    """What there is, by the names of path parameters."""
    day = patient.enrolled_on
    hurts = SymptomReport(on=day, source="patient", symptomatic=True, pain_nrs=5, pain_site="groin")
    facts = [(Side.LEFT, Imaging(on=day, modality="MR", necrosis=True)), (Side.LEFT, hurts)]
    recorded = recording.record_facts(patient.pk, facts, by=actor)
    cases = list(ReviewCase.objects.values_list("pk", flat=True))
    return {"patients": [patient.pk], "reviews": cases or [1], "key": [fact.key for fact in recorded.facts]}


def aimed(case, known, data):
    """Most calls go to things that there are: chance would hardly ever find one."""
    parameters = dict(case.path_parameters or {})
    for name in parameters:
        there = known["key"] if name == "key" else known["reviews" if "reviews" in case.operation.path else "patients"]
        if data.draw(st.integers(0, 9)) < 7:
            parameters[name] = data.draw(st.sampled_from(there))
    case.path_parameters = parameters
    return case


def fuzz(operation, mode, known, headers, examples):
    """Send so many made-up calls of one operation and judge the answers; returns their status codes."""
    codes = Counter()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def send(data):
        case = aimed(data.draw(operation.as_strategy(generation_mode=mode)), known, data)
        answer = case.call(headers=headers)
        codes[answer.status_code] += 1
        access.bind_clinics(Clinic.objects.values_list("id", flat=True))
        case.validate_response(answer, checks=JUDGES, headers=headers)

    send()
    return codes


def operations(schema):
    return [found.ok() for found in schema.get_all_operations()]


def fuzz_all(schema, known, headers, examples):
    """Every operation in both manners; the faults of all of them at once."""
    codes, faults = Counter(), []
    for operation in operations(schema):
        for mode in MODES:
            try:
                codes += fuzz(operation, mode, known, headers, examples)
            except (Exception, BaseExceptionGroup) as fault:
                if "cannot be negated" in str(fault) or "Unsatisfiable" in type(fault).__name__:
                    continue  # nothing that is sent to it could be wrong
                faults.append(f"{operation.label} ({mode.value}): {str(fault)[:1500]}")
    print(f"\n{sum(codes.values())} requests of {len(operations(schema))} operations: {dict(sorted(codes.items()))}")
    assert not faults, "\n\n".join(faults)
    return codes


@pytest.mark.slow
def test_many_calls_of_each_operation_are_answered_as_the_document_says(schema, known, issue_token, clinic):
    headers = {"Authorization": f"Bearer {issue_token(clinic)[1]}"}
    codes = fuzz_all(schema, known, headers, examples=40)
    assert sum(codes.values()) >= 1000


@pytest.mark.slow
@pytest.mark.parametrize("credentials", ["none", "wrong", "another clinic", "read only"])
def test_no_operation_answers_who_may_not_ask(schema, known, issue_token, clinic, other_clinic, credentials):
    """Every operation that names a scope, with a call that is otherwise right."""
    token = {
        "none": "",
        "wrong": "hw_" + "x" * 43 + "_00000000",
        "another clinic": issue_token(other_clinic)[1],
        "read only": issue_token(clinic, "read")[1],
    }[credentials]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    before = Patient.objects.count()
    for operation in operations(schema):
        ways = operation.definition.raw.get("security") or [{}]
        if {} in ways or (credentials == "read only" and ways[0]["token"] == ["read"]):
            continue  # open to everybody, or to this token
        path = operation.path.replace("{key}", known["key"][0])
        path = path.replace("{id}", "{pk}").replace(
            "{pk}", str(known["reviews" if "reviews" in path else "patients"][0])
        )
        answer = Client().generic(operation.method.upper(), path, b"{}", "application/json", headers=headers)
        access.bind_clinics(Clinic.objects.values_list("id", flat=True))
        allowed = {"none": {401}, "wrong": {401}, "read only": {403}, "another clinic": {404, 422, 200}}[credentials]
        assert answer.status_code in allowed, f"{operation.label}: {answer.status_code}"
        if credentials == "another clinic":
            assert "{pk}" not in operation.path or answer.status_code == 404, operation.label
            assert "Marta" not in answer.content.decode(), operation.label
    assert Patient.objects.count() == before

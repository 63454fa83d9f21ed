"""API routes: who may call which, that the document tells of each, and that nothing sent to one makes it fall over."""

import json
import random
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from monitoring.api.facts import FIELDS
from monitoring.models import ReviewCase
from patients import recording
from patients.models import Imaging, SymptomReport
from patients.vocabulary import Side
from tests.guideline.strategies import make_as_of, make_record

# What a call without a token, of one that reads, of one that may all, and of another clinic's one gets, by route and
# method. A method that is not named here is not there: 405.
OWN = {"none": 401, "read": 200, "full": 200, "other": 200}  # a list: the other clinic's is empty
ONE = {"none": 401, "read": 200, "full": 200, "other": 404}
PUBLIC = dict.fromkeys(OWN, 200)


def write(code=200, other=404):
    return {"none": 401, "read": 403, "full": code, "other": other}


VISIT = {
    "on": "2026-03-05",
    "facts": [{"kind": "bmi", "on": "2026-03-05", "values": {"value": 24}}],
}
PERSON = {"record_number": "N-1", "family_name": "Lindqvist", "enrolled_on": "2026-01-10"}
RECORD = {"record": {"patient": {"enrolled_on": "2026-01-10"}}, "as_of": "2026-03-05"}
MATRIX = {
    "api_schema": {"GET": (None, PUBLIC)},
    "api_schema_yaml": {"GET": (None, PUBLIC)},
    "api_docs": {"GET": (None, PUBLIC)},
    "api_patients": {"GET": (None, OWN), "POST": (PERSON, write(201, 201))},
    "api_patient": {"GET": (None, ONE), "PATCH": ({"given_name": "Eva"}, write())},
    "api_patient_wishes": {"POST": ({"channel": "letter", "allowed": True, "how": "by telephone"}, write())},
    "api_patient_death": {"POST": ({"died_on": "2026-03-04", "source": "letter"}, write())},
    "api_patient_hips": {"GET": (None, ONE)},
    "api_patient_facts": {"GET": (None, ONE), "POST": (VISIT, write(201))},
    "api_withdraw": {"POST": ({"reason": "the other hip"}, write())},
    "api_hips": {"GET": (None, OWN)},
    "api_plans": {"GET": (None, OWN)},
    "api_flags": {"GET": (None, OWN)},
    "api_reviews": {"GET": (None, OWN)},
    "api_review": {"GET": (None, ONE)},
    "api_review_notes": {"GET": (None, ONE), "POST": ({"text": "Friday"}, write(201))},
    "api_decide": {"POST": ({"outcome": "observe", "reason": "x", "on": "2026-03-05"}, write())},
    "api_reminders": {"GET": (None, OWN)},
    "api_assess": {"POST": (RECORD, PUBLIC)},
}
ABOUT = {"api_schema", "api_schema_yaml", "api_docs"}  # what tells of the API is not part of it
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes():
    """Every named route under /api/, as (name, route)."""
    found = {}
    for pattern in get_resolver().url_patterns:
        if str(pattern.pattern) == "api/":
            found = {inner.name: str(inner.pattern) for inner in pattern.url_patterns if inner.name}
    return found


def test_every_route_has_its_row():
    assert set(routes()) == set(MATRIX)


@pytest.fixture
def painful(clinic, enrol, actor):
    with time_machine.travel("2026-03-05 12:00 +0000", tick=False):
        patient = enrol(clinic)
        lesion = Imaging(on="2026-01-10", modality="MR", necrosis=True, lesion_volume_percent=12)
        pain = SymptomReport(on="2026-03-03", source="patient", symptomatic=True, pain_nrs=3)
        recording.record_facts(patient.pk, [(Side.LEFT, lesion), (Side.LEFT, pain)], by=actor)
        yield {
            "pk": patient.pk,
            "case": ReviewCase.objects.filter(patient=patient, state="open", action="CORE_DECOMPRESSION_REVIEW")
            .get()
            .pk,
            "key": SymptomReport.objects.get(patient=patient).key,
        }


def address(name, painful):
    pk = painful["case"] if name.startswith(("api_review", "api_decide")) else painful["pk"]
    route = routes()[name].replace("<int:pk>", str(pk))
    return "/api/" + route.replace("<slug:key>", painful["key"])


QUICKLY = {"api_patient", "api_patient_facts", "api_decide", "api_reviews"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICKLY else pytest.mark.slow) for n in routes()])
def test_who_may_call_what(name, caller, clinic, other_clinic, painful):
    callers = {
        "none": caller(),
        "read": caller(clinic, "read"),
        "other": caller(other_clinic),
        "full": caller(clinic),  # the last: only these calls change anything
    }
    path = address(name, painful)
    for who, call in callers.items():
        not_there = 405 if name in {*ABOUT, "api_assess"} or who != "none" else 401
        for method in METHODS:
            body, row = MATRIX[name].get(method, ({}, dict.fromkeys(OWN, not_there)))
            answer = call(method, path, None if method == "GET" else body)
            assert (who, method, answer.status_code) == (who, method, row[who]), answer.content[:400]
            if answer.status_code >= 400 and name != "api_docs":
                assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_each_address_is_known_with_and_without_a_slash_at_its_end(name, api, painful):
    if name in ABOUT:
        return
    path = address(name, painful)
    other = path[:-1] if path.endswith("/") else f"{path}/"
    method = next(iter(MATRIX[name]))
    body, row = MATRIX[name][method]
    assert api(method, other, body).status_code == row["full"]


# The document


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(request=None, public=True)


def test_the_document_is_valid_and_made_without_a_warning(document):
    validate_schema(document)
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_the_document_tells_of_every_route_and_of_no_other(document):
    told = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    wanted = {
        ("/api/" + route.replace("<int:pk>", "{id}").replace("<slug:key>", "{key}"), method)
        for name, route in routes().items()
        if name not in ABOUT
        for method in MATRIX[name]
    }
    assert told == wanted


def test_every_reference_of_the_document_leads_somewhere(document):
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])


def fits(document, schema, value):
    registry = Registry().with_resource("urn:api", Resource.from_contents(document, default_specification=DRAFT202012))
    pointed = json.loads(json.dumps(schema).replace('"#/components', '"urn:api#/components'))
    validator = Draft202012Validator(pointed, registry=registry, format_checker=FormatChecker())
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(value)]


@pytest.mark.parametrize("name", [name for name in MATRIX if name not in ABOUT])
def test_answers_are_as_the_document_tells(name, api, painful, document):
    for method, (body, row) in MATRIX[name].items():
        path = address(name, painful)
        answer = api(method, path, body)
        route = "/api/" + routes()[name].replace("<int:pk>", "{id}").replace("<slug:key>", "{key}")
        told = document["paths"][route][method.lower()]["responses"]
        assert answer.status_code == row["full"]
        schema = told[str(answer.status_code)]["content"]["application/json"]["schema"]
        assert fits(document, schema, answer.json()) == []


def test_a_problem_is_as_the_document_tells(api, document):
    answer = api.post("patients/", {})
    schema = document["paths"]["/api/v1/patients/"]["post"]["responses"]["422"]["content"]["application/problem+json"]
    assert fits(document, schema["schema"], answer.json()) == []


def test_the_schema_is_public_in_both_notations(client, db):
    assert client.get("/api/schema/").json()["openapi"].startswith("3.1")
    assert client.get("/api/schema/", headers={"Accept": "application/yaml"}).content.startswith(b"openapi:")
    assert client.get("/api/schema.yaml", headers={"Accept": "text/html,*/*;q=0.8"}).content.startswith(b"openapi:")


# Assess


def test_assess_answers_as_the_command_does(caller, db, tmp_path, document):
    for seed in range(40):
        rng = random.Random(seed)
        record = make_record(rng)
        as_of = make_as_of(rng, record).isoformat()
        file = tmp_path / "record.json"
        file.write_text(json.dumps(record))
        out = StringIO()
        call_command("assess", str(file), "--as-of", as_of, "--json", stdout=out)
        answer = caller().post("assess", {"record": record, "as_of": as_of})
        assert (answer.status_code, answer.json()) == (200, json.loads(out.getvalue()))
        assert fits(document, {"$ref": "#/components/schemas/AssessRecord"}, record) == []


def test_assess_tells_every_problem_by_its_path(caller, db):
    record = {"patient": {"enrolled_on": "soon"}, "hips": [{"side": "left", "imaging": [{"id": "a"}], "x": 1}]}
    answer = caller().post("assess", {"record": record, "as_of": "2026-02-30"})
    assert answer.status_code == 422
    assert {entry["path"] for entry in answer.json()["errors"]} == {
        "$.patient.enrolled_on", "$.hips[0].x", "$.hips[0].imaging[0].on", "$.hips[0].imaging[0].modality", "as_of",
    }  # fmt: skip


def test_assess_takes_json_alone_and_not_too_much(caller, db):
    nobody = caller()
    assert nobody("POST", "assess", raw=b"{}", content_type="text/plain").status_code == 415
    assert nobody("POST", "assess", raw=b"{}", content_type="application/xml").status_code == 415
    assert nobody("POST", "assess", raw=b"{}", content_type="application/json; charset=utf-8").status_code == 422
    assert nobody("POST", "assess", raw=b" " * 1_100_000).status_code == 413
    assert nobody("POST", "assess", raw=b"").status_code in {415, 422}
    assert nobody.get("assess").status_code == 405


def test_assess_says_back_what_utf_8_cannot(caller, db):
    hip = '{"side": "left", "symptoms": [{"id": "\\ud800", "on": "2026-03-03", "source": "patient", "pain_nrs": 9}]}'
    raw = f'{{"record": {{"patient": {{"enrolled_on": "2026-01-10"}}, "hips": [{hip}]}}, "as_of": "2026-03-05"}}'
    answer = caller()("POST", "assess", raw=raw.encode())
    assert answer.status_code == 200 and b"\\ud800" in answer.content


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)


def wounded(record, rng, value):
    """The record with one of its values, anywhere in it, put to another."""
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(record)
    node, key = rng.choice(places)
    node[key] = value
    return record


@FUZZ
@given(seed=st.integers(0, 10_000), value=JSON, as_of=st.dates().map(str) | JSON)
def test_assess_never_falls_over(caller, db, settings, seed, value, as_of):
    settings.API_ANONYMOUS_CALLS_A_MINUTE = 10**6
    rng = random.Random(seed)
    question = {"record": wounded(make_record(rng), rng, value), "as_of": as_of}
    raw = json.dumps(question).encode()
    assert caller()("POST", "assess", raw=raw).status_code in {200, 400, 422}


@FUZZ
@given(raw=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_assess_never_falls_over_any_bytes(caller, db, settings, raw):
    settings.API_ANONYMOUS_CALLS_A_MINUTE = 10**6
    assert caller()("POST", "assess", raw=raw or b" ").status_code in {400, 422}


@FUZZ
@given(
    kind=st.sampled_from(
        ["imaging", "staging", "symptom", "score", "procedure", "decision", "location", "ending", "bmi", "x"]
    ),
    data=st.data(),
)
def test_facts_never_fall_over(api, painful, settings, kind, data):
    settings.API_CALLS_A_MINUTE = 10**6
    fields = [*FIELDS.get(kind, {}), "on", "id"]
    values = data.draw(st.dictionaries(st.sampled_from(fields), JSON, max_size=6))
    fact = {"kind": kind, "side": data.draw(st.sampled_from(["left", "right", None])), "on": "2026-03-01"}
    body = {"on": "2026-03-05", "facts": [{**fact, "values": values}]}
    assert api.post(f"patients/{painful['pk']}/facts/", body).status_code in {201, 400, 422}


@FUZZ
@given(body=st.dictionaries(st.sampled_from([*PERSON, "born_on", "email", "telephone", "conditions", "sex"]), JSON))
def test_enrolment_never_falls_over(api, settings, body):
    settings.API_CALLS_A_MINUTE = 10**6
    assert api.post("patients/", {**PERSON, **body}).status_code in {201, 400, 409, 422}

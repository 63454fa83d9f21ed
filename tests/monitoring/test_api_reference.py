"""The API's reference: every call is told, its examples are true to the document, its links lead somewhere."""

import json
import re
import shlex

import pytest
from drf_spectacular.generators import SchemaGenerator

from monitoring.api import samples
from monitoring.api.reference import narrowed, reference_of
from tests.monitoring.test_api_routes import MATRIX, fits


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture(scope="module")
def whole(document):
    return reference_of(document, base="https://hipwatch.example/", samples=samples.by_name())


def called(whole, name):
    return next(operation for operation in whole.operations() if operation.id == name)


def field(shape, name):
    return next(field for field in shape.fields if field.name == name)


def test_every_call_of_the_document_is_told_once(whole, document):
    told = sorted((operation.path, operation.method.lower()) for operation in whole.operations())
    assert told == sorted((path, method) for path, item in document["paths"].items() for method in item)
    assert len({operation.id for operation in whole.operations()}) == len(told)


def test_each_call_names_the_scope_that_it_needs(whole):
    scopes = {operation.id: operation.scopes for operation in whole.operations()}
    assert scopes["patients_list"] == ("read",) and scopes["patients_create"] == ("record",)
    assert scopes["reviews_notes_create"] == ("work",) and scopes["reviews_decide_create"] == ("decide",)
    assert scopes["assess_create"] == ()


def test_every_example_fits_what_the_document_says_of_it(whole, document):
    wrong = []
    for operation in whole.operations():
        said = document["paths"][operation.path][operation.method.lower()]
        pairs = [(said["responses"][answer.status], answer.example) for answer in operation.answers if answer.example]
        pairs += [(said["requestBody"], example) for example in operation.examples]
        for place, example in pairs:
            schema = next(iter(place["content"].values()))["schema"]
            wrong += [f"{operation.id}: {fault}" for fault in fits(document, schema, json.loads(example.json))]
    assert wrong == []
    assert fits(document, {"$ref": "#/components/schemas/ProblemOut"}, json.loads(whole.problem.json)) == []


def test_fields_have_types_limits_and_values(whole):
    body = called(whole, "patients_create").body
    assert [one.name for one in body.fields if one.required] == ["record_number", "family_name", "enrolled_on"]
    assert field(body, "record_number").limits == ("maxLength: 32",)
    assert field(body, "born_on").type.words == "string (date) or null"
    assert field(body, "email").type.words == "string (email)"
    assert field(body, "sex").type.values == ("female", "male", "other", "unknown")
    wishes = field(body, "contact_wishes").type
    assert wishes.parts() == [("array", False), ("of", False), ("ContactWishIn", True)]


def test_an_object_without_a_name_is_told_where_it_stands(whole):
    patient = next(shape for shape in whole.shapes if shape.name == "AssessPatient")
    assert field(patient, "bmi[].value").type.words == "number"


def test_what_an_error_means_is_told_once_and_every_call_names_its_errors(whole, document):
    meanings = {error.status: error.description for error in whole.errors}
    for operation in whole.operations():
        said = document["paths"][operation.path][operation.method.lower()]["responses"]
        assert {answer.status for answer in operation.answers} | set(operation.errors) == set(said)
        assert all(said[status]["description"] == meanings[status] for status in operation.errors)
    assert called(whole, "patients_list").errors == ("400", "401", "403", "422", "429")


def test_a_curl_line_is_one_command_with_the_token_and_the_example(whole):
    line = called(whole, "patients_facts_withdraw_create").curl
    words = shlex.split(line)
    assert words[:2] == ["curl", "https://hipwatch.example/api/v1/patients/12/facts/symptom-7/withdraw/"]
    assert "Authorization: Bearer $TOKEN" in words and json.loads(words[-1]) == {"reason": "it was the other hip"}
    assert called(whole, "patients_partial_update").curl.startswith("curl -X PATCH ")
    assert "Authorization" not in called(whole, "assess_create").curl
    assert shlex.split(called(whole, "hips_list").curl)[-1] == "Authorization: Bearer $TOKEN"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("withdraw reason", {"patients_facts_withdraw_create"}),
        ("PATCH", {"patients_partial_update"}),
        ("not_the_same", {"patients_create"}),
        ("comment CASE", {"reviews_notes_create"}),
        ("no such words", set()),
    ],
)
def test_a_search_finds_calls_by_all_of_its_words(whole, query, found):
    assert {operation.id for operation in narrowed(whole, query).operations()} == found


def test_a_search_keeps_the_shapes_that_it_needs_and_no_others(whole):
    names = {shape.name for shape in narrowed(whole, "notes").shapes}
    assert "NoteOut" in names and "AssessRecord" not in names
    assert narrowed(whole, "") == whole


@pytest.mark.parametrize("query", ["", "withdraw", "assess", "notes", "nothing at all"])
def test_every_link_within_the_page_leads_somewhere(client, db, query):
    text = client.get("/api/docs/", {"q": query}).content.decode()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="[^"]*#([^"]+)"', text)) <= set(ids)
    assert set(re.findall(r'(?:aria-labelledby|data-copy)="([^"]+)"', text)) <= set(ids)


def test_the_page_needs_nothing_from_elsewhere(client, db):
    page = client.get("/api/docs/")
    fetched = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in fetched)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "swagger" not in page.content.decode().lower()


def test_the_frame_is_german_and_the_descriptions_are_marked_as_english(client, db):
    text = client.get("/api/docs/", headers={"Accept-Language": "de"}).content.decode()
    assert "API-Referenz" in text and "Braucht das Recht" in text
    assert f'<p lang="en">{"Enrol a patient, with both hips."}' in text


def test_what_is_sought_is_said_back_safely(client, db):
    text = client.get("/api/docs/", {"q": '"><script>x</script>'}).content.decode()
    assert "<script>x" not in text and "No call has all these words" in text


def test_there_is_a_row_for_each_call_of_the_matrix(whole):
    wanted = sum(len(methods) for name, methods in MATRIX.items() if not name.startswith(("api_schema", "api_docs")))
    assert sum(1 for _ in whole.operations()) == wanted

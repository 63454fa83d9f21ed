"""Over HTTP: headers of every page, forged forms, faults that save nothing, signing out."""

import contextlib
import gzip
import uuid
from datetime import date

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from monitoring.api import tokens
from monitoring.web import visit
from patients.changes import Actor
from patients.models import Patient, Visit
from tests.journeys import addresses

PATHS = [
    "/",
    "/patients/",
    "/review/",
    "/messages/",
    "/import/",
    "/protocol/",
    "/account/2fa/",
    "/no/such/page/",
    "/api/docs/",
]


@pytest.fixture
def desk(clinic, make_user, client):
    """A signed-in coordinator whose browser checks nothing for us: forged requests are refused by the site."""
    checked = Client(enforce_csrf_checks=True, raise_request_exception=False)
    checked.force_login(make_user(clinic, "coordinator"), backend="allauth.account.auth_backends.AuthenticationBackend")
    return checked


def policy_of(answer):
    parts = answer["Content-Security-Policy"].split(";")
    return {words[0]: words[1:] for words in (part.split() for part in parts) if words}


@pytest.mark.parametrize("path", [*PATHS, "/account/login/"])
def test_every_page_forbids_what_no_page_needs(desk, client, path):
    answer = (client if path.startswith("/account/login") else desk).get(path)
    policy = policy_of(answer)
    assert policy["default-src"] == ["'none'"] and policy["frame-ancestors"] == ["'none'"]
    assert "'unsafe-inline'" not in policy["script-src"] and "'unsafe-eval'" not in policy["script-src"]
    assert "'unsafe-inline'" not in policy["style-src"]
    assert answer["X-Frame-Options"] == "DENY" and answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin" and "camera=()" in answer["Permissions-Policy"]
    assert "no-store" in answer["Cache-Control"] and answer["X-Request-Id"]
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


def test_no_view_is_excused_from_the_token_but_those_that_no_session_opens():
    excused = {name for name, view in addresses.views() if getattr(view, "csrf_exempt", False)}
    assert excused == {*addresses.BY_LINK, "mail_events", "api_schema", "api_schema_yaml"}  # the last two are read


@pytest.mark.slow
def test_no_route_takes_a_form_without_its_token(desk, patient, subtests):
    for name in sorted(addresses.routes().keys() - addresses.BY_LINK):
        with subtests.test(name):
            answer = desk.post(_path_of(name, patient))
            if name == "mail_events":  # takes no form: signed posts of the provider that is set; here there is none
                assert answer.status_code == 404
                continue
            assert answer.status_code in {403, 405}, answer.status_code
            if answer.status_code == 403:
                assert "too old to be sent" in answer.content.decode()


def _path_of(name, patient):
    """An address of that route; what it is asked for need not exist, the token is judged first."""
    if name in addresses.SAMPLES:
        return addresses.SAMPLES[name](addresses.Samples(patient.pk, 1, "imaging-1", 1, 1))[0]
    for arguments in ([], [1], ["all", "csv"], ["due", "en"], ["x"], [1, "submit"], [uuid.UUID(int=1)]):
        with contextlib.suppress(NoReverseMatch):
            return reverse(name, args=arguments)
    raise AssertionError(f"No address of {name} is known.")


def test_pages_travel_compressed_and_never_twice_at_the_same_length(desk):
    pages = [desk.get("/protocol/", headers={"Accept-Encoding": "gzip"}) for _ in range(8)]
    assert {page["Content-Encoding"] for page in pages} == {"gzip"}
    assert "Accept-Encoding" in pages[0]["Vary"] and len({len(page.content) for page in pages}) > 1
    assert b"</html>" in gzip.decompress(pages[0].content)
    assert not desk.get("/protocol/").has_header("Content-Encoding"), "who does not ask for it gets it plain"


def test_what_the_api_answers_is_not_compressed(desk, clinic, patient):
    secret = tokens.issue(name="lab", clinic=clinic, scopes=("read",), days=30, by=Actor(name="Ada"))[1]
    asked = {"Authorization": f"Bearer {secret}", "Accept-Encoding": "gzip"}
    answer = Client(headers=asked).get(f"/api/v1/patients/{patient.pk}/")
    assert answer.status_code == 200 and not answer.has_header("Content-Encoding")
    assert answer["ETag"].startswith('"'), "a strong one, which If-Match takes"


def test_an_unknown_page_says_so_in_the_frame_of_the_site(desk):
    answer = desk.get("/no/such/page/")
    text = answer.content.decode()
    assert answer.status_code == 404 and "This page does not exist" in text and "hipwatch.css" in text


@pytest.fixture
def faulty(monkeypatch):
    """The visit is written, and then the server fails."""

    def fail(*_arguments, **_named):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(visit.messages, "success", fail)


def test_a_fault_shows_its_number_saves_nothing_and_is_logged(faulty, clinic, make_user, patient, sign_in, caplog):
    signed_in = sign_in(make_user(clinic, "coordinator"))
    signed_in.raise_request_exception = False
    version = Patient.objects.get(pk=patient.pk).record_version
    form = {"on": date.today(), "kind": "clinic", "record_version": version, "seen_entry": 0}
    answer = signed_in.post(f"/patients/{patient.pk}/visit/", {**form, "left-symptom-symptomatic": "no"})
    text = answer.content.decode()
    assert answer.status_code == 500 and "Something went wrong here" in text
    assert answer["X-Request-Id"] in text and "on fire" not in text and patient.family_name not in text
    assert not Visit.objects.exists() and Patient.objects.get(pk=patient.pk).record_version == version
    assert "on fire" in caplog.text


def test_one_signs_out_by_a_form_only_and_is_out_then(client, clinic, make_user, sign_in):
    signed_in = sign_in(make_user(clinic, "coordinator"))
    signed_in.get("/account/logout/")
    assert signed_in.get("/").status_code == 200, "a link signs nobody out"
    signed_in.post("/account/logout/")
    assert signed_in.get("/").url.startswith("/account/login/")


def test_a_stranger_reads_no_page(db, client):
    samples = addresses.Samples(1, 1, "imaging-1", 1, 1)
    open_to_all = {"/protocol/", "/api/docs/", "/account/inactive/"}
    for path in addresses.pages(samples, signed_in=True):
        answer = client.get(path)
        allowed = path in open_to_all or (answer.status_code == 302 and "/account/" in answer.url)
        assert allowed, f"{path}: {answer.status_code}"

"""API: the same actions and the same door to rows as the pages, for other systems."""

import json
from datetime import UTC, date, datetime

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monitoring.models import AuditEntry, IdempotentReply, ReviewCase
from patients import recording
from patients.models import Decision, Ending, Imaging, Patient, SymptomReport, Visit
from patients.vocabulary import Side

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def fact(kind, on, side="left", **values):
    return {"kind": kind, "side": side, "on": on, "values": values}


def baseline(on="2026-01-10"):
    return [
        fact(
            "imaging", on, modality="MR", necrosis=True, lesion_volume_percent=12, volume_method="MRI_3D_SEGMENTATION"
        ),
        fact("imaging", on, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"]),
        fact("symptom", on, source="clinician", symptomatic=False, pain_nrs=0),
        fact("imaging", on, "right", modality="MR", necrosis=False),
    ]


PAIN = {"on": "2026-03-03", "facts": [fact("symptom", "2026-03-03", source="patient", pain_nrs=3, symptomatic=True)]}
PERSON = {
    "record_number": "A-1",
    "family_name": "Lindqvist",
    "given_name": "Ebba",
    "born_on": "1990-03-10",
    "enrolled_on": "2026-01-10",
    "email": "ebba@mail.example",
    "telephone": "+44 20 7946 0018",
    "contact_wishes": [{"channel": "email", "allowed": True, "how": "on paper"}],
    "conditions": ["glucocorticoid"],
}


@pytest.fixture
def watched(api):
    pk = api.post("patients/", PERSON).json()["id"]
    assert api.post(f"patients/{pk}/facts/", {"on": "2026-01-10", "facts": baseline()}).status_code == 201
    return pk


def pointers(answer):
    assert answer.headers["Content-Type"] == "application/problem+json"
    return [entry.get("pointer", entry.get("parameter")) for entry in answer.json().get("errors", [])]


# The way of one patient


def test_enrol_record_review_decide_all_through_the_api(api, watched):
    plan = api.get(f"plans/?state=current&patient={watched}").json()["results"]
    assert [(p["side"], p["pathway"], p["due_on"]) for p in plan if p["side"] == "left"] == [
        ("left", "observation", "2026-07-10")
    ]
    hurt = api.post(f"patients/{watched}/facts/", PAIN)
    assert hurt.status_code == 201 and hurt.json()["facts"][0].startswith("symptom-")
    assert {hip["side"]: hip["pathway"] for hip in hurt.json()["hips"]}["left"] == "symptomatic"
    case = api.get(f"reviews/?patient={watched}").json()["results"][0]
    assert (case["action"], case["act_by"], case["evidence"]) == (
        "CORE_DECOMPRESSION_REVIEW",
        "2026-03-17",
        hurt.json()["facts"],
    )
    verdict = {"outcome": "observe", "reason": "mild, wants to wait", "on": "2026-03-05"}
    decided = api.post(f"reviews/{case['id']}/decide/", verdict)
    assert (decided.status_code, decided.json()["state"]) == (200, "decided")
    assert decided.json()["decision"]["reason"] == "mild, wants to wait"
    assert api.get(f"reviews/?patient={watched}").json()["results"] == []
    (now,) = api.get(f"plans/?state=current&patient={watched}&pathway=symptomatic").json()["results"]
    assert now["due_on"] == "2026-04-10"


def test_a_decided_case_is_not_decided_twice(api, watched):
    api.post(f"patients/{watched}/facts/", PAIN)
    case = ReviewCase.objects.get(patient=watched)
    verdict = {"outcome": "observe", "reason": "first", "on": "2026-03-05"}
    assert api.post(f"reviews/{case.pk}/decide/", verdict).status_code == 200
    again = api.post(f"reviews/{case.pk}/decide/", verdict)
    assert again.status_code == 409 and "closed meanwhile" in again.json()["detail"]
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(("on", "place"), [("2026-03-01", "/on"), ("2027-01-01", "/on"), ("soon", "/on")])
def test_a_decision_on_an_impossible_day_is_refused_at_its_field(api, watched, on, place):
    api.post(f"patients/{watched}/facts/", PAIN)
    answer = api.post(f"reviews/{ReviewCase.objects.get().pk}/decide/", {"outcome": "observe", "reason": "x", "on": on})
    assert (answer.status_code, pointers(answer)) == (422, [place])


def test_a_case_is_commented_by_the_token(api, watched):
    api.post(f"patients/{watched}/facts/", PAIN)
    case = ReviewCase.objects.get()
    assert api.post(f"reviews/{case.pk}/notes/", {"text": "slot on Friday"}).json()["actor"] == "API: lab"
    assert [note["kind"] for note in api.get(f"reviews/{case.pk}/notes/").json()] == ["opened", "comment"]
    assert api.get(f"reviews/{case.pk}/").json()["state"] == "open"


def test_what_facts_gives_may_be_sent_again(api, watched):
    api.post(f"patients/{watched}/facts/", PAIN)
    more = [
        fact("staging", "2026-02-01", system="ARCO", version="2019", code="I", reader="Dr Berg"),
        fact("score", "2026-02-01", instrument="HHS", value=88.125, items={"pain": 40, "limp": 11.5}),
        fact("procedure", "2026-02-02", procedure="BISPHOSPHONATE", stopped_on="2026-02-20"),
        fact("location", "2026-02-01", jic_type="C1", kerboul_modified_degrees=210.5),
        {"kind": "bmi", "on": "2026-02-01", "values": {"value": 23.4}},
    ]
    assert api.post(f"patients/{watched}/facts/", {"on": "2026-02-01", "facts": more}).status_code == 201
    known = api.get(f"patients/{watched}/facts/").json()
    copied = [{name: one[name] for name in ("kind", "side", "on", "values")} for one in known]
    other = api.post("patients/", {**PERSON, "record_number": "A-2", "given_name": "Nils", "email": ""}).json()["id"]
    answer = api.post(f"patients/{other}/facts/", {"on": "2026-03-03", "kind": "report", "facts": copied})
    assert answer.status_code == 201, answer.json()
    again = api.get(f"patients/{other}/facts/").json()
    assert [(f["kind"], f["side"], f["on"], f["values"]) for f in again] == [
        (f["kind"], f["side"], f["on"], f["values"]) for f in known
    ]
    assert {f["origin"] for f in again} == {"api"}


@pytest.mark.parametrize("items", [{"flexion": 400}, {"motion": {"flexion": 120, "abduction": -10}}])
def test_a_harris_score_from_angles_that_no_hip_has_is_refused(api, watched, items):
    score = fact("score", "2026-02-01", instrument="HHS", value=88, items=items)
    answer = api.post(f"patients/{watched}/facts/", {"on": "2026-02-01", "facts": [score]})
    assert (answer.status_code, pointers(answer)) == (422, ["/facts/0/values/items"])
    assert "in any hip" in answer.json()["errors"][0]["message"]


def test_a_fact_is_corrected_with_a_reason_and_withdrawn_with_one(api, watched):
    key = api.post(f"patients/{watched}/facts/", PAIN).json()["facts"][0]
    body = {"on": "2026-03-03", "facts": [{**PAIN["facts"][0], "supersedes": key}]}
    assert pointers(api.post(f"patients/{watched}/facts/", body)) == ["/facts/0/correction_reason"]
    body["facts"][0]["correction_reason"] = "it was 2"
    newer = api.post(f"patients/{watched}/facts/", body).json()["facts"][0]
    told = {f["id"]: f for f in api.get(f"patients/{watched}/facts/").json()}
    assert (told[newer]["supersedes"], told[newer]["correction_reason"]) == (key, "it was 2")
    gone = api.post(f"patients/{watched}/facts/{newer}/withdraw/", {"reason": "the other hip"})
    assert gone.status_code == 200
    assert gone.headers["ETag"] == f'"{Patient.objects.get(pk=watched).record_version}"'
    assert api.post(f"patients/{watched}/facts/{newer}/withdraw/", {"reason": "again"}).status_code == 422
    assert api.post(f"patients/{watched}/facts/symptom-999999/withdraw/", {"reason": "x"}).status_code == 404


def test_death_and_contact_wishes_take_effect_at_once(api, watched):
    said = {"channel": "email", "allowed": False, "how": "by telephone"}
    wished = api.post(f"patients/{watched}/contact-wishes/", said)
    assert wished.json()["contact_wishes"] == [{**said, "on": "2026-03-05"}]
    assert pointers(api.post(f"patients/{watched}/death/", {"died_on": "2027-01-01", "source": "x"})) == ["/died_on"]
    died = api.post(f"patients/{watched}/death/", {"died_on": "2026-03-04", "source": "letter"})
    assert died.json()["died_on"] == "2026-03-04"
    assert api.get(f"plans/?state=current&patient={watched}").json()["results"] == []


# What a token may


def test_a_decision_needs_its_scope_however_it_is_sent(caller, clinic, api, watched):
    clerk = caller(clinic, "read", "record")
    api.post(f"patients/{watched}/facts/", PAIN)
    decision = fact(
        "decision", "2026-03-05", action="CORE_DECOMPRESSION_REVIEW", outcome="observe", reason="from a record token"
    )
    answer = clerk.post(f"patients/{watched}/facts/", {"on": "2026-03-05", "facts": [decision]})
    assert answer.status_code == 403 and "“decide”" in answer.json()["detail"]
    assert ReviewCase.objects.get().state == "open" and not Decision.objects.exists()
    assert api.post(f"patients/{watched}/facts/", {"on": "2026-03-05", "facts": [decision]}).status_code == 201


@pytest.mark.parametrize(("reason", "code"), [("discharged", 403), ("declined_in_writing", 201)])
def test_a_discharge_needs_the_scope_to_decide(caller, clinic, watched, reason, code):
    ending = fact("ending", "2026-03-05", reason=reason, evidence="letter of 3 March")
    answer = caller(clinic, "read", "record").post(
        f"patients/{watched}/facts/", {"on": "2026-03-05", "facts": [ending]}
    )
    assert answer.status_code == code
    assert Ending.objects.exists() == (code == 201)


def test_a_session_is_no_token(api, watched, sign_in, make_user, clinic):
    client = sign_in(make_user(clinic, "admin", "clinician"))
    assert client.get(f"/api/v1/patients/{watched}/").status_code == 401
    posted = client.post(f"/api/v1/patients/{watched}/facts/", json.dumps(PAIN), content_type="application/json")
    assert posted.status_code == 401 and "Bearer" in posted.headers["WWW-Authenticate"]


def test_the_actor_and_each_look_are_on_record(api, watched):
    api.get(f"patients/{watched}/")
    api.get("hips/?limit=1")
    looks = AuditEntry.objects.filter(act="look").order_by("id")
    assert [(e.actor, e.patient_id, e.object) for e in looks] == [
        ("API: lab", watched, "API patient"),
        ("API: lab", watched, "API hips"),
    ]
    assert set(SymptomReport.objects.values_list("actor", "origin")) == {("API: lab", "api")}


def test_a_list_is_of_ones_own_clinic(caller, api, watched, other_clinic):
    stranger = caller(other_clinic)
    for name in ("patients", "hips", "plans", "flags", "reviews", "reminders"):
        assert stranger.get(f"{name}/").json()["results"] == []
    assert stranger.get(f"hips/?patient={watched}").json()["results"] == []


# What bad input gets


BAD_FACTS = [
    ({"values": {"source": "patient", "pain_nrs": 11}}, "/facts/0/values/pain_nrs"),
    ({"values": {"source": "patient", "pain_nrs": 10**30}}, "/facts/0/values/pain_nrs"),
    ({"values": {"source": "patient", "pain_nrs": "3"}}, "/facts/0/values/pain_nrs"),
    ({"values": {"source": "patient", "pain_nrs": True}}, "/facts/0/values/pain_nrs"),
    ({"values": {"source": "patient", "pain_nrs": 2.5}}, "/facts/0/values/pain_nrs"),
    ({"values": {"source": "patient", "symptomatic": "true"}}, "/facts/0/values/symptomatic"),
    ({"values": {"source": {"a": 1}, "symptomatic": True}}, "/facts/0/values/source"),
    ({"values": {"source": "dog", "symptomatic": True}}, "/facts/0/values/source"),
    ({"values": {"symptomatic": True}}, "/facts/0/values/source"),
    ({"values": {"source": "patient"}}, "/facts/0/values/symptomatic"),
    ({"values": {"source": "patient", "symptomatic": True, "note": []}}, "/facts/0/values/note"),
    ({"values": {"source": "patient", "symptomatic": True, "actor": "me"}}, "/facts/0/values/actor"),
    ({"values": {"source": "patient", "symptomatic": True, "a/b": 1}}, "/facts/0/values/a~1b"),
    ({"values": 7}, "/facts/0/values"),
    ({"on": "2026-13-01"}, "/facts/0/on"),
    ({"on": "2027-01-01"}, "/facts/0/on"),
    ({"on": "1980-01-01"}, "/facts/0/on"),
    ({"side": None}, "/facts/0/side"),
    ({"side": "both"}, "/facts/0/side"),
    ({"kind": "diary"}, "/facts/0/kind"),
    ({"supersedes": "symptom-1"}, "/facts/0/supersedes"),
    ({"supersedes": "symptom-99999999999999999999"}, "/facts/0/supersedes"),
    ({"colour": "red"}, "/facts/0/colour"),
]


def test_a_bad_fact_is_refused_at_its_place_and_nothing_is_saved(api, watched, subtests):
    visits = Visit.objects.count()
    for change, place in BAD_FACTS:
        with subtests.test(place, change=change):
            body = {"on": "2026-03-03", "facts": [{**PAIN["facts"][0], **change}]}
            answer = api.post(f"patients/{watched}/facts/", body)
            assert (answer.status_code, pointers(answer)) == (422, [place])
            assert (Visit.objects.count(), SymptomReport.objects.count()) == (visits, 1)


@pytest.mark.parametrize(
    "values",
    [
        {"modality": "XR", "views": ["AP_PELVIS", "AP_PELVIS"]},
        {"modality": "XR", "views": {}},
        {"modality": "XR", "views": "AP_PELVIS"},
        {"modality": "XR", "views": ["SUNRISE"]},
        {"modality": "MR", "views": ["AP_PELVIS"]},
        {"modality": "MR", "lesion_volume_percent": 12.345},
        {"modality": "MR", "lesion_volume_percent": 1e300},
        {"modality": "MR", "study_instance_uid": "1" * 65},
    ],
)
def test_imaging_that_cannot_be_is_refused(api, watched, values):
    answer = api.post(
        f"patients/{watched}/facts/", {"on": "2026-03-03", "facts": [fact("imaging", "2026-03-03", **values)]}
    )
    assert answer.status_code == 422 and len(set(pointers(answer))) == 1
    assert Imaging.objects.count() == 3


def test_null_is_unknown(api, watched):
    values = {"modality": "XR", "views": None, "note": None, "necrosis": None, "report": None}
    body = {"on": "2026-03-03", "facts": [fact("imaging", "2026-03-03", **values)]}
    assert api.post(f"patients/{watched}/facts/", body).status_code == 201


def test_every_problem_of_a_visit_is_told_and_none_of_its_facts_saved(api, watched):
    bad = fact("imaging", "2026-03-03", modality="XY", effusion_grade=9)
    answer = api.post(f"patients/{watched}/facts/", {"on": "2026-03-03", "facts": [PAIN["facts"][0], bad]})
    assert sorted(pointers(answer)) == ["/facts/1/values/effusion_grade", "/facts/1/values/modality"]
    assert SymptomReport.objects.count() == 1


@pytest.mark.parametrize("on", ["2026-03-06", "1989-01-01"])
def test_a_visit_has_a_possible_day(api, watched, on):
    assert pointers(api.post(f"patients/{watched}/facts/", {**PAIN, "on": on})) == ["/on"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"colour": "red"}, "/colour"),
        ({"born_on": "2027-01-01"}, "/born_on"),
        ({"enrolled_on": "2027-01-01"}, "/enrolled_on"),
        ({"enrolled_on": None}, "/enrolled_on"),
        ({"email": "nowhere"}, "/email"),
        ({"telephone": "12"}, "/telephone"),
        ({"sex": "x"}, "/sex"),
        ({"family_name": "  "}, "/family_name"),
        ({"record_number": "A-1" * 30}, "/record_number"),
        ({"conditions": ["cold"]}, "/conditions/0"),
        ({"contact_wishes": [{"channel": "pigeon", "allowed": True, "how": "x"}]}, "/contact_wishes/0/channel"),
        ({"contact_wishes": PERSON["contact_wishes"] * 2}, "/contact_wishes"),
        ({"national_id": "9434765910", "national_id_kind": "nhs"}, "/national_id"),
    ],
)
def test_a_person_who_cannot_be_is_refused_at_the_field(api, change, place):
    answer = api.post("patients/", PERSON | change)
    assert (answer.status_code, pointers(answer)) == (422, [place])
    assert not Patient.objects.exists()


def test_a_record_number_is_used_once(api, watched):
    assert pointers(api.post("patients/", {**PERSON, "record_number": "a-1"})) == ["/record_number"]


def test_a_likely_duplicate_is_told_before_it_is_saved(api, watched):
    twin = {**PERSON, "record_number": "A-2"}
    told = api.post("patients/", twin)
    assert told.status_code == 409 and f"Patient {watched}:" in told.json()["errors"][0]["message"]
    assert api.post("patients/", {**twin, "not_the_same": [watched]}).status_code == 201


@pytest.mark.parametrize(
    "raw",
    [b"{", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000, b'{"family_name": "a\\u0000b"}',
     b'{"family_name": "\\ud800"}', b'{"a": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_400(api, raw):
    answer = api("POST", "patients/", raw=raw)
    assert answer.status_code == 400 and answer.json()["title"] == "The request cannot be read"


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"7"])
def test_a_body_that_is_no_object_is_422(api, raw):
    assert api("POST", "patients/", raw=raw).status_code == 422


def test_other_media_types_large_bodies_and_unknown_lengths_are_refused(api, settings):
    assert api("POST", "patients/", raw=b"a=1", content_type="application/x-www-form-urlencoded").status_code == 415
    large = api("POST", "patients/", raw=b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    assert (large.status_code, large.json()["status"]) == (413, 413)
    unknown = api("POST", "patients/", Transfer_Encoding="chunked")
    assert unknown.status_code == 411
    assert api.get("patients/", Accept="text/html").status_code == 406


@pytest.mark.parametrize(
    "path",
    ["patients/99999999999999999999999/", f"patients/{'9' * 5000}/", "patients/0/", "nothing/", "patients/abc/", ""],
)
def test_what_is_not_there_is_a_problem_too(api, path):
    answer = api.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("status=late", "status"),
        ("stauts=overdue", "stauts"),
        ("patient=1%20OR%201", "patient"),
        ("patient=%00", "patient"),
        ("patient=", "patient"),
        (f"patient={'9' * 30}", "patient"),
        ("limit=0", "limit"),
        ("limit=100000", "limit"),
        ("limit=x", "limit"),
    ],
)
def test_a_parameter_that_cannot_be_followed_is_refused(api, query, place):
    answer = api.get(f"hips/?{query}")
    assert (answer.status_code, pointers(answer)) == (422, [place])


@pytest.mark.parametrize(
    "cursor", ["x", "cD1hYmM=", "cD0lMDA=", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=", "%FF", "bz0tMQ=="]
)
def test_a_made_up_cursor_is_refused(api, cursor):
    assert api.get(f"hips/?cursor={cursor}").status_code in {400, 404}


@pytest.mark.parametrize("q", ["%00", "x" * 101, ""])
def test_a_search_that_cannot_be_is_refused(api, q):
    assert pointers(api.get(f"patients/?q={q}")) == ["q"]


# Stale writes and repeated writes


def test_a_stale_change_is_412_and_a_current_one_moves_the_etag(api, watched):
    etag = api.get(f"patients/{watched}/").headers["ETag"]
    changed = api.patch(f"patients/{watched}/", {"given_name": "Elsa"}, If_Match=etag)
    assert changed.status_code == 200 and changed.headers["ETag"] != etag
    assert api.patch(f"patients/{watched}/", {"given_name": "Eva"}, If_Match=etag).status_code == 412
    assert api.post(f"patients/{watched}/facts/", PAIN, If_Match=etag).status_code == 412
    assert (
        api.patch(f"patients/{watched}/", {"given_name": "Eva"}, If_Match="W/" + changed.headers["ETag"]).status_code
        == 412
    )
    assert api.post(f"patients/{watched}/facts/", PAIN, If_Match=changed.headers["ETag"]).status_code == 201
    assert Patient.objects.get().given_name == "Elsa"


def test_a_repeated_write_gets_the_first_reply_and_writes_nothing(api, watched):
    first = api.post(f"patients/{watched}/facts/", PAIN, Idempotency_Key="visit-1")
    again = api.post(f"patients/{watched}/facts/", PAIN, Idempotency_Key="visit-1")
    assert (again.status_code, again.json(), again.headers["ETag"]) == (201, first.json(), first.headers["ETag"])
    assert again.headers["Idempotent-Replay"] == "true" and "Idempotent-Replay" not in first.headers
    assert SymptomReport.objects.filter(patient=watched).count() == 2


def test_a_key_with_another_body_or_address_is_422(api, watched):
    api.post(f"patients/{watched}/facts/", PAIN, Idempotency_Key="visit-1")
    assert api.post(f"patients/{watched}/facts/", {**PAIN, "note": "x"}, Idempotency_Key="visit-1").status_code == 422
    assert api.patch(f"patients/{watched}/", {"given_name": "E"}, Idempotency_Key="visit-1").status_code == 422


def test_a_refused_write_does_not_use_up_its_key(api, watched):
    assert api.post(f"patients/{watched}/facts/", {**PAIN, "on": "2027-01-01"}, Idempotency_Key="k").status_code == 422
    assert api.post(f"patients/{watched}/facts/", PAIN, Idempotency_Key="k").status_code == 201


def test_keys_are_each_tokens_own_and_are_forgotten_after_a_day(caller, clinic, api, watched, noon):
    api.post(f"patients/{watched}/facts/", PAIN, Idempotency_Key="k")
    other = caller(clinic).post(f"patients/{watched}/facts/", {**PAIN, "note": "other"}, Idempotency_Key="k")
    assert other.status_code == 201
    noon.move_to(datetime(2026, 3, 6, 13, tzinfo=UTC))
    assert api.post(f"patients/{watched}/facts/", {**PAIN, "note": "later"}, Idempotency_Key="k").status_code == 201
    assert IdempotentReply.objects.filter(at__lt=datetime(2026, 3, 6, tzinfo=UTC)).count() == 1  # the other token's


@pytest.mark.parametrize("key", ["", "a b", "x" * 81, "ü"])
def test_a_key_is_printable(api, watched, key):
    assert api.post(f"patients/{watched}/facts/", PAIN, Idempotency_Key=key).status_code == 400


def test_a_refusal_after_a_write_leaves_nothing(api, watched, monkeypatch):
    def refused(*_args, **_details):
        Patient.objects.update(given_name="half-saved")
        raise recording.RecordingRefused({"on": ["no"]})

    monkeypatch.setattr(recording, "record_facts", refused)
    assert api.post(f"patients/{watched}/facts/", PAIN).status_code == 422
    assert Patient.objects.get().given_name == "Ebba"


def test_a_fault_of_ours_is_a_500_with_the_requests_id(api, watched, monkeypatch, caplog):
    def broken(*_args, **_details):
        raise ZeroDivisionError

    monkeypatch.setattr(recording, "record_facts", broken)
    answer = api.post(f"patients/{watched}/facts/", PAIN)
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"] and answer.json()["request_id"] in caplog.text


# Lists


def test_pages_by_cursor_hold_every_row_once(api, clinic, enrol):
    wanted = {enrol(clinic).pk for _ in range(7)}
    url, seen = "/api/v1/patients/?limit=3", []
    while url:
        page = api.get(url.removeprefix("http://testserver")).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == 7 and set(seen) == wanted and seen == sorted(seen, reverse=True)


LISTS = ("patients", "hips", "plans", "flags", "reviews", "reminders")


def test_lists_take_the_same_queries_for_one_row_and_for_fifty(api, clinic, enrol, actor):
    def enrol_some(number):
        for _ in range(number):
            pain = SymptomReport(on=date(2026, 3, 3), source="patient", symptomatic=True, pain_nrs=3)
            found = Imaging(on=date(2026, 1, 10), modality="MR", necrosis=True)
            recording.record_facts(enrol(clinic).pk, [(Side.LEFT, found), (Side.LEFT, pain)], by=actor)

    def queries(rows):
        taken = {}
        for name in LISTS:
            with CaptureQueriesContext(connection) as seen:
                answer = api.get(f"{name}/?limit={rows}")
            taken[name] = len(seen)
            assert len(answer.json()["results"]) == rows
        return taken

    enrol_some(1)
    api.get("hips/")  # stamps the token's last use
    few = queries(1)
    enrol_some(49)
    assert queries(50) == few
    assert max(few.values()) <= 14


def test_flags_and_reviews_show_what_stands_unless_asked(api, watched):
    api.post(f"patients/{watched}/facts/", PAIN)
    standing = len(api.get("flags/").json()["results"])
    key = api.get(f"patients/{watched}/facts/").json()[-1]["id"]
    api.post(f"patients/{watched}/facts/{key}/withdraw/", {"reason": "the other hip"})
    assert len(api.get("flags/").json()["results"]) < standing
    assert [flag["rule"] for flag in api.get("flags/?state=closed&rule=R11").json()["results"]] == ["R11"]
    assert api.get("reviews/").json()["results"] == []
    assert [case["state"] for case in api.get("reviews/?state=any").json()["results"]] == ["lapsed"]


@pytest.mark.parametrize("path", ["patients", "patients/", "patients/?q=Lindqvst", "patients/?record_number=a-1"])
def test_a_patient_is_found(api, watched, path):
    assert [row["id"] for row in api.get(path).json()["results"]] == [watched]


def test_head_and_options(api, watched):
    head = api("HEAD", f"patients/{watched}/")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", '"2"')
    asked = api("OPTIONS", f"patients/{watched}/")
    assert (asked.status_code, asked.headers["Allow"]) == (204, "GET, PATCH, HEAD, OPTIONS")
    assert api("DELETE", f"patients/{watched}/").status_code == 405

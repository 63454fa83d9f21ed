"""The patient's page: both hips with reasons, the lists of facts, and who may see them."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import time_machine
from django.contrib.staticfiles import finders
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monitoring import outreach
from monitoring.models import AuditEntry, ContactAttempt, PatientEvaluation
from monitoring.web import timeline
from monitoring.web.chart import MODELS, read_chart
from monitoring.web.patient import PAGE
from patients import access, recording
from patients.models import Imaging, Patient, Procedure, Staging, SymptomReport
from patients.vocabulary import Side
from schedules import adoption
from schedules.models import Plan, ProtocolVersion

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
BASELINE = date(2026, 1, 10)


def baseline(on=BASELINE):
    return [
        (
            Side.LEFT,
            Imaging(on=on, modality="MR", necrosis=True, lesion_volume_percent=12, volume_method="MRI_3D_SEGMENTATION"),
        ),
        (Side.LEFT, Imaging(on=on, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
        (Side.LEFT, Staging(on=on, system="ARCO", version="2019", code="I")),
        (Side.LEFT, SymptomReport(on=on, source="clinician", symptomatic=False, pain_nrs=0)),
        (Side.RIGHT, Imaging(on=on, modality="MR", necrosis=False)),
    ]


@pytest.fixture
def noon():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def watched(noon, clinic, enrol, actor):
    patient = enrol(clinic)
    recording.record_facts(patient.pk, baseline(), by=actor)
    return patient


@pytest.fixture
def page(watched, clinic, make_user, sign_in):
    """`page("coordinator", "visits/")`: the answer of a page about the watched patient."""

    def get(role="clinician", rest=""):
        return sign_in(make_user(clinic, role)).get(f"/patients/{watched.pk}/{rest}")

    return get


def hurts(patient, actor, on=date(2026, 3, 3)):
    report = SymptomReport(on=on, source="patient", symptomatic=True, pain_nrs=3)
    return recording.record_facts(patient.pk, [(Side.LEFT, report)], by=actor).facts[0]


def test_the_right_hip_stands_on_the_viewers_left(page):
    text = page().content.decode()
    assert text.index('id="hip-right"') < text.index('id="hip-left"')


def test_a_hip_says_what_is_known_and_why_it_is_seen_when(page):
    text = page().content.decode()
    assert "small lesion 12\N{NO-BREAK SPACE}%" in text and "ARCO I" in text
    assert "6-month interval" in text and "10 Jul 2026" in text


def test_a_finding_names_rule_facts_source_and_protocol(page, watched, actor):
    fact = hurts(watched, actor)
    text = page().content.decode()
    assert "Core decompression review" in text and "act by" in text
    assert f"?fact={fact.key}#{fact.key}" in text
    assert "R11" in text and "core decompression techniques 2025" in text and "onfh-small-lesion/1" in text


def test_open_reviews_are_alerts_with_their_deadline(page, watched, actor):
    hurts(watched, actor)
    assert "decide by 17 Mar 2026" in page().content.decode()


def test_another_clinics_patient_is_not_there(watched, other_clinic, make_user, sign_in):
    client = sign_in(make_user(other_clinic, "admin"))
    for rest in ("", "imaging/", "visit/", "edit/", "print/", "left/end/"):
        assert client.get(f"/patients/{watched.pk}/{rest}").status_code == 404


def test_who_is_not_signed_in_is_sent_to_sign_in(client, watched):
    answer = client.get(f"/patients/{watched.pk}/")
    assert answer.status_code == 302 and answer.url.startswith("/account/login/")
    by_htmx = client.get(f"/patients/{watched.pk}/", headers={"HX-Request": "true"})
    assert by_htmx.status_code == 401 and "/account/login/" in by_htmx["HX-Redirect"]


def test_every_look_is_audited(page, watched):
    page("coordinator")
    look = AuditEntry.objects.filter(act="look", patient_id=watched.pk).latest("id")
    assert look.actor.startswith("Staff") and look.object == "patient page"


def test_who_looked_is_shown_to_clinicians_and_administrators(page):
    assert page("coordinator", "audit/").status_code == 403
    assert page("coordinator", "audit.csv").status_code == 403
    history = page("coordinator", "history/").content.decode()
    assert "Looked" not in history and "/audit/" not in history
    for role in ("clinician", "admin"):
        assert "Looked: patient page, history" in page(role, "audit/").content.decode()
        assert "Looked: " not in page(role, "history/").content.decode()


def test_the_audit_keeps_one_kind_and_goes_on_behind_an_entry(page, watched, actor, monkeypatch):
    monkeypatch.setattr("monitoring.web.audit_tab.PAGE", 2)
    for _number in range(3):
        page("clinician")
    assert "Looked" not in (changes := page("admin", "audit/?show=changes").content.decode())
    assert "Recorded facts" in changes
    seen, rest = [], "audit/?show=looks"
    for _number in range(9):
        answer = page("admin", rest)
        seen += [row.at for row in answer.context["rows"]]
        if not answer.context["next_url"]:
            break
        rest = answer.context["next_url"].partition(f"/patients/{watched.pk}/")[2]
    assert len(seen) >= 4 and seen == sorted(seen, reverse=True)
    assert page("admin", "audit/?before=x&show=nothing").status_code == 200


def test_the_audit_as_a_file_is_an_entry_itself(page, watched):
    page("clinician")
    file = page("admin", "audit.csv").content.decode("utf-8-sig")
    assert file.startswith("When,Who,What,Reason,Details,Request") and "Looked: patient page" in file
    assert "Recorded facts" in file
    entry = AuditEntry.objects.get(act="export", patient_id=watched.pk)
    assert entry.object == "audit of a patient" and entry.after["format"] == "csv"


def count(client, url):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(url).status_code == 200
    return sum(not query["sql"].startswith(("SAVEPOINT", "RELEASE")) for query in queries)


def test_the_page_takes_a_fixed_number_of_queries(watched, clinic, make_user, sign_in, actor):
    client = sign_in(make_user(clinic, "clinician"))
    url = f"/patients/{watched.pk}/"
    few = count(client, url)
    for day in range(1, 50):
        hurts(watched, actor, on=date(2026, 1, 10) if day % 2 else date(2026, 2, 1))
    assert count(client, url) == few <= 28


@pytest.mark.parametrize("tab", ["visits", "imaging", "symptoms", "treatments", "decisions", "messages", "history"])
def test_every_tab_opens_within_its_queries(watched, clinic, make_user, sign_in, tab):
    client = sign_in(make_user(clinic, "admin"))
    assert count(client, f"/patients/{watched.pk}/{tab}/") <= 25


def test_an_unknown_tab_is_not_there(page):
    assert page("clinician", "horoscope/").status_code == 404


def test_what_if_computes_and_stores_nothing(page, watched):
    before = PatientEvaluation.objects.get(patient=watched).as_of
    text = page("clinician", "what-if/?as_of=2026-08-24").content.decode()
    assert "Radiographs overdue" in text and "This is not the plan that stands." in text
    assert PatientEvaluation.objects.get(patient=watched).as_of == before


def test_what_if_without_a_day_says_so(page):
    assert page("clinician", "what-if/?as_of=soon").status_code == 422


def test_a_stale_answer_says_that_it_is_stale(page, watched):
    PatientEvaluation.objects.filter(patient=watched).update(error="The guideline could not be applied; see the log.")
    assert "The last evaluation failed" in page().content.decode()


def test_a_replaced_hip_and_a_death_are_shown_clearly(page, watched, actor):
    done = Procedure(on=date(2026, 2, 1), procedure="THA")
    recording.record_facts(watched.pk, [(Side.LEFT, done)], by=actor)
    assert "Total hip arthroplasty, 1 Feb 2026" in page().content.decode()
    recording.record_death(watched.pk, by=actor, died_on=date(2026, 3, 1), source="relative, by telephone")
    text = page().content.decode()
    assert "Died 1 Mar 2026" in text and "relative, by telephone" in text


def test_a_withdrawn_fact_stays_struck_with_its_reason(page, watched, actor):
    fact = hurts(watched, actor)
    recording.withdraw_fact(fact, by=actor, reason="the other patient")
    text = page("clinician", "symptoms/").content.decode()
    assert "Entered in error: the other patient (Ada Okoye)" in text and 'class="struck"' in text


def test_the_timeline_is_an_image_with_words_and_a_table(page):
    text = page().content.decode()
    assert 'role="img" aria-labelledby="tl-title tl-desc"' in text
    assert "Radiograph: AP pelvis, Frog lateral" in text and "style=" not in text


def test_a_fact_is_found_on_the_page_of_its_list(watched, page, actor):
    first = hurts(watched, actor, on=date(2026, 1, 11))
    for _number in range(60):
        hurts(watched, actor)
    text = page("clinician", f"symptoms/?fact={first.key}").content.decode()
    assert f'id="{first.key}"' in text


def test_a_later_lower_stage_does_not_lower_what_was_seen(page, watched, actor):
    for code, day in (("II", 20), ("I", 25)):
        stage = Staging(on=date(2026, 2, day), system="ARCO", version="2019", code=code)
        recording.record_facts(watched.pk, [(Side.LEFT, stage)], by=actor)
    text = page().content.decode()
    assert "small lesion 12\N{NO-BREAK SPACE}%, ARCO II" in text and "a later reading is lower: ARCO I (2019)" in text


def test_only_a_clinician_is_offered_a_decision(page, watched, actor):
    clear = Imaging.objects.get(patient=watched, necrosis=False)
    recording.withdraw_fact(clear, by=actor, reason="another patient's study")
    assert "/decide/" in page("clinician").content.decode()
    assert "/decide/" not in page("coordinator").content.decode()


def test_what_if_asks_under_another_protocol(page, watched, actor):
    shorter = {**adoption.DEFAULT.to_json(), "standard_interval_months": 4, "version": 9}
    version = ProtocolVersion.objects.create(name="onfh-small-lesion/9", parameters=shorter, digest="x", actor="Ada")
    text = page("clinician", f"what-if/?as_of=2026-03-05&protocol={version.pk}").content.decode()
    assert "10 May 2026" in text and "onfh-small-lesion/9" in text
    assert "onfh-small-lesion/9 (Draft)" in page("clinician").content.decode(), "it can be asked from the page itself"


def test_a_window_that_gave_way_before_it_opened_is_not_drawn_as_kept(page, watched, actor):
    early = [
        (Side.LEFT, Imaging(on=date(2026, 3, 1), modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
        (Side.LEFT, SymptomReport(on=date(2026, 3, 1), source="clinician", symptomatic=False)),
    ]
    recording.record_facts(watched.pk, early, by=actor)
    drawing = page().context["timeline"].svg
    assert "window-kept" not in drawing and drawing.count('class="window"') == 1


def test_history_names_the_owner_and_the_outcome(page, watched, clinic, make_user):
    owner = make_user(clinic, "coordinator", name="Jonas Weber")
    viewer = access.viewer_for(owner)
    outreach.record_outcome(watched, outcome="no_answer", viewer=viewer, today=NOON.date(), owner=owner)
    text = page(rest="history/").content.decode()
    assert "Owner: Jonas Weber" in text and "Outcome: No answer" in text
    assert "Next date:" not in text, "nothing was said of it"


def test_history_strikes_only_what_became_another(page, watched, actor):
    AuditEntry.objects.create(
        actor="Ada", act="move_appointment", clinic_id=watched.clinic_id, patient_id=watched.pk,
        before={"purpose": "visit", "state": "booked"}, after={"purpose": "visit", "state": "moved"},
    )  # fmt: skip
    text = page(rest="history/").content.decode()
    assert '<span class="struck">Booked</span> Moved' in text and '<span class="struck">Clinic visit' not in text


def test_history_tells_what_was_recorded_in_words(page, watched, actor):
    hurts(watched, actor)
    text = page("clinician", "history/").content.decode()
    assert "Left hip, Symptom report</a>: 3 Mar 2026, symptoms, pain 3 of 10" in text


def test_no_call_is_lost_behind_a_long_list_of_them(page, watched):
    notes = [f"call {number:03}" for number in range(PAGE + 3)]
    ContactAttempt.objects.bulk_create(
        ContactAttempt(clinic_id=watched.clinic_id, patient=watched, outcome="reached", note=note, actor="Ada Okoye")
        for note in notes
    )
    first, last = (page("coordinator", f"messages/?contacts={one}").content.decode() for one in ("x", 2))
    assert "?contacts=2#contacts" in first and "?contacts=1#contacts" in last
    assert [note in first for note in notes].count(True) == PAGE
    assert all((note in first) != (note in last) for note in notes)


def test_what_was_said_on_the_telephone_stands_among_the_messages(page, watched, actor):
    clinic = watched.clinic_id
    ContactAttempt.objects.create(
        clinic_id=clinic, patient=watched, outcome="reached", note="wants <mornings>", actor="Ada Okoye"
    )
    ContactAttempt.objects.create(clinic_id=clinic, patient=watched, outcome="moved", actor="Ada Okoye", undone_at=NOON)
    shown = page("coordinator", "messages/").content.decode()
    assert "2 contacts, latest first" in shown and "wants &lt;mornings&gt;" in shown and "taken back" in shown


@pytest.mark.parametrize("rest", ["", "print/"])
def test_a_clear_hip_beside_an_affected_one_says_that_it_is_clear(page, watched, rest):
    text = page("clinician", rest).content.decode()
    right = text[: text.index("Left hip")]
    assert "Clear on MRI of 10 Jan 2026" in right and "Watched because the other side is affected" in right
    assert "not known to be" not in right and "Not assessed" not in right


def test_an_mri_that_could_not_be_read_clears_no_hip(page, watched, actor):
    clear = Imaging.objects.get(patient=watched, necrosis=False)
    recording.withdraw_fact(clear, by=actor, reason="another patient's study")
    unread = Imaging(on=date(2026, 2, 1), modality="MR", diagnostic=False)
    recording.record_facts(watched.pk, [(Side.RIGHT, unread)], by=actor)
    text = page().content.decode()
    assert "Clear on MRI" not in text and "this one is not known to be" in text


def test_a_long_hip_begins_on_the_first_page_of_the_print():
    sheet = Path(finders.find("hipwatch/hipwatch.css")).read_text()
    paper = sheet[sheet.index("@media print {") :]
    kept_whole = {part.strip() for part in re.search(r"([^;{}]+){ break-inside: avoid; }", paper)[1].split(",")}
    assert ".finding" in kept_whole and ".hip" not in kept_whole
    assert re.search(r"\.print-note { break-before: avoid;", paper), "the foot is never alone on the last page"


def test_the_latest_stage_is_named_however_short_it_stood(page, watched, actor, noon):
    noon.move_to(datetime(2026, 7, 1, 12, tzinfo=UTC))
    stage = Staging(on=date(2026, 6, 28), system="ARCO", version="2019", code="II")
    recording.record_facts(watched.pk, [(Side.LEFT, stage)], by=actor)
    chart = read_chart(Patient.objects.get(pk=watched.pk), MODELS)
    drawing = timeline.draw(chart, plans=Plan.objects.filter(patient=watched), reminders=[])
    assert ">ARCO II</text>" in drawing.svg and ">ARCO I</text>" in drawing.svg

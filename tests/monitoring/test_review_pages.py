"""Review, messages, import and protocol pages over HTTP: who may do what, and what happens then."""

from copy import deepcopy
from datetime import UTC, date, datetime

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile

from monitoring.imports import waiting
from monitoring.models import AuditEntry, ImportBatch, ReviewCase
from patients import recording
from patients.models import Clinic, Decision, Imaging, Patient, Staging, SymptomReport
from patients.vocabulary import Side
from schedules.models import Reminder

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def painful(clinic, enrol, actor):
    """A small lesion that began to hurt: one open case."""
    with time_machine.travel(NOON, tick=False):
        patient = enrol(clinic, family_name="Adeyemi")
        day = date(2026, 1, 10)
        mri = Imaging(
            on=day, modality="MR", necrosis=True, lesion_volume_percent=12, volume_method="MRI_3D_SEGMENTATION"
        )
        calm = SymptomReport(on=day, source="clinician", symptomatic=False)
        pain = SymptomReport(on=date(2026, 3, 3), source="patient", symptomatic=True, pain_nrs=4)
        recording.record_facts(patient.pk, [(Side.LEFT, fact) for fact in (mri, calm, pain)], by=actor)
        yield patient


@pytest.fixture
def surgeon(clinic, make_user):
    return make_user(clinic, "clinician", name="Dr Lindqvist")


def case_of(patient):
    return ReviewCase.objects.get(patient=patient, action="CORE_DECOMPRESSION_REVIEW")


def test_the_queue_shows_the_case_with_its_deadline_and_its_clock(painful, surgeon, sign_in):
    page = sign_in(surgeon).get("/review/").content.decode()
    assert "Adeyemi" in page and "17 Mar 2026" in page and "2 of 183 days used" in page


def test_the_queue_is_in_the_order_that_it_says(painful, surgeon, actor, sign_in):
    recording.record_facts(painful.pk, [(Side.LEFT, deepcopy(LARGE))], by=actor)
    cases = ReviewCase.objects.filter(patient=painful)
    cases.filter(urgency="REVIEW").update(act_by=date(2026, 3, 6))  # before that of the SOON one
    page = sign_in(surgeon).get("/review/").content.decode()
    assert "the most urgent first; of equally urgent ones, the nearest deadline first." in page
    soon, later = (page.index(f'id="case-{cases.get(urgency=urgency).pk}"') for urgency in ("SOON", "REVIEW"))
    assert soon < later


def test_after_six_months_the_clock_says_since_when_they_are_over(painful, surgeon, sign_in):
    for day, over in ((date(2026, 9, 2), False), (date(2026, 9, 3), True)):
        with time_machine.travel(datetime(day.year, day.month, day.day, 12, tzinfo=UTC), tick=False):
            client = sign_in(surgeon)
            pages = [client.get(path).content.decode() for path in ("/review/", f"/review/{case_of(painful).pk}/")]
        assert all(("6-month window over since 2 Sep 2026" in page) is over for page in pages)
        assert all(("183 of 183 days used" in page) is not over for page in pages)
        assert ("can save the joint" in pages[1]) is not over


LARGE = Imaging(
    on=date(2026, 3, 4), modality="MR", necrosis=True, lesion_volume_percent=45, volume_method="MRI_3D_SEGMENTATION"
)
ALARM = SymptomReport(on=date(2026, 3, 4), source="clinician", symptomatic=True, night_pain=True)


@pytest.mark.parametrize(
    ("stage", "fact", "action", "shown"),
    [
        ("IIIA", None, "COLLAPSE_REVIEW", False),
        ("IV", None, "ARTHROPLASTY_REVIEW", False),
        ("IIIA", ALARM, "URGENT_RADIOGRAPH", False),
        ("II", LARGE, "LARGE_LESION_REVIEW", False),
        ("II", ALARM, "URGENT_RADIOGRAPH", True),
    ],
)
def test_the_clock_runs_only_where_pain_in_a_hip_before_collapse_is_the_question(
    painful, surgeon, actor, sign_in, stage, fact, action, shown
):
    staging = Staging(on=date(2026, 3, 4), system="ARCO", version="2019", code=stage)
    found = [staging, deepcopy(fact)] if fact else [staging]
    recording.record_facts(painful.pk, [(Side.LEFT, one) for one in found], by=actor)
    case = ReviewCase.objects.get(patient=painful, action=action)
    page = sign_in(surgeon).get(f"/review/{case.pk}/").content.decode()
    assert ("2 of 183 days used" in page and "Symptoms since 3 Mar 2026" in page) is shown
    assert ("6-month window" in page) is shown


def test_a_clinician_decides_and_the_case_closes(painful, surgeon, sign_in):
    case = case_of(painful)
    answer = {"outcome": "operate", "reason": "pain and oedema", "on": "2026-03-05", "next_on": "2026-03-20"}
    reply = sign_in(surgeon).post(f"/review/{case.pk}/", answer)
    assert reply.status_code == 302
    case.refresh_from_db()
    assert (case.state, case.decision.outcome, case.decision.reason) == ("decided", "operate", "pain and oedema")


def test_a_decision_without_a_reason_is_refused_and_keeps_what_was_typed(painful, surgeon, sign_in):
    answer = {"outcome": "observe", "reason": "", "on": "2026-03-05", "consequence": "see again in May"}
    reply = sign_in(surgeon).post(f"/review/{case_of(painful).pk}/", answer)
    assert reply.status_code == 422 and "see again in May" in reply.content.decode()
    assert not Decision.objects.exists()


LATE = {"outcome": "operate", "reason": "oedema <worse>", "on": "2026-03-05", "consequence": "list of Dr Berg"}


@pytest.mark.parametrize("day", ["2026-03-20", "soon"])
def test_who_decides_second_is_told_who_was_first_and_loses_nothing(painful, surgeon, clinic, make_user, sign_in, day):
    case, first = case_of(painful), make_user(clinic, "clinician", name="Dr Samir Holt")
    sign_in(first).post(f"/review/{case.pk}/", {"outcome": "observe", "reason": "mild", "on": "2026-03-05"})
    client = sign_in(surgeon)
    reply = client.post(f"/review/{case.pk}/", LATE | {"next_on": day})
    page = reply.content.decode()
    assert reply.status_code == 409 and Decision.objects.get().outcome == "observe"
    assert "Your decision was not recorded" in page and "notice-good" not in page
    assert "Dr Samir Holt decided this case meanwhile, on 5 Mar 2026" in page and ": Observe" in page
    shown = "20 Mar 2026" if day == "2026-03-20" else day
    typed = ["What is decided: Operate", "Why: oedema &lt;worse&gt;", "What follows: list of Dr Berg"]
    typed.append(f"On or by: {shown}")
    comment = page.partition('name="text"')[2].partition("</textarea>")[0]
    assert all(f"<li>{line}</li>" in page and line in comment for line in typed)


def test_a_decision_on_a_case_that_lapsed_meanwhile_says_so(painful, surgeon, actor, sign_in):
    case = case_of(painful)
    recording.withdraw_fact(SymptomReport.objects.get(symptomatic=True), by=actor, reason="the other hip")
    reply = sign_in(surgeon).post(f"/review/{case.pk}/", LATE)
    assert reply.status_code == 409 and "the record no longer raises it" in reply.content.decode()


@pytest.mark.parametrize("day", ["2031-01-01", "2026-03-01", "1880-01-01", "yesterday"])
def test_a_decision_on_an_impossible_day_is_refused(painful, surgeon, sign_in, day):
    answer = {"outcome": "observe", "reason": "x", "on": day}
    assert sign_in(surgeon).post(f"/review/{case_of(painful).pk}/", answer).status_code == 422
    assert not Decision.objects.exists()


@pytest.mark.parametrize(("day", "status"), [("2028-03-06", 302), ("2028-03-07", 422), ("2099-01-15", 422)])
def test_what_follows_lies_at_most_two_years_after_the_decision(painful, surgeon, sign_in, day, status):
    answer = {"outcome": "observe", "reason": "mild", "on": "2026-03-05", "next_on": day}
    reply = sign_in(surgeon).post(f"/review/{case_of(painful).pk}/", answer)
    told = reply.content.decode().partition('id="id_next_on_error"')[2].partition("</ul>")[0]
    assert reply.status_code == status and Decision.objects.exists() is (status == 302)
    assert ("This is more than two years after the decision." in told) is (status == 422)


def test_a_coordinator_sees_the_case_and_cannot_decide(painful, clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "coordinator"))
    case = case_of(painful)
    assert "A clinician of this clinic decides" in client.get(f"/review/{case.pk}/").content.decode()
    assert (
        client.post(f"/review/{case.pk}/", {"outcome": "observe", "reason": "x", "on": "2026-03-05"}).status_code == 403
    )


def test_another_clinics_case_does_not_exist(painful, other_clinic, make_user, sign_in):
    client = sign_in(make_user(other_clinic, "clinician"))
    assert client.get(f"/review/{case_of(painful).pk}/").status_code == 404
    assert "Adeyemi" not in client.get("/review/").content.decode()


def test_assigning_asking_and_commenting_are_kept_in_the_thread(painful, surgeon, clinic, make_user, sign_in):
    colleague = make_user(clinic, "clinician", name="Dr Berg")
    client, case = sign_in(surgeon), case_of(painful)
    client.post(f"/review/{case.pk}/assign/", {"who": surgeon.pk})
    client.post(f"/review/{case.pk}/opinion/", {"who": colleague.pk, "text": "MRI again?"})
    client.post(f"/review/{case.pk}/comment/", {"text": "Called the patient."})
    page = client.get(f"/review/{case.pk}/").content.decode()
    assert all(words in page for words in ("Dr Lindqvist", "Dr Berg: MRI again?", "Called the patient."))


def said_of(case, *kinds):
    notes = case.notes.filter(kind__in=kinds).order_by("id")
    return [(note.actor, note.kind, note.text) for note in notes]


def test_assigning_a_case_to_who_has_it_changes_nothing_and_says_so(painful, surgeon, sign_in):
    client, case = sign_in(surgeon), case_of(painful)
    told = [
        client.post(f"/review/{case.pk}/assign/", {"who": who}, follow=True).content.decode()
        for who in ("", surgeon.pk, surgeon.pk)
    ]
    assert "Nothing is changed: nobody has this case." in told[0]
    assert "Assigned to Dr Lindqvist." in told[1]
    assert "Nothing is changed: Dr Lindqvist has this case already." in told[2]
    assert said_of(case, "assigned") == [("Dr Lindqvist", "assigned", "Dr Lindqvist")]


def test_nobody_asks_themselves_for_a_second_opinion(painful, surgeon, clinic, make_user, sign_in):
    make_user(clinic, "clinician", name="Dr Berg")
    client, case = sign_in(surgeon), case_of(painful)
    page = client.get(f"/review/{case.pk}/").content.decode().partition('id="opinion_who"')[2].partition("</select>")[0]
    assert "Dr Berg" in page and "Dr Lindqvist" not in page
    told = client.post(f"/review/{case.pk}/opinion/", {"who": surgeon.pk}, follow=True).content.decode()
    assert "Choose another clinician than yourself." in told and said_of(case, "second_opinion") == []


def test_the_thread_tells_whose_opinion_is_asked_instead_of_whose(painful, surgeon, clinic, make_user, sign_in):
    client, case = sign_in(surgeon), case_of(painful)
    for name in ("Dr Berg", "Dr Holt"):
        who = make_user(clinic, "clinician", name=name)
        client.post(f"/review/{case.pk}/opinion/", {"who": who.pk, "text": "MRI again?"})
    assert [text for _by, _kind, text in said_of(case, "second_opinion")] == [
        "Dr Berg: MRI again?",
        "Dr Holt instead of Dr Berg: MRI again?",
    ]


def test_the_comment_of_who_was_asked_is_the_opinion_and_answers_the_request(
    painful, surgeon, clinic, make_user, sign_in
):
    colleague, case = make_user(clinic, "clinician", name="Dr Berg"), case_of(painful)
    sign_in(surgeon).post(f"/review/{case.pk}/opinion/", {"who": colleague.pk})
    sign_in(surgeon).post(f"/review/{case.pk}/comment/", {"text": "Please soon."})
    client = sign_in(colleague)
    assert "Adeyemi" in client.get("/review/?whose=opinion").content.decode()
    assert "Your opinion is asked." in client.get(f"/review/{case.pk}/").content.decode()
    for text in ("Operate, I would.", "And soon."):
        client.post(f"/review/{case.pk}/comment/", {"text": text})
    assert "Adeyemi" not in client.get("/review/?whose=opinion").content.decode()
    page = client.get(f"/review/{case.pk}/").content.decode()
    assert "gave the opinion that was asked" in page and "Your opinion is asked." not in page
    assert said_of(case, "comment", "opinion") == [
        ("Dr Lindqvist", "comment", "Please soon."),
        ("Dr Berg", "opinion", "Operate, I would."),
        ("Dr Berg", "comment", "And soon."),
    ]
    assert AuditEntry.objects.filter(act="case_opinion", user_id=colleague.pk).count() == 1


def test_looking_at_a_case_is_audited(painful, surgeon, sign_in):
    case = case_of(painful)
    sign_in(surgeon).get(f"/review/{case.pk}/")
    assert AuditEntry.objects.filter(act="look", patient_id=painful.pk, user_id=surgeon.pk).exists()


def test_who_is_not_signed_in_is_sent_to_sign_in(client, db):
    for path in ("/review/", "/messages/", "/import/", "/protocol/"):
        assert client.get(path).url.startswith("/account/login/")


def reminder(patient, **details):
    known = {"cycle_on": date(2026, 1, 10), "due_on": date(2026, 3, 6), "step": "due", "send_on": date(2026, 3, 6)}
    known |= {"cycle_on": date(2020, 1, 1)}
    return Reminder.objects.create(clinic=patient.clinic, patient=patient, **{**known, **details})


def test_messages_show_what_goes_out_and_what_did_not_and_why(painful, clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "coordinator"))
    reminder(painful, state="uncertain", reason="The mail server was silent.")
    assert "The mail server was silent." in client.get("/messages/uncertain/").content.decode()
    for tab in ("upcoming", "failed", "refused", "sent"):
        assert client.get(f"/messages/{tab}/").status_code == 200
    assert client.get("/messages/nonsense/").status_code == 404


def test_a_person_settles_an_uncertain_message(painful, clinic, make_user, sign_in):
    row = reminder(painful, state="uncertain", reason="silence", sent_to="a@mail.example")
    client = sign_in(make_user(clinic, "coordinator"))
    said = client.post(f"/messages/{row.pk}/resolve/", {"act": "arrived", "back": "uncertain"}, follow=True)
    assert f"{painful.display_name}: this message counts as arrived." in said.content.decode()
    row.refresh_from_db()
    assert row.state == "sent"
    assert client.post(f"/messages/{row.pk}/resolve/", {"act": "arrived"}).status_code == 302  # told, not broken


def test_only_an_administrator_stops_mail(painful, clinic, make_user, sign_in):
    assert (
        sign_in(make_user(clinic, "coordinator")).post(f"/messages/mail/{clinic.pk}/", {"stop": "1"}).status_code == 403
    )
    assert sign_in(make_user(clinic, "admin")).post(f"/messages/mail/{clinic.pk}/", {"stop": "1"}).status_code == 302
    assert Clinic.objects.get(pk=clinic.pk).mail_stopped


def upload(text):
    return SimpleUploadedFile("registry.csv", text.encode(), content_type="text/csv")


GOOD = "record_number,family_name,given_name,born_on,enrolled_on\nA-1,Berg,Marta,1981-03-04,2026-01-10\n"


@time_machine.travel(NOON, tick=False)
def test_a_file_is_checked_and_then_saved_in_the_background(clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "coordinator"))
    reply = client.post("/import/", {"clinic": clinic.pk, "file": upload(GOOD), "date_order": "iso"})
    batch = ImportBatch.objects.get()
    assert reply.status_code == 302 and not Patient.objects.exists()
    assert "Save this row" in client.get(f"/import/{batch.pk}/").content.decode()
    client.post(f"/import/{batch.pk}/")
    assert ImportBatch.objects.get().state == "waiting"
    assert waiting.save_waiting_imports() == 1
    assert Patient.objects.get().record_number == "A-1" and ImportBatch.objects.get().state == "done"


@time_machine.travel(NOON, tick=False)
def test_a_file_with_a_fault_says_where_and_cannot_be_saved_whole(clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "coordinator"))
    bad = GOOD + "A-2,Okafor,Ben,2031-01-01,2026-01-10\n"
    client.post("/import/", {"clinic": clinic.pk, "file": upload(bad), "date_order": "iso"})
    batch = ImportBatch.objects.get()
    page = client.get(f"/import/{batch.pk}/").content.decode()
    assert "born_on" in page and "future" in page
    client.post(f"/import/{batch.pk}/")
    assert ImportBatch.objects.get().state == "checked"
    assert "born_on" in client.get(f"/import/{batch.pk}/problems.csv").content.decode()


@pytest.mark.parametrize("content", ["", "only a heading\n", "\x00\x01"])
def test_what_is_no_registry_file_is_refused_in_words(clinic, make_user, sign_in, content):
    client = sign_in(make_user(clinic, "coordinator"))
    reply = client.post("/import/", {"clinic": clinic.pk, "file": upload(content), "date_order": "iso"})
    assert reply.status_code == 422 and not ImportBatch.objects.exists()


def test_a_clinician_does_not_import(clinic, make_user, sign_in):
    assert sign_in(make_user(clinic, "clinician")).get("/import/").status_code == 403


def test_the_protocol_page_names_every_rule(clinic, make_user, sign_in):
    page = sign_in(make_user(clinic, "clinician")).get("/protocol/").content.decode()
    assert all(f'id="{rule}"' in page for rule in ("R01", "R11", "R22", "R42"))


def test_the_queue_takes_the_same_queries_for_one_case_and_for_many(
    painful, clinic, enrol, actor, surgeon, sign_in, django_assert_max_num_queries
):
    client = sign_in(surgeon)
    for _ in range(12):
        patient = enrol(clinic)
        pain = SymptomReport(on=date(2026, 3, 3), source="clinician", symptomatic=True)
        mri = Imaging(on=date(2026, 3, 1), modality="MR", necrosis=True)
        recording.record_facts(patient.pk, [(Side.LEFT, mri), (Side.LEFT, pain)], by=actor)
    with django_assert_max_num_queries(24):
        assert client.get("/review/").status_code == 200

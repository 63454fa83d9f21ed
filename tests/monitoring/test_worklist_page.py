"""Worklist pages: what the rows say, what is done to them in place, exports, and the list of patients."""

import csv
import io
import re
import zipfile
from datetime import UTC, date, datetime
from html import unescape

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from monitoring import census, heartbeats, pipeline, worklist
from monitoring.models import AuditEntry, Census, ContactAttempt, SavedView, Snooze
from monitoring.web import exports
from patients import access, recording
from patients.models import Clinic, ContactWish, Imaging, Patient, SymptomReport
from patients.vocabulary import Side
from schedules import substitutes
from schedules.models import Reminder, Substitute

LATE_DAY = date(2026, 8, 20)  # due on 10 Jul, overdue from 24 Jul, escalated from 9 Aug


@pytest.fixture(autouse=True)
def _summer():
    with time_machine.travel(datetime(2026, 8, 20, 12, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def late(clinic, enrol, actor):
    """`late(**details)`: a patient with a small lesion on the left, last seen on 10 Jan 2026."""

    def one(*more, where=clinic, on=date(2026, 1, 10), **details):
        patient = enrol(where, **{"enrolled_on": on, **details})
        facts = [
            (
                Side.LEFT,
                Imaging(
                    on=on, modality="MR", necrosis=True, lesion_volume_percent=12, volume_method="MRI_3D_SEGMENTATION"
                ),
            ),
            (Side.LEFT, Imaging(on=on, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
            (Side.LEFT, SymptomReport(on=on, source="clinician", symptomatic=False, pain_nrs=0)),
            (Side.RIGHT, Imaging(on=on, modality="MR", necrosis=False)),
        ]
        recording.record_facts(patient.pk, [*facts, *more], by=actor)
        return patient

    return one


@pytest.fixture
def ada(clinic, make_user):
    return make_user(clinic, "coordinator", name="Ada Okoye")


@pytest.fixture
def desk(ada, sign_in):
    return sign_in(ada)


def text_of(response):
    return re.sub(r"[ \n]+", " ", response.content.decode())


def htmx(client, url, data=None):
    return client.post(url, data or {}, headers={"HX-Request": "true"})


def tab_url(tab, **query):
    return reverse("worklist_tab", args=[tab], query=query or None)


def test_a_row_says_why_how_late_who_and_since_when(late, desk):
    patient = late(family_name="Adeyemi", given_name="Jon", born_on=date(1990, 1, 9))
    page = text_of(desk.get(tab_url("overdue")))
    for words in ("Jon Adeyemi", "9 Jan 1990", patient.record_number, "Due 10 Jul 2026", "41\u00a0d", ">left<"):
        assert words in page, words
    assert "6-month interval: no known reason for a shorter one." in page
    assert "since 9 Aug 2026" in page and "Clinician" in page


def test_nothing_that_somebody_typed_is_markup(late, desk, ada):
    patient = late(family_name="<b>Berg", given_name='"x" onclick="y')
    outreach = {"outcome": "no_answer", "next_on": "2026-08-27", "owner": ada.pk, "note": "<script>z</script>"}
    htmx(desk, reverse("worklist_outcome", args=[patient.pk], query={"tab": "overdue"}), outreach)
    for page in (desk.get(tab_url("overdue")), desk.get(tab_url("overdue", acted=patient.pk))):
        text = page.content.decode()
        assert "<b>Berg" not in text and "<script>z" not in text and 'onclick="y' not in text
        assert "&lt;b&gt;Berg" in text and "&lt;script&gt;z&lt;/script&gt;" in text


def test_a_review_says_its_deadline_and_the_days_of_the_six_months(late, desk):
    late((Side.LEFT, SymptomReport(on=date(2026, 8, 13), source="patient", symptomatic=True, pain_nrs=4)))
    page = text_of(desk.get(reverse("worklist")))
    assert "Symptoms since 13 Aug 2026" in page and "review by 27 Aug 2026" in page
    assert "6-month window: 7 of 183 days used" in page and "Clinician, unassigned" in page


def test_tab_counts_are_those_of_the_lists(late, desk):
    for _number in range(3):
        late()
    response = desk.get(tab_url("overdue"))
    counts = {tab["name"]: tab["count"] for tab in response.context["tabs"]}
    assert (counts["Overdue"], counts["All"], len(response.context["rows"])) == (3, 3, 3)


@pytest.mark.parametrize("tab", ["overdue", "all"])
def test_fifty_rows_take_no_more_queries_than_one(tab, late, desk, django_assert_max_num_queries):
    late((Side.LEFT, SymptomReport(on=date(2026, 8, 1), source="patient", symptomatic=True)))
    desk.get(tab_url(tab))
    with django_assert_max_num_queries(11) as one:
        desk.get(tab_url(tab))
    with pipeline.deferred():
        for _number in range(49):
            late((Side.LEFT, SymptomReport(on=date(2026, 8, 1), source="patient", symptomatic=True)))
    for patient in Patient.objects.all()[:20]:
        ContactAttempt.objects.create(clinic=patient.clinic, patient=patient, outcome="no_answer", actor="Ada")
    with django_assert_max_num_queries(11) as fifty:
        response = desk.get(tab_url(tab))
    assert len(response.context["rows"]) == 50
    assert len(fifty) == len(one), (len(fifty), len(one))


FILTERS = (
    {},
    {"q": "Berg"},
    {"q": "T-00001"},
    {"pathway": "symptomatic"},
    {"late": "30"},
    {"language": "de", "owner": "me"},
    {"escalated": "me"},
    {"promised": "me"},
    {"overdue_from": "2026-06-01"},
)


@pytest.mark.parametrize(
    "tab", [tab if tab in {"overdue", "all"} else pytest.param(tab, marks=pytest.mark.slow) for tab in worklist.TABS]
)
def test_no_tab_search_or_filter_takes_more_than_eleven_queries(tab, late, clinic, make_user, sign_in, subtests):
    """The mark is twelve; the twelfth asks for the second step of those who must have one."""
    late((Side.LEFT, SymptomReport(on=date(2026, 8, 1), source="patient", symptomatic=True)))
    late(email="", contact_wishes={})
    desk = sign_in(make_user(clinic, "coordinator", "admin"))
    for query in FILTERS:
        with subtests.test(**query):
            with CaptureQueriesContext(connection) as seen:
                assert desk.get(tab_url(tab, **query)).status_code == 200
            asked = [one["sql"] for one in seen.captured_queries if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))]
            assert len(asked) <= 11, asked


def test_an_outcome_answers_with_the_struck_row_and_undo(late, desk, ada):
    patient = late()
    url = reverse("worklist_outcome", args=[patient.pk], query={"tab": "overdue"})
    response = htmx(desk, url, {"outcome": "no_answer", "next_on": "2026-08-27", "owner": ada.pk, "note": "rang out"})
    row = text_of(response)
    assert response.status_code == 200 and "<html" not in row and 'class="acted"' in row
    assert "again on 27 Aug 2026, Ada Okoye; rang out" in row and "announce" in response["HX-Trigger"]
    attempt = ContactAttempt.objects.get()
    assert (attempt.outcome, attempt.next_on, attempt.owner, attempt.by) == ("no_answer", date(2026, 8, 27), ada, ada)
    undone = htmx(desk, reverse("worklist_undo", args=[attempt.pk], query={"tab": "overdue"}))
    attempt.refresh_from_db()
    assert attempt.undone_at and "acted" not in text_of(undone)


def test_without_scripts_an_outcome_leads_back_to_the_same_list_with_undo(late, desk):
    patient = late()
    late()
    url = reverse("worklist_outcome", args=[patient.pk], query={"tab": "overdue", "late": 3})
    response = desk.post(url, {"outcome": "reached"}, follow=True)
    assert response.redirect_chain[0][0].startswith("/worklist/overdue/?late=3")
    page = text_of(response)
    assert "Reached recorded for Marta" in page and page.count('class="acted"') == 1
    assert '<span class="second">Reached</span>' in page
    assert reverse("worklist_undo", args=[ContactAttempt.objects.get().pk]) in page


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_refused_outcome_keeps_what_was_typed(headers, late, desk):
    patient = late()
    url = reverse("worklist_outcome", args=[patient.pk], query={"tab": "overdue"})
    typed = {"outcome": "booked", "next_on": "", "note": "prefers <mornings>"}
    response = desk.post(url, typed, headers=headers)
    page = text_of(response)
    assert response.status_code == 422 and "Give the date that was booked." in page
    assert "prefers &lt;mornings&gt;" in page and 'value="booked" selected' in page and 'aria-invalid="true"' in page
    assert not ContactAttempt.objects.exists()


@pytest.mark.parametrize("day", ["2026-02-31", "tomorrow", "2026-08-19"])
def test_a_date_that_is_none_or_past_is_refused_at_its_field(day, late, desk):
    url = reverse("worklist_outcome", args=[late().pk])
    response = htmx(desk, url, {"outcome": "reached", "next_on": day})
    assert response.status_code == 422 and "next_on-error" in text_of(response)


def test_a_snooze_strikes_the_row_and_moves_the_counts(late, desk):
    patient = late()
    url = reverse("worklist_snooze", args=[patient.pk], query={"tab": "overdue"})
    row = text_of(htmx(desk, url, {"until": "2026-09-01", "reason": "abroad"}))
    assert 'class="acted"' in row and "Snoozed until 1 Sep 2026" in row and "hx-swap-oob" in row
    assert "Back on 1 Sep 2026: abroad" in text_of(desk.get(tab_url("snoozed")))
    assert desk.get(tab_url("overdue")).context["total"] == 0
    back = htmx(desk, reverse("worklist_unsnooze", args=[patient.pk], query={"tab": "overdue"}))
    assert back.status_code == 200 and desk.get(tab_url("overdue")).context["total"] == 1


def test_who_is_brought_back_stands_struck_with_what_is_due_and_nothing_to_undo(late, desk):
    patient = late()
    htmx(desk, reverse("worklist_snooze", args=[patient.pk]), {"until": "2026-09-01", "reason": "abroad"})
    row = text_of(htmx(desk, reverse("worklist_unsnooze", args=[patient.pk], query={"tab": "snoozed"})))
    assert 'class="acted"' in row and "Back on the lists" in row and "Undo" not in row
    assert "Due " in row and "Watched because" not in row


def test_a_snooze_without_a_reason_is_refused_and_the_form_stays_open(late, desk):
    url = reverse("worklist_snooze", args=[late().pk], query={"tab": "overdue"})
    response = htmx(desk, url, {"until": "2026-09-01", "reason": ""})
    assert response.status_code == 422 and "Say why this can wait." in text_of(response)
    assert 'class="why" open' in text_of(response) and not Snooze.objects.exists()


def test_filters_stay_in_every_address_and_can_be_lifted_one_by_one(late, desk, clinic, make_user):
    surgeon = make_user(clinic, "clinician", name="Dr Lindqvist")
    late(responsible=surgeon, language="de")
    late()
    response = desk.get(tab_url("overdue", clinician=surgeon.pk, language="de"))
    assert response.context["total"] == 1
    chips = {chip["label"]: (chip["value"], chip["remove_url"]) for chip in response.context["chips"]}
    assert chips["Clinician"] == ("Dr Lindqvist", tab_url("overdue", language="de"))
    for tab in response.context["tabs"]:
        assert f"clinician={surgeon.pk}&language=de" in tab["url"]


@pytest.mark.parametrize("query", ["clinician=99999", "clinic=x", "late=-1", "late=1e9", "pathway=doom", "owner=0'"])
def test_a_filter_that_cannot_be_applied_is_left_out_loudly_and_never_exported(query, late, desk):
    late()
    response = desk.get(f"/worklist/overdue/?{query}&language=en")
    assert response.status_code == 200 and response.context["total"] == 1 and len(response.context["chips"]) == 1
    (fault,) = response.context["faults"]
    assert "The list is not narrowed by these filters" in text_of(response) and fault in unescape(response.text)
    assert "export.csv" not in response.text
    assert "data-focus open" not in response.text, "an open menu would be moved to, and what is said be out of sight"
    refused = desk.get(f"/worklist/overdue/export.csv?{query}&language=en")
    assert refused.status_code == 400 and "No file was made" in refused.text and fault in unescape(refused.text)
    assert desk.get(refused.context["back_url"]).context["faults"] == [fault]
    assert not AuditEntry.objects.filter(act="export").exists()


def test_good_filters_have_no_faults_also_the_only_clinic(late, desk, clinic):
    late()
    response = desk.get(tab_url("overdue", clinic=clinic.pk, late=1, q="1990"))
    assert response.context["faults"] == [] and "export.csv" in response.text


def test_another_clinic_in_the_address_is_a_fault_though_there_is_nothing_to_choose(late, desk, other_clinic):
    late()
    (fault,) = desk.get(tab_url("overdue", clinic=other_clinic.pk)).context["faults"]
    assert fault.startswith("Clinic: Select a valid choice") and other_clinic.name not in fault


def test_words_sealed_by_somebody_else_are_not_a_search_for_everybody(late, desk):
    late()
    (fault,) = desk.get(tab_url("overdue", q="~AAAA")).context["faults"]
    assert fault == "Name, number or birth date: These words cannot be read any more. Search again."
    assert desk.get(reverse("worklist_export", args=["overdue", "csv"], query={"q": "~AAAA"})).status_code == 400


def test_owner_me_is_whoever_looks(late, desk, ada):
    mine, _other = late(), late()
    ContactAttempt.objects.create(clinic=mine.clinic, patient=mine, outcome="no_answer", owner=ada, actor="Ada")
    response = desk.get(tab_url("all", owner="me"))
    assert [item["row"].pk for item in response.context["rows"]] == [mine.pk]


def test_a_view_keeps_tab_and_filters_under_a_name_for_its_owner_alone(late, desk, clinic, make_user, sign_in):
    late()
    save_url = desk.get(tab_url("overdue", late=30, owner="me")).context["views"]["save_url"]
    assert desk.post(save_url, {"name": ""}).status_code == 422
    back = desk.post(save_url, {"name": "My Monday list"})
    assert back.url == tab_url("overdue", late=30, owner="me")
    menu = desk.get(back.url).context["views"]
    assert menu["view_name"] == "My Monday list" and menu["saved"][0]["url"] == back.url
    view = SavedView.objects.get()
    remove_url = reverse("worklist_view_remove", args=[view.pk])
    other = sign_in(make_user(clinic, "coordinator"))
    assert other.get(back.url).context["views"]["saved"] == [] and other.post(remove_url).status_code == 404
    desk.force_login(view.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert desk.post(remove_url).status_code == 302 and not SavedView.objects.exists()


@pytest.fixture
def monday_list(desk):
    """`monday_list()`: the view of the overdue ones, saved under this name; another list can be given."""

    def save(tab="overdue", name="My Monday list", **more):
        return desk.post(reverse("worklist_views", query={"tab": tab}), {"name": name, **more}, follow=True)

    return save


def test_a_name_in_use_means_another_list_only_when_that_is_said(monday_list):
    monday_list()
    asked = monday_list("snoozed")
    assert asked.status_code == 422 and 'value="My Monday list"' in asked.text
    assert "“My Monday list” means: Overdue." in text_of(asked)
    view = SavedView.objects.get()
    assert view.tab == "overdue"
    assert monday_list("snoozed", name="Other", replace=view.pk).status_code == 200
    assert {(one.name, one.tab) for one in SavedView.objects.all()} == {
        ("My Monday list", "overdue"),
        ("Other", "snoozed"),
    }
    assert "“My Monday list” now means this list." in text_of(monday_list("snoozed", replace=view.pk))
    assert SavedView.objects.get(pk=view.pk).tab == "snoozed"
    assert "Saved as “My Monday list”." in text_of(monday_list("snoozed")), "the same again is no question"


def test_a_view_is_renamed_by_its_owner_to_a_name_that_is_free(monday_list, desk, clinic, make_user, sign_in):
    monday_list(), monday_list("snoozed", name="Other")
    assert "#my-views" in desk.get(tab_url("overdue")).text
    view = SavedView.objects.get(name="Other")
    url = reverse("worklist_view_rename", args=[view.pk], query={"tab": "due"})
    refused = desk.post(url, {"name": "My Monday list"})
    assert refused.status_code == 422 and "You have a view of this name already." in text_of(refused)
    assert desk.post(url, {"name": " "}).status_code == 422
    assert sign_in(make_user(clinic, "coordinator")).post(url, {"name": "Mine"}).status_code == 404
    desk.force_login(view.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = desk.post(url, {"name": "Asleep"}, follow=True)
    assert "“Other” is now called “Asleep”." in text_of(answer) and "tab=due" in answer.request["QUERY_STRING"]
    view.refresh_from_db()
    assert (view.name, view.tab) == ("Asleep", "snoozed")


def test_empty_lists_say_why(late, desk):
    assert "A registry begins with one." in text_of(desk.get(reverse("worklist")))
    late()
    assert "No review is open" in text_of(desk.get(reverse("worklist")))
    page = text_of(desk.get(tab_url("overdue", language="de")))
    assert "Nobody here matches these filters" in page and "Lift all filters" in page


def test_pages_follow_each_other_without_a_gap(clinic, enrol, desk):
    with pipeline.deferred():
        for _number in range(61):
            enrol(clinic)
    first = desk.get(tab_url("never_started"))
    second = desk.get(first.context["next_url"])
    turned = [item["row"].pk for page in (first, second) for item in page.context["rows"]]
    assert len(turned) == len(set(turned)) == 61 and not second.context["next_url"]


def test_a_late_sweep_is_told_loudly(late, desk):
    assert "These lists may be out of date." in text_of(desk.get(reverse("worklist")))
    heartbeats.finished("sweep", timezone.now())
    page = text_of(desk.get(reverse("worklist")))
    assert "These lists may be out of date." not in page and "0 behind" in page


def test_a_census_that_does_not_add_up_is_told_and_explained_to_administrators(late, desk, clinic, make_user, sign_in):
    patient = late(family_name="Lostman")
    now = timezone.now()
    assert census.take_census(clinic, now).adds_up
    assert "do not add up" not in text_of(desk.get(reverse("worklist")))
    hip = patient.hips.get(side="left")
    wrong = [{"hip": hip.pk, "census": "lost", "lists": "overdue"}]
    Census.objects.create(
        clinic=clinic, on=now.date(), enrolled_hips=2, buckets={"lost": 2}, disagreements=wrong, adds_up=False
    )
    page = text_of(desk.get(tab_url("due")))
    assert "do not add up" in page and "Lostman" not in page
    page = text_of(sign_in(make_user(clinic, "admin")).get(tab_url("due")))
    assert "do not add up" in page and "Lostman" in page and "census “lost”, lists “overdue”" in page


def test_ticked_rows_get_a_clinician(late, desk, clinic, make_user):
    surgeon = make_user(clinic, "clinician", name="Dr Lindqvist")
    first, second, third = late(), late(), late()
    url = reverse("worklist_bulk", query={"tab": "overdue"})
    data = {"selected": [first.pk, second.pk], "act": "assign", "clinician": surgeon.pk}
    page = text_of(desk.post(url, data, follow=True))
    assert "Dr Lindqvist is now responsible for 2 more patients." in page
    assert set(Patient.objects.filter(responsible=surgeon)) == {first, second} and third.responsible is None


@pytest.mark.parametrize("data", [{}, {"selected": ["x", "99999999999999999999"]}])
def test_nothing_ticked_is_told(data, late, desk):
    late()
    assert "Tick at least one row first." in text_of(desk.post(reverse("worklist_bulk"), data, follow=True))


def test_nobody_is_made_responsible_by_an_empty_choice(late, desk, clinic, make_user):
    patient, other = late(responsible=make_user(clinic, "clinician")), late()
    data = {"selected": [patient.pk], "act": "assign", "clinician": ""}
    answer = desk.post(reverse("worklist_bulk"), data)
    assert answer.status_code == 422 and "Choose the clinician first." in text_of(answer)
    assert ticked_in(answer) == [patient.pk] and f'value="{other.pk}"' in answer.text
    patient.refresh_from_db()
    assert patient.responsible is not None


def ticked_in(answer):
    boxes = re.findall(r'name="selected" value="(\d+)"[^>]* data-select checked', answer.text)
    return [int(pk) for pk in boxes]


def test_a_refused_choice_keeps_the_page_the_filters_the_ticks_and_the_choice(
    enrol, desk, clinic, other_clinic, make_user
):
    with pipeline.deferred():
        for _number in range(worklist.PAGE + 3):
            enrol(clinic, language="de")
    stranger = make_user(other_clinic, "clinician")
    page = desk.get(desk.get(tab_url("all", language="de")).context["next_url"])
    shown = [item["row"].pk for item in page.context["rows"]]
    data = {"selected": shown[1:], "act": "assign", "clinician": stranger.pk}
    answer = desk.post(page.context["bulk_url"], data)
    assert answer.status_code == 422 and ticked_in(answer) == shown[1:]
    assert [item["row"].pk for item in answer.context["rows"]] == shown
    assert [chip["label"] for chip in answer.context["chips"]] == ["Language"]
    assert answer.context["chosen_clinician"] == str(stranger.pk)
    surgeon = make_user(clinic, "clinician")
    done = desk.post(answer.context["bulk_url"], data | {"clinician": surgeon.pk}, follow=True)
    assert [item["row"].pk for item in done.context["rows"]] == shown, "back to the same page"


def csv_rows(response):
    content = b"".join(response.streaming_content)
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_the_csv_holds_the_whole_filtered_tab_and_is_audited(clinic, enrol, late, desk, monkeypatch):
    monkeypatch.setattr("monitoring.web.exports.TOGETHER", 7)
    with pipeline.deferred():
        for _number in range(30):
            late()
        late(language="de")
    url = reverse("worklist_export", args=["overdue", "csv"], query={"language": "en"})
    rows = csv_rows(desk.get(url))
    assert len(rows) == desk.get(tab_url("overdue", language="en")).context["total"] == 30
    assert rows[0]["Why"] == "Due 10 Jul 2026" and rows[0]["Left hip: due"] == "2026-07-10"
    entry = AuditEntry.objects.get(act="export")
    assert (entry.actor, entry.clinic_id) == ("Ada Okoye", clinic.pk)
    assert entry.after == {"list": "overdue", "rows": 30, "of": "language=en", "format": "csv"}


def test_a_name_that_looks_like_a_formula_is_text(late, desk):
    late(family_name='=HYPERLINK("http://x")', given_name="+1", telephone="+442079460000")
    row = csv_rows(desk.get(reverse("worklist_export", args=["all", "csv"])))[0]
    assert row["Family name"] == '\'=HYPERLINK("http://x")' and row["Given name"] == "'+1"
    content = b"".join(desk.get(reverse("worklist_export", args=["all", "xlsx"])).streaming_content)
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet and 't="inlineStr"><is><t>=HYPERLINK' in sheet and "<v>41</v>" in sheet


def test_a_book_sent_in_pieces_is_one_sheet_with_dates_and_all_rows(late, desk, monkeypatch):
    monkeypatch.setattr("monitoring.web.exports.TOGETHER", 2)
    people = [late(family_name=f"Name{number}") for number in range(5)]
    response = desk.get(reverse("worklist_export", args=["overdue", "xlsx"]))
    content = b"".join(response.streaming_content)
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    assert len(sheet) == 6 and sheet[0][:2] == ["Record number", "Family name"]
    assert {row[1] for row in sheet[1:]} == {one.family_name for one in people}
    assert sheet[1][sheet[0].index("Left hip: due")] == date(2026, 7, 10)
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        assert book.testzip() is None
        assert [int(row) for row in re.findall(r'<row r="(\d+)"', book.read(exports.SHEET).decode())] == [
            1,
            2,
            3,
            4,
            5,
            6,
        ]
        assert b'<autoFilter ref="A1:W6"/>' in book.read(exports.SHEET)


def test_an_empty_list_is_a_book_with_headings(desk):
    content = b"".join(desk.get(reverse("worklist_export", args=["overdue", "xlsx"])).streaming_content)
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    assert len(sheet) == 1


def test_a_long_file_shows_only_own_rows_after_the_request_is_over(late, desk, other_clinic, monkeypatch):
    """Each step says anew whose rows it may see: what another transaction may see does not matter."""
    monkeypatch.setattr("monitoring.web.exports.TOGETHER", 1)
    mine = [late(), late()]
    late(where=other_clinic)
    response = desk.get(reverse("worklist_export", args=["all", "csv"]))
    access.bind_clinics([other_clinic.pk])
    assert {row["Record number"] for row in csv_rows(response)} == {one.record_number for one in mine}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1"])
def test_what_a_spreadsheet_would_calculate_gets_an_apostrophe(text):
    assert exports.harmless(text) == f"'{text}"


def test_ticked_rows_alone_can_be_exported(late, desk):
    first, _second = late(), late()
    data = {"selected": [first.pk], "act": "csv"}
    rows = csv_rows(desk.post(reverse("worklist_bulk", query={"tab": "overdue"}), data))
    assert [row["Record number"] for row in rows] == [first.record_number]


def test_another_clinics_patients_are_not_there_at_all(late, desk, other_clinic, ada):
    other = late(where=other_clinic, family_name="Stranger", given_name="Zebedee")
    attempt = ContactAttempt.objects.create(clinic=other_clinic, patient=other, outcome="note", actor="x", by=ada)
    for name, pk in (
        ("worklist_outcome", other.pk),
        ("worklist_snooze", other.pk),
        ("worklist_unsnooze", other.pk),
        ("worklist_undo", attempt.pk),
    ):
        assert desk.post(reverse(name, args=[pk]), {"outcome": "reached"}).status_code == 404
    assert "Stranger" not in text_of(desk.get(tab_url("all")))
    assert "Zebedee" not in text_of(desk.get(reverse("patients", query={"q": "Stranger"})))
    assert csv_rows(desk.get(reverse("worklist_export", args=["all", "csv"]))) == []


@pytest.mark.parametrize("path", ["/worklist/nothing/", "/worklist/all/export.pdf", "/worklist/nothing/export.csv"])
def test_what_does_not_exist_is_404(path, desk):
    assert desk.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/worklist/all/", "/patients/", "/worklist/all/export.csv"])
def test_who_is_not_signed_in_is_sent_to_sign_in(path, db, client):
    assert client.get(path).url.startswith("/account/login/")


def test_an_exact_record_number_leads_straight_to_the_patient(late, desk):
    patient = late(record_number="HW-00231")
    late(record_number="HW-002312")
    assert desk.get("/patients/", {"q": " hw-00231 "}).url == reverse("patient", args=[patient.pk])
    assert desk.get("/patients/", {"q": "HW-0023"}).context["total"] == 2


def test_search_results_name_two_identifiers(late, desk):
    late(family_name="Lindqvist", record_number="HW-7", born_on=date(1981, 3, 4))
    page = text_of(desk.get("/patients/", {"q": "linqvist"}))
    assert "Marta Lindqvist" in page and "4 Mar 1981" in page and "HW-7" in page


def test_the_list_of_patients_turns_its_pages_by_name_without_a_gap(clinic, enrol, desk, django_assert_max_num_queries):
    with pipeline.deferred():
        for number in range(120):
            enrol(clinic, family_name=f"Name{number % 40:02d}", given_name="Ida" if number % 3 else "Bea")
    turned, url = [], "/patients/"
    while url:
        with django_assert_max_num_queries(16):
            response = desk.get(url)
        turned += [row["id"] for row in response.context["rows"]]
        url = response.context["next_url"]
    expected = Patient.objects.order_by("family_name", "given_name", "id").values_list("id", flat=True)
    assert turned == [f"row-{pk}" for pk in expected]


def test_german_staff_read_german_dates(late, desk):
    late(born_on=date(1981, 5, 4))
    page = text_of(desk.get(tab_url("overdue"), headers={"Accept-Language": "de"}))
    assert "4. Mai 1981" in page and "10. Apr 2026" in page  # age over 40: every three months


# ---- Mail and letters for the ticked rows


def bulk(client, act, patients, **more):
    data = {"selected": [one.pk for one in patients], "act": act, **more}
    return client.post(reverse("worklist_bulk", query={"tab": "all"}), data)


@pytest.fixture
def due_soon(late):
    """Seen on 10 Mar 2026, due on 10 Sep; the clinic prompts to book on 25 Aug."""

    def one(**details):
        known = {"email": "jon@example.org", "on": date(2026, 3, 10)}
        patient = late(**{**known, **details})
        Reminder.objects.filter(patient=patient, step="booking_prompt").update(send_on=date(2026, 8, 25))
        return patient

    return one


def prompt_of(patient):
    return Reminder.objects.get(patient=patient, step="booking_prompt")


def test_mail_for_ticked_rows_is_shown_before_it_is_sent(due_soon, desk):
    patient = due_soon()
    page = text_of(bulk(desk, "mail", [patient]))
    assert "1 mail can go out now." in page and "Send 1 mail" in page
    assert prompt_of(patient).send_on == date(2026, 8, 25)
    assert not AuditEntry.objects.filter(act="send_reminder_now").exists()
    page = text_of(bulk(desk, "mail", [patient], confirmed="1"))
    assert "1 mail goes out." in page and "Goes out within minutes." in page
    assert prompt_of(patient).send_on == LATE_DAY
    entry = AuditEntry.objects.get(act="send_reminder_now")
    assert (entry.actor, entry.patient_id, entry.after) == ("Ada Okoye", patient.pk, {"send_on": "2026-08-20"})


def test_who_goes_back_without_sending_finds_the_ticks(due_soon, late, desk):
    patient, _other = due_soon(), due_soon()
    assert 'name="act" value="back"' in bulk(desk, "mail", [patient]).text
    answer = bulk(desk, "back", [patient])
    assert answer.status_code == 200 and ticked_in(answer) == [patient.pk]


@pytest.mark.parametrize("act", ["mail", "letters"])
def test_where_nothing_can_be_done_the_way_back_keeps_the_ticks(act, due_soon, desk):
    patients = [due_soon(), due_soon()]
    ContactWish.objects.filter(patient__in=patients).update(allowed=False)
    page = bulk(desk, act, patients).text
    assert 'name="act" value="back"' in page and 'value="mail"' not in page and 'name="confirmed"' not in page
    sent = [int(pk) for pk in re.findall(r'name="selected" value="(\d+)"', page)]
    assert set(sent) == {patient.pk for patient in patients}
    assert set(ticked_in(desk.post(reverse("worklist_bulk"), {"selected": sent, "act": "back"}))) == set(sent)


def test_who_was_written_to_goes_back_to_a_list_without_ticks(due_soon, desk):
    assert 'value="back"' not in bulk(desk, "mail", [due_soon()], confirmed="1").text


def test_what_cannot_be_sent_is_told_by_patient(due_soon, late, desk, clinic):
    opted_out, none_planned = due_soon(family_name="Stone"), late(family_name="Bird")
    ContactWish.objects.filter(patient=opted_out).update(allowed=False)
    Reminder.objects.filter(patient=none_planned).update(state="cancelled")
    page = text_of(bulk(desk, "mail", [opted_out, none_planned], confirmed="1"))
    assert "The patient does not want e-mail." in page and "No message about a follow-up is planned." in page
    assert "0 mails go out." in page and "For 2 patients nothing happens" in page


def test_mail_asked_for_in_the_night_says_when_it_goes(due_soon, desk):
    patient = due_soon()
    with time_machine.travel(datetime(2026, 8, 20, 4, tzinfo=UTC), tick=False):
        assert "Goes out at 8:00" in text_of(bulk(desk, "mail", [patient], confirmed="1")).replace("08:00", "8:00")
    with time_machine.travel(datetime(2026, 8, 20, 20, tzinfo=UTC), tick=False):
        assert "Goes out on 21 Aug 2026 at" in text_of(bulk(desk, "mail", [patient], confirmed="1"))


def test_mail_that_is_stopped_stays_stopped(due_soon, desk, clinic):
    patient = due_soon()
    Clinic.objects.filter(pk=clinic.pk).update(mail_stopped=True)
    assert "Mail of this clinic is switched off." in text_of(bulk(desk, "mail", [patient], confirmed="1"))
    assert prompt_of(patient).send_on == date(2026, 8, 25)


def test_letters_of_ticked_rows_become_one_pdf(late, desk, actor):
    first, second, third = (late(address="4 Mill Lane\nLeeds", email="") for _number in range(3))
    for one in (first, second):
        row = Reminder.objects.get(patient=one, step="second_missed", due_on=date(2026, 7, 10))
        Reminder.objects.filter(pk=row.pk).update(
            state="refused", reason="There is no e-mail address.", decided_at=timezone.now()
        )
        assert substitutes.open_for([row.pk], by=actor, at=timezone.now()) == 1
    response = bulk(desk, "letters", [first, third])
    page = text_of(response)
    assert "1 letter is in the PDF." in page and "No letter waits" in page
    pdf = desk.get(response.context["action"]["url"])
    (sheet,) = [one.extract_text() for one in PdfReader(io.BytesIO(pdf.content)).pages]
    assert first.display_name in sheet
    states = dict(Substitute.objects.values_list("patient", "state"))
    assert states == {first.pk: "done", second.pk: "open"}


def test_neither_mail_nor_letters_for_another_clinics_rows(late, desk, other_clinic):
    stranger = late(where=other_clinic)
    for act in ("mail", "letters"):
        assert bulk(desk, act, [stranger]).status_code == 302


def test_where_no_mail_is_planned_the_last_one_is_named(late, desk):
    patient = late()
    Reminder.objects.filter(patient=patient).update(state="cancelled")
    Reminder.objects.filter(patient=patient, step="second_missed").update(
        state="sent", sent_to="jon@example.org", decided_at=datetime(2026, 8, 8, 9, tzinfo=UTC)
    )
    page = text_of(bulk(desk, "mail", [patient]))
    assert "No message about a follow-up is planned." in page
    assert "The last: Second missed, Sent, 8 Aug 2026" in page and "Send 1 mail" not in page

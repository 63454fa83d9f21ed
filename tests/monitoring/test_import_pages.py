"""Import pages: a new clinic's file from strange headings to saved, undone, and imported again."""

import io
import re
from datetime import date
from typing import Any

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile

from monitoring import census
from monitoring.imports import matching, waiting
from monitoring.models import ImportBatch, ImportMapping
from patients import access
from patients.models import Clinic, Imaging, Patient
from patients.recording import today_at

HEADINGS = "Fallnummer;Nachname;Vorname;Geb.-Datum;Besuch;Bildgebung re.;Nekrose rechts;Schmerz links;Kürzel"
ROWS = ["A-1;Berg;Anna;29.02.1980;01.03.2026;XR;ja;4;xy", "B-2;Öztürk;Boris;01.12.1975;02.03.2026;MRT;nein;;zz"]
BAD = ROWS[1].replace("MRT", "Röntgen!")


def upload(*rows: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("Hüftregister.csv", "\n".join([HEADINGS, *rows, ""]).encode())


@pytest.fixture
def desk(clinic: Any, make_user: Any, sign_in: Any) -> Any:
    return sign_in(make_user(clinic, "coordinator"))


@pytest.fixture(autouse=True)
def _see_everything_again(desk: Any) -> Any:
    """After each request the test's own transaction sees all clinics again."""
    send = desk.request

    def request(**sent: Any) -> Any:
        answer = send(**sent)
        access.bind_clinics(Clinic.objects.values_list("id", flat=True))
        return answer

    desk.request = request


def send(desk: Any, clinic: Any, *rows: str, **more: str) -> Any:
    return desk.post("/import/", {"clinic": clinic.pk, "file": upload(*rows), "date_order": "dmy"} | more)


def chosen(answer: Any) -> dict[str, str]:
    """What the matching page has selected, as a browser would send it."""
    form = answer.context["form"]
    return {field.name: str(field.value() or "") for field in form}


def counted(clinic: Any) -> tuple[dict[str, int], Any]:
    from django.utils import timezone

    buckets, disagreements = census.count_hips(clinic, today_at(clinic, timezone.now()))
    buckets.pop("ended: entered_in_error", None)
    return dict(buckets), disagreements


def tabs(desk: Any) -> list[str]:
    """The worklist's tabs with their counts, as they are read; all but the last, in which everybody stays findable."""
    page = desk.get("/").content.decode()
    nav = page[page.index('class="tabs') : page.index("</nav>", page.index('class="tabs'))]
    return re.sub(r"<[^>]+>|\s+", " ", nav).split()[:-2]


def test_a_strange_file_is_matched_mended_saved_undone_and_imported_again(desk: Any, clinic: Any) -> None:
    before, worklist = counted(clinic), tabs(desk)
    answer = send(desk, clinic, ROWS[0], BAD)
    one = ImportBatch.objects.get()
    assert (one.state, answer.url) == ("mapping", f"/import/{one.pk}/columns/")
    page = desk.get(answer.url)
    text = page.content.decode()
    assert "29.02.1980" in text and "Röntgen!" in text
    sent = chosen(page)
    assert [sent[f"column_{place}"] for place in range(9)] == [
        "record_number", "family_name", "given_name", "born_on", "visit_on", "right_modality", "right_necrosis",
        "left_pain_nrs", "",
    ]  # fmt: skip
    assert (sent["date_order"], sent["name"]) == ("dmy", "Hüftregister")

    wrong = desk.post(answer.url, sent | {"column_0": "", "column_2": "family_name", "column_8": "visit_note"})
    text = wrong.content.decode()
    assert wrong.status_code == 422 and "record_number" in text and "matched with this column already" in text
    assert chosen(wrong)["column_8"] == "visit_note"

    checked = desk.post(answer.url, sent, follow=True)
    assert "not among XR, MR" in checked.content.decode()
    assert not Patient.objects.exists()

    again = send(desk, clinic, *ROWS)
    page = desk.get(again.url)
    assert "Chosen as in “Hüftregister”" in page.content.decode()
    checked = desk.post(again.url, chosen(page))
    assert "Save these 2 rows" in desk.get(checked.url).content.decode()
    desk.post(checked.url)
    assert waiting.save_waiting_imports() == 1
    assert "Undo this import" in desk.get(checked.url).content.decode()
    saved = counted(clinic)
    assert saved != before and saved[1] == []

    undoing = checked.url + "undo/"
    assert "ended as entered in error" in desk.get(undoing).content.decode()
    assert desk.post(undoing, {"reason": " "}).status_code == 422
    assert desk.post(undoing, {"reason": "wrong year"}).status_code == 302
    assert "Being undone" in desk.get(checked.url).content.decode()
    desk.post(undoing, {"reason": "twice"})
    assert waiting.save_waiting_imports() == 1
    text = desk.get(checked.url).content.decode()
    assert "Undone." in text and "wrong year" in text and "twice" not in text
    assert counted(clinic) == before
    assert tabs(desk) == worklist
    assert "A-1" in desk.get("/patients/?q=Berg").content.decode()

    third = send(desk, clinic, *ROWS)
    checked = desk.post(third.url, chosen(desk.get(third.url)))
    desk.post(checked.url)
    assert waiting.save_waiting_imports() == 1
    assert counted(clinic) == saved
    assert Imaging.objects.filter(withdrawn_at__isnull=True).count() == 2


def read_as(answer: Any) -> list[list[str]]:
    """The table of how the file was read, its heading first, as a person reads it."""
    page = answer.content.decode()
    table = page[page.index('aria-labelledby="first-title">', page.index('id="first-title"')) :].partition("</table>")[
        0
    ]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]


def test_a_checked_file_shows_how_each_good_row_was_read(desk: Any, clinic: Any) -> None:
    url = send(desk, clinic, BAD, ROWS[0]).url
    answer = desk.post(url, chosen(desk.get(url)), follow=True)
    heading, row = read_as(answer)
    assert heading[:3] == ["Line", "Outcome", "record_number Fallnummer"]
    assert row == ["3", "new", "A-1", "Berg", "Anna", "29 Feb 1980", "1 Mar 2026", "Radiograph", "yes", "4"]


def test_a_changed_detail_shows_what_the_registry_has(desk: Any, clinic: Any, enrol: Any) -> None:
    enrol(clinic, record_number="A-1", family_name="Berg", given_name="Anna", born_on=date(1980, 2, 28))
    url = send(desk, clinic, ROWS[0]).url
    _heading, row = read_as(desk.post(url, chosen(desk.get(url)), follow=True))
    assert row[1] == "changed" and row[5] == "29 Feb 1980 was 28 Feb 1980"


def test_one_row_is_saved_as_one_row(desk: Any, clinic: Any) -> None:
    url = send(desk, clinic, ROWS[0]).url
    assert "Save this row" in desk.post(url, chosen(desk.get(url)), follow=True).content.decode()


def test_contradicting_rows_are_counted_before_saving_and_do_not_keep_it_back(desk: Any, clinic: Any) -> None:
    file = SimpleUploadedFile(
        "r.csv", b"record_number,family_name,visit_on,left_symptomatic,left_pain_nrs\n1,Berg,2026-03-01,no,6\n"
    )
    page = desk.post("/import/", {"clinic": clinic.pk, "file": file, "date_order": "iso"}, follow=True).content.decode()
    assert "1 row contradicts the record" in page and "No symptoms, but pain of 6." in page and "Save this row" in page


def test_a_file_of_refused_rows_has_nothing_to_save(desk: Any, clinic: Any) -> None:
    url = send(desk, clinic, BAD, row_by_row="on").url
    page = desk.post(url, chosen(desk.get(url)), follow=True).content.decode()
    assert "No row is good" in page and "Save th" not in page


def test_a_file_with_our_headings_needs_no_matching(desk: Any, clinic: Any) -> None:
    file = SimpleUploadedFile("r.csv", b"Record Number,family_name,\n1,A,\n")
    desk.post("/import/", {"clinic": clinic.pk, "file": file, "date_order": "iso"})
    assert ImportBatch.objects.get().state == "checked"


def test_columns_may_be_matched_again_until_the_file_is_saved(desk: Any, clinic: Any) -> None:
    url = send(desk, clinic, *ROWS).url
    sent = chosen(desk.get(url))
    desk.post(url, sent | {"date_order": "iso", "name": ""})
    assert ImportBatch.objects.get().rows_refused == 2
    assert not ImportMapping.objects.exists()
    desk.post(url, sent)
    one = ImportBatch.objects.get()
    assert (one.rows_refused, one.rows_created) == (0, 2)
    desk.post(f"/import/{one.pk}/")
    waiting.save_waiting_imports()
    assert desk.get(url).url == f"/import/{one.pk}/"


def test_system_and_version_of_a_stage_are_known_by_german_headings() -> None:
    found = matching.suggest(["Stadiensystem links", "Version links", "Version"])
    assert list(found.values()) == ["left_stage_system", "left_stage_version", ""]


def test_who_may_not_import_neither_matches_nor_undoes(
    desk: Any, clinic: Any, other_clinic: Any, make_user: Any, sign_in: Any
) -> None:
    url = send(desk, clinic, *ROWS).url
    one = ImportBatch.objects.get()
    for user, refused in ((make_user(other_clinic, "coordinator"), 404), (make_user(clinic, "clinician"), 403)):
        client = sign_in(user)
        assert [client.get(path).status_code for path in (url, f"/import/{one.pk}/undo/")] == [refused, refused]
        assert client.post(f"/import/{one.pk}/undo/", {"reason": "mine"}).status_code == refused


def test_a_matching_is_kept_for_its_clinic_and_its_headings_alone(desk: Any, clinic: Any, other_clinic: Any) -> None:
    url = send(desk, clinic, *ROWS).url
    desk.post(url, chosen(desk.get(url)) | {"name": "Northside export"})
    titles = HEADINGS.split(";")
    kept = matching.kept_for(clinic.pk, titles)
    assert kept and kept.name == "Northside export"
    assert matching.kept_for(other_clinic.pk, titles) is None
    assert matching.kept_for(clinic.pk, titles[::-1]) is None
    assert matching.free_name(clinic.pk, "Northside export", titles[::-1]) == "Northside export 2"
    file = SimpleUploadedFile("other.csv", b"MRN,Name\n1,A\n")
    url = desk.post("/import/", {"clinic": clinic.pk, "file": file, "date_order": "iso"}).url
    refused = desk.post(url, chosen(desk.get(url)) | {"name": "Northside export"})
    assert "is kept for files with other headings" in refused.content.decode()
    assert ImportMapping.objects.get().columns["Fallnummer"] == "record_number"


def test_the_pages_speak_german(desk: Any, clinic: Any, settings: Any) -> None:
    url = send(desk, clinic, *ROWS).url
    desk.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    assert "Spalten zuordnen" in desk.get(url).content.decode()


@pytest.mark.parametrize(
    ("title", "column"),
    [
        ("MRN", "record_number"),
        ("Surname", "family_name"),
        ("Date of birth", "born_on"),
        ("Harris hip score (L)", "left_hhs"),
        ("Pain right", "right_pain_nrs"),
        ("OP-Datum links", "left_procedure_on"),
        ("family_nme", "family_name"),
        ("Right modality", "right_modality"),
        ("Pain", ""),
        ("Shoe size", ""),
    ],
)
def test_headings_are_suggested_by_their_wording(title: str, column: str) -> None:
    assert matching.suggest([title]) == {title: column}


def test_headings_that_repeat_are_told_apart(desk: Any, clinic: Any) -> None:
    file = SimpleUploadedFile("r.csv", b"MRN,Name,Date,Date,,\n1,A,2026-01-01,2026-01-02,x,\n")
    url = desk.post("/import/", {"clinic": clinic.pk, "file": file, "date_order": "iso"}).url
    form = desk.get(url).context["form"]
    assert [field.label for field in form][:6] == ["MRN", "Name", "Date", "Date (2)", "column 5", "column 6"]
    desk.post(url, chosen(desk.get(url)) | {"column_2": "", "column_3": "enrolled_on"})
    one = ImportBatch.objects.get()
    assert (one.state, one.rows_created) == ("checked", 1)


def test_a_workbook_with_headings_of_its_own_is_matched_too(desk: Any, clinic: Any) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([["MRN", "Surname", "Date of birth"], [4711, "Öz", date(1980, 2, 29)]]):
            for place, value in enumerate(row):
                sheet.write(number, place, value)
    file = SimpleUploadedFile("list.xlsx", buffer.getvalue())
    url = desk.post("/import/", {"clinic": clinic.pk, "file": file, "date_order": "iso"}).url
    page = desk.get(url)
    assert '<span class="second">1980-02-29</span>' in page.content.decode()
    desk.post(url, chosen(page))
    one = ImportBatch.objects.get()
    assert (one.state, one.rows_created) == ("checked", 1)

"""Importing a registry file: what is refused and in which words, that nothing is half-saved, that twice is once."""

import io
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from monitoring.imports import batch as batches
from monitoring.imports.batch import Options
from monitoring.imports.cells import CellRefused, DateOrder, read_cell
from monitoring.imports.columns import BY_NAME, COLUMNS, layout
from monitoring.imports.registry_file import ImportRefused, open_file
from monitoring.models import ImportBatch, PatientEvaluation
from patients import recording
from patients.models import ContactWish, Exposure, Imaging, Patient, Score, Staging, SymptomReport, Visit

PROJECT = Path(__file__).resolve().parents[2]
HEAD = "record_number,family_name,given_name,born_on,visit_on,right_modality,right_views,right_necrosis,right_pain_nrs"
ANNA = "A-1,Berg,Anna,1980-02-29,2026-03-01,XR,AP_PELVIS|FROG_LATERAL,yes,0"
BORIS = "B-2,Öztürk,Boris,1975-12-01,2026-03-02,MRI,,no,"


def lines(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join([head, *rows, ""]).encode()


@pytest.fixture
def check(clinic: Any, actor: Any) -> Any:
    def run(content: bytes, **options: Any) -> ImportBatch:
        return batches.check(clinic, content, file_name="registry.csv", by=actor, options=Options(**options))

    return run


@pytest.fixture
def load(check: Any, clinic: Any, actor: Any) -> Any:
    def run(content: bytes, **options: Any) -> ImportBatch:
        batch = check(content, **options)
        return batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)

    return run


def said(batch: ImportBatch) -> dict[tuple[int, str], str]:
    return {(row.number, p["column"]): p["text"] for row in batch.rows.all() for p in row.problems}


def outcome(batch: ImportBatch) -> tuple[int, int, int, int]:
    return (batch.rows_created, batch.rows_updated, batch.rows_unchanged, batch.rows_refused)


# ---- Saving


def test_a_file_becomes_patients_visits_and_facts_that_are_evaluated(load: Any) -> None:
    batch = load(lines(ANNA, BORIS))
    assert outcome(batch) == (2, 0, 0, 0)
    assert batch.state == "done"
    assert batch.content is None
    anna = Patient.objects.get(record_number="A-1")
    image = Imaging.objects.get(patient=anna)
    assert (image.hip.side, image.modality, image.necrosis, image.origin) == ("right", "XR", True, "import")
    assert image.visit == Visit.objects.get(patient=anna)
    assert SymptomReport.objects.get(patient=anna).pain_nrs == 0
    assert Patient.objects.get(record_number="B-2").family_name == "Öztürk"
    assert PatientEvaluation.objects.get(patient=anna).record_version == anna.record_version


def test_a_check_touches_no_patient(check: Any) -> None:
    batch = check(lines(ANNA, BORIS))
    assert outcome(batch) == (2, 0, 0, 0)
    assert batch.state == "checked"
    assert not Patient.objects.exists()


def test_the_same_file_changes_nothing_the_second_time(load: Any) -> None:
    load(lines(ANNA, BORIS))
    version = Patient.objects.get(record_number="A-1").record_version
    assert outcome(load(lines(ANNA, BORIS))) == (0, 0, 2, 0)
    assert Patient.objects.get(record_number="A-1").record_version == version
    assert Imaging.objects.count() == 2


def test_several_rows_of_one_number_are_visits_of_one_person(load: Any) -> None:
    later = ANNA.replace("2026-03-01", "2026-06-01")
    assert outcome(load(lines(ANNA, later, ANNA))) == (1, 1, 1, 0)
    assert Patient.objects.count() == 1
    assert Visit.objects.count() == 2


def test_the_check_and_the_saving_agree_across_chunks(load: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK", 2)
    rows = [ANNA, BORIS, ANNA.replace("2026-03-01", "2026-06-01"), ANNA, BORIS]
    assert outcome(check(lines(*rows))) == outcome(load(lines(*rows))) == (2, 1, 2, 0)
    assert outcome(load(lines(*rows))) == (0, 0, 5, 0)


def test_changed_details_are_an_update_that_names_before_and_after(load: Any, check: Any) -> None:
    load(lines(ANNA))
    married = ANNA.replace("Berg", "Berg-Holm")
    assert said(check(lines(married)))[2, "family_name"] == "Changes from Berg to Berg-Holm."
    assert outcome(load(lines(married))) == (0, 1, 0, 0)
    assert Patient.objects.get().family_name == "Berg-Holm"


def test_an_empty_cell_erases_nothing(load: Any) -> None:
    load(lines(ANNA))
    assert outcome(load(lines("A-1,Berg,,,,,,,"))) == (0, 0, 1, 0)
    assert Patient.objects.get().born_on == date(1980, 2, 29)


def test_a_withdrawn_fact_does_not_come_back(load: Any, actor: Any) -> None:
    load(lines(ANNA))
    recording.withdraw_fact(Imaging.objects.get(), by=actor, reason="wrong patient")
    assert outcome(load(lines(ANNA))) == (0, 0, 1, 0)
    assert Imaging.objects.count() == 1


def test_another_reading_of_the_same_day_stands_beside_the_first_and_is_mentioned(load: Any) -> None:
    load(lines(ANNA))
    batch = load(lines(ANNA.replace(",yes,", ",no,")))
    assert Imaging.objects.count() == 2
    assert "both will stand" in said(batch)[2, "visit_on"]


# ---- Contradictions: shown, not refused

STAGES = "record_number,family_name,visit_on,right_stage_system,right_stage_version,right_stage_code"
EARLY, LATE = "A-1,Berg,2026-03-01,arco,2019,{}", "A-1,Berg,2026-06-01,arco,2019,{}"


def doubts(batch: ImportBatch) -> list[tuple[int, str, str]]:
    return [(row.number, p["column"], p["text"]) for row in batch.rows.all() for p in row.problems if p.get("doubt")]


def test_a_lower_stage_than_the_registry_has_is_doubted_and_kept_with_the_row(load: Any) -> None:
    load(lines(EARLY.format("IIIA"), head=STAGES))
    batch = load(lines(LATE.format("I"), head=STAGES))
    [(line, column, text)] = doubts(batch)
    assert (line, column, batch.rows_updated) == (2, "right_stage_system", 1)
    assert "is a lower stage than ARCO IIIA (2019) of 1 Mar 2026" in text
    assert doubts(load(lines(LATE.format("I"), head=STAGES))) == []


def test_rows_of_one_file_are_compared_in_the_order_of_their_days(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK", 1)
    batch = check(lines(LATE.format("I"), EARLY.format("IIIA"), head=STAGES))
    [(line, _column, text)] = doubts(batch)
    assert line == 2 and "is a lower stage than" in text
    assert outcome(batch) == (1, 1, 0, 0)


def test_the_other_hip_and_another_person_are_not_compared(check: Any) -> None:
    head = STAGES + ",left_stage_system,left_stage_version,left_stage_code"
    rows = (EARLY.format("IIIA") + ",,,", "A-1,Berg,2026-06-01,,,,arco,2019,I", "B-2,Holm,2026-06-01,arco,2019,I,,,")
    assert doubts(check(lines(*rows, head=head))) == []


def test_what_saving_was_told_of_stays_also_after_saving_row_by_row(load: Any) -> None:
    head = HEAD + ",right_symptomatic"
    batch = load(lines(ANNA.removesuffix("0") + "6,no", BORIS + ",", head=head), all_or_nothing=False)
    assert [(line, text) for line, _column, text in doubts(batch)] == [(2, "No symptoms, but pain of 6.")]


def test_everything_a_row_can_say(load: Any, clinic: Any) -> None:
    values = {
        "record_number": "F-1", "family_name": "Full", "given_name": "Fay", "born_on": "1970-01-02", "sex": "f",
        "email": "fay@mail.example", "telephone": "020 7946 0123", "language": "de", "enrolled_on": "2025-01-05",
        "email_consent": "ja", "email_consent_how": "on paper", "conditions": "glucocorticoid|SLE", "bmi": "24,5",
        "visit_on": "2025-02-01", "left_modality": "MR", "left_lesion_volume_percent": "12,5",
        "left_lesion_volume_cm3": "6.1", "left_volume_method": "MRI_3D_SEGMENTATION", "left_stage_system": "arco",
        "left_stage_version": "2019", "left_stage_code": "i", "left_hhs": "92", "left_jic_type": "b",
        "left_procedure": "core decompression", "left_procedure_on": "2025-02-20", "left_adjuncts": "PRP",
        "died_on": "2026-01-01", "death_source": "letter of the family doctor",
    }  # fmt: skip
    load((",".join(values) + "\n" + ",".join(f'"{v}"' for v in values.values())).encode())
    fay = Patient.objects.get()
    assert (fay.language, str(fay.telephone), fay.sex) == ("de", "+442079460123", "female")
    assert (fay.died_on, fay.enrolled_on) == (date(2026, 1, 1), date(2025, 1, 5))
    assert ContactWish.objects.get().how == "on paper"
    assert set(Exposure.objects.values_list("kind", flat=True)) == {"glucocorticoid", "sle"}
    assert Imaging.objects.get().lesion_volume_percent == Decimal("12.5")
    assert Staging.objects.get().code == "I"
    assert Score.objects.get().value == 92
    assert fay.hips.get(side="left").procedures.get().on == date(2025, 2, 20)


# ---- Refusing rows


@pytest.mark.parametrize(
    ("was", "becomes", "column", "text"),
    [
        ("1980-02-29", "1981-02-29", "born_on", "no day of the calendar"),
        ("1980-02-29", "03/04/1980", "born_on", "can be read in two ways"),
        ("1980-02-29", "12.13.1980", "born_on", "not written as said of this file"),
        ("1980-02-29", "03.04.80", "born_on", "four digits"),
        ("1980-02-29", "2080-01-01", "born_on", "future"),
        ("2026-03-01", "2970-03-01", "visit_on", "future"),
        ("2026-03-01", "1979-03-01", "visit_on", "before the patient's birth"),
        (",2026-03-01", ",", "visit_on", "give its date"),
        (",XR,", ",XRAYS,", "right_modality", "not among XR"),
        (",XR,", ",MR,", "right_views", "Views belong to radiographs"),
        (",XR,", ",,", "right_modality", "must be filled in"),
        ("yes,0", "yes,11", "right_pain_nrs", "at most 10"),
        ("yes,0", "yes,2-3", "right_pain_nrs", "no number"),
        ("yes,0", "perhaps,0", "right_necrosis", "yes or no"),
        ("A-1", "", "record_number", "must be filled in"),
        ("A-1", "A" * 33, "record_number", "at most 32"),
        ("Anna", "=HYPERLINK(1)", "given_name", "formula"),
        ("yes,0", "yes,0,more", "", "more cells than the heading"),
    ],
)
def test_a_bad_value_is_told_at_its_column(check: Any, was: str, becomes: str, column: str, text: str) -> None:
    batch = check(lines(ANNA.replace(was, becomes, 1)))
    assert outcome(batch) == (0, 0, 0, 1)
    assert text in said(batch)[2, column]


def test_all_or_nothing_leaves_nothing(check: Any, clinic: Any, actor: Any) -> None:
    batch = check(lines(ANNA, BORIS.replace("1975-12-01", "1975-13-01")))
    assert outcome(batch) == (1, 0, 0, 1)
    with pytest.raises(ImportRefused, match="nothing was saved"):
        batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)
    assert not Patient.objects.exists()


def test_row_by_row_saves_the_rows_that_are_fine(load: Any) -> None:
    batch = load(lines(BORIS.replace("1975-12-01", "1975-13-01"), ANNA), all_or_nothing=False)
    assert outcome(batch) == (1, 0, 0, 1)
    assert list(Patient.objects.values_list("record_number", flat=True)) == ["A-1"]


def test_what_changed_since_the_check_undoes_the_whole(check: Any, clinic: Any, actor: Any, enrol: Any) -> None:
    batch = check(lines(BORIS, ANNA))
    enrol(clinic, record_number="A-1", family_name="Somebody", given_name="Else", born_on=date(1955, 5, 5))
    with pytest.raises(ImportRefused, match="Line 3 is refused by now"):
        batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)
    assert not Patient.objects.filter(record_number="B-2").exists()
    assert ImportBatch.objects.get().state == "failed"


def test_a_saved_batch_is_not_saved_again(load: Any, clinic: Any, actor: Any) -> None:
    batch = load(lines(ANNA))
    with pytest.raises(ImportRefused, match="not waiting"):
        batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)


def test_rows_that_contradict_each_other_are_refused(check: Any) -> None:
    batch = check(lines(ANNA, ANNA.replace("1980-02-29", "1981-02-28")))
    assert said(batch)[3, "born_on"] == "Line 2 says “1980-02-29” for the same record number."


def test_one_person_under_two_numbers_is_refused_unless_agreed(check: Any) -> None:
    twice = lines(ANNA, ANNA.replace("A-1", "A-9"))
    batch = check(twice)
    assert "same person as A-1 in line 2 (same family name" in said(batch)[3, "record_number"]
    assert outcome(check(twice, duplicates_agreed=True)) == (2, 0, 0, 0)


def test_somebody_likely_in_the_registry_already_is_refused(check: Any, clinic: Any, enrol: Any) -> None:
    enrol(clinic, record_number="OLD-7", family_name="Berg", given_name="Anna", born_on=date(1980, 2, 29))
    batch = check(lines(ANNA))
    assert (
        "OLD-7 of this clinic (same family name, same given name, same date of birth)"
        in said(batch)[2, "record_number"]
    )


def test_a_number_of_somebody_else_is_refused(check: Any, clinic: Any, enrol: Any) -> None:
    enrol(clinic, record_number="A-1", family_name="Quist", given_name="Olaf", born_on=date(1950, 5, 5))
    assert "belongs to somebody" in said(check(lines(ANNA)))[2, "record_number"]


def test_a_no_to_mail_is_never_overwritten(load: Any, clinic: Any, enrol: Any) -> None:
    enrol(clinic, record_number="A-1", family_name="Berg", given_name="Anna", born_on=date(1980, 2, 29),
          contact_wishes={"email": (False, "by telephone")})  # fmt: skip
    head = "record_number,family_name,email_consent,email_consent_how"
    batch = load(lines("A-1,Berg,yes,old list", head=head))
    assert "keeps that" in said(batch)[2, "email_consent"]
    assert not ContactWish.objects.get().allowed


def test_facts_after_a_death_are_refused(check: Any) -> None:
    head = HEAD + ",died_on,death_source"
    batch = check(lines(ANNA + ",2026-02-01,register", head=head))
    assert "after the patient's death" in said(batch)[2, "visit_on"]


def test_a_stage_needs_a_system_and_arco_its_version(check: Any) -> None:
    head = "record_number,family_name,visit_on,left_stage_system,left_stage_version,left_stage_code"
    batch = check(lines("1,A,2026-01-01,ARCO,,IIIA", "2,B,2026-01-01,,,II", "3,C,2026-01-01,FICAT,,IIIA", head=head))
    assert "2019 and 1994, which differ" in said(batch)[2, "left_stage_version"]
    assert "Say of which system" in said(batch)[3, "left_stage_system"]
    assert "FICAT 1985 has no stage IIIA" in said(batch)[4, "left_stage_code"]


# ---- Refusing files


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "empty"),
        (b"  \n \n", "empty"),
        (HEAD.encode(), "no rows"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PK\x03\x04 not a workbook", "no Excel workbook"),
        (b"\xd0\xcf\x11\xe0 old", "old kind"),
        (b"record_number,family_name\n1,\x00\n", "zero bytes"),
        (b"record_number,family_name\n1,M\x81ller\n", "encoding"),
        (b"family_nme,given_name\nA,B\n", "family_nme (did you mean family_name?)"),
        (b"given_name\nA\n", "missing: record_number, family_name"),
        (b"record_number,family_name,Family Name\n1,a,b\n", "twice: family_name"),
        (b'record_number,family_name\n1,"open\n2,b\n', "breaks off at line 2"),
        (b'record_number,family_name,address\n1,"a"b",c\n', "breaks off at line 2"),
    ],
)
def test_a_file_that_is_no_registry_is_refused_in_words(check: Any, content: bytes, text: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        check(content)
    assert text in str(refused.value)
    assert not ImportBatch.objects.exists()


def test_a_file_too_large_is_refused(check: Any, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 100
    with pytest.raises(ImportRefused, match="larger than"):
        check(lines(ANNA))


@pytest.mark.parametrize(
    ("encoding", "note"),
    [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("cp1252", "Windows-1252"), ("utf-16", "UTF-16")],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_are_found_out(check: Any, encoding: str, note: str, delimiter: str) -> None:
    text = lines(ANNA, BORIS).decode().replace(",", delimiter).replace("\n", "\r\n")
    batch = check(text.encode(encoding))
    assert outcome(batch) == (2, 0, 0, 0)
    assert note in batch.note


def test_line_numbers_are_those_of_an_editor(check: Any) -> None:
    batch = check(b'record_number,family_name,address\n1,A,"street\ntown"\n\n2,,x\n')
    assert (5, "family_name") in said(batch)


def test_headings_may_be_renamed_or_left_out(check: Any) -> None:
    content = "Fallnummer;Nachname;Kommentar\n1;Öz;egal\n".encode()
    mapping = {"Fallnummer": "record_number", "nachname": "family_name", "Kommentar": ""}
    assert outcome(check(content, mapping=mapping)) == (1, 0, 0, 0)


# ---- Workbooks


def workbook(*rows: list[Any]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for place, value in enumerate(row):
                sheet.write(number, place, value)
    return buffer.getvalue()


def test_a_workbook_is_read_with_its_dates_and_numbers(load: Any) -> None:
    head = ["record_number", "family_name", "born_on", "bmi", "visit_on"]
    born = datetime(1980, 2, 29)  # noqa: DTZ001 - a workbook has no zone
    load(workbook(head, [4711, "Öz", born, 24.5, date(2026, 3, 1)]))
    patient = Patient.objects.get()
    assert (patient.record_number, patient.born_on) == ("4711", date(1980, 2, 29))


def test_lines_of_a_workbook_are_those_on_its_screen(check: Any) -> None:
    batch = check(workbook([], ["record_number", "family_name"], [1, "A"], [], ["", "B"]))
    assert (5, "record_number") in said(batch)


def test_a_formula_in_a_workbook_is_refused_with_its_cell(check: Any) -> None:
    with pytest.raises(ImportRefused, match="Cell B2"):
        check(workbook(["record_number", "family_name"], [1, '=A1&"x"']))


def test_twelve_percent_of_a_workbook_is_not_taken_for_a_hundredth(check: Any) -> None:
    head = ["record_number", "family_name", "visit_on", "left_modality"]
    head += ["left_lesion_volume_percent", "left_volume_method"]
    batch = check(workbook(head, [1, "A", date(2026, 3, 1), "MR", 0.12, "MRI_SLICE_SUM"]))
    assert "For 12 % write 12" in said(batch)[2, "left_lesion_volume_percent"]


# ---- Cells


@pytest.mark.parametrize(
    ("column", "written", "value"),
    [
        ("bmi", "12,5", Decimal("12.5")),
        ("bmi", "0,500", Decimal("0.500")),
        ("bmi", 12.0, Decimal("12")),
        ("born_on", "2025-04-03T00:00:00", date(2025, 4, 3)),
        ("left_crescent", " Present ", "present"),
        ("left_necrosis", "unknown", None),
        ("left_views", "ap pelvis; Frog lateral", ["AP_PELVIS", "FROG_LATERAL"]),
        ("left_procedure", "Total hip arthroplasty", "THA"),
    ],
)
def test_cells_are_read_as_they_are_written(column: str, written: Any, value: Any) -> None:
    assert read_cell(BY_NAME[column], written, DateOrder.ISO) == value


@pytest.mark.parametrize("written", ["12,500", "1.234,5", "12 %", "<5", "10-15", "1e3", "NaN"])
def test_numbers_that_could_be_others_are_refused(written: str) -> None:
    with pytest.raises(CellRefused):
        read_cell(BY_NAME["bmi"], written, DateOrder.ISO)


def test_the_order_of_day_and_month_is_a_choice() -> None:
    assert read_cell(BY_NAME["born_on"], "03.04.1980", DateOrder.DAY_FIRST) == date(1980, 4, 3)
    assert read_cell(BY_NAME["born_on"], "03/04/1980", DateOrder.MONTH_FIRST) == date(1980, 3, 4)


# ---- Template, documentation, command


def test_the_template_has_every_column_and_can_be_imported(check: Any) -> None:
    content = (PROJECT / "docs/registry-template.csv").read_bytes()
    assert list(open_file(content).columns) == [column.name for column in COLUMNS]
    assert check(content).rows_refused == 0


def test_the_documentation_names_every_column() -> None:
    text = (PROJECT / "docs/import.md").read_text()
    assert [name for name, *_ in layout() if f"| `{name}`" not in text] == []


def test_the_command_checks_saves_and_tells_by_its_status(
    clinic: Any, make_user: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = make_user(clinic, "coordinator")
    file, problems = tmp_path / "r.csv", tmp_path / "problems.csv"
    common = {"clinic": clinic.name, "email": user.email}
    file.write_bytes(lines(ANNA))
    call_command("import_registry", file, **common)
    assert "1 would be enrolled" in capsys.readouterr().out
    assert not Patient.objects.exists()
    call_command("import_registry", file, commit=True, **common)
    assert Patient.objects.count() == 1
    file.write_bytes(lines(ANNA.replace("1980", "198")))
    with pytest.raises(SystemExit) as ended:
        call_command("import_registry", file, commit=True, problems=problems, **common)
    assert ended.value.code == 1
    assert "problem" in problems.read_text(encoding="utf-8-sig").splitlines()[0]
    file.write_bytes(b"nonsense")
    with pytest.raises(CommandError) as refused:
        call_command("import_registry", file, **common)
    assert refused.value.returncode == 2


def test_a_clinician_may_not_import(clinic: Any, make_user: Any, tmp_path: Path) -> None:
    user = make_user(clinic, "clinician")
    with pytest.raises(CommandError, match="does not allow"):
        call_command("import_registry", tmp_path / "r.csv", clinic=clinic.name, email=user.email)


# ---- With real transactions


def test_progress_shows_while_the_one_transaction_is_open(
    committed_database: str, make_clinic: Any, actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction.atomic():
        clinic = make_clinic("Northside Hip Clinic")
    monkeypatch.setattr(batches, "CHUNK", 1)
    batch = batches.check(clinic, lines(ANNA, BORIS), file_name="r.csv", by=actor)
    seen: list[int] = []

    def look(done: int, total: int) -> None:
        beside = connection.copy()
        with beside.cursor() as cursor:
            cursor.execute(f"BEGIN; SET LOCAL app.clinic_ids = '{{{clinic.pk}}}'")
            cursor.execute("SELECT rows_done FROM monitoring_importbatch")
            seen.append(cursor.fetchone()[0])
        beside.close()

    batch = batches.commit(batch.pk, clinic_id=clinic.pk, by=actor, progress=look)
    assert seen == [0, 1]
    assert (batch.state, batch.rows_done, batch.rows_created) == ("done", 2, 2)


def test_a_fault_in_the_middle_leaves_nothing_and_can_be_tried_again(
    committed_database: str, make_clinic: Any, actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction.atomic():
        clinic = make_clinic("Northside Hip Clinic")
    monkeypatch.setattr(batches, "CHUNK", 1)
    batch = batches.check(clinic, lines(ANNA, BORIS), file_name="r.csv", by=actor)

    def break_off(done: int, total: int) -> None:
        raise OSError("the terminal went away")

    with pytest.raises(OSError, match="went away"):
        batches.commit(batch.pk, clinic_id=clinic.pk, by=actor, progress=break_off)
    with batches.bound(clinic.pk, actor):
        assert not Patient.objects.exists()
        assert ImportBatch.objects.get().state == "failed"
    again = batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)
    assert again.rows_created == 2


def test_row_by_row_keeps_what_was_saved_before_the_fault_and_goes_on(
    committed_database: str, make_clinic: Any, actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction.atomic():
        clinic = make_clinic("Northside Hip Clinic")
    monkeypatch.setattr(batches, "CHUNK", 1)
    options = Options(all_or_nothing=False)
    batch = batches.check(clinic, lines(ANNA, BORIS), file_name="r.csv", by=actor, options=options)

    def break_off(done: int, total: int) -> None:
        raise OSError("the terminal went away")

    with pytest.raises(OSError, match="went away"):
        batches.commit(batch.pk, clinic_id=clinic.pk, by=actor, progress=break_off)
    again = batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)
    assert outcome(again) == (2, 0, 0, 0)
    with batches.bound(clinic.pk, actor):
        assert Patient.objects.count() == 2
        assert [row.number for row in again.rows.all() if row.wrote] == [2, 3]

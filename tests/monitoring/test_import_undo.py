"""Undoing an import: what it wrote is taken back, what others built on is left and told, and twice is once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from monitoring import census
from monitoring.imports import batch as batches
from monitoring.imports import undo, waiting
from monitoring.imports.batch import Options
from monitoring.imports.registry_file import ImportRefused
from monitoring.models import AuditEntry, ImportBatch, ImportRow, PatientEvaluation
from patients import recording
from patients.models import ContactWish, Ending, Exposure, Imaging, Patient, SymptomReport
from patients.recording.common import today_at
from patients.vocabulary import Side
from schedules.models import Plan, Reminder, Substitute

HEAD = "record_number,family_name,given_name,born_on,visit_on,right_modality,right_necrosis,left_pain_nrs,conditions"
ANNA = "A-1,Berg,Anna,1980-02-29,2026-03-01,XR,yes,4,sle"
BORIS = "B-2,Öztürk,Boris,1975-12-01,2026-03-02,MR,no,,"


def lines(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join([head, *rows, ""]).encode()


@pytest.fixture
def load(clinic: Any, actor: Any) -> Any:
    def run(content: bytes, **options: Any) -> ImportBatch:
        batch = batches.check(clinic, content, file_name="registry.csv", by=actor, options=Options(**options))
        return batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)

    return run


@pytest.fixture
def take_back(clinic: Any, actor: Any) -> Any:
    def run(batch: ImportBatch, reason: str = "wrong file") -> ImportBatch:
        undo.ask_to_undo(batch, actor, reason=reason)
        return undo.carry_out(batch.pk, clinic_id=clinic.pk, by=actor)

    return run


def outcome(batch: ImportBatch) -> tuple[int, int, int, int]:
    return (batch.rows_created, batch.rows_updated, batch.rows_unchanged, batch.rows_refused)


def left(batch: ImportBatch) -> list[list[str]]:
    return [item for row in batch.rows.exclude(undone=None) for item in row.undone.get("left", ())]


def followed(clinic: Any) -> dict[str, int]:
    """Hips by bucket without those entered in error; and that each stands where the lists have it."""
    buckets, disagreements = census.count_hips(clinic, today_at(clinic, timezone.now()))
    assert disagreements == []
    buckets.pop("ended: entered_in_error", None)
    return dict(buckets)


def test_what_was_imported_is_taken_back_and_nothing_is_deleted(load: Any, take_back: Any, clinic: Any) -> None:
    before = followed(clinic)
    batch = take_back(load(lines(ANNA, BORIS)))
    assert (batch.state, batch.undone) == ("undone", {"patients": 2, "ended": 2, "facts": 3, "exposures": 1})
    assert Imaging.objects.count() == 2
    assert not Imaging.objects.filter(withdrawn_at__isnull=True).exists()
    assert Imaging.objects.first().withdrawn_reason == f"undone import {batch.pk}: wrong file"
    assert set(Ending.objects.values_list("reason", flat=True)) == {"entered_in_error"}
    assert Ending.objects.count() == 4
    assert Exposure.objects.get().withdrawn_at
    assert followed(clinic) == before
    for evaluation in PatientEvaluation.objects.select_related("patient"):
        assert evaluation.record_version == evaluation.patient.record_version
    assert AuditEntry.objects.get(act="undo_import").reason == "wrong file"


def test_the_same_file_can_be_imported_again_and_undone_again(load: Any, take_back: Any, clinic: Any) -> None:
    first = load(lines(ANNA, BORIS))
    buckets = followed(clinic)
    take_back(first)
    again = load(lines(ANNA, BORIS))
    assert outcome(again) == (2, 0, 0, 0)
    assert Patient.objects.count() == 2
    assert Imaging.objects.filter(withdrawn_at__isnull=True).count() == 2
    assert Exposure.objects.filter(withdrawn_at__isnull=True).count() == 1
    assert followed(clinic) == buckets
    assert outcome(load(lines(ANNA, BORIS))) == (0, 0, 2, 0)
    take_back(again)
    assert followed(clinic) == {}
    assert outcome(load(lines(ANNA, BORIS))) == (2, 0, 0, 0)


def test_wrong_numbers_do_not_stand_in_the_way_of_the_right_ones(load: Any, take_back: Any) -> None:
    take_back(load(lines(ANNA)))
    assert outcome(load(lines(ANNA.replace("A-1", "A-9")))) == (1, 0, 0, 0)


def test_nothing_of_an_undone_file_remains_in_who_comes_back(load: Any, take_back: Any) -> None:
    take_back(
        load(
            lines(
                "A-1,Berg,Anna,1980-02-29,wrong@mail.example", head="record_number,family_name,given_name,born_on,email"
            )
        )
    )
    load(lines("A-1,Holm,Beate,1955-05-05", head="record_number,family_name,given_name,born_on"))
    found = Patient.objects.get()
    assert (found.family_name, found.born_on, found.email) == ("Holm", date(1955, 5, 5), "")


def test_changed_details_are_put_back_where_they_still_stand(
    load: Any, take_back: Any, clinic: Any, enrol: Any, actor: Any
) -> None:
    enrol(clinic, record_number="A-1", family_name="Berg", given_name="Anna", born_on=date(1980, 2, 29))
    enrolled_on = Patient.objects.get().enrolled_on
    head = "record_number,family_name,given_name,born_on,enrolled_on,telephone,sex"
    batch = load(lines("A-1,Holm,Anne,1980-02-29,2026-01-31,020 7946 0123,f", head=head))
    anna = Patient.objects.get()
    assert anna.enrolled_on == date(2026, 1, 31)
    recording.amend_patient(anna.pk, by=actor, changes={"given_name": "Anna-Lena"})
    batch = take_back(batch)
    anna.refresh_from_db()
    assert (anna.family_name, anna.given_name, anna.enrolled_on) == ("Berg", "Anna-Lena", enrolled_on)
    assert (str(anna.telephone), anna.telephone_as_given, anna.sex) == ("", "", "unknown")
    assert left(batch) == [["detail", "given_name"]]
    assert not Ending.objects.exists()


def test_what_was_corrected_or_answered_since_is_left_and_told(load: Any, take_back: Any, actor: Any) -> None:
    batch = load(lines(ANNA, BORIS))
    anna, boris = Patient.objects.order_by("record_number")
    recording.record_decision(anna.hips.get(side="right"), by=actor, on=date(2026, 4, 1), action="BASELINE_MRI",
                              outcome="observe", reason="seen")  # fmt: skip
    image = Imaging.objects.get(patient=boris)
    better = Imaging(on=image.on, modality="MR", necrosis=True, supersedes=image, correction_reason="misread")
    recording.record_facts(boris.pk, [(Side.RIGHT, better)], by=actor)
    batch = take_back(batch)
    assert [item[0] for item in left(batch)] == ["patient", "answered", "patient", "corrected"]
    assert not Imaging.objects.filter(withdrawn_at__isnull=False).exists()
    assert SymptomReport.objects.get().withdrawn_at
    assert not Ending.objects.exists()


def test_a_patient_whom_somebody_has_worked_on_is_left(load: Any, take_back: Any, actor: Any) -> None:
    batch = load(lines(ANNA))
    recording.amend_patient(Patient.objects.get().pk, by=actor, changes={"address": "Mill Lane 4"})
    assert left(take_back(batch)) == [["patient", ""]]
    assert not Ending.objects.exists()


def test_a_later_import_that_was_undone_is_nobodys_work(load: Any, take_back: Any, clinic: Any) -> None:
    first = load(lines(ANNA))
    second = load(lines(ANNA.replace("2026-03-01", "2026-06-01")))
    take_back(second)
    assert take_back(first).undone["ended"] == 1


def test_a_later_import_that_stands_keeps_the_patient(load: Any, take_back: Any) -> None:
    first = load(lines(ANNA))
    load(lines(ANNA.replace("2026-03-01", "2026-06-01")))
    assert left(take_back(first)) == [["patient", ""]]
    assert Imaging.objects.filter(withdrawn_at__isnull=True).count() == 1


def test_a_yes_to_mail_is_taken_back_and_may_come_again(load: Any, take_back: Any) -> None:
    head = "record_number,family_name,email_consent,email_consent_how"
    take_back(load(lines("A-1,Berg,yes,on paper", head=head)))
    assert not ContactWish.objects.get().allowed
    load(lines("A-1,Berg,yes,on paper", head=head))
    assert ContactWish.objects.get().allowed


def test_nobody_is_mailed_written_to_or_called_by_what_was_undone(load: Any, take_back: Any) -> None:
    head = "record_number,family_name,enrolled_on,email,email_consent,email_consent_how"
    rows = ["A-1,Berg,2026-10-01,a@mail.example,yes,on paper", "A-2,Holm,2026-10-01,,,"]
    batch = load(lines(*rows, head=head))
    assert Reminder.objects.filter(state="planned").exists()
    take_back(batch)
    assert not Reminder.objects.filter(state="planned").exists()
    assert not Plan.objects.filter(state="current").exists()
    assert not Substitute.objects.filter(state="open").exists()


def test_a_death_is_taken_back(load: Any, take_back: Any) -> None:
    head = "record_number,family_name,died_on,death_source"
    batch = take_back(load(lines("A-1,Berg,2026-02-01,register", head=head)))
    assert Patient.objects.get().died_on is None
    assert batch.undone["ended"] == 1
    assert outcome(load(lines("A-1,Berg,2026-02-01,register", head=head))) == (1, 0, 0, 0)


def test_undoing_asks_for_a_reason_and_is_done_once(load: Any, take_back: Any, actor: Any, clinic: Any) -> None:
    batch = load(lines(ANNA))
    with pytest.raises(ImportRefused, match="Say why"):
        undo.ask_to_undo(batch, actor, reason=" ")
    take_back(batch)
    with pytest.raises(ImportRefused, match="undone already"):
        undo.ask_to_undo(batch, actor, reason="again")
    with pytest.raises(ImportRefused, match="not waiting"):
        undo.carry_out(batch.pk, clinic_id=clinic.pk, by=actor)
    assert Ending.objects.count() == 2


def test_what_is_only_checked_or_says_not_what_it_wrote_is_not_undone(load: Any, clinic: Any, actor: Any) -> None:
    checked = batches.check(clinic, lines(BORIS), file_name="r.csv", by=actor)
    with pytest.raises(ImportRefused, match="not saved"):
        undo.ask_to_undo(checked, actor, reason="wrong file")
    old = load(lines(ANNA))
    ImportRow.objects.update(wrote={})
    assert not undo.is_undoable(old)
    with pytest.raises(ImportRefused, match="not kept"):
        undo.ask_to_undo(old, actor, reason="wrong file")


def test_the_preview_says_what_undoing_does_and_does_nothing(load: Any, take_back: Any, actor: Any) -> None:
    batch = load(lines(ANNA, BORIS))
    recording.amend_patient(Patient.objects.get(record_number="A-1").pk, by=actor, changes={"address": "Mill Lane 4"})
    seen = undo.preview(batch)
    assert (seen.counts["ended"], seen.counts["facts"], [item.why for _row, item in seen.left]) == (1, 3, ["patient"])
    assert not Ending.objects.exists()
    assert take_back(batch).undone == {name: n for name, n in seen.counts.items() if n}


def test_the_background_undoes_what_was_asked_for(load: Any, actor: Any) -> None:
    batch = load(lines(ANNA))
    undo.ask_to_undo(batch, actor, reason="wrong file")
    assert (waiting.save_waiting_imports(), waiting.save_waiting_imports()) == (1, 0)


def test_what_recording_refuses_is_left_and_keeps_nobody_else(load: Any, take_back: Any) -> None:
    batch = load(lines(ANNA, BORIS))
    Patient.objects.filter(record_number="B-2").update(died_on=date(2026, 4, 1), death_source="register")
    batch = take_back(batch)
    assert [item[0] for item in left(batch)] == ["refused"]
    assert batch.undone["ended"] == 1


def test_the_command_previews_undoes_and_tells_by_its_status(
    load: Any, clinic: Any, make_user: Any, actor: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    user = make_user(clinic, "coordinator")
    common = {"clinic": clinic.name, "email": user.email}
    batch = load(lines(ANNA, BORIS))
    call_command("import_registry", undo=batch.pk, reason="wrong file", **common)
    said = capsys.readouterr().out
    assert "2 of 2 patients would be ended" in said and "Nothing was undone" in said
    assert not Ending.objects.exists()
    with pytest.raises(CommandError, match="Say why"):
        call_command("import_registry", undo=batch.pk, commit=True, **common)
    with pytest.raises(CommandError, match="has no import"):
        call_command("import_registry", undo=batch.pk + 9, reason="wrong file", **common)
    with pytest.raises(CommandError, match="Name the file"):
        call_command("import_registry", **common)
    recording.amend_patient(Patient.objects.get(record_number="A-1").pk, by=actor, changes={"address": "Mill Lane 4"})
    with pytest.raises(SystemExit) as ended:
        call_command("import_registry", undo=batch.pk, reason="wrong file", commit=True, **common)
    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "1 of 2 patients ended" in said and "line 2, A-1: left (patient)" in said


# ---- With real transactions


@pytest.fixture
def saved(committed_database: str, make_clinic: Any, actor: Any) -> Any:
    with transaction.atomic():
        clinic = make_clinic("Northside Hip Clinic")
    batch = batches.check(clinic, lines(ANNA, BORIS), file_name="r.csv", by=actor)
    return batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)


def test_a_large_batch_is_undone_in_chunks_and_goes_on_after_a_fault(
    saved: Any, actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "CHUNK", 1)
    with batches.bound(saved.clinic_id, actor):
        undo.ask_to_undo(saved, actor, reason="wrong file")

    def break_off(done: int, total: int) -> None:
        raise OSError("the machine went away")

    with pytest.raises(OSError, match="went away"):
        undo.carry_out(saved.pk, clinic_id=saved.clinic_id, by=actor, progress=break_off)
    with batches.bound(saved.clinic_id, actor):
        half = ImportBatch.objects.get()
        assert (half.state, Ending.objects.count(), half.undone["ended"]) == ("done", 2, 1)
        assert "tried again" in half.note
        undo.ask_to_undo(half, actor, reason="wrong file")
    done = undo.carry_out(saved.pk, clinic_id=saved.clinic_id, by=actor)
    with batches.bound(saved.clinic_id, actor):
        assert (done.state, done.undone["ended"], Ending.objects.count()) == ("undone", 2, 4)


def test_two_who_undo_at_once_undo_once(saved: Any, actor: Any) -> None:
    def try_it(_number: int) -> str:
        try:
            with batches.bound(saved.clinic_id, actor):
                undo.ask_to_undo(saved, actor, reason="wrong file")
            undo.carry_out(saved.pk, clinic_id=saved.clinic_id, by=actor)
        except ImportRefused as refused:
            return str(refused)
        finally:
            connections.close_all()
        return "undone"

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(try_it, range(4)))
    assert said.count("undone") == 1, said
    with batches.bound(saved.clinic_id, actor):
        assert Ending.objects.count() == 4


def test_two_workers_undo_once(saved: Any, actor: Any) -> None:
    with batches.bound(saved.clinic_id, actor):
        undo.ask_to_undo(saved, actor, reason="wrong file")

    def work(_number: int) -> int:
        try:
            return waiting.save_waiting_imports()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(work, range(3))) == 1


def test_a_clinics_imports_are_saved_and_undone_one_after_the_other(saved: Any, actor: Any) -> None:
    with batches.bound(saved.clinic_id, actor):
        undo.ask_to_undo(saved, actor, reason="wrong file")
        clinic = saved.clinic
    again = batches.check(clinic, lines(ANNA), file_name="r.csv", by=actor)

    def meanwhile(done: int, total: int) -> None:
        with ThreadPoolExecutor(1) as pool, pytest.raises(ImportRefused, match="Another import of this clinic"):
            pool.submit(save).result()

    def save() -> None:
        try:
            batches.commit(again.pk, clinic_id=clinic.pk, by=actor)
        finally:
            connections.close_all()

    undo.carry_out(saved.pk, clinic_id=clinic.pk, by=actor, progress=meanwhile)
    save()
    with batches.bound(clinic.pk, actor):
        assert Imaging.objects.filter(withdrawn_at__isnull=True).count() == 1

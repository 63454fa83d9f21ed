"""Several lists in one statement are what each would have been by itself."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count, F
from django.db.models.functions import TruncDate
from django.test.utils import CaptureQueriesContext

from monitoring.models import HipEvaluation
from patients import recording
from patients.at_once import Kept, Length, read_at_once
from patients.models import Hip, Imaging, Patient, SymptomReport
from patients.vocabulary import Side


@pytest.fixture
def known(clinic: Any, enrol: Any, actor: Any) -> list[Patient]:
    """Three patients, of whom two have facts with decimals, days, moments and lists."""
    found = [enrol(clinic, family_name=name) for name in ("Berg", "O'Neill %s", "Żak")]
    on = date(2026, 3, 2)
    for patient in found[:2]:
        image = Imaging(
            on=on, modality="MR", necrosis=True, lesion_volume_percent="12.50", volume_method="MRI_3D_SEGMENTATION"
        )
        views = Imaging(on=on, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])
        report = SymptomReport(on=on, source="clinician", symptomatic=False, pain_nrs=0)
        recording.record_facts(patient.pk, [(Side.LEFT, fact) for fact in (image, views, report)], by=actor)
    return found


def columns(rows: list[Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in vars(row).items() if name != "_state"} for row in rows]


def same(asked: Any) -> None:
    (told,) = read_at_once(asked)
    alone = list(asked.all())
    assert columns(told) == columns(alone)
    assert [type(value) for row in columns(told) for value in row.values()] == [
        type(value) for row in columns(alone) for value in row.values()
    ]


def test_rows_are_those_of_the_queryset_in_its_order_and_of_its_types(known: list[Patient]) -> None:
    same(Patient.objects.order_by("-family_name"))
    same(Imaging.objects.order_by("id"))
    same(HipEvaluation.objects.order_by("hip_id").defer("answer").annotate(window=F("answer__window")))
    same(HipEvaluation.objects.order_by("hip_id"))


def test_what_a_queryset_would_load_along_is_there(known: list[Patient]) -> None:
    with CaptureQueriesContext(connection) as seen:
        (hips,) = read_at_once(Hip.objects.select_related("patient__clinic").order_by("id"))
        names = [(hip.patient.family_name, hip.patient.clinic.name, hip.side) for hip in hips]
    assert len(seen) == 1 and len(names) == 6 and names[2][0] == "O'Neill %s"


def test_values_lengths_and_what_must_be_empty_come_in_one_statement(known: list[Patient]) -> None:
    with CaptureQueriesContext(connection) as seen:
        names, how_many, nobody, none = read_at_once(
            Patient.objects.order_by("family_name").values_list("family_name", flat=True),
            Length(Patient.objects.all()),
            Patient.objects.filter(pk__in=[]),
            Length(Patient.objects.filter(pk__in=[])),
        )
    assert (names, how_many, nobody, none) == (["Berg", "O'Neill %s", "Żak"], 3, [], 0)
    assert len(seen) == 1


def test_nothing_is_asked_where_all_must_be_empty(db: None) -> None:
    with CaptureQueriesContext(connection) as seen:
        assert read_at_once(Patient.objects.none(), Length(Patient.objects.none())) == [[], 0]
    assert not seen.captured_queries


OF_PATIENTS = Kept(
    lambda ids, one, since, before: (
        Patient.objects.filter(pk__in=ids, family_name__contains="%").values_list("pk", flat=True),
        Imaging.objects.filter(patient__in=ids, on__gte=since, modality="MR").order_by("id"),
        Length(SymptomReport.objects.filter(patient=one, recorded_at__lt=before)),
    ),
    ids=list,
    one=int,
    since=date,
    before=datetime,
)


def test_kept_questions_take_new_values_each_time(known: list[Patient]) -> None:
    berg, oneill, zak = (patient.pk for patient in known)
    later, earlier = datetime(2100, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)
    first = OF_PATIENTS.read(ids=[berg, oneill, zak], one=berg, since=date(2026, 1, 1), before=later)
    assert (first[0], [fact.patient_id for fact in first[1]], first[2]) == ([oneill], [berg, oneill], 1)
    second = OF_PATIENTS.read(ids=[berg], one=zak, since=date(2026, 1, 1), before=later)
    assert (second[0], [fact.patient_id for fact in second[1]], second[2]) == ([], [berg], 0)
    third = OF_PATIENTS.read(ids=[berg, oneill], one=berg, since=date(2026, 4, 1), before=earlier)
    assert third == [[oneill], [], 0]
    assert OF_PATIENTS.read(ids=[], one=berg, since=date(2026, 1, 1), before=later) == [[], [], 1]


def test_a_slot_from_which_something_is_reckoned_is_refused(db: None) -> None:
    wrong = Kept(lambda key: (Patient.objects.filter(pk=key + 1),), key=int)
    with pytest.raises(ValueError, match="key"):
        wrong.read(key=1)


def test_a_question_that_rests_on_the_time_zone_is_not_kept() -> None:
    wrong = Kept(lambda: (SymptomReport.objects.annotate(day=TruncDate("recorded_at")),))
    with pytest.raises(ValueError, match="time zone"):
        wrong.read()


def test_grouped_rows_are_counted_as_ever(known: list[Patient]) -> None:
    asked = Hip.objects.values("side").annotate(many=Count("pk")).order_by("side")
    assert read_at_once(asked) == [[{"side": "left", "many": 3}, {"side": "right", "many": 3}]]

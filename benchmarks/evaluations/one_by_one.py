"""The same rules by objects, one patient after another, as an application that does not think of numbers would do it.

Each list of facts is asked for by hip, each row that may have changed is fetched and saved. It is the baseline of
benchmarks/evaluation.py, writes no reminders and no cases, and so does less than what it is compared with.
"""

from datetime import datetime
from typing import Any

from django.db.models import Manager

from monitoring.evaluating import _finding, _hip_evaluation
from monitoring.flags import CONTENT
from monitoring.models import Flag, HipEvaluation, PatientEvaluation
from patients import reading, record
from patients.models import Exposure, Hip, HipFact, Patient
from patients.reading import Chart
from patients.vocabulary import Condition, Side
from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import Protocol
from schedules.models import Plan
from schedules.plans import PLAN_FIELDS, WINDOW_FIELDS

_MANAGERS = {
    "imaging": "imagings",
    "stagings": "stagings",
    "symptoms": "symptomreports",
    "scores": "scores",
    "procedures": "procedures",
    "decisions": "decisions",
    "locations": "lesionlocations",
    "endings": "endings",
}


def evaluate_one(patient_id: int, protocol: Protocol, now: datetime) -> None:
    """Read one patient by objects, evaluate, and save what follows."""
    patient = Patient.objects.get(pk=patient_id)
    hips = {hip.side: hip for hip in Hip.objects.filter(patient=patient)}
    whole = record.PatientRecord(
        enrolled_on=patient.enrolled_on,
        left=_hip(hips["left"]),
        right=_hip(hips["right"]),
        born_on=patient.born_on,
        died_on=patient.died_on,
        conditions=frozenset(
            Condition(one.kind) for one in Exposure.objects.filter(patient=patient, withdrawn_at__isnull=True)
        ),
    )
    answer = evaluate(whole, protocol, now.astimezone(patient.clinic.zone).date())
    chart = Chart(
        patient_id,
        patient.clinic_id,
        patient.clinic.zone,
        patient.record_version,
        {side: hip.pk for side, hip in hips.items()},
        whole,
    )
    for hip, plain in zip(answer.hips, answer.to_json()["hips"], strict=True):
        row = hips[hip.side.value]
        HipEvaluation(**_hip_evaluation(chart, row.pk, plain)).save()
        _save_plan(row, hip, plain, patient, str(protocol))
        _save_flags(row, plain, now)
    PatientEvaluation.objects.filter(patient=patient).update(as_of=answer.as_of, evaluated_at=now)


def _hip(hip: Hip) -> record.HipRecord:
    lists: dict[str, Any] = {}
    for name, manager in _MANAGERS.items():
        facts: Manager[HipFact] = getattr(hip, manager)
        of = reading._HIP_LISTS[name]
        lists[name] = tuple(
            of.make(
                fact.key,
                None,
                fact.on,
                [None, None, None, None, *(_plain(getattr(fact, c), c in of.decimals) for c in of.columns)],
            )
            for fact in facts.filter(withdrawn_at__isnull=True).order_by("on", "id")
        )
    return record.HipRecord(Side(hip.side), **lists)


def _plain(value: Any, decimal: bool) -> Any:
    return f"{value.normalize():f}" if decimal and value is not None else value


def _save_plan(hip: Hip, answer: Any, plain: dict[str, Any], patient: Patient, protocol: str) -> None:
    if answer.window is None:
        return
    fields = {name: getattr(answer.window, name) for name in WINDOW_FIELDS} | {
        "pathway": plain["pathway"],
        "interval_months": answer.interval_months,
        "because": answer.because[:300],
        "protocol": protocol,
    }
    plan = Plan.objects.filter(hip=hip, state=Plan.State.CURRENT).first()
    if plan is None:
        return
    for name in PLAN_FIELDS:
        setattr(plan, name, fields[name])
    plan.save()


def _save_flags(hip: Hip, plain: dict[str, Any], now: datetime) -> None:
    for finding in map(_finding, plain["findings"]):
        Flag.objects.update_or_create(
            hip=hip,
            rule=finding["rule"],
            since=finding["since"],
            defaults={name: finding[name] for name in CONTENT},
            create_defaults={
                "clinic_id": hip.clinic_id,
                "patient_id": hip.patient_id,
                "opened_at": now,
                **{name: finding[name] for name in CONTENT},
            },
        )
    for flag in Flag.objects.filter(hip=hip, closed_at__isnull=True):
        flag.save()

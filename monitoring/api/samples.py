"""Samples: the invented patient whom the examples of the API's reference tell of, with the guideline's answer."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from schedules import adoption
from schedules.guideline.evaluation import evaluate
from schedules.guideline.stream import read_question

_LESION: Final = {"lesion_volume_percent": 12, "volume_method": "MRI_3D_SEGMENTATION"}
QUESTION: Final[Mapping[str, Any]] = {
    "record": {
        "patient": {"enrolled_on": "2026-01-10", "born_on": "1990-03-10"},
        "hips": [
            {
                "side": "left",
                "imaging": [{"id": "mri", "on": "2026-01-10", "modality": "MR", "necrosis": True, **_LESION}],
                "symptoms": [{"id": "call", "on": "2026-03-03", "source": "patient", "pain_nrs": 3}],
            }
        ],
    },
    "as_of": "2026-03-05",
}
FACT: Final = {
    "id": "symptom-7",
    "kind": "symptom",
    "side": "left",
    "on": "2026-03-03",
    "values": {"source": "patient", "symptomatic": True, "pain_nrs": 3},
    "supersedes": None,
    "correction_reason": "",
    "withdrawn": False,
    "withdrawn_reason": "",
    "recorded_at": "2026-03-05T09:30:00Z",
    "actor": "API: lab interface",
    "origin": "api",
}
REMARK: Final = {
    "pointer": "/facts/0",
    "code": "self_contradiction",
    "message": "No symptoms, but pain of 3.",
}
PROBLEM: Final = {
    "type": "about:blank",
    "title": "What was sent cannot be true or is incomplete",
    "status": 422,
    "detail": "Nothing was saved.",
    "request_id": "9c1e5b0c6f2a4d71",
    "errors": [
        {"pointer": "/facts/0/values/pain_nrs", "message": "Ensure this value is less than or equal to 10."},
    ],
}
_NAMES: Final[Mapping[str, Any]] = {
    "record_number": "4711",
    "family_name": "Lindqvist",
    "given_name": "Ebba",
    "born_on": "1990-03-10",
    "sex": "female",
    "enrolled_on": "2026-01-10",
    "email": "ebba@mail.example",
    "telephone": "+442079460123",
    "address": "",
    "next_of_kin": "",
    "national_id": "",
    "national_id_kind": "",
    "clinic": "Northside Hip Clinic",
    "died_on": None,
    "merged_into": None,
    "death_source": "",
    "email_bounced_on": None,
    "synthetic": False,
    "source": "letter of the family doctor",
    "channel": "email",
    "how": "on paper",
    "outcome": "observe",
    "reason": "",
    "consequence": "seen again in three months",
    "text": "She is seen on Friday.",
    "kind": "comment",
    "actor": "Dr Lindqvist",
    "assigned_to": "Dr Lindqvist",
    "decision": None,
    "closed_at": None,
    "kept_on": None,
    "decided_at": None,
    "step": "",
    "id": 12,
    "patient": 12,
    "hip": 23,
    "key": "symptom-7",
    "version": 3,
    "record_version": 3,
    "facts": "symptom-7",
    "next": "https://hipwatch.example/api/v1/…?cursor=cD0xMjM%3D",
    "previous": None,
    "cycle_on": "2026-01-10",
    "send_on": "2026-03-27",
}


@cache
def answer() -> dict[str, Any]:
    """What the guideline asks of the patient's hips."""
    record, as_of = read_question(dict(QUESTION))
    return evaluate(record, adoption.DEFAULT, as_of).to_json()


def by_name() -> dict[str, Any]:
    """A fitting value for a field of that name; those of a window and of a finding are the guideline's."""
    left = answer()["hips"][0]
    found = next(finding for finding in left["findings"] if finding["evidence"])
    finding = {name: value[0] if isinstance(value, list) else value for name, value in found.items()}
    return {**_plain(left), **left["window"], **finding, "protocol": answer()["protocol"], **_NAMES}


def by_shape() -> dict[str, Any]:
    """Whole examples, where one made of single fields would contradict itself."""
    left = answer()["hips"][0]
    dates = {name: left["window"][name] for name in ("anchor_on", "opens_on", "due_on", "overdue_on", "gap_on")}
    hip = {"id": 23, "patient": 12, **_plain(left), **dates, "answer": left}
    invented = {"FactOut": FACT, "ProblemOut": PROBLEM, "RemarkOut": REMARK}
    return {"AssessAnswer": answer(), "AssessHipAnswer": left, "HipOut": hip, **invented}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, dict | list)}

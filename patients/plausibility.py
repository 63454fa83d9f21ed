"""Plausibility: what cannot be true of a patient or a fact, told in words before the database would refuse it."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.utils.translation import gettext as _
from stdnum.gb import nhs

from .models import (
    Decision,
    Ending,
    Fact,
    HipFact,
    Imaging,
    LesionLocation,
    Patient,
    Procedure,
    Score,
    Staging,
    SymptomReport,
)
from .scores import HARRIS_MOST, impossible_items
from .vocabulary import STAGE_CODES, EndReason, Instrument, StagingSystem

Problems = dict[str, list[str]]
EARLIEST = date(1900, 1, 1)

# What an entry is, beside what it says: who wrote it when, of whom, and what became of it.
OF_THE_ENTRY = frozenset(
    {"id", "clinic", "patient", "hip", "visit", "origin", "recorded_at", "recorded_by", "actor"}
    | {"supersedes", "correction_reason", "withdrawn_at", "withdrawn_actor", "withdrawn_reason"}
)


_ONE_LINE = ("family_name", "given_name", "record_number", "national_id", "email")
_TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")  # what follows is shown backwards: one name looks like another


def has_hidden_signs(text: str) -> bool:
    """Whether a text of one line has line breaks, controls, or signs that turn what follows round."""
    return bool(_TURNING.search(text)) or any(unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in text)


def hidden_signs_problems(texts: Mapping[str, str]) -> Problems:
    """By field, for texts that stand in headers of mails, in letters and in lists."""
    return {
        name: [_("Write this in one line, without signs that cannot be seen.")]
        for name, text in texts.items()
        if has_hidden_signs(text)
    }


def patient_problems(patient: Patient, today: date) -> Problems:
    problems = hidden_signs_problems({name: getattr(patient, name) or "" for name in _ONE_LINE})
    if patient.born_on and patient.born_on > today:
        problems["born_on"] = [_("The date of birth lies in the future.")]
    elif patient.born_on and patient.born_on < EARLIEST:
        problems["born_on"] = [_("The date of birth lies before 1900.")]
    elif patient.born_on and patient.born_on > patient.enrolled_on:
        problems["born_on"] = [_("The date of birth lies after the enrolment.")]
    if patient.enrolled_on > today:
        problems["enrolled_on"] = [_("The enrolment lies in the future.")]
    if patient.died_on and patient.died_on > today:
        problems["died_on"] = [_("The date of death lies in the future.")]
    elif patient.died_on and patient.born_on and patient.died_on < patient.born_on:
        problems["died_on"] = [_("The date of death lies before the birth.")]
    if patient.national_id_kind == "nhs" and patient.national_id and not nhs.is_valid(patient.national_id):
        problems["national_id"] = [_("The check digit of this NHS number is wrong; please read it again.")]
    return problems


def fact_problems(fact: Fact, patient: Patient, today: date) -> Problems:
    """What contradicts the patient's dates, the staging systems or the fact that is superseded."""
    problems = _date_problems(fact, patient, today) | _supersession_problems(fact)
    if isinstance(fact, Staging):
        problems |= _staging_problems(fact)
    elif isinstance(fact, Score) and fact.instrument == Instrument.OHS and fact.value is not None and fact.value > 48:
        problems["value"] = [_("The Oxford hip score goes from 0 to 48.")]
    elif isinstance(fact, Score) and fact.instrument == Instrument.HHS:
        problems |= _harris_problems(fact.items or {})
    elif isinstance(fact, Ending) and fact.reason == EndReason.TRANSFERRED and not fact.receiving_clinic:
        problems["receiving_clinic"] = [_("Name the clinic that takes over.")]
    elif isinstance(fact, SymptomReport) and _says_nothing(fact):
        problems["symptomatic"] = [_("Say whether there are symptoms, or how strong the pain is.")]
    elif isinstance(fact, LesionLocation) and fact.jic_type is None and fact.kerboul_modified_degrees is None:
        if fact.kerboul_degrees is None:
            problems["jic_type"] = [_("Give the JIC type or an angle.")]
    elif isinstance(fact, Procedure) and fact.stopped_on and fact.on and fact.stopped_on < fact.on:
        problems["stopped_on"] = [_("The end lies before the beginning.")]
    elif isinstance(fact, Imaging) and fact.views and fact.modality != "XR":
        problems["views"] = [_("Views belong to radiographs.")]
    elif isinstance(fact, Decision) and fact.next_on and fact.on and fact.next_on < fact.on:
        problems["next_on"] = [_("The follow-up lies before the decision.")]
    return problems


def _harris_problems(items: Mapping[str, object]) -> Problems:
    said = [{"item": name, "most": HARRIS_MOST[name]} for name in impossible_items(items)]
    return {"items": [_("%(item)s lies from 0 to %(most)s in any hip.") % one for one in said]} if said else {}


def _date_problems(fact: Fact, patient: Patient, today: date) -> Problems:
    if fact.on is None:
        return {}
    if fact.on > today:
        return {"on": [_("The date lies in the future.")]}
    if fact.on < EARLIEST:
        return {"on": [_("The date lies before 1900.")]}
    if patient.born_on and fact.on < patient.born_on:
        return {"on": [_("The date lies before the patient's birth.")]}
    if patient.died_on and fact.on > patient.died_on:
        return {"on": [_("The date lies after the patient's death.")]}
    return {}


def _supersession_problems(fact: Fact) -> Problems:
    earlier = fact.supersedes
    if earlier is None:
        if isinstance(fact, Ending) and fact.reason == EndReason.REOPENED:
            return {"supersedes": [_("Name the ending that is taken back.")]}
        return {}
    same = (
        earlier.hip_id == fact.hip_id
        if isinstance(earlier, HipFact) and isinstance(fact, HipFact)
        else (earlier.patient_id == fact.patient_id)
    )
    if not same:
        return {"supersedes": [_("A correction belongs to the same hip as what it corrects.")]}
    if earlier.withdrawn_at:
        return {"supersedes": [_("What this corrects was withdrawn already.")]}
    if isinstance(earlier, Ending) and earlier.reason == EndReason.REOPENED:
        return {"supersedes": [_("A reopening is not corrected; end the follow-up again instead.")]}
    if not fact.correction_reason:
        return {"correction_reason": [_("Say why this is corrected.")]}
    return {}


def says_the_same(fact: Fact, other: Fact) -> bool:
    """Whether two facts of one kind differ in nothing but the entry: a correction that corrects nothing."""
    return _content(fact) == _content(other)


def _content(fact: Fact) -> dict[str, Any]:
    """What a fact says; lists in no order."""
    said = {field.name: getattr(fact, field.attname) for field in fact._meta.concrete_fields}
    return {
        name: sorted(value) if isinstance(value, list) else value
        for name, value in said.items()
        if name not in OF_THE_ENTRY
    }


def _staging_problems(fact: Staging) -> Problems:
    try:
        codes = STAGE_CODES[StagingSystem(fact.system), fact.version]
    except (KeyError, ValueError):
        return {
            "version": [_("%(system)s has no version %(version)s.") % {"system": fact.system, "version": fact.version}]
        }
    if fact.code in codes:
        return {}
    return {
        "code": [
            _("%(system)s %(version)s has no stage %(code)s; it has %(codes)s.")
            % {"system": fact.system, "version": fact.version, "code": fact.code, "codes": ", ".join(codes)}
        ]
    }


def _says_nothing(fact: SymptomReport) -> bool:
    said = (fact.symptomatic, fact.pain_nrs, fact.sudden_worsening, fact.night_pain, fact.cannot_bear_weight)
    return all(value is None for value in said)

"""Reading: a record as JSON into a PatientRecord, or every problem it has by JSON path. Nothing is guessed.

What is accepted is what docs/assess.schema.json accepts (formats asserted) and `checks.py` lets pass. The tables
below are that schema, one row a field; a test compares the two on generated records.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any, Final

from patients.record import (
    Bmi,
    Decision,
    Ending,
    HipRecord,
    Imaging,
    Location,
    PatientRecord,
    Procedure,
    Score,
    Staging,
    Symptom,
)
from patients.vocabulary import (
    STAGE_CODES,
    Action,
    Adjunct,
    Condition,
    Crescent,
    EndReason,
    Instrument,
    JicType,
    Modality,
    Outcome,
    ProcedureKind,
    Side,
    StagingSystem,
    SymptomSource,
    View,
    VolumeMethod,
)

from .checks import Entry, Problem, check_birth, check_endings, check_ids, check_supersedes
from .values import Reader, Wrong, a_date, an_id, flag, known, number, one_of, set_of, text, whole

_OHS_MAX: Final = 48
_VERSIONS: Final = frozenset(version for _, version in STAGE_CODES)


class RecordRefused(ValueError):
    """A record that cannot be read; `problems` holds every one that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object: what it is called, what is built of it, which fields it must have, and how each is read."""

    name: str
    build: Callable[..., Any]
    required: tuple[str, ...]
    fields: dict[str, Reader]
    check: Callable[[dict[str, Any]], list[tuple[str, str]]] | None = None


def _stage_problems(values: dict[str, Any]) -> list[tuple[str, str]]:
    """A code means something only in its system and version."""
    system, version, code = values.get("system"), values.get("version"), values.get("code")
    if system is None or version is None:
        return []
    codes = STAGE_CODES.get((system, version))
    if codes is None:
        return [(".version", f"{version} is no version of {system}")]
    if code is None or code in codes:
        return []
    return [(".code", f"{system} {version} has no stage {code!r}, but {', '.join(codes)}")]


def _score_problems(values: dict[str, Any]) -> list[tuple[str, str]]:
    if values.get("instrument") is Instrument.OHS and values.get("value", 0) > _OHS_MAX:
        return [(".value", f"an Oxford hip score is at most {_OHS_MAX}")]
    return []


def _version(raw: Any) -> str:
    if isinstance(raw, str) and raw in _VERSIONS:
        return raw
    raise Wrong(f"must be one of {', '.join(sorted(_VERSIONS))}")


_FACT: Final[dict[str, Reader]] = {"id": an_id, "on": a_date, "supersedes": known(an_id)}

_BMI: Final = Kind("a BMI reading", Bmi, ("on", "value"), {**_FACT, "value": number(8, 120)})
_HIP_LISTS: Final[dict[str, Kind]] = {
    "imaging": Kind(
        "an imaging study",
        Imaging,
        ("id", "on", "modality"),
        {
            **_FACT,
            "modality": one_of(Modality),
            "views": set_of(View),
            "diagnostic": flag,
            "necrosis": flag,
            "effusion_grade": known(whole(0, 3)),
            "marrow_edema": flag,
            "lesion_volume_percent": known(number(0, 100)),
            "lesion_volume_cm3": known(number(0, 200)),
            "volume_method": known(one_of(VolumeMethod)),
            "crescent": known(one_of(Crescent)),
            "depression_mm": known(number(0, 50)),
            "joint_space_narrowed": flag,
            "collapse_suspected": flag,
        },
    ),
    "stagings": Kind(
        "a staging",
        Staging,
        ("id", "on", "system", "version", "code"),
        {**_FACT, "system": one_of(StagingSystem), "version": _version, "code": text},
        _stage_problems,
    ),
    "symptoms": Kind(
        "a symptom report",
        Symptom,
        ("id", "on", "source"),
        {
            **_FACT,
            "source": one_of(SymptomSource),
            "symptomatic": flag,
            "pain_nrs": known(whole(0, 10)),
            "sudden_worsening": flag,
            "night_pain": flag,
            "cannot_bear_weight": flag,
        },
    ),
    "scores": Kind(
        "a score",
        Score,
        ("id", "on", "instrument", "value"),
        {**_FACT, "instrument": one_of(Instrument), "value": number(0, 100)},
        _score_problems,
    ),
    "procedures": Kind(
        "a procedure",
        Procedure,
        ("id", "on", "kind"),
        {**_FACT, "kind": one_of(ProcedureKind), "adjuncts": set_of(Adjunct)},
    ),
    "decisions": Kind(
        "a decision",
        Decision,
        ("id", "on", "action", "outcome"),
        {**_FACT, "action": one_of(Action), "outcome": one_of(Outcome)},
    ),
    "locations": Kind(
        "a location",
        Location,
        ("id", "on"),
        {
            **_FACT,
            "jic_type": known(one_of(JicType)),
            "kerboul_modified_degrees": known(number(0, 360)),
        },
    ),
    "endings": Kind("an ending", Ending, ("id", "on", "reason"), {**_FACT, "reason": one_of(EndReason)}),
}
_PATIENT: Final = Kind(
    "the patient",
    dict,
    ("enrolled_on",),
    {
        "born_on": known(a_date),
        "enrolled_on": a_date,
        "died_on": known(a_date),
        "conditions": set_of(Condition),
        "bmi": lambda raw: raw,  # read as a list of facts, below
    },
)
_HIP: Final = Kind("a hip", HipRecord, ("side",), {"side": one_of(Side), **dict.fromkeys(_HIP_LISTS, lambda raw: raw)})
_RECORD: Final = Kind("a record", PatientRecord, ("patient",), dict.fromkeys(("patient", "hips"), lambda raw: raw))
_by_date = attrgetter("on")


def read_record(data: Any) -> PatientRecord:
    """The record that JSON values describe, facts in order of date. Raises RecordRefused with every problem.

    Numbers should come as Decimal (see `parse_json`); a float counts as the shortest decimal that gives it.
    """
    problems: list[Problem] = []
    record = _read(_RECORD, data, "$", problems)
    patient = _read(_PATIENT, record["patient"], "$.patient", problems) if "patient" in record else {}
    bmi = _read_list(_BMI, patient.pop("bmi", []), "$.patient.bmi", problems)
    hips = _read_hips(record.get("hips", []), problems)
    lists = [bmi, *(facts for hip in hips for facts in hip[1].values())]
    every = [fact for facts in lists for fact in facts]
    problems += check_birth(patient.get("born_on"), patient, every)
    problems += check_ids(every)
    for facts in lists:
        problems += check_supersedes(facts)
    for _, named in hips:
        problems += check_endings(named.get("endings", []))
    if problems:
        raise RecordRefused(problems)
    sides: dict[str, Any] = {side.value: _build_hip(side, named) for side, named in hips if side is not None}
    return PatientRecord(bmi=_build(_BMI, bmi), **patient, **sides)


def _read(kind: Kind, raw: Any, path: str, problems: list[Problem]) -> dict[str, Any]:
    """The values of one object that could be read; what could not is a problem."""
    if not isinstance(raw, dict):
        problems.append(Problem(path, f"must be an object: {kind.name}"))
        return {}
    values: dict[str, Any] = {}
    fields = kind.fields
    for name, value in raw.items():
        read = fields.get(name)
        if read is None:
            problems.append(Problem(f"{path}.{name}", f"is not a field of {kind.name}"))
            continue
        try:
            values[name] = read(value)
        except Wrong as wrong:
            problems += [Problem(f"{path}.{name}{at}", message) for at, message in wrong.problems]
    for name in kind.required:
        if name not in raw:
            problems.append(Problem(f"{path}.{name}", "is missing"))
    if kind.check:
        problems += [Problem(path + at, message) for at, message in kind.check(values)]
    return values


def _read_list(kind: Kind, raw: Any, path: str, problems: list[Problem]) -> list[Entry]:
    if not isinstance(raw, list):
        problems.append(Problem(path, "must be a list"))
        return []
    entries = []
    for i, item in enumerate(raw):
        at = f"{path}[{i}]"
        entries.append(Entry(at, _read(kind, item, at, problems)))
    return entries


def _read_hips(raw: Any, problems: list[Problem]) -> list[tuple[Side | None, dict[str, list[Entry]]]]:
    if not isinstance(raw, list):
        problems.append(Problem("$.hips", "must be a list"))
        return []
    if len(raw) > len(Side):
        problems.append(Problem("$.hips", "a patient has two hips"))
    hips = []
    sides: set[Side] = set()
    for i, item in enumerate(raw):
        path = f"$.hips[{i}]"
        values = _read(_HIP, item, path, problems)
        side: Side | None = values.pop("side", None)
        if side in sides:
            problems.append(Problem(f"{path}.side", f"the {side} hip comes twice"))
        if side is not None:
            sides.add(side)
        facts = {name: _read_list(_HIP_LISTS[name], rows, f"{path}.{name}", problems) for name, rows in values.items()}
        hips.append((side, facts))
    return hips


def _build_hip(side: Side, lists: dict[str, list[Entry]]) -> HipRecord:
    return HipRecord(side, **{name: _build(_HIP_LISTS[name], entries) for name, entries in lists.items()})


def _build(kind: Kind, entries: list[Entry]) -> tuple[Any, ...]:
    return tuple(sorted((kind.build(**values) for _, values in entries), key=_by_date))


def read_day(raw: Any) -> date:
    """A day such as `as_of`. Raises RecordRefused."""
    try:
        return a_date(raw)
    except Wrong as wrong:
        raise RecordRefused([Problem("as_of", str(wrong))]) from None

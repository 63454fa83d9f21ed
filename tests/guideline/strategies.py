"""Records for the properties: crowded, contradictory histories that reach every pathway and every rule.

`make_record(rng)` writes one as JSON values from a random source. Dates come from a small pool and its neighbours,
so that days coincide and fall on the edges of windows.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from patients.vocabulary import STAGE_CODES, Action, Condition

FIRST_DAY = date(2023, 1, 1)
NEIGHBOURS = (0, 0, 0, 0, 0, 1, -1, 6, 14, 15, 28, 29, -28, 30, 42, 43, 90, 182, 200, 365)
MEASURED = ("MRI_3D_SEGMENTATION", "MRI_SLICE_SUM", "MRI_SPHERE_EQUIV")
NATURES = ("unknown", "clear", "small", "small", "large", "collapsing", "collapsed", "anything")

JsonObject = dict[str, Any]


@dataclass
class Maker:
    """One random source, the days it draws from, and a count that makes ids."""

    rng: random.Random
    days: list[date]
    ids: int = 0

    def maybe(self, chance: float) -> bool:
        return self.rng.random() < chance

    def pick(self, *options: Any) -> Any:
        return options[self.rng.randrange(len(options))]

    def on(self) -> str:
        return (self.pick(*self.days) + timedelta(self.pick(*NEIGHBOURS))).isoformat()

    def fact(self, **values: Any) -> JsonObject:
        self.ids += 1
        return {"id": f"f{self.ids}", "on": self.on(), **{k: v for k, v in values.items() if v is not ...}}


def make_record(rng: random.Random, *, crowd: int = 5) -> JsonObject:
    """A record that the schema and the checks accept."""
    spread = rng.choice((40, 200, 700, 1500))
    days = sorted(FIRST_DAY + timedelta(rng.randrange(spread)) for _ in range(rng.randrange(1, 9)))
    maker = Maker(rng, days)
    enrolled_on = days[0].isoformat() if maker.maybe(0.75) else maker.on()
    patient: JsonObject = {"enrolled_on": enrolled_on, "bmi": _bmi(maker)}
    if maker.maybe(0.7):
        born_on = date(maker.pick(1939, 1982, 1982, 1983, 1984, 1990, 2004), 1, 1) + timedelta(rng.randrange(366))
        patient["born_on"] = maker.pick(born_on.isoformat(), born_on.isoformat(), "1984-02-29", None)
    if maker.maybe(0.06):
        patient["died_on"] = maker.on()
    if maker.maybe(0.3):
        patient["conditions"] = sorted({maker.pick("sickle_cell", *Condition), "sle"})
    sides = maker.pick(("left", "right"), ("right", "left"), ("left", "right"), ("left",), ("right",), ())
    return {"patient": patient, "hips": [_hip(maker, side, crowd) for side in sides]}


def make_as_of(rng: random.Random, record: JsonObject) -> date:
    """A day among the record's days and their neighbours, sometimes long after."""
    days = sorted(dates_in(record))
    return days[rng.randrange(len(days))] + timedelta(rng.choice((0, 0, 1, 14, 28, 29, 42, 43, 60, 120, 300, 2000)))


def dates_in(record: JsonObject) -> set[date]:
    hips = [
        fact["on"] for hip in record.get("hips", []) for facts in hip.values() if facts != hip["side"] for fact in facts
    ]
    patient = [record["patient"]["enrolled_on"], *(bmi["on"] for bmi in record["patient"].get("bmi", []))]
    return {date.fromisoformat(day) for day in [*hips, *patient]}


def _bmi(maker: Maker) -> list[JsonObject]:
    readings = [
        {"on": maker.on(), "value": maker.pick(21, 24, 24.0, 24.1, 31.5)} for _ in range(maker.pick(0, 0, 1, 1, 2, 4))
    ]
    if len(readings) > 1 and maker.maybe(0.3):
        readings[0]["id"] = "b1"
        readings[1]["supersedes"] = "b1"
    return readings


def _hip(maker: Maker, side: str, crowd: int) -> JsonObject:
    nature = maker.pick(*NATURES)
    lists = {
        "imaging": [_imaging(maker, nature) for _ in range(maker.rng.randrange(2 * crowd))],
        "stagings": [_staging(maker, nature) for _ in range(maker.rng.randrange(crowd))],
        "symptoms": [_symptom(maker) for _ in range(maker.rng.randrange(2 * crowd))],
        "scores": [_score(maker) for _ in range(maker.rng.randrange(crowd))],
        "procedures": [_procedure(maker) for _ in range(maker.pick(0, 0, 0, 1, 1, 2))],
        "decisions": [_decision(maker) for _ in range(maker.rng.randrange(crowd))],
        "locations": [_location(maker) for _ in range(maker.pick(0, 0, 1, 2, 3))],
        "endings": [],
    }
    if nature == "unknown":
        lists["imaging"] = [study for study in lists["imaging"] if study["modality"] != "MR"]
        lists["procedures"] = []
    if nature in ("unknown", "clear"):
        lists["stagings"] = [s for s in lists["stagings"] if (s["system"], s["code"]) == ("STEINBERG", "0")]
        lists["procedures"] = [p for p in lists["procedures"] if p["kind"] != "CORE_DECOMPRESSION"]
    for facts in lists.values():
        _supersede(maker, facts)
    lists["endings"] = _endings(maker)
    return {"side": side, **lists}


def _supersede(maker: Maker, facts: list[JsonObject]) -> None:
    """Now and then a fact names an earlier one of its list, whatever their dates."""
    for i in range(1, len(facts)):
        if maker.maybe(0.08):
            facts[i]["supersedes"] = facts[maker.rng.randrange(i)]["id"]
    maker.rng.shuffle(facts)


def _imaging(maker: Maker, nature: str) -> JsonObject:
    ill = nature not in ("unknown", "clear")
    study = maker.fact(
        modality=maker.pick("XR", "XR", "XR", "XR", "MR", "MR", "MR", "CT", "US", "NM"),
        diagnostic=maker.pick(True, True, True, True, None, ..., False),
        effusion_grade=maker.pick(..., ..., None, 0, 1, 2, 3),
        collapse_suspected=maker.pick(..., ..., ..., False, True) if maker.maybe(0.3) else ...,
    )
    if study["modality"] == "XR":
        study["views"] = maker.pick(
            ["AP", "FROG_LATERAL"], ["AP_PELVIS", "FROG_LATERAL"], ["AP_HIP", "FROG_LATERAL", "OTHER"],
            ["AP"], ["FROG_LATERAL"], [], ["CROSS_TABLE"],
        )  # fmt: skip
    if study["modality"] == "MR":
        study["necrosis"] = maker.pick(True, True, False, None) if ill else maker.pick(False, False, None)
        study["marrow_edema"] = maker.pick(True, False, None)
    if ill and maker.maybe(0.6 if study["modality"] == "MR" else 0.05):
        study |= _volume(maker, nature)
    if nature in ("collapsing", "collapsed", "anything") and maker.maybe(0.25):
        study |= _collapse(maker, nature)
    if study["modality"] == "CT" and maker.maybe(0.5):
        study["crescent"] = maker.pick("absent", "indeterminate")
    return study


def _volume(maker: Maker, nature: str) -> JsonObject:
    percents = {"large": (29.9, 30, 30.0, 33.5, 35, 40, 22.5), "small": (4, 9.9, 10, 12.5, 14.9, 15, 26.9, 27, 29)}
    percent = maker.pick(*percents.get(nature, (5, 12, 20, 27, 30, 33, 38)))
    return {
        "lesion_volume_percent": percent,
        "volume_method": maker.pick(*MEASURED, *MEASURED, "VISUAL", "AREA_2D", None),
        "lesion_volume_cm3": maker.pick(None, None, 4.9, 5, 6.2, round(percent * 0.6, 1), round(percent * 0.95, 2)),
    }


def _collapse(maker: Maker, nature: str) -> JsonObject:
    signs: JsonObject = {"crescent": maker.pick("absent", "present", "indeterminate", None)}
    signs["depression_mm"] = maker.pick(None, 0, 0.0, 0.4, 0.5, 0.9, 1.0, 1.4, 2.0)
    if nature != "collapsing" and maker.maybe(0.3):
        signs["depression_mm"] = maker.pick(2.1, 2.5, 2.6, 3.1)
        signs["joint_space_narrowed"] = maker.pick(True, False, False, None)
    return signs


def _staging(maker: Maker, nature: str) -> JsonObject:
    (system, version), codes = maker.pick(*STAGE_CODES.items())
    reach = {"collapsing": 0.7, "collapsed": 1.0, "anything": 1.0}.get(nature, 0.5)
    if system.value == "STEINBERG" and maker.maybe(0.3):
        return maker.fact(system=system.value, version=version, code="0")
    early = [code for code in codes if not code.startswith(("III", "IV", "V", "TRANS", "3", "4"))]
    usable = codes if maker.maybe(reach - 0.5) else early
    return maker.fact(system=system.value, version=version, code=maker.pick(*usable))


def _symptom(maker: Maker) -> JsonObject:
    report = maker.fact(
        source=maker.pick("clinician", "clinician", "patient"),
        symptomatic=maker.pick(True, False, False, None, ...),
        pain_nrs=maker.pick(0, 0, 1, 2, 3, 5, 7, None, ...),
    )
    if maker.maybe(0.25):
        for sign in ("sudden_worsening", "night_pain", "cannot_bear_weight"):
            report[sign] = maker.pick(True, False, False, None)
    elif maker.maybe(0.3):
        report |= {"sudden_worsening": False, "night_pain": False, "cannot_bear_weight": False}
    return report


def _score(maker: Maker) -> JsonObject:
    instrument, values = maker.pick(
        ("HHS", (96, 90, 86.0, 80, 71.5)), ("HOOS_JR", (100, 92.34, 83.84)), ("OHS", (48, 43, 42.5))
    )
    return maker.fact(instrument=instrument, value=maker.pick(*values))


def _procedure(maker: Maker) -> JsonObject:
    kind = maker.pick("CORE_DECOMPRESSION", "CORE_DECOMPRESSION", "CORE_DECOMPRESSION", "ESWT", "STATIN")
    if maker.maybe(0.12):
        kind = maker.pick("THA", "RESURFACING_HEMI")
    return maker.fact(kind=kind, adjuncts=maker.pick(..., [], ["AUTOLOGOUS_MARROW"]))


def _decision(maker: Maker) -> JsonObject:
    return maker.fact(action=maker.pick(*Action).value, outcome=maker.pick("operate", "observe", "patient_declined"))


def _location(maker: Maker) -> JsonObject:
    return maker.fact(
        jic_type=maker.pick("A", "B", "C1", "C2", None, ...),
        kerboul_modified_degrees=maker.pick(..., None, 190, 249.9, 250, 250.0, 310),
    )


def _endings(maker: Maker) -> list[JsonObject]:
    endings: list[JsonObject] = []
    if not maker.maybe(0.25):
        return endings
    reasons = ("transferred", "declined_in_writing", "discharged", "entered_in_error", "hip_replaced", "deceased")
    for _ in range(maker.pick(1, 1, 2)):
        endings.append(maker.fact(reason=maker.pick(*reasons[: maker.pick(3, 6)])))
        if maker.maybe(0.6):
            endings.append(maker.fact(reason="reopened", supersedes=endings[-1]["id"]))
        elif len(endings) > 1 and endings[0]["reason"] != "reopened" and maker.maybe(0.2):
            endings[-1]["supersedes"] = endings[0]["id"]
    return endings


def rngs() -> st.SearchStrategy[random.Random]:
    """Random sources by seed: a history then costs microseconds, and its size still shrinks."""
    return st.integers(0, 2**32 - 1).map(random.Random)


@st.composite
def records(draw: st.DrawFn) -> JsonObject:
    return make_record(draw(rngs()), crowd=draw(st.integers(1, 6)))


@st.composite
def questions(draw: st.DrawFn) -> tuple[JsonObject, date]:
    """A record and a day to ask about it."""
    rng = draw(rngs())
    record = make_record(rng, crowd=draw(st.integers(1, 6)))
    return record, make_as_of(rng, record)

"""Random records that crowd around the guideline's edges: equal days, window edges, cuts, month ends, corrections."""

from datetime import date, timedelta
from decimal import Decimal

from .reference import months

BASES = ["2023-08-31", "2024-02-29", "2024-01-31", "2025-06-01", "2024-11-30", "2025-02-28", "2023-12-31", "2024-03-15"]
DAY_STEPS = [1, 2, 7, 13, 14, 15, 27, 28, 29, 30, 41, 42, 43, 44, 60, 90, 104]
MONTH_STEPS = [1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 18, 24, 30]
PERCENTS = [
    "0",
    "4.9",
    "9.9",
    "10",
    "12.0",
    "14.9",
    "15",
    "22",
    "26.9",
    "27",
    "29.9",
    "29.99",
    "30",
    "30.0",
    "32.9",
    "33",
]
LARGER_PERCENTS = ["30", "31", "34.9", "35", "35.0", "36", "39.9", "40", "45", "60"]
METHODS = ["MRI_3D_SEGMENTATION", "MRI_SLICE_SUM", "MRI_SPHERE_EQUIV"]
ESTIMATES = ["AREA_2D", "XR_ESTIMATE", "VISUAL", None]
DEPRESSIONS = ["0", "0.0", "0.1", "0.4", "0.5", "0.9", "1.0", "1.5", "1.9", "2.0", "2.1", "2.5", "2.6", "3.0", "4.0"]
CODES = {
    ("ARCO", "2019"): ["I", "II", "IIIA", "IIIB", "IV"],
    ("ARCO", "1994"): ["0", "I", "IB", "II", "IIC", "III", "IIIA", "IV"],
    ("FICAT", "1985"): ["0", "I", "II", "TRANSITION", "III", "IV"],
    ("STEINBERG", "1995"): ["0", "I", "IA", "IIB", "II", "III", "IIIC", "IV", "IVA", "V", "VB", "VI"],
    ("JIC_STAGE", "2001"): ["1", "2", "3A", "3B", "4"],
}
EARLY_CODES = {
    ("ARCO", "2019"): ["I", "II"],
    ("ARCO", "1994"): ["0", "IA", "II", "IIB"],
    ("FICAT", "1985"): ["0", "I", "II"],
    ("STEINBERG", "1995"): ["0", "I", "IC", "II", "IIA"],
    ("JIC_STAGE", "2001"): ["1", "2"],
}
REVIEWS = [
    "ARTHROPLASTY_REVIEW",
    "COLLAPSE_REVIEW",
    "CORE_DECOMPRESSION_REVIEW",
    "DECOMPRESSION_FAILURE_REVIEW",
    "WORSENING_REVIEW",
]
ACTIONS = [
    *REVIEWS,
    "ASSESS_CONTRALATERAL_HIP",
    "BASELINE_MRI",
    "CHECK_VOLUME",
    "CONSIDER_CT",
    "CT_HIP",
    "HIGH_RISK_LOCATION_REVIEW",
    "IMAGE_PAINFUL_HIP",
    "LARGE_LESION_REVIEW",
    "MEASURE_VOLUME",
    "REVIEW_ENDING",
    "SECOND_READING",
    "STAGE_CONFLICT",
    "STAGE_PROGRESSION_REVIEW",
    "BASELINE_RADIOGRAPH",
    "DECISION_OVERDUE",
    "OVERDUE_RADIOGRAPH",
    "PROTECTED_WEIGHT_BEARING",
    "RECORD_CLINICAL_REVIEW",
    "REPEAT_VIEWS",
    "SURVEILLANCE_GAP",
    "URGENT_RADIOGRAPH",
]
THEMES = (
    ["nothing", "clear", "clear", "small", "unmeasured", "large", "painful", "worsening"]
    + ["scored", "located", "staged", "collapse", "decompressed", "decompressed"]
    + ["small"] * 3
)


class Story:
    """One record in the making: a pool of dates that later facts crowd around."""

    def __init__(self, rnd):
        self.rnd = rnd
        self.enrolled_on = date.fromisoformat(rnd.choice(BASES))
        self.pool = [self.enrolled_on]
        self.calm = rnd.random() < 0.3  # nobody at risk, so that the six months are common too
        self.born_on = date(1990, 3, 10) if self.calm else self.birth()
        self.number = 0
        # how far this record strays into collapse, poor films and corrections
        self.collapse = rnd.choice([0, 0, 0.05, 0.3])
        self.poor = rnd.choice([0, 0.05, 0.3])
        self.corrections = rnd.choice([0, 0.1, 0.3])
        self.sparse = rnd.choice([0.3, 0.6, 0.85])

    def chance(self, share):
        return self.rnd.random() < share

    def birth(self):
        kind = self.rnd.random()
        if kind < 0.1:
            return None
        if kind < 0.6:  # the 41st birthday falls among the facts
            return min(
                months(self.enrolled_on, -41 * 12 + self.rnd.choice([-12, -6, -1, 0, 1, 2, 3, 4, 6, 7, 12])),
                months(self.enrolled_on, -12),
            ) + timedelta(days=self.rnd.choice([-1, 0, 0, 1, 14]))
        return date.fromisoformat(
            self.rnd.choice(["1984-02-29", "1990-03-10", "1960-01-01", "1983-08-31", "1999-12-31"])
        )

    def step(self, on):
        sign = self.rnd.choice([-1, 1, 1, 1])
        if self.chance(0.65):
            return on + timedelta(days=sign * self.rnd.choice(DAY_STEPS))
        return months(on, sign * self.rnd.choice(MONTH_STEPS)) + timedelta(days=self.rnd.choice([0, 0, -1, 1, 14, -14]))

    def day(self):
        on = self.rnd.choice(self.pool if self.chance(0.7) else self.pool[-3:])
        if self.chance(0.65):
            on = self.step(on)
        if self.born_on is not None and on < self.born_on:
            on = self.enrolled_on
        self.pool.append(on)
        return on

    def identity(self, on=None):
        self.number += 1
        return {"id": f"f{self.number}", "on": (on or self.day()).isoformat()}

    def maybe(self, fact, **values):
        """Each value with the record's own density; sometimes an explicit null."""
        for name, options in values.items():
            if self.chance(self.sparse):
                fact[name] = None if self.chance(0.1) else self.rnd.choice(options)
        return fact


def film(story, on=None):
    fact = {**story.identity(on), "modality": "XR"}
    fact["views"] = story.rnd.choice(
        [["AP_PELVIS", "FROG_LATERAL"]] * 4
        + [["AP", "FROG_LATERAL", "OTHER"], ["AP_HIP", "FROG_LATERAL"], ["AP"], ["FROG_LATERAL"], ["CROSS_TABLE"], []]
    )
    return read_out(story, fact)


def study(story, on=None, kinds=("XR", "MR", "MR", "CT", "US", "NM")):
    kind = story.rnd.choice(kinds)
    if kind == "XR":
        return film(story, on)
    return read_out(story, {**story.identity(on), "modality": kind})


def read_out(story, fact):
    if story.chance(story.poor):
        fact["diagnostic"] = False
    elif story.chance(0.5):
        fact["diagnostic"] = story.rnd.choice([True, True, None])
    if story.chance(0.5):
        grades, oedema = ([0, 1], [False]) if story.calm else ([0, 1, 1, 2, 3], [True, False, False])
        story.maybe(fact, effusion_grade=grades, marrow_edema=oedema)
    if story.chance(0.15):
        fact["collapse_suspected"] = story.rnd.choice([True, True, False])
    if story.chance(0.3):
        fact["crescent"] = story.rnd.choice(["absent", "indeterminate", None])
    if story.chance(0.2):
        fact["depression_mm"] = Decimal("0.0")
    if story.chance(story.collapse):
        sign = story.rnd.choice(["crescent", "depression_mm", "depression_mm", "joint_space_narrowed"])
        options = {"crescent": ["present"], "depression_mm": [Decimal(x) for x in DEPRESSIONS]}
        fact[sign] = story.rnd.choice(options.get(sign, [True, False]))
    return fact


def with_volume(story, fact, percents):
    percent = Decimal(story.rnd.choice(percents))
    fact["lesion_volume_percent"] = percent
    fact["volume_method"] = story.rnd.choice(METHODS * 3 + ESTIMATES)
    if story.chance(0.5):
        edges = [Decimal("4.9"), Decimal("5"), Decimal("5.0"), percent * Decimal("0.3"), percent * Decimal("0.9"),
                 percent * Decimal("0.3") - Decimal("0.1"), percent * Decimal("0.9") + Decimal("0.01")]  # fmt: skip
        fact["lesion_volume_cm3"] = max(Decimal(0), story.rnd.choice(edges))
    return fact


def lesion_mr(story, on=None, percents=None, necrosis=True):
    fact = read_out(story, {**story.identity(on), "modality": "MR"})
    if necrosis is not None:
        fact["necrosis"] = necrosis
    return with_volume(story, fact, percents) if percents else fact


def report(story, on=None, painful=None, source=None):
    fact = {**story.identity(on), "source": source or story.rnd.choice(["clinician", "clinician", "patient"])}
    if painful is None:
        painful = story.chance(0.4)
    if story.chance(0.8):
        fact["symptomatic"] = painful
    if story.chance(0.7):
        fact["pain_nrs"] = story.rnd.choice([1, 1, 2, 3, 3, 4, 5, 6, 8] if painful else [0, 0, 0, None])
    if story.chance(0.25):
        names = ["sudden_worsening", "night_pain", "cannot_bear_weight"]
        for name in names:
            if story.chance(0.7):
                fact[name] = story.rnd.choice([True, False, False, None] if painful else [False, False, None])
    return fact


def staging(story, on=None):
    codes = CODES if story.chance(story.collapse) else EARLY_CODES
    system, version = story.rnd.choice(list(codes))
    code = story.rnd.choice(codes[system, version])
    return {**story.identity(on), "system": system, "version": version, "code": code}


def score(story, on=None):
    instrument = story.rnd.choice(["HHS", "HHS", "HOOS_JR", "OHS"])
    options = {"HHS": ["96", "90", "86.0", "86.1", "80", "70"], "HOOS_JR": ["90", "81.5", "81.6", "73", "70.25"],
               "OHS": ["48", "43", "43.1", "40", "38"]}  # fmt: skip
    return {**story.identity(on), "instrument": instrument, "value": Decimal(story.rnd.choice(options[instrument]))}


def procedure(story, on=None, kinds=("CORE_DECOMPRESSION", "STATIN", "OTHER", "THA", "RESURFACING_HEMI")):
    return {**story.identity(on), "kind": story.rnd.choice(kinds)}


def decision(story, on=None, actions=None):
    outcome = story.rnd.choice(["operate", "observe", "image_further", "patient_declined", "other"])
    return {**story.identity(on), "action": story.rnd.choice(actions or ACTIONS[:19] + ACTIONS), "outcome": outcome}


def location(story, on=None):
    types = ["A", "B", "C1"] if story.calm else ["A", "B", "C1", "C2", "C2"]
    degrees = [190, Decimal("249.9")] if story.calm else [190, Decimal("249.9"), 250, Decimal("250.0"), 300]
    return story.maybe(story.identity(on), jic_type=types, kerboul_modified_degrees=degrees)


def ending(story, on=None):
    reasons = ["transferred", "declined_in_writing", "discharged", "entered_in_error", "hip_replaced", "transferred"]
    return {**story.identity(on), "reason": story.rnd.choice(reasons)}


MAKERS = {
    "imaging": study,
    "stagings": staging,
    "symptoms": report,
    "scores": score,
    "procedures": procedure,
    "decisions": decision,
    "locations": location,
    "endings": ending,
}


def themed(story, hip, theme):
    """The first facts of a hip, so that every pathway is common."""
    on = story.day() if story.chance(0.5) else story.enrolled_on
    percents = LARGER_PERCENTS if theme == "large" else PERCENTS
    if theme == "nothing":
        return
    if theme == "clear":
        hip["imaging"].append(lesion_mr(story, on, necrosis=False))
        return
    hip["imaging"].append(lesion_mr(story, on, None if theme == "unmeasured" else percents))
    if story.chance(0.7):
        hip["imaging"].append(film(story, on if story.chance(0.7) else None))
        hip["symptoms"].append(report(story, on if story.chance(0.7) else None, False, "clinician"))
    if story.chance(0.5):
        hip["stagings"].append(staging(story, on))
    if theme == "painful":
        hip["symptoms"] += [report(story, painful=True) for _ in range(story.rnd.randint(1, 4))]
        hip["decisions"] += [decision(story, actions=REVIEWS) for _ in range(story.rnd.randint(0, 2))]
    if theme == "worsening":
        worsening(story, hip)
    if theme == "scored":
        hip["scores"] += [score(story) for _ in range(story.rnd.randint(2, 5))]
    if theme == "located":
        hip["locations"] += [location(story) for _ in range(story.rnd.randint(1, 3))]
    if theme == "staged":
        hip["stagings"] += [staging(story) for _ in range(story.rnd.randint(1, 4))]
    if theme == "collapse":
        story.collapse = 0.5
    if theme == "decompressed":
        hip["symptoms"].append(report(story, painful=True))
        operated = procedure(story, kinds=["CORE_DECOMPRESSION"])
        hip["procedures"].append(operated)
        start = date.fromisoformat(operated["on"])
        if story.chance(0.3):
            hip["symptoms"].append(report(story, months(start, 3) + timedelta(days=story.rnd.choice([-1, 0, 9])), True))
        for visit in [timedelta(days=42), 3, 6, 12, 24][: story.rnd.randint(0, 5)]:
            on = start + visit if isinstance(visit, timedelta) else months(start, visit)
            follow_up(story, hip, on + timedelta(days=story.rnd.choice([-15, -14, -13, 0, 0, 5])))


def worsening(story, hip):
    """Pain, a decision on or after it, and more or less pain then."""
    first = report(story, painful=True)
    hip["symptoms"].append(first)
    on = date.fromisoformat(first["on"])
    for _ in range(story.rnd.randint(1, 5)):
        on += timedelta(days=story.rnd.choice([0, 0, 1, 5, 14, 30]))
        story.pool.append(on)
        if story.chance(0.4):
            hip["decisions"].append(decision(story, on, REVIEWS))
        else:
            hip["symptoms"].append(report(story, on, painful=story.chance(0.85)))


def follow_up(story, hip, on=None):
    on = on or story.day()
    story.pool.append(on)
    hip["imaging"].append(film(story, on))
    if story.chance(0.3):
        hip["imaging"].append(film(story, on))
    offset = story.rnd.choice([0, 0, 0, 1, -1, 27, 28, 29, -28, -29])
    hip["symptoms"].append(report(story, on + timedelta(days=offset)))


def sprinkled(story, hip):
    weights = {"imaging": 5, "stagings": 2, "symptoms": 6, "scores": 1, "procedures": 0.4, "decisions": 5,
               "locations": 1, "endings": 0.3}  # fmt: skip
    for _ in range(story.rnd.choice([0, 0, 1, 2, 3, 5, 8, 12])):
        if story.chance(0.4):
            follow_up(story, hip)
        name = story.rnd.choices(list(weights), list(weights.values()))[0]
        fact = MAKERS[name](story)
        if name == "imaging" and fact["modality"] != "XR" and story.chance(0.5):
            fact["necrosis"] = story.rnd.choice([True, False, False, None])
        if name == "imaging" and fact["modality"] != "XR" and story.chance(0.4):
            with_volume(story, fact, PERCENTS + LARGER_PERCENTS)
        hip[name].append(fact)


def reopened(story, hip):
    for fact in list(hip["endings"]):
        if story.chance(0.6):
            hip["endings"].append({**story.identity(), "reason": "reopened", "supersedes": fact["id"]})


def corrected(story, hip):
    """Facts that supersede an earlier one of their list, in chains, forks and in either order of dates."""
    for name in HIP_NAMES:
        facts = hip[name]
        for position in range(1, len(facts)):
            if facts[position].get("supersedes") is None and story.chance(story.corrections):
                target = story.rnd.choice(facts[max(0, position - 3) : position])
                if target.get("reason") != "reopened":
                    facts[position]["supersedes"] = target["id"]


HIP_NAMES = list(MAKERS)


def random_hip(story, side):
    hip = {"side": side, **{name: [] for name in HIP_NAMES}}
    themed(story, hip, story.rnd.choice(THEMES))
    sprinkled(story, hip)
    if story.chance(0.1):
        hip["endings"].append(ending(story))
    reopened(story, hip)
    corrected(story, hip)
    for name in HIP_NAMES:
        if story.chance(0.5):
            story.rnd.shuffle(hip[name])
    return {name: value for name, value in hip.items() if value or story.chance(0.5)}


def random_patient(story):
    patient = {"enrolled_on": story.enrolled_on.isoformat()}
    if story.born_on is not None or story.chance(0.5):
        patient["born_on"] = story.born_on and story.born_on.isoformat()
    if story.chance(0.05):
        patient["died_on"] = story.day().isoformat()
    if story.chance(0.3):
        lists = [["alcohol"], []] if story.calm else [["sickle_cell"], ["sickle_cell", "alcohol"], ["alcohol"], []]
        patient["conditions"] = story.rnd.choice(lists)
    if story.chance(0.5):
        patient["bmi"] = random_bmi(story)
    return patient


def random_bmi(story):
    readings = []
    for number in range(story.rnd.randint(1, 3)):
        values = ["22", "23.9", "24", "24.0"] + ([] if story.calm else ["24.1", "31"])
        value = Decimal(story.rnd.choice(values))
        readings.append({"on": story.day().isoformat(), "value": value})
        if story.chance(0.5):
            readings[-1]["id"] = f"b{number}"
        if number and story.chance(story.corrections) and "id" in readings[number - 1]:
            readings[-1] |= {"id": f"b{number}", "supersedes": readings[number - 1]["id"]}
    return readings


def random_record(rnd):
    """A record that the schema and the checks accept, and a day to ask about it."""
    story = Story(rnd)
    sides = rnd.choice([["left", "right"]] * 8 + [["right", "left"]] * 2 + [["left"], ["right"], []])
    hips = [random_hip(story, side) for side in sides]
    record = {"patient": random_patient(story), "hips": hips}
    as_of = day_to_ask(story)
    if story.born_on is not None:
        as_of = max(as_of, story.born_on)
    return record, as_of.isoformat()


def day_to_ask(story):
    """Mostly near the later facts, often on an edge of the window of one of them, now and then early or years later."""
    latest = max(max(story.pool), story.enrolled_on)
    kind = story.rnd.random()
    if kind < 0.2:
        return story.step(story.rnd.choice(story.pool))
    if kind < 0.3:
        return story.rnd.choice(story.pool)
    if kind < 0.45:
        return latest + timedelta(days=story.rnd.randint(0, 60))
    if kind < 0.9:
        start = months(story.rnd.choice(story.pool), story.rnd.choice([0, 0, 1, 3, 3, 6, 6, 12]))
        return start + timedelta(days=story.rnd.choice([-15, -14, -1, 0, 1, 13, 14, 28, 29, 30, 42, 43, 60, 90]))
    return months(latest, story.rnd.choice([6, 12, 24, 60])) + timedelta(days=story.rnd.randint(0, 120))

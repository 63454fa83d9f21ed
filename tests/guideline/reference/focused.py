"""Small random records about one sentence of the guideline each: few dates and the exact cuts, so that edges meet."""

from datetime import date, timedelta
from decimal import Decimal

from .reference import months

START = date(2024, 1, 31)
READINGS = [
    ("ARCO", "2019", "I"),
    ("ARCO", "2019", "II"),
    ("STEINBERG", "1995", "0"),
    ("STEINBERG", "1995", "IA"),
    ("FICAT", "1985", "0"),
    ("FICAT", "1985", "II"),
]


class Sketch:
    """One record of one or two hips on very few days; by default nobody is at risk."""

    def __init__(self, rnd):
        self.rnd = rnd
        self.number = 0
        self.days = [START]
        for _ in range(rnd.randint(2, 4)):
            self.days.append(self.days[-1] + timedelta(days=rnd.choice([1, 1, 14, 28, 90])))
        self.days.append(months(self.days[0], rnd.choice([6, 12])))
        enrolled_on = rnd.choice([START - timedelta(days=400), START, START, self.days[1]])
        self.patient = {"born_on": "1990-03-10", "enrolled_on": enrolled_on.isoformat()}
        self.left = {"side": "left"}
        self.right = {"side": "right"}

    def pick(self, *options):
        return self.rnd.choice(options)

    def chance(self, share):
        return self.rnd.random() < share

    def add(self, name, hip=None, on=None, **values):
        """One fact; a value of None is left out."""
        self.number += 1
        fact = {"id": f"f{self.number}", "on": (on or self.rnd.choice(self.days)).isoformat()}
        fact |= {key: value for key, value in values.items() if value is not None}
        (self.left if hip is None else hip).setdefault(name, []).append(fact)
        return fact

    def times(self, low, high):
        return range(self.rnd.randint(low, high))

    def lesion(self, percent="12"):
        self.add(
            "imaging",
            on=self.days[0],
            modality="MR",
            necrosis=True,
            lesion_volume_percent=Decimal(percent),
            volume_method="MRI_3D_SEGMENTATION",
        )

    def decide(self, *actions, hip=None):
        self.add("decisions", hip, action=self.pick(*actions), outcome="observe")

    def film(self, *views, hip=None, **values):
        self.add("imaging", hip, modality="XR", views=list(views or ("AP", "FROG_LATERAL")), **values)


def volumes(s):
    for _ in s.times(2, 5):
        percent = Decimal(
            s.pick("14.9", "15", "26.9", "27", "29.9", "30", "30.0", "32.9", "33", "34.9", "35", "39.9", "40")
        )
        share = Decimal(s.pick("0.3", "0.9", "0.29", "0.91"))
        s.add(
            "imaging",
            modality="MR",
            necrosis=True,
            lesion_volume_percent=percent,
            volume_method="MRI_SLICE_SUM",
            lesion_volume_cm3=percent * share if s.chance(0.3) else None,
        )
    for _ in s.times(0, 2):
        s.decide("LARGE_LESION_REVIEW", "SECOND_READING", "CHECK_VOLUME")


def very_small(s):
    percent = Decimal(s.pick("0", "9.9", "9.99", "10", "10.0", "14.9", "15"))
    cm3 = s.pick(None, Decimal("4.9"), Decimal("5"), Decimal("5.0"), Decimal("4.99"))
    s.add(
        "imaging",
        modality="MR",
        necrosis=True,
        lesion_volume_percent=percent,
        volume_method="MRI_SPHERE_EQUIV",
        lesion_volume_cm3=cm3,
    )


def oedema(s):
    s.lesion()
    for _ in s.times(1, 4):
        s.add(
            "imaging",
            modality="MR",
            marrow_edema=s.pick(True, True, False, None),
            collapse_suspected=s.pick(True, None),
        )
    for _ in s.times(0, 2):
        s.add(
            "imaging",
            modality=s.pick("CT", "CT", "XR", "US", "NM"),
            crescent=s.pick("absent", "indeterminate", None),
            collapse_suspected=s.pick(True, None, None),
            diagnostic=s.pick(False, True, None),
        )
    if s.chance(0.4):
        s.decide("CONSIDER_CT", "CT_HIP")


def scores(s):
    s.lesion()
    year_before = months(s.days[-1], -12)
    for _ in s.times(2, 5):
        value = s.pick("95", "86.5", "86.4", "85", "85.1", "90", "80")
        on = s.pick(None, None, year_before, year_before - timedelta(days=1))
        s.add("scores", on=on, instrument=s.pick("HHS", "HHS", "HOOS_JR"), value=Decimal(value))
    if s.chance(0.4):
        s.decide("WORSENING_REVIEW", "CT_HIP")


def worsening(s):
    s.lesion()
    for _ in s.times(2, 5):
        s.add(
            "symptoms",
            source=s.pick("clinician", "patient"),
            symptomatic=s.pick(True, None, None, False),
            pain_nrs=s.pick(0, 1, 2, 3, 4, 5, None),
        )
    for _ in s.times(1, 3):
        s.decide("WORSENING_REVIEW", "CORE_DECOMPRESSION_REVIEW", "COLLAPSE_REVIEW")


def collapse(s):
    s.lesion()
    for _ in s.times(1, 4):
        depth = Decimal(s.pick("0.0", "0.1", "0.5", "0.6", "1.0", "2.0", "2.1", "2.5", "2.6", "3.1"))
        s.add(
            "imaging", modality="XR", depression_mm=s.pick(depth, depth, None), crescent=s.pick("present", None, None)
        )
    for _ in s.times(0, 3):
        s.add("stagings", system="ARCO", version="2019", code=s.pick("I", "II", "IIIA", "IIIB", "IV"))
    for _ in s.times(0, 2):
        s.add("symptoms", source=s.pick("clinician", "patient"), symptomatic=s.pick(True, True, False))
    for _ in s.times(0, 2):
        s.decide("COLLAPSE_REVIEW", "ARTHROPLASTY_REVIEW", "STAGE_CONFLICT")


def stagings(s):
    for _ in s.times(2, 5):
        system, version, code = s.pick(*READINGS)
        s.add("stagings", system=system, version=version, code=code)
    for _ in s.times(0, 2):
        s.decide("STAGE_CONFLICT", "STAGE_PROGRESSION_REVIEW")


def places(s):
    for _ in s.times(1, 3):
        s.add(
            "imaging",
            modality="MR",
            necrosis=True,
            lesion_volume_percent=Decimal(s.pick("12", "29.9", "30")),
            volume_method="MRI_SLICE_SUM",
        )
    for _ in s.times(1, 4):
        s.add(
            "locations",
            jic_type=s.pick("C2", "C2", "B", None),
            kerboul_modified_degrees=s.pick(250, 249, 300, None, None),
        )
    s.film()
    s.add("symptoms", source="clinician", symptomatic=False)
    if s.chance(0.4):
        s.decide("HIGH_RISK_LOCATION_REVIEW")


def other_hip(s):
    s.lesion() if s.chance(0.7) else s.patient.update(conditions=["sickle_cell"])
    if s.chance(0.3):
        s.add("procedures", kind=s.pick("THA", "RESURFACING_HEMI"))
    if s.chance(0.2):
        s.add("endings", reason=s.pick("entered_in_error", "transferred"))
    for _ in s.times(0, 3):
        s.add("imaging", s.right, modality=s.pick("MR", "MR", "XR"), necrosis=s.pick(False, False, None))
    for _ in s.times(0, 3):
        s.add("symptoms", s.right, source=s.pick("clinician", "patient"), symptomatic=s.pick(True, True, False))
    for _ in s.times(0, 3):
        s.decide("ASSESS_CONTRALATERAL_HIP", "IMAGE_PAINFUL_HIP", "BASELINE_MRI", hip=s.right)


def alarms(s):
    s.lesion()
    for _ in s.times(1, 4):
        s.add(
            "symptoms",
            source=s.pick("clinician", "patient"),
            symptomatic=s.pick(True, False, None),
            sudden_worsening=s.pick(True, False, False, None),
            night_pain=s.pick(True, False, False, None),
        )
    for _ in s.times(0, 2):
        s.film(diagnostic=s.pick(False, None, None), collapse_suspected=s.pick(True, None, None))
    for _ in s.times(0, 2):
        s.add(
            "imaging",
            modality="CT",
            crescent=s.pick("absent", "indeterminate", None),
            diagnostic=s.pick(False, None, None),
        )
    if s.chance(0.4):
        s.decide("CT_HIP", "URGENT_RADIOGRAPH", "CORE_DECOMPRESSION_REVIEW")


def visits(s):
    if s.chance(0.8):
        s.lesion()
    operated = s.days[0]
    s.add("procedures", on=operated, kind="CORE_DECOMPRESSION")
    if s.chance(0.3):
        s.add("procedures", kind="CORE_DECOMPRESSION")
    due = [operated + timedelta(days=42)] + [months(operated, number) for number in (3, 6, 12, 24, 36)]
    for visit in [operated, *due]:
        if s.chance(0.4):
            on = visit + timedelta(days=s.pick(0, -13, -14, -15))
            s.days.append(on)
            s.add("imaging", on=on, modality="XR", views=["AP", "FROG_LATERAL"])
            s.add(
                "symptoms",
                on=on,
                source="clinician",
                symptomatic=s.pick(False, False, None, True),
                pain_nrs=s.pick(0, 1, None),
            )
    if s.chance(0.4):
        s.add("imaging", modality="CT", crescent="present")
    for _ in s.times(0, 2):
        s.add("stagings", system="ARCO", version="2019", code=s.pick("I", "II", "II", "IIIA"))
    for _ in s.times(0, 3):
        s.add(
            "symptoms",
            on=s.pick(None, operated - timedelta(days=1), months(operated, 3)),
            source="patient",
            pain_nrs=s.pick(0, 1, 2, 3),
        )
    if s.chance(0.4):
        s.decide("DECOMPRESSION_FAILURE_REVIEW", "CORE_DECOMPRESSION_REVIEW")


def follow_ups(s):
    s.lesion() if s.chance(0.7) else None
    for _ in s.times(1, 4):
        s.film(
            *s.pick(("AP", "FROG_LATERAL"), ("AP_HIP",), ("FROG_LATERAL",), ("AP_PELVIS", "FROG_LATERAL")),
            diagnostic=s.pick(False, None, None, None),
        )
    for _ in s.times(0, 3):
        s.add("symptoms", source=s.pick("clinician", "clinician", "patient"), symptomatic=s.pick(False, None))
    if s.chance(0.3):
        ended = s.add("endings", reason="transferred")
        s.add("endings", reason="reopened", supersedes=ended["id"])


def risks(s):
    s.lesion()
    s.film()
    s.add("symptoms", source="clinician", symptomatic=False)
    born_on = months(s.rnd.choice(s.days), -41 * 12) + timedelta(days=s.pick(-1, 0, 1, 60))
    s.patient["born_on"] = s.pick("1990-03-10", born_on.isoformat())
    bmi = [
        {"on": s.rnd.choice(s.days).isoformat(), "value": Decimal(s.pick("24", "24.1", "25"))} for _ in s.times(0, 3)
    ]
    s.patient["bmi"] = bmi
    for _ in s.times(0, 3):
        s.add("imaging", modality="MR", effusion_grade=s.pick(1, 2, None), marrow_edema=s.pick(True, False, None))
    if s.chance(0.3):
        s.add("procedures", on=s.pick(*s.days), kind="CORE_DECOMPRESSION")


def endings(s):
    s.lesion()
    reasons = ["transferred", "declined_in_writing", "discharged", "transferred", "hip_replaced", "entered_in_error"]
    for _ in s.times(1, 3):
        ended = s.add("endings", reason=s.pick(*reasons))
        if s.chance(0.2):
            s.add("endings", reason="reopened", supersedes=ended["id"])
    for _ in s.times(1, 4):
        kind = s.pick("imaging", "stagings", "symptoms")
        if kind == "imaging":
            s.film(diagnostic=s.pick(False, None))
        elif kind == "stagings":
            s.add("stagings", system="FICAT", version="1985", code=s.pick("I", "III"))
        else:
            s.add(
                "symptoms",
                source=s.pick("clinician", "patient"),
                symptomatic=s.pick(True, False, None),
                pain_nrs=s.pick(0, 1, None),
            )
    if s.chance(0.4):
        s.decide("REVIEW_ENDING")
    if s.chance(0.2):
        s.add("procedures", kind="THA")


FAMILIES = [
    *(volumes, very_small, oedema, scores, worsening, collapse, stagings),
    *(places, other_hip, alarms, visits, follow_ups, risks, endings),
]


def corrected(s, hip):
    for name, facts in hip.items():
        if name != "side" and len(facts) > 1 and s.chance(0.15):
            target, by = s.rnd.sample(range(len(facts)), 2)
            if by > target and facts[by].get("supersedes") is None and facts[target].get("reason") != "reopened":
                facts[by]["supersedes"] = facts[target]["id"]


def focused_record(rnd):
    """A record and the days on which to ask about it: its own, their edges, and some months later."""
    sketch = Sketch(rnd)
    rnd.choice(FAMILIES)(sketch)
    if rnd.random() < 0.2:
        rnd.choice(FAMILIES)(sketch)
    hips = [sketch.left, sketch.right]
    for hip in hips:
        corrected(sketch, hip)
    record = {"patient": sketch.patient, "hips": hips[: rnd.choice([1, 2, 2])]}
    days = {day + timedelta(days=step) for day in sketch.days for step in (0, rnd.choice([-1, 1, 14, 28, 29, 42, 43]))}
    days |= {months(rnd.choice(sketch.days), number) for number in (3, 6, 12, 18)}
    return record, sorted(day.isoformat() for day in days)

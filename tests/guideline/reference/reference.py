"""The guideline read a second time: one small literal function for each sentence, straight on the JSON of a record.

It shares no code with the engine and is not meant to be fast or clever. Section numbers are those of the guideline.
Texts, evidence and sources are left out: everything else of an answer is here.
"""

import calendar
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace

PHASES = ["PRE_MRI", "PRE_XR", "COLLAPSE_EARLY", "COLLAPSE_LATE", "OA"]
MEASURED = ["MRI_3D_SEGMENTATION", "MRI_SLICE_SUM", "MRI_SPHERE_EQUIV"]
ALARMS = ["sudden_worsening", "night_pain", "cannot_bear_weight"]
URGENCIES = ["URGENT", "SOON", "REVIEW", "DATA"]
HIP_LISTS = ["imaging", "stagings", "symptoms", "scores", "procedures", "decisions", "locations", "endings"]

# Section 2.
DEFAULTS = {
    "standard_interval_months": 6,
    "short_interval_months": 3,
    "opens_days_before": 14,
    "overdue_after_days": 14,
    "escalate_after_days": 30,
    "trace_after_days": 90,
    "gap_grace_days": 30,
    "pairing_days": 28,
    "baseline_days": 28,
    "large_lesion_percent": 30,
    "borderline_low_percent": 27,
    "borderline_high_percent": 33,
    "very_small_percent": 10,
    "very_small_cm3": 5,
    "clear_recheck_months": 12,
    "age_over_years": 40,
    "bmi_over": 24,
    "effusion_increased_grade": 2,
    "symptomatic_nrs_min": 1,
    "worsening_nrs": 2,
    "score_fall": {"HHS": Decimal("10"), "HOOS_JR": Decimal("8.5"), "OHS": Decimal("5")},
    "late_depression_mm": Decimal("2.0"),
    "depression_growth_mm": Decimal("0.5"),
    "volume_growth_points": 5,
    "urgent_days": 7,
    "soon_days": 14,
    "review_days": 28,
    "decision_overdue_days": 28,
    "decompression_visits": [["weeks", 6], ["months", 3], ["months", 6], ["months", 12]],
    "decompression_then_every_months": 12,
    "protected_weight_bearing_days": 42,
    "kerboul_high_degrees": 250,
}


# ---- calendar (section 1) ----


def days(on, number):
    return on + timedelta(days=number)


def months(on, number):
    """Calendar months that clamp to the end of the month."""
    index = on.year * 12 + on.month - 1 + number
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(on.day, calendar.monthrange(year, month)[1]))


# ---- reading (section 1) ----


def dated(fact):
    return {**fact, "on": date.fromisoformat(fact["on"])}


def known_facts(facts, today):
    """Facts dated after today do not exist; the rest by date, then position."""
    known = [dated(fact) for fact in facts or [] if date.fromisoformat(fact["on"]) <= today]
    return sorted(known, key=lambda fact: fact["on"])  # sorted() is stable: position breaks ties


def not_out(facts):
    named = [fact.get("supersedes") for fact in facts if fact.get("supersedes") is not None]
    return [fact for fact in facts if fact.get("id") is None or fact["id"] not in named]


def died_by(record, today):
    died_on = record["patient"].get("died_on")
    return date.fromisoformat(died_on) if died_on and date.fromisoformat(died_on) <= today else None


def read_hip(record, side, today, protocol, known_on):
    """What may be read of one hip. `known_on` bounds the facts, `today` is the day asked about."""
    named = [hip for hip in record.get("hips") or [] if hip["side"] == side]
    hip = named[0] if named else {}
    patient = record["patient"]
    born_on = patient.get("born_on")
    h = SimpleNamespace(side=side, today=today, p=protocol)
    for name in HIP_LISTS:
        setattr(h, name, not_out(known_facts(hip.get(name), known_on)))
    h.studies = h.imaging  # every study, also the unreadable ones: only R20 and R41 look here
    h.imaging = [i for i in h.studies if i.get("diagnostic") is not False]
    h.bmi = not_out(known_facts(patient.get("bmi"), known_on))
    h.enrolled_on = date.fromisoformat(patient["enrolled_on"])
    h.born_on = date.fromisoformat(born_on) if born_on else None
    h.died_on = died_by(record, known_on)
    h.sickle_cell = "sickle_cell" in (patient.get("conditions") or [])
    return h


def modality(h, *kinds):
    return [i for i in h.imaging if i["modality"] in kinds]


# ---- section 3: phase ----


def phase_of_staging(staging):
    system, version, code = staging["system"], staging["version"], staging["code"]
    letterless = code.rstrip("ABC")
    if (system, version) == ("ARCO", "2019"):
        return dict(zip(["I", "II", "IIIA", "IIIB", "IV"], PHASES, strict=True))[code]
    if (system, version) == ("ARCO", "1994"):
        return {"0": "PRE_MRI", "I": "PRE_MRI", "II": "PRE_XR", "III": "COLLAPSE_EARLY", "IV": "OA"}[letterless]
    if system == "FICAT":
        return {"0": "PRE_MRI", "I": "PRE_MRI", "II": "PRE_XR", "TRANSITION": "COLLAPSE_EARLY",
                "III": "COLLAPSE_EARLY", "IV": "OA"}[code]  # fmt: skip
    if system == "STEINBERG":
        return {"0": None, "I": "PRE_MRI", "II": "PRE_XR", "III": "COLLAPSE_EARLY", "IV": "COLLAPSE_EARLY",
                "V": "OA", "VI": "OA"}[letterless]  # fmt: skip
    return dict(zip(["1", "2", "3A", "3B", "4"], PHASES, strict=True))[code]


def rank(phase):
    """No phase ranks below PRE_MRI."""
    return -1 if phase is None else PHASES.index(phase)


def rank_of_staging(staging):
    return rank(phase_of_staging(staging))


def rank_of_signs(h, imaging):
    if imaging.get("joint_space_narrowed") is True:
        return rank("OA")
    depression = imaging.get("depression_mm")
    if depression is not None and depression > h.p["late_depression_mm"]:
        return rank("COLLAPSE_LATE")
    if imaging.get("crescent") == "present" or (depression is not None and depression > 0):
        return rank("COLLAPSE_EARLY")
    return -1


def phase_facts(h):
    """(date, rank) of each staging and image sign that shows a phase."""
    shown = [(i["on"], rank_of_signs(h, i)) for i in h.imaging] + [(s["on"], rank_of_staging(s)) for s in h.stagings]
    return sorted((on, level) for on, level in shown if level >= 0)


def phase_rank(h):
    return max([level for _, level in phase_facts(h)], default=-1)


def phase(h):
    return None if phase_rank(h) < 0 else PHASES[phase_rank(h)]


def before_collapse(h):
    return phase_rank(h) < rank("COLLAPSE_EARLY")


def first_showing(h, at_least):
    return min((on for on, level in phase_facts(h) if level >= rank(at_least)), default=None)


# ---- section 3: diseased, clear, unknown, affected ----


def decompressions(h):
    return [p["on"] for p in h.procedures if p["kind"] == "CORE_DECOMPRESSION"]


def diseased_since(h):
    by_image = [i["on"] for i in h.imaging if i.get("necrosis") is True]
    by_phase = [on for on, _ in phase_facts(h)]
    return min(by_image + by_phase + decompressions(h), default=None)


def diseased(h):
    return diseased_since(h) is not None


def latest_known_necrosis_mr(h):
    known = [i for i in modality(h, "MR") if i.get("necrosis") is not None]
    return known[-1] if known else None


def clear(h):
    mr = latest_known_necrosis_mr(h)
    return not diseased(h) and mr is not None and mr["necrosis"] is False


def unknown(h):
    return not diseased(h) and not clear(h)


def counting_endings(h):
    return [e for e in h.endings if e["reason"] != "reopened"]


def affected(h):
    return (diseased(h) or replaced_on(h) is not None) and not any(
        e["reason"] == "entered_in_error" for e in counting_endings(h)
    )


def affected_since(h):
    return min(on for on in [diseased_since(h), replaced_on(h)] if on is not None)


# ---- section 3: volume ----


def is_measured(imaging):
    return imaging.get("lesion_volume_percent") is not None and imaging.get("volume_method") in MEASURED


def measured(h):
    return [i for i in h.imaging if is_measured(i)]


def volume(h):
    return measured(h)[-1]["lesion_volume_percent"] if measured(h) else None


def size_band(h):
    percent = volume(h)
    if percent is None:
        return None
    if percent >= h.p["large_lesion_percent"]:
        return "LARGE"
    if percent >= 15:
        return "MODERATE"
    cm3 = measured(h)[-1].get("lesion_volume_cm3")
    if percent < h.p["very_small_percent"] and (cm3 is None or cm3 < h.p["very_small_cm3"]):
        return "VERY_SMALL"
    return "SMALL"


def relaxed(h, position):
    """A later measured volume below the cut has a review on or after its date."""
    return any(
        below["lesion_volume_percent"] < h.p["large_lesion_percent"]
        and any(on >= below["on"] for on in decision_dates(h, "LARGE_LESION_REVIEW"))
        for below in measured(h)[position + 1 :]
    )


def standing_large(h):
    return [
        i
        for position, i in enumerate(measured(h))
        if i["lesion_volume_percent"] >= h.p["large_lesion_percent"] and not relaxed(h, position)
    ]


def large(h):
    return bool(standing_large(h))


# ---- section 3: symptoms ----


def nrs(report):
    return report.get("pain_nrs")


def signs(report):
    return [name for name in ALARMS if report.get(name) is True]


def says(h, report):
    """True, False, or None for a report that has nothing to say."""
    if report.get("symptomatic") is True or signs(report):
        return True
    if nrs(report) is not None and nrs(report) >= h.p["symptomatic_nrs_min"]:
        return True
    if report.get("symptomatic") is not None or nrs(report) is not None:
        return False
    return None


def counting_reports(h):
    counted = []
    for report in h.symptoms:
        said = says(h, report)
        if said is None:
            continue
        if said is False and report["source"] == "patient" and counted and counted[-1][1] is True:
            continue
        counted.append((report, said))
    return counted


def symptomatic(h):
    return counting_reports(h)[-1][1] if counting_reports(h) else None


def first_of_run(items, holds):
    """The first of the unbroken run, up to the last item, of which `holds` is true; None if the last is not."""
    first = None
    for item in items:
        if not holds(item):
            first = None
        elif first is None:
            first = item
    return first


def episode_start(h):
    first = first_of_run(counting_reports(h), lambda counted: counted[1])
    return first[0]["on"] if first else None


# ---- section 3: procedures, risk ----


def replaced_on(h):
    return min((p["on"] for p in h.procedures if p["kind"] in ("THA", "RESURFACING_HEMI")), default=None)


def decompressed_on(h):
    return max(decompressions(h), default=None)


def with_value(facts, field):
    return [fact for fact in facts if fact.get(field) is not None]


def birthday_over(h):
    return months(h.born_on, 12 * (h.p["age_over_years"] + 1)) if h.born_on else None


def age_day(h):
    return h.today if h.died_on is None else min(h.today, h.died_on)


def risks(h):
    """Risk factor -> True, False or None (unknown), in the order of the guideline."""
    effusion = with_value(h.imaging, "effusion_grade")
    oedema = with_value(h.imaging, "marrow_edema")
    return {
        "effusion_increased": effusion[-1]["effusion_grade"] >= h.p["effusion_increased_grade"] if effusion else None,
        "marrow_edema": oedema[-1]["marrow_edema"] if oedema else None,
        "age_over_40": age_day(h) >= birthday_over(h) if h.born_on else None,
        "bmi_over_24": h.bmi[-1]["value"] > h.p["bmi_over"] if h.bmi else None,
    }


def jic_types(h):
    return with_value(h.locations, "jic_type")


def angles(h):
    return with_value(h.locations, "kerboul_modified_degrees")


def jic_c2(h):
    return bool(jic_types(h)) and jic_types(h)[-1]["jic_type"] == "C2"


def kerboul_high(h):
    return bool(angles(h)) and angles(h)[-1]["kerboul_modified_degrees"] >= h.p["kerboul_high_degrees"]


# ---- section 3: complete follow-up ----


def view_days(h):
    """Days on which the readable radiographs together have both views."""
    found = []
    for on in sorted({i["on"] for i in modality(h, "XR")}):
        views = [view for i in modality(h, "XR") if i["on"] == on for view in i.get("views") or []]
        if any(view in ("AP", "AP_PELVIS", "AP_HIP") for view in views) and "FROG_LATERAL" in views:
            found.append(on)
    return found


def clinician_reports(h):
    return [report for report in h.symptoms if report["source"] == "clinician"]


def complete_follow_ups(h):
    return [
        on
        for on in view_days(h)
        if any(abs((report["on"] - on).days) <= h.p["pairing_days"] for report in clinician_reports(h))
    ]


# ---- section 4 ----


def pathway(h, other):
    if h.died_on is not None:
        return "deceased"
    if h.today < h.enrolled_on:
        return "not_enrolled"
    if counting_endings(h):
        return "ended"
    if replaced_on(h) is not None:
        return "replaced"
    if phase_rank(h) >= rank("COLLAPSE_EARLY"):
        return "collapse"
    if decompressed_on(h) is not None:
        return "post_decompression"
    if diseased(h) and symptomatic(h) is True:
        return "symptomatic"
    if diseased(h) and large(h):
        return "large_lesion"
    if diseased(h) and (not modality(h, "MR") or volume(h) is None):
        return "work_up"
    if diseased(h):
        return "observation"
    if affected(other):
        return "contralateral_watch"
    if unknown(h):
        return "not_assessed"
    return "not_affected"


NO_FINDINGS = ["deceased", "not_enrolled", "ended", "replaced"]
NO_FOLLOW_UP = [*NO_FINDINGS, "contralateral_watch", "not_affected"]


def is_short(h, path):
    """For every pathway with follow-up but post_decompression."""
    if path in ("collapse", "symptomatic", "large_lesion", "work_up", "not_assessed"):
        return True
    return any(held is True for held in risks(h).values()) or h.sickle_cell or jic_c2(h) or kerboul_high(h)


def ordinary_interval(h, path):
    return h.p["short_interval_months"] if is_short(h, path) else h.p["standard_interval_months"]


# ---- section 5 ----


def latest_reopened(h):
    return max((e["on"] for e in h.endings if e["reason"] == "reopened"), default=None)


def followed_since(h):
    return max(on for on in [h.enrolled_on, latest_reopened(h), diseased_since(h)] if on is not None)


def anchor_on(h):
    return max(complete_follow_ups(h), default=None)


def short_since(h, path):
    if path == "not_assessed":
        return followed_since(h)
    starts = []
    if not before_collapse(h):
        starts.append(first_showing(h, "COLLAPSE_EARLY"))
    if symptomatic(h) is True:
        starts.append(episode_start(h))
    if large(h):
        starts.append(standing_large(h)[0]["on"])
    if not modality(h, "MR") or volume(h) is None:
        starts.append(diseased_since(h))
    if risks(h)["age_over_40"] is True:
        starts.append(birthday_over(h))
    if h.sickle_cell:
        starts.append(followed_since(h))
    runs = [
        first_of_run(
            with_value(h.imaging, "effusion_grade"), lambda i: i["effusion_grade"] >= h.p["effusion_increased_grade"]
        ),
        first_of_run(with_value(h.imaging, "marrow_edema"), lambda i: i["marrow_edema"] is True),
        first_of_run(h.bmi, lambda b: b["value"] > h.p["bmi_over"]),
        first_of_run(jic_types(h), lambda x: x["jic_type"] == "C2"),
        first_of_run(angles(h), lambda x: x["kerboul_modified_degrees"] >= h.p["kerboul_high_degrees"]),
    ]
    return min(starts + [first["on"] for first in runs if first is not None])


def visit_on(h, number):
    """The date of the visit with this number (from 0) after the decompression."""
    fixed = h.p["decompression_visits"]
    start = decompressed_on(h)
    if number < len(fixed):
        unit, count = fixed[number]
        return days(start, 7 * count) if unit == "weeks" else months(start, count)
    last = fixed[-1][1]
    return months(start, last + (number - len(fixed) + 1) * h.p["decompression_then_every_months"])


def is_kept(h, visit):
    return any(
        on > decompressed_on(h) and on >= days(visit, -h.p["opens_days_before"]) for on in complete_follow_ups(h)
    )


def next_visit(h):
    number = 0
    while is_kept(h, visit_on(h, number)):
        number += 1
    return number


def is_yearly(h, number):
    return number >= len(h.p["decompression_visits"])


def scheduled_due_on(h):
    """What the visit schedule after a decompression gives."""
    baseline = days(followed_since(h), h.p["baseline_days"])
    number = next_visit(h)
    due = max(visit_on(h, number), baseline)
    if is_yearly(h, number) and symptomatic(h) is True and anchor_on(h) is not None:
        cap = max(
            months(anchor_on(h), h.p["standard_interval_months"]),
            days(episode_start(h), h.p["baseline_days"]),
            baseline,
        )
        due = min(due, cap)
    return due


def ordinary_due_on(h, path):
    baseline = days(followed_since(h), h.p["baseline_days"])
    anchor = anchor_on(h)
    if anchor is None:
        return baseline
    latest = [months(anchor, ordinary_interval(h, path)), baseline]
    if is_short(h, path):
        latest.append(min(short_since(h, path), months(anchor, h.p["standard_interval_months"])))
    return max(latest)


def due_on(h, path):
    if path == "post_decompression":
        return scheduled_due_on(h)
    due = ordinary_due_on(h, path)
    if path == "collapse" and decompressed_on(h) is not None and anchor_on(h) is not None:
        return max(due, min(first_showing(h, "COLLAPSE_EARLY"), scheduled_due_on(h)))
    return due


def gap_on(h, path, due, overdue):
    if path == "post_decompression" and is_yearly(h, next_visit(h)):
        return max(overdue, days(due, h.p["gap_grace_days"]))
    counted_from = followed_since(h) if anchor_on(h) is None else max(anchor_on(h), followed_since(h))
    return max(overdue, days(months(counted_from, 6), h.p["gap_grace_days"]))


def window(h, path):
    if path in NO_FOLLOW_UP:
        return None
    due = due_on(h, path)
    overdue = days(due, h.p["overdue_after_days"])
    return {
        "anchor_on": anchor_on(h),
        "opens_on": days(due, -h.p["opens_days_before"]),
        "due_on": due,
        "overdue_on": overdue,
        "escalate_on": days(due, h.p["escalate_after_days"]),
        "trace_on": days(due, h.p["trace_after_days"]),
        "gap_on": gap_on(h, path, due, overdue),
    }


def status(h, path):
    w = window(h, path)
    if w is None:
        return None
    if h.today >= w["gap_on"]:
        return "gap"
    if h.today >= w["overdue_on"]:
        return "overdue"
    if h.today >= w["due_on"]:
        return "due"
    if h.today >= w["opens_on"]:
        return "open"
    return "upcoming"


def interval_months(h, path):
    if path in NO_FOLLOW_UP:
        return None
    if path == "post_decompression":
        return h.p["decompression_then_every_months"] if is_yearly(h, next_visit(h)) else None
    return ordinary_interval(h, path)


# ---- section 6: each rule gives the dates of its raising facts, none when its condition does not hold ----


def decision_dates(h, action):
    return [d["on"] for d in h.decisions if d["action"] == action]


def ct_on_or_after(h, on):
    return [i for i in modality(h, "CT") if i["on"] >= on]


def r01(h, other, path):
    return [window(h, path)["due_on"]] if not view_days(h) and status(h, path) == "due" else []


def r02(h, other, path):
    return [followed_since(h)] if not modality(h, "MR") and before_collapse(h) else []


def r03(h, other, path):
    return [i["on"] for i in modality(h, "MR")] if before_collapse(h) and volume(h) is None else []


def r04(h, other, path):
    if unknown(h):
        return [affected_since(other)] if affected(other) else []
    if clear(h) and (affected(other) or h.sickle_cell):
        recheck_on = months(latest_known_necrosis_mr(h)["on"], h.p["clear_recheck_months"])
        return [recheck_on] if recheck_on <= h.today else []
    return []


def r05(h, other, path):
    if diseased(h) or symptomatic(h) is not True:
        return []
    start = episode_start(h)
    if any(i.get("necrosis") is not None and i["on"] >= start for i in modality(h, "MR")):
        return []
    return [start]


def r09(h, other, path):
    if not large(h) or not before_collapse(h):
        return []
    cut = h.p["large_lesion_percent"]
    raised, volumes = [], [(i["on"], i["lesion_volume_percent"]) for i in measured(h)]
    for position, (on, percent) in enumerate(volumes):
        earlier = [value for _, value in volumes[:position]]
        first = percent >= cut and all(value < cut for value in earlier)
        again = percent >= cut and bool(earlier) and earlier[-1] < cut
        later = any(value >= cut for value in earlier)
        grown = later and all(percent >= value + h.p["volume_growth_points"] for value in earlier)
        if first or again or grown:
            raised.append(on)
    return raised


def r10(h, other, path):
    percent = volume(h)
    if percent is None or not before_collapse(h):
        return []
    in_band = h.p["borderline_low_percent"] <= percent < h.p["borderline_high_percent"]
    return [measured(h)[-1]["on"]] if in_band else []


def r11(h, other, path):
    if symptomatic(h) is not True or not before_collapse(h):
        return []
    start, operated = episode_start(h), decompressed_on(h)
    return [start] if operated is None or start > operated else []


R12_ACTIONS = [
    "CORE_DECOMPRESSION_REVIEW",
    "COLLAPSE_REVIEW",
    "ARTHROPLASTY_REVIEW",
    "DECOMPRESSION_FAILURE_REVIEW",
    "WORSENING_REVIEW",
]


def r12_pain(h):
    if symptomatic(h) is not True:
        return []
    decided = [d["on"] for d in h.decisions if d["action"] in R12_ACTIONS and d["on"] >= episode_start(h)]
    if not decided:
        return []
    decision_on = max(decided)
    readings = [report for report in h.symptoms if nrs(report) is not None]
    until_decision = [position for position, report in enumerate(readings) if report["on"] <= decision_on]
    if not until_decision:
        return []
    raised = []
    for report in readings:
        if report["on"] > decision_on:
            compared = [nrs(r) for r in readings[until_decision[-1] :] if r["on"] < report["on"]]
            if nrs(report) >= h.p["worsening_nrs"] + min(compared):
                raised.append(report["on"])
    return raised


def r12_scores(h):
    raised = []
    for score in h.scores:
        year = [
            s["value"]
            for s in h.scores
            if s["instrument"] == score["instrument"] and months(score["on"], -12) <= s["on"] < score["on"]
        ]
        if year and max(year) - score["value"] >= h.p["score_fall"][score["instrument"]]:
            raised.append(score["on"])
    return raised


def r12(h, other, path):
    return r12_pain(h) + r12_scores(h)


def denies_alarm(alarm, report):
    return all(report.get(name) is False for name in signs(alarm)) and not signs(report)


def film_ends(h, alarm, film):
    if film["on"] > alarm["on"]:
        return True
    return film["on"] == alarm["on"] and any(report["on"] == alarm["on"] for report in clinician_reports(h))


def how_alarm_ended(h, position):
    """('film', date), ('denial', date) or None while it is open; of one day the film comes first."""
    alarm = h.symptoms[position]
    films = [film["on"] for film in modality(h, "XR") if film_ends(h, alarm, film)]
    denials = [
        report["on"]
        for report in h.symptoms[position + 1 :]
        if report["source"] == "clinician" and denies_alarm(alarm, report)
    ]
    ends = [(on, 0, "film") for on in films] + [(on, 1, "denial") for on in denials]
    return (min(ends)[2], min(ends)[0]) if ends else None


def alarms(h):
    return [(report, how_alarm_ended(h, position)) for position, report in enumerate(h.symptoms) if signs(report)]


def r13(h, other, path):
    return [report["on"] for report, ended in alarms(h) if ended is None]


def first_crescent(h):
    return min((i["on"] for i in h.imaging if i.get("crescent") == "present"), default=None)


def grown_depressions(h):
    found, earlier = [], []
    for i in with_value(h.imaging, "depression_mm"):
        if i["depression_mm"] >= max(earlier, default=Decimal("0.0")) + h.p["depression_growth_mm"]:
            found.append(i["on"])
        earlier.append(i["depression_mm"])
    return found


def present_episode(h):
    return [episode_start(h)] if symptomatic(h) is True else []


def r14(h, other, path):
    if phase(h) != "COLLAPSE_EARLY":
        return []
    first = first_showing(h, "COLLAPSE_EARLY")
    crescent = [first_crescent(h)] if first_crescent(h) else []
    return [first] + [on for on in crescent + grown_depressions(h) + present_episode(h) if on > first]


def denies_some_sign(report):
    return any(report.get(name) is not None for name in ALARMS) and not signs(report)


def last_word(h, on):
    """No radiograph and no clinician's denial is dated later."""
    return not any(i["on"] > on for i in modality(h, "XR")) and not any(
        report["on"] > on and denies_some_sign(report) for report in clinician_reports(h)
    )


def r15(h, other, path):
    if not before_collapse(h):
        return []
    suspected = [i["on"] for i in modality(h, "XR", "MR", "US") if i.get("collapse_suspected") is True]
    ended_by_film = [ended[1] for _, ended in alarms(h) if ended is not None and ended[0] == "film"]
    silent_films = [on for on in ended_by_film if last_word(h, on)]
    return [
        on
        for on in suspected + silent_films
        if not any(i.get("crescent") in ("present", "absent") for i in ct_on_or_after(h, on))
    ]


def r16(h, other, path):
    readings = with_value(modality(h, "MR"), "marrow_edema")
    if not before_collapse(h) or not readings or readings[-1]["marrow_edema"] is not True:
        return []
    if ct_on_or_after(h, readings[-1]["on"]):
        return []
    if any(i["on"] >= readings[-1]["on"] and rank_of_signs(h, i) >= 0 for i in modality(h, "XR")):
        return []
    run = []
    for i in readings:
        run = [*run, i] if i["marrow_edema"] is True else []
    return [i["on"] for i in run if not ct_on_or_after(h, i["on"])]


def newly_higher(h):
    """Dates of facts whose phase is above everything shown on earlier dates."""
    facts = phase_facts(h)
    return [on for on, level in facts if all(level > before for day, before in facts if day < on)]


def r17(h, other, path):
    first = first_showing(h, "COLLAPSE_LATE")
    if first is None:
        return []
    return [first] + [on for on in newly_higher(h) + grown_depressions(h) + present_episode(h) if on > first]


def r18(h, other, path):
    if not before_collapse(h):
        return []
    raised = []
    for staging in h.stagings:
        earlier = [rank_of_staging(s) for s in h.stagings if s["on"] < staging["on"]]
        if earlier and rank_of_staging(staging) > max(earlier):
            raised.append(staging["on"])
    return raised


def r19(h, other, path):
    highest = max((rank_of_staging(s) for s in h.stagings), default=None)
    tops = [s["on"] for s in h.stagings if rank_of_staging(s) == highest]
    return [
        s["on"]
        for s in h.stagings
        if rank_of_staging(s) < highest and s["on"] >= min(tops) and not any(on > s["on"] for on in tops)
    ]


def lacks_a_view(imaging):
    views = imaging.get("views") or []
    return not any(view in ("AP", "AP_PELVIS", "AP_HIP") for view in views) or "FROG_LATERAL" not in views


def after_anchor_and_followed(h, on):
    return (anchor_on(h) is None or on > anchor_on(h)) and on >= followed_since(h)


def r20(h, other, path):
    if status(h, path) in ("overdue", "gap"):
        return []
    poor = [
        i["on"]
        for i in h.studies
        if i["modality"] == "XR"
        and after_anchor_and_followed(h, i["on"])
        and (i.get("diagnostic") is False or lacks_a_view(i))
        and not any(on >= i["on"] for on in view_days(h))
    ]
    return poor[:1]


def r21(h, other, path):
    return [window(h, path)["overdue_on"]] if status(h, path) in ("overdue", "gap") else []


def step(h, path):
    w = window(h, path)
    if h.today >= w["trace_on"]:
        return "trace"
    return "escalate" if h.today >= w["escalate_on"] else "overdue"


def r22(h, other, path):
    return [window(h, path)["gap_on"]] if status(h, path) == "gap" else []


def r25(h, other, path):
    operated = decompressed_on(h)
    if operated is None or not 0 <= (h.today - operated).days <= h.p["protected_weight_bearing_days"]:
        return []
    return [operated]


def r26(h, other, path):
    operated = decompressed_on(h)
    if operated is None:
        return []
    facts = phase_facts(h)
    raised = [on for on in newly_higher(h) if on > operated and any(day < on for day, _ in facts)]
    if first_crescent(h) is not None and first_crescent(h) > operated:
        raised.append(first_crescent(h))
    pain_before = [nrs(report) for report in h.symptoms if nrs(report) is not None and report["on"] < operated]
    if pain_before and pain_before[-1] >= 1:
        raised += [
            report["on"]
            for report in h.symptoms
            if nrs(report) is not None and nrs(report) >= pain_before[-1] and report["on"] >= months(operated, 3)
        ]
    return raised


def r30(h, other, path):
    percent = volume(h)
    if percent is None or percent >= h.p["large_lesion_percent"] or not before_collapse(h):
        return []
    if not jic_c2(h) and not kerboul_high(h):
        return []
    return [max(place["on"], measured(h)[0]["on"]) for place in h.locations if is_high_risk(h, place)]


def is_high_risk(h, place):
    angle = place.get("kerboul_modified_degrees")
    return place.get("jic_type") == "C2" or (angle is not None and angle >= h.p["kerboul_high_degrees"])


def r36(h, other, path):
    raised = []
    for i in with_value(measured(h), "lesion_volume_cm3"):
        percent, cm3 = i["lesion_volume_percent"], i["lesion_volume_cm3"]
        if 100 * cm3 < 30 * percent or 100 * cm3 > 90 * percent:
            raised.append(i["on"])
    return raised


def r41(h, other, path):
    endings = counting_endings(h)
    if not all(e["reason"] in ("transferred", "declined_in_writing", "discharged") for e in endings):
        return []
    ended_on = max(e["on"] for e in endings)
    facts = h.studies + h.stagings + [report for report in h.symptoms if says(h, report) is True]
    return [fact["on"] for fact in facts if fact["on"] > ended_on]


def r42(h, other, path):
    return [
        on for on in view_days(h) if after_anchor_and_followed(h, on) and (h.today - on).days <= h.p["pairing_days"]
    ]


# rule: (raising facts, who, action, urgency); who is "d" diseased, "f" with follow-up, "" any hip with findings
RULES = {
    "R01": (r01, "f", "BASELINE_RADIOGRAPH", "REVIEW"),
    "R02": (r02, "f", "BASELINE_MRI", "REVIEW"),
    "R03": (r03, "d", "MEASURE_VOLUME", "REVIEW"),
    "R04": (r04, "", "ASSESS_CONTRALATERAL_HIP", "REVIEW"),
    "R05": (r05, "", "IMAGE_PAINFUL_HIP", "SOON"),
    "R09": (r09, "d", "LARGE_LESION_REVIEW", "REVIEW"),
    "R10": (r10, "d", "SECOND_READING", "DATA"),
    "R11": (r11, "d", "CORE_DECOMPRESSION_REVIEW", "SOON"),
    "R12": (r12, "d", "WORSENING_REVIEW", "SOON"),
    "R13": (r13, "", "URGENT_RADIOGRAPH", "URGENT"),
    "R14": (r14, "d", "COLLAPSE_REVIEW", "SOON"),
    "R15": (r15, "d", "CT_HIP", "SOON"),
    "R16": (r16, "d", "CONSIDER_CT", "REVIEW"),
    "R17": (r17, "d", "ARTHROPLASTY_REVIEW", "REVIEW"),
    "R18": (r18, "d", "STAGE_PROGRESSION_REVIEW", "SOON"),
    "R19": (r19, "", "STAGE_CONFLICT", "DATA"),
    "R20": (r20, "f", "REPEAT_VIEWS", "REVIEW"),
    "R21": (r21, "f", "OVERDUE_RADIOGRAPH", "SOON"),
    "R22": (r22, "f", "SURVEILLANCE_GAP", "SOON"),
    "R25": (r25, "d", "PROTECTED_WEIGHT_BEARING", "DATA"),
    "R26": (r26, "d", "DECOMPRESSION_FAILURE_REVIEW", "SOON"),
    "R30": (r30, "d", "HIGH_RISK_LOCATION_REVIEW", "REVIEW"),
    "R36": (r36, "", "CHECK_VOLUME", "DATA"),
    "R42": (r42, "f", "RECORD_CLINICAL_REVIEW", "SOON"),
}
NOT_ANSWERED = ["R01", "R13", "R20", "R21", "R22", "R25", "R28", "R42"]
COUNTED_BY_R28 = ["R05", "R09", "R11", "R12", "R13", "R14", "R15", "R17", "R18", "R26", "R30"]


def applies(h, who, path):
    if who == "d":
        return diseased(h)
    if who == "f":
        return path not in NO_FOLLOW_UP
    return True


def asked_again(h, rule, raised, decided):
    """R02, R04 and R05: the day the latest answering decision has run out, once it has come."""
    answering = [on for on in decided if any(on >= fact_on for fact_on in raised)]
    if rule not in ("R02", "R04", "R05") or not answering:
        return []
    wait = h.p["clear_recheck_months"] if rule == "R04" and clear(h) else 6
    again_on = months(max(answering), wait)
    return [again_on] if again_on <= h.today else []


def unanswered(h, rule, action, raised):
    if rule in NOT_ANSWERED:
        return raised
    decided = decision_dates(h, action)
    return [
        on for on in raised + asked_again(h, rule, raised, decided) if not any(decision >= on for decision in decided)
    ]


def since(h, rule, facts):
    if rule == "R25":
        return min(facts)
    return max(on for on in [min(facts), h.enrolled_on, latest_reopened(h)] if on is not None)


def finding(h, rule, action, urgency, since_on):
    allowed = {"URGENT": h.p["urgent_days"], "SOON": h.p["soon_days"], "REVIEW": h.p["review_days"], "DATA": None}
    number = allowed[urgency]
    act_by = None if number is None else days(since_on, number)
    return {"rule": rule, "action": action, "urgency": urgency, "since": since_on, "act_by": act_by}


def decision_overdue(h, found):
    starts = [f["since"] for f in found if f["rule"] in COUNTED_BY_R28]
    if not starts:
        return []
    overdue_on = days(min(starts), h.p["decision_overdue_days"])
    return [finding(h, "R28", "DECISION_OVERDUE", "SOON", overdue_on)] if h.today >= overdue_on else []


def findings(h, other, path):
    if path == "ended":
        rules = {"R41": (r41, "", "REVIEW_ENDING", "SOON")}
    elif path in NO_FINDINGS:
        rules = {}
    else:
        rules = RULES
    found = []
    for rule, (raising, who, action, urgency) in rules.items():
        facts = unanswered(h, rule, action, raising(h, other, path)) if applies(h, who, path) else []
        if facts:
            found.append(finding(h, rule, action, urgency, since(h, rule, facts)))
            if rule == "R21":
                found[-1]["step"] = step(h, path)
    found += decision_overdue(h, found)
    return sorted(found, key=lambda f: (URGENCIES.index(f["urgency"]), f["since"], f["rule"]))


# ---- section 7 ----


def hip_answer(h, other):
    path = pathway(h, other)
    held = risks(h)
    return {
        "side": h.side,
        "pathway": path,
        "phase": phase(h),
        "size_band": size_band(h),
        "volume_percent": volume(h),
        "symptomatic": symptomatic(h),
        "risk_factors": [name for name, value in held.items() if value is True],
        "unknown_risk_factors": [name for name, value in held.items() if value is None],
        "interval_months": interval_months(h, path),
        "window": window(h, path),
        "status": status(h, path),
        "findings": findings(h, other, path),
    }


def answers_on(record, today, known_on, protocol=DEFAULTS):
    """Both hips' answers on `today` from the facts known on `known_on`, without next_change_on."""
    left = read_hip(record, "left", today, protocol, known_on)
    right = read_hip(record, "right", today, protocol, known_on)
    return [hip_answer(left, right), hip_answer(right, left)]


def possible_changes(record, as_of, protocol):
    """More days than can matter: every known date, shifted by every distance the guideline mentions, and the day after.

    Until the first change the window and the findings are those of today, so their own dates are enough of them.
    """
    texts = [record["patient"].get("born_on"), record["patient"]["enrolled_on"]]
    hips = record.get("hips") or []
    lists = [record["patient"].get("bmi")] + [hip.get(name) for hip in hips for name in HIP_LISTS]
    texts += [fact["on"] for facts in lists for fact in facts or [] if date.fromisoformat(fact["on"]) <= as_of]
    known = {date.fromisoformat(text) for text in texts if text}
    shifts = {0, 6, protocol["clear_recheck_months"], 12 * (protocol["age_over_years"] + 1)}
    days_after = {0, protocol["pairing_days"], protocol["protected_weight_bearing_days"]}
    near = {months(on, shift) for on in known for shift in shifts} | {days(on, n) for on in known for n in days_after}
    for day in [as_of, as_of if as_of >= date.fromisoformat(texts[1]) else date.fromisoformat(texts[1])]:
        for hip in answers_on(record, day, as_of, protocol):
            near |= {on for on in (hip["window"] or {}).values() if on is not None}
            near |= {days(f["since"], protocol["decision_overdue_days"]) for f in hip["findings"]}
    return sorted({day for on in near for day in (days(on, -1), on, days(on, 1)) if day > as_of})


def next_changes(record, as_of, protocol=DEFAULTS):
    """For each hip the first of the possible days on which its answer differs, counting only facts known on as_of."""
    now = answers_on(record, as_of, as_of, protocol)
    changes = [None, None]
    for day in possible_changes(record, as_of, protocol):
        if None not in changes:
            break
        later = answers_on(record, day, as_of, protocol)
        changes = [
            day if change is None and then != today else change
            for change, today, then in zip(changes, now, later, strict=True)
        ]
    return changes


def next_changes_day_by_day(record, as_of, horizon, protocol=DEFAULTS):
    """The same by asking every single day of `horizon` days; for checking the shorter way."""
    now = answers_on(record, as_of, as_of, protocol)
    changes = [None, None]
    for number in range(1, horizon + 1):
        day = days(as_of, number)
        later = answers_on(record, day, as_of, protocol)
        changes = [
            day if change is None and then != today else change
            for change, today, then in zip(changes, now, later, strict=True)
        ]
        if None not in changes:
            break
    return changes


def as_json(value):
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value


def assess(record, as_of, protocol=DEFAULTS):
    today = date.fromisoformat(as_of)
    hips = answers_on(record, today, today, protocol)
    due = [hip["window"]["due_on"] for hip in hips if hip["window"] is not None]
    for hip, change in zip(hips, next_changes(record, today, protocol), strict=True):
        hip["next_change_on"] = change
    return as_json({"protocol": "onfh-small-lesion/1", "as_of": today, "due_on": min(due, default=None), "hips": hips})

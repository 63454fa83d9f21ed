"""The findings, rule by rule, as a table a clinician can check: what happened, the day, what is asked since when."""

from typing import Any

import pytest

from .builders import (
    ENROLLED,
    Fact,
    answer_to,
    ap_only,
    asked_of,
    clear_mr,
    ct,
    decided,
    ended,
    films,
    left_hip,
    mr,
    operated,
    place,
    record_of,
    replaced,
    replacing,
    score,
    seen,
    silent_lesion,
    stage,
    study,
    told,
    visit,
)

SILENT = silent_lesion()


def row(title: str, *facts: Fact, on: str, asks: dict[str, str], **patient: Any) -> Any:
    return pytest.param(facts, on, asks, patient, id=title)


DATES = [
    row("silent lesion, up to date", *SILENT, on="2026-05-01", asks={}),
    row("no films, the day before due", mr(ENROLLED, 12), seen(ENROLLED), on="2026-02-06", asks={}),
    row("no films, due", mr(ENROLLED, 12), seen(ENROLLED), on="2026-02-07", asks={"R01": "2026-02-07"}),
    row("no films, last day of due", mr(ENROLLED, 12), seen(ENROLLED), on="2026-02-20", asks={"R01": "2026-02-07"}),
    row("no films, overdue", mr(ENROLLED, 12), seen(ENROLLED), on="2026-02-21", asks={"R21": "2026-02-21"}),
    row("the views of one day may be two studies", mr(ENROLLED, 12), ap_only("2026-01-20"),
        study("XR", "2026-01-20", views=["FROG_LATERAL"]), seen("2026-01-20"), on="2026-02-07", asks={}),
    row("no MR", stage(ENROLLED, "II"), *visit(ENROLLED), on="2026-02-01", asks={"R02": ENROLLED}),
    row("an unreadable MR is none", stage(ENROLLED, "II"), mr(ENROLLED, 12, diagnostic=False), *visit(ENROLLED),
        on="2026-02-01", asks={"R02": ENROLLED}),
    row("no MR in collapse is not asked for", stage(ENROLLED, "IIIB"), *visit(ENROLLED), on="2026-02-01",
        asks={"R17": ENROLLED}),
    row("MR declined", stage(ENROLLED, "II"), *visit(ENROLLED), decided("2026-01-31", "BASELINE_MRI"),
        on="2026-03-30", asks={}),
    row("MR declined, asked again after six months clamped to the month's end", stage(ENROLLED, "II"),
        *visit(ENROLLED), *visit("2026-07-01"), decided("2026-08-31", "BASELINE_MRI"), on="2027-02-28",
        asks={"R02": "2027-02-28", "R21": "2026-10-15", "R22": "2027-01-31"}),
    row("an MR without volume", mr(ENROLLED), *visit(ENROLLED), on="2026-02-01", asks={"R03": ENROLLED}),
    row("an estimate is no volume", mr(ENROLLED, 12, volume_method="VISUAL"), *visit(ENROLLED), on="2026-02-01",
        asks={"R03": ENROLLED}),
    row("a second MR without volume after the decision asks anew", mr(ENROLLED), *visit(ENROLLED),
        decided("2026-01-20", "MEASURE_VOLUME"), mr("2026-02-01"), on="2026-02-02", asks={"R03": "2026-02-01"}),
    row("one view only", *SILENT, ap_only("2026-04-10"), on="2026-04-20", asks={"R20": "2026-04-10"}),
    row("the missing view taken later, with a report", *SILENT, ap_only("2026-04-10"), *visit("2026-04-15"),
        on="2026-04-20", asks={}),
    row("unreadable films", *SILENT, films("2026-04-10", diagnostic=False), on="2026-04-20",
        asks={"R20": "2026-04-10"}),
    row("once overdue the missing view is part of it", *SILENT, ap_only("2026-07-08"), on="2026-07-24",
        asks={"R21": "2026-07-24"}),
    row("films without a report, last day that one can go with them", *SILENT, films("2026-04-10"), on="2026-05-08",
        asks={"R42": "2026-04-10"}),
    row("films without a report, too late for one", *SILENT, films("2026-04-10"), on="2026-05-09", asks={}),
    row("a patient's report completes nothing", *SILENT, films("2026-04-10"), told("2026-04-10"), on="2026-04-11",
        asks={"R42": "2026-04-10"}),
    row("a report 28 days after the films goes with them", *SILENT, films("2026-04-10"), seen("2026-05-08"),
        on="2026-05-08", asks={}),
    row("gap", *SILENT, on="2026-08-09", asks={"R21": "2026-07-24", "R22": "2026-08-09"}),
    row("the day before the gap", *SILENT, on="2026-08-08", asks={"R21": "2026-07-24"}),
    row("a decision does not end an overdue visit", *SILENT, decided("2026-08-01", "OVERDUE_RADIOGRAPH"),
        on="2026-08-02", asks={"R21": "2026-07-24"}),
]  # fmt: skip

PAIN = [
    row("pain before collapse", *SILENT, seen("2026-03-03", 3), on="2026-03-05", asks={"R11": "2026-03-03"}),
    row("the patient's own report counts", *SILENT, told("2026-03-03", 1), on="2026-03-05",
        asks={"R11": "2026-03-03"}),
    row("pain before enrolment is asked about since enrolment", *SILENT, seen("2025-11-01", 4), told("2026-01-20", 2),
        on="2026-01-21", asks={"R11": "2026-01-20"}),
    row("imported history has no deadline in the past", mr("2025-06-01", 12), films(ENROLLED), seen("2025-07-01", 4),
        on="2026-01-10", asks={"R11": ENROLLED, "R42": ENROLLED}),
    row("the patient cannot end an episode", *SILENT, seen("2026-03-03", 3), told("2026-03-20", 0), on="2026-03-21",
        asks={"R11": "2026-03-03"}),
    row("a clinician can", *SILENT, seen("2026-03-03", 3), seen("2026-03-20", 0), on="2026-03-21", asks={}),
    row("a second episode asks anew", *SILENT, seen("2026-03-03", 3), decided("2026-03-05",
        "CORE_DECOMPRESSION_REVIEW"),
        seen("2026-03-20", 0), seen("2026-05-01", 2), on="2026-05-02", asks={"R11": "2026-05-01"}),
    row("a decision of the same day answers", *SILENT, seen("2026-03-03", 3),
        decided("2026-03-03", "CORE_DECOMPRESSION_REVIEW"), on="2026-03-20", asks={}),
    row("a decision of the day before does not", *SILENT, seen("2026-03-03", 3),
        decided("2026-03-02", "CORE_DECOMPRESSION_REVIEW"), on="2026-03-20", asks={"R11": "2026-03-03"}),
    row("undecided, 27 days", *SILENT, seen("2026-03-03", 3), on="2026-03-30", asks={"R11": "2026-03-03"}),
    row("undecided, 28 days", *SILENT, seen("2026-03-03", 3), on="2026-03-31",
        asks={"R11": "2026-03-03", "R28": "2026-03-31"}),
    row("worse by two after the decision", *SILENT, seen("2026-03-03", 3),
        decided("2026-03-05", "CORE_DECOMPRESSION_REVIEW"), told("2026-03-20", 5), on="2026-03-21",
        asks={"R12": "2026-03-20"}),
    row("worse by one is not enough", *SILENT, seen("2026-03-03", 3),
        decided("2026-03-05", "CORE_DECOMPRESSION_REVIEW"), told("2026-03-20", 4), on="2026-03-21", asks={}),
    row("compared with the lowest since, and never taken back", *SILENT, seen("2026-03-03", 5),
        decided("2026-03-05", "CORE_DECOMPRESSION_REVIEW"), told("2026-03-10", 2), told("2026-03-20", 4),
        told("2026-03-25", 1), on="2026-03-26", asks={"R12": "2026-03-20"}),
    row("two reports of one day are not compared", *SILENT, seen("2026-03-03", 3),
        decided("2026-03-05", "CORE_DECOMPRESSION_REVIEW"), told("2026-03-20", 2), told("2026-03-20", 4),
        on="2026-03-26", asks={}),
    row("a Harris score down ten", *SILENT, score("2026-02-01", 96), score("2026-05-01", 86), on="2026-05-02",
        asks={"R12": "2026-05-01"}),
    row("a Harris score down 9.9", *SILENT, score("2026-02-01", 96), score("2026-05-01", 86.1), on="2026-05-02",
        asks={}),
    row("the best of twelve months, its first day included", *SILENT, score("2025-05-01", 96), score("2026-05-01", 86),
        on="2026-05-02", asks={"R12": "2026-05-01"}),
    row("a best that is older does not count", *SILENT, score("2025-04-30", 96), score("2026-05-01", 86),
        on="2026-05-02", asks={}),
    row("exactly 8.5 of HOOS JR, as the decimals are written", *SILENT, score("2026-02-01", 92.34, "HOOS_JR"),
        score("2026-05-01", 83.84, "HOOS_JR"), on="2026-05-02", asks={"R12": "2026-05-01"}),
]  # fmt: skip

ALARMS = [
    row("sudden worsening", *SILENT, told("2026-03-03", None, sudden_worsening=True), on="2026-03-04",
        asks={"R13": "2026-03-03", "R11": "2026-03-03"}),
    row("the patient's denial ends nothing", *SILENT, told("2026-03-03", None, night_pain=True),
        told("2026-03-04", 0, night_pain=False), on="2026-03-05", asks={"R13": "2026-03-03", "R11": "2026-03-03"}),
    row("a clinician's denial ends it", *SILENT, told("2026-03-03", 0, night_pain=True),
        seen("2026-03-04", 0, night_pain=False), on="2026-03-05", asks={}),
    row("another sign denied does not", *SILENT, told("2026-03-03", 0, night_pain=True),
        seen("2026-03-04", 0, sudden_worsening=False), on="2026-03-05", asks={"R13": "2026-03-03"}),
    row("a film of a later day ends it and leaves it unexplained", *SILENT, told("2026-03-03", 0, night_pain=True),
        ap_only("2026-03-06"), seen("2026-03-06"), on="2026-03-07", asks={"R15": "2026-03-06", "R20": "2026-03-06"}),
    row("a film of its day does not, without a clinician", *SILENT, told("2026-03-03", 0, night_pain=True),
        films("2026-03-03"), on="2026-03-04",
        asks={"R13": "2026-03-03", "R11": "2026-03-03", "R42": "2026-03-03"}),
    row("a film of its day does, with one", *SILENT, seen("2026-03-03", 1, night_pain=True), films("2026-03-03"),
        on="2026-03-04", asks={"R15": "2026-03-03", "R11": "2026-03-03"}),
    row("of film and denial on one day the film comes first", *SILENT, told("2026-03-03", 0, night_pain=True),
        films("2026-03-06"), seen("2026-03-06", 0, night_pain=False), on="2026-03-07", asks={"R15": "2026-03-06"}),
    row("a later film explains", *SILENT, told("2026-03-03", 0, night_pain=True), *visit("2026-03-06"),
        *visit("2026-03-20"), on="2026-03-21", asks={}),
    row("a later denial explains", *SILENT, told("2026-03-03", 0, night_pain=True), *visit("2026-03-06"),
        seen("2026-03-20", 0, sudden_worsening=False), on="2026-03-21", asks={}),
    row("an unreadable film ends nothing", *SILENT, told("2026-03-03", 0, night_pain=True),
        films("2026-03-06", diagnostic=False), seen("2026-03-06"), on="2026-03-07",
        asks={"R13": "2026-03-03", "R20": "2026-03-06"}),
    row("collapse suspected", *SILENT, films("2026-03-06", collapse_suspected=True), seen("2026-03-06"),
        on="2026-03-07", asks={"R15": "2026-03-06"}),
    row("collapse suspected, CT judged it", *SILENT, films("2026-03-06", collapse_suspected=True), seen("2026-03-06"),
        ct("2026-03-06", crescent="absent"), on="2026-03-07", asks={}),
    row("collapse suspected, CT could not say", *SILENT, films("2026-03-06", collapse_suspected=True),
        seen("2026-03-06"), ct("2026-03-10", crescent="indeterminate"), on="2026-03-11", asks={"R15": "2026-03-06"}),
    row("oedema on MR", mr(ENROLLED, 12, marrow_edema=True), *visit(ENROLLED), on="2026-01-11",
        asks={"R16": ENROLLED}),
    row("oedema on MR and a CT of the day", mr(ENROLLED, 12, marrow_edema=True), *visit(ENROLLED), ct(ENROLLED),
        on="2026-01-11", asks={}),
    row("oedema on MR and gone on the next", mr(ENROLLED, 12, marrow_edema=True), *visit(ENROLLED),
        mr("2026-03-01", marrow_edema=False), on="2026-03-02", asks={}),
]  # fmt: skip

SIZE = [
    row("30 % is large", mr(ENROLLED, 30.0), *visit(ENROLLED), on="2026-01-11", asks={"R09": ENROLLED,
        "R10": ENROLLED}),
    row("29.9 % is borderline only", mr(ENROLLED, 29.9), *visit(ENROLLED), on="2026-01-11", asks={"R10": ENROLLED}),
    row("27 % is borderline", mr(ENROLLED, 27), *visit(ENROLLED), on="2026-01-11", asks={"R10": ENROLLED}),
    row("26.9 % is not", mr(ENROLLED, 26.9), *visit(ENROLLED), on="2026-01-11", asks={}),
    row("33 % is large and clear of the band", mr(ENROLLED, 33), *visit(ENROLLED), on="2026-01-11",
        asks={"R09": ENROLLED}),
    row("grown by five points after the decision", mr(ENROLLED, 34), *visit(ENROLLED),
        decided("2026-01-20", "LARGE_LESION_REVIEW"), mr("2026-03-01", 39), on="2026-03-02",
        asks={"R09": "2026-03-01"}),
    row("grown by less", mr(ENROLLED, 34), *visit(ENROLLED), decided("2026-01-20", "LARGE_LESION_REVIEW"),
        mr("2026-03-01", 38.9), on="2026-03-02", asks={}),
    row("shrunk, nobody decided since: still large", mr(ENROLLED, 34), *visit(ENROLLED),
        decided("2026-01-20", "LARGE_LESION_REVIEW"), mr("2026-03-01", 25), on="2026-03-02", asks={}),
    row("back to large after it was let go", mr(ENROLLED, 34), *visit(ENROLLED), mr("2026-02-01", 25),
        decided("2026-02-02", "LARGE_LESION_REVIEW"), mr("2026-03-01", 34), on="2026-03-02",
        asks={"R09": "2026-03-01"}),
    row("percent and cm3 imply a head of 29.9 cm3", mr(ENROLLED, 20, lesion_volume_cm3=5.98), *visit(ENROLLED),
        on="2026-01-11", asks={"R36": ENROLLED}),
    row("percent and cm3 imply a head of 30 cm3", mr(ENROLLED, 20, lesion_volume_cm3=6), *visit(ENROLLED),
        on="2026-01-11", asks={}),
    row("percent and cm3 imply a head of 90 cm3", mr(ENROLLED, 20, lesion_volume_cm3=18.0), *visit(ENROLLED),
        on="2026-01-11", asks={}),
    row("percent and cm3 imply a head of more", mr(ENROLLED, 20, lesion_volume_cm3=18.01), *visit(ENROLLED),
        on="2026-01-11", asks={"R36": ENROLLED}),
    row("JIC type C2", *SILENT, place("2026-02-01", "C2"), on="2026-02-02", asks={"R30": "2026-02-01"}),
    row("a C2 that was read before the volume", mr("2026-02-10", 12), *visit(ENROLLED), stage(ENROLLED, "I"),
        place(ENROLLED, "C2"), on="2026-02-11", asks={"R30": "2026-02-10"}),
    row("C2 read as C1 later", *SILENT, place("2026-02-01", "C2"), place("2026-03-01", "C1"), on="2026-03-02", asks={}),
    row("modified Kerboul 250", *SILENT, place("2026-02-01", None, 250.0), on="2026-02-02", asks={"R30": "2026-02-01"}),
    row("modified Kerboul 249.9", *SILENT, place("2026-02-01", "B", 249.9), on="2026-02-02", asks={}),
]  # fmt: skip

STAGES = [
    row("the stage rises before collapse", *SILENT, stage("2026-03-01", "II"), on="2026-03-02",
        asks={"R18": "2026-03-01"}),
    row("two systems, same phase", *SILENT, stage("2026-03-01", "IC", "STEINBERG", "1995"), on="2026-03-02", asks={}),
    row("Steinberg 0 is below Steinberg I", mr(ENROLLED, 12), *visit(ENROLLED), stage(ENROLLED, "0", "STEINBERG",
        "1995"),
        stage("2026-03-01", "IA", "STEINBERG", "1995"), on="2026-03-02", asks={"R18": "2026-03-01"}),
    row("a lower stage conflicts", *SILENT, stage("2026-03-01", "II"), decided("2026-03-01",
        "STAGE_PROGRESSION_REVIEW"),
        stage("2026-04-01", "I"), on="2026-04-02", asks={"R19": "2026-04-01"}),
    row("a lower stage of the same day conflicts", *SILENT, stage(ENROLLED, "II"), on="2026-02-02",
        asks={"R19": ENROLLED}),
    row("a conflict ends when the highest is read again", *SILENT, stage("2026-03-01", "II"),
        decided("2026-03-01", "STAGE_PROGRESSION_REVIEW"), stage("2026-04-01", "I"), stage("2026-04-02", "II"),
        on="2026-04-03", asks={}),
    row("a conflict ends when the mistaken reading is superseded", mr(ENROLLED, 12), *visit(ENROLLED),
        first := stage(ENROLLED, "II"), replacing(stage("2026-03-01", "I"), instead_of=first), on="2026-04-03",
        asks={}),
    row("a crescent", *SILENT, *visit("2026-03-01"), ct("2026-03-01", crescent="present"), on="2026-03-02",
        asks={"R14": "2026-03-01"}),
    row("2.0 mm is early", *SILENT, films("2026-03-01", depression_mm=2.0), seen("2026-03-01"), on="2026-03-02",
        asks={"R14": "2026-03-01"}),
    row("2.1 mm is late", *SILENT, films("2026-03-01", depression_mm=2.1), seen("2026-03-01"), on="2026-03-02",
        asks={"R17": "2026-03-01"}),
    row("0.0 mm is none", *SILENT, films("2026-03-01", depression_mm=0.0), seen("2026-03-01"), on="2026-03-02",
        asks={}),
    row("half a millimetre deeper after the decision", *SILENT, films("2026-03-01", depression_mm=0.5),
        seen("2026-03-01"), decided("2026-03-02", "COLLAPSE_REVIEW"), films("2026-04-01", depression_mm=1.0),
        seen("2026-04-01"), on="2026-04-02", asks={"R14": "2026-04-01"}),
    row("less deeper after the decision", *SILENT, films("2026-03-01", depression_mm=0.5), seen("2026-03-01"),
        decided("2026-03-02", "COLLAPSE_REVIEW"), films("2026-04-01", depression_mm=0.9), seen("2026-04-01"),
        on="2026-04-02", asks={}),
    row("pain after a decided collapse", *SILENT, stage("2026-03-01", "IIIA"), decided("2026-03-02", "COLLAPSE_REVIEW"),
        seen("2026-04-01", 2), on="2026-04-02", asks={"R14": "2026-04-01"}),
    row("osteoarthritis after a decided late collapse", *SILENT, stage("2026-03-01", "IIIB"),
        decided("2026-03-02", "ARTHROPLASTY_REVIEW"), stage("2026-04-01", "IV"), on="2026-04-02",
        asks={"R17": "2026-04-01"}),
    row("early collapse decided, then late", *SILENT, stage("2026-03-01", "IIIA"), decided("2026-03-02",
        "COLLAPSE_REVIEW"),
        films("2026-04-01", depression_mm=2.5), seen("2026-04-01"), on="2026-04-02", asks={"R17": "2026-04-01"}),
]  # fmt: skip

SURGERY = [
    row("the day of surgery", *SILENT, operated("2026-02-01"), on="2026-02-01", asks={"R25": "2026-02-01"}),
    row("day 42", *SILENT, operated("2026-02-01"), on="2026-03-15", asks={"R25": "2026-02-01"}),
    row("day 43", *SILENT, operated("2026-02-01"), on="2026-03-16", asks={}),
    row("protected since the surgery, also before enrolment", mr("2025-12-01", 12), operated("2026-01-01"), on=ENROLLED,
        asks={"R25": "2026-01-01"}),
    row("a higher phase after surgery", *SILENT, operated("2026-02-01"), *visit("2026-03-16"), stage("2026-03-16",
        "II"),
        on="2026-03-17", asks={"R26": "2026-03-16", "R18": "2026-03-16"}),
    row("a higher phase on the day of surgery is the finding that led to it", *SILENT, stage("2026-02-01", "II"),
        decided("2026-02-01", "STAGE_PROGRESSION_REVIEW"), operated("2026-02-01"), on="2026-03-17",
        asks={}),
    row("the first crescent after surgery", *SILENT, stage("2026-01-20", "IIIA"), decided("2026-01-20",
        "COLLAPSE_REVIEW"),
        operated("2026-02-01"), films("2026-03-16", crescent="present"), seen("2026-03-16"), on="2026-03-17",
        asks={"R26": "2026-03-16", "R14": "2026-03-16"}),
    row("the old pain three months on", *SILENT, seen("2026-01-20", 4), decided("2026-01-21",
        "CORE_DECOMPRESSION_REVIEW"),
        operated("2026-02-01"), seen("2026-03-16", 0), films("2026-03-16"), seen("2026-05-01", 4), films("2026-05-01"),
        on="2026-05-02", asks={"R26": "2026-05-01", "R11": "2026-05-01"}),
    row("the old pain before three months", *SILENT, seen("2026-01-20", 4), operated("2026-02-01"), seen("2026-03-16",
        0),
        films("2026-03-16"), seen("2026-04-30", 4), films("2026-04-30"), on="2026-05-01", asks={"R11": "2026-04-30"}),
    row("less than the old pain", *SILENT, seen("2026-01-20", 4), decided("2026-01-21", "CORE_DECOMPRESSION_REVIEW"),
        operated("2026-02-01"), *visit("2026-03-16", 3), *visit("2026-05-01", 3), on="2026-05-02", asks={}),
]  # fmt: skip

ENDS = [
    row("a radiograph after a transfer", *SILENT, ended("2026-02-01"), ap_only("2026-02-02"), on="2026-03-01",
        asks={"R41": "2026-02-02"}),
    row("an unreadable one too", *SILENT, ended("2026-02-01"), ap_only("2026-02-02", diagnostic=False), on="2026-03-01",
        asks={"R41": "2026-02-02"}),
    row("pain after a discharge", *SILENT, ended("2026-02-01", "discharged"), told("2026-02-02", 1), on="2026-03-01",
        asks={"R41": "2026-02-02"}),
    row("no pain after a discharge", *SILENT, ended("2026-02-01", "discharged"), told("2026-02-02", 0), on="2026-03-01",
        asks={}),
    row("on the day of the end", *SILENT, ended("2026-02-01"), ap_only("2026-02-01"), on="2026-03-01", asks={}),
    row("decided", *SILENT, ended("2026-02-01"), ap_only("2026-02-02"), decided("2026-02-03", "REVIEW_ENDING"),
        on="2026-03-01", asks={}),
    row("entered in error besides", *SILENT, ended("2026-01-20", "entered_in_error"), ended("2026-02-01"),
        ap_only("2026-02-02"), on="2026-03-01", asks={}),
    row("nothing of a replaced hip", *SILENT, seen("2026-02-01", 8, night_pain=True), replaced("2026-02-02"),
        on="2026-03-01", asks={}),
    row("nothing before enrolment", *SILENT, seen("2025-12-01", 8, night_pain=True), on="2026-01-09", asks={}),
    row("nothing after death", *SILENT, seen("2026-02-01", 8, night_pain=True), on="2026-03-01", asks={},
        died_on="2026-03-01"),
    row("all of it until then", *SILENT, seen("2026-02-01", 8, night_pain=True), on="2026-02-28",
        asks={"R13": "2026-02-01", "R11": "2026-02-01"}, died_on="2026-03-01"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "on", "asks", "patient"), [*DATES, *PAIN, *ALARMS, *SIZE, *STAGES, *SURGERY, *ENDS])
def test_what_is_asked(facts: tuple[Fact, ...], on: str, asks: dict[str, str], patient: dict[str, Any]) -> None:
    assert asked_of(left_hip(*facts, as_of=on, **patient)) == asks


OTHER_HIP = [
    pytest.param((), "2026-01-11", {"R04": ENROLLED}, {}, id="unknown beside an affected hip"),
    pytest.param((seen("2026-02-01", 2),), "2026-02-02", {"R04": ENROLLED, "R05": "2026-02-01"}, {}, id="and it hurts"),
    pytest.param((decided(ENROLLED, "ASSESS_CONTRALATERAL_HIP"),), "2026-07-09", {}, {}, id="put off, last quiet day"),
    pytest.param((decided(ENROLLED, "ASSESS_CONTRALATERAL_HIP"),), "2026-07-10", {"R04": "2026-07-10"}, {},
                 id="put off, asked again"),
    pytest.param((clear_mr(ENROLLED),), "2027-01-09", {}, {}, id="clear for less than a year"),
    pytest.param((clear_mr(ENROLLED),), "2027-01-10", {"R04": "2027-01-10"}, {}, id="clear a year ago"),
    pytest.param((clear_mr(ENROLLED), decided("2027-01-12", "ASSESS_CONTRALATERAL_HIP")), "2028-01-11", {}, {},
                 id="clear and put off for a year"),
    pytest.param((clear_mr(ENROLLED), decided("2027-01-12", "ASSESS_CONTRALATERAL_HIP")), "2028-01-12",
                 {"R04": "2028-01-12"}, {}, id="clear and asked again after a year"),
    pytest.param((clear_mr(ENROLLED), seen("2026-02-01", 2)), "2026-02-02", {"R05": "2026-02-01"}, {},
                 id="clear, and pain since"),
    pytest.param((clear_mr(ENROLLED), seen("2026-02-01", 2), clear_mr("2026-02-01")), "2026-02-02", {}, {},
                 id="clear on the day the pain began"),
    pytest.param((seen("2026-02-01", 2, night_pain=True), clear_mr("2026-02-02")), "2026-02-03", {"R13": "2026-02-01"},
                 {}, id="an alarm in a hip that is not diseased"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "on", "asks", "patient"), OTHER_HIP)
def test_what_is_asked_of_the_other_hip(
    right: tuple[Fact, ...], on: str, asks: dict[str, str], patient: dict[str, Any]
) -> None:
    assert asked_of(answer_to(record_of(SILENT, right, **patient), on).hips[1]) == asks


def test_sickle_cell_alone_asks_for_a_clear_hip_again() -> None:
    both_clear = record_of((clear_mr(ENROLLED),), (clear_mr(ENROLLED),), conditions=["sickle_cell"])
    assert asked_of(answer_to(both_clear, "2027-01-10").hips[0]) == {"R04": "2027-01-10"}
    assert answer_to(both_clear, "2027-01-10").hips[0].pathway == "not_affected"


def test_a_hip_entered_in_error_affects_no_other() -> None:
    in_error = record_of((*SILENT, ended("2026-02-01", "entered_in_error")), ())
    assert answer_to(in_error, "2026-03-01").hips[1].pathway == "not_assessed"


def test_the_search_goes_from_overdue_to_escalation_to_tracing() -> None:
    days = {"2026-07-24": "overdue", "2026-08-08": "overdue", "2026-08-09": "escalate", "2026-10-08": "trace"}
    for day, step in days.items():
        finding = next(f for f in left_hip(*SILENT, as_of=day).findings if f.rule == "R21")
        assert (finding.step, finding.since.isoformat()) == (step, "2026-07-24")


def test_findings_stand_by_urgency_then_day_then_rule() -> None:
    hip = left_hip(*SILENT, seen("2026-07-01", 5, night_pain=True), place("2026-02-01", "C2"), as_of="2026-12-01")
    assert [f.rule for f in hip.findings] == ["R13", "R28", "R21", "R11", "R22", "R30"]

"""Shrinking: the smallest record on which two readings of the guideline still differ."""

import copy

from .reference import HIP_LISTS


def lists_of(record):
    yield record["patient"].get("bmi") or []
    for hip in record.get("hips") or []:
        for name in HIP_LISTS:
            yield hip.get(name) or []


def is_sound(record):
    """What the schema cannot say: a correction names a fact of its list, and a reopening takes back an ending."""
    for facts in lists_of(record):
        by_id = {fact["id"]: fact for fact in facts if fact.get("id")}
        for fact in facts:
            target = fact.get("supersedes")
            if target is not None and target not in by_id:
                return False
            if fact.get("reason") == "reopened" and target is None:
                return False
    return True


def smaller(record):
    """Every record with one fact, one value, one hip or one property of the patient less."""
    for position in range(len(record["hips"])):
        less = copy.deepcopy(record)
        del less["hips"][position]
        yield less
    for name in set(record["patient"]) - {"enrolled_on"}:
        less = copy.deepcopy(record)
        del less["patient"][name]
        yield less
    for number, facts in enumerate(lists_of(record)):
        for position in range(len(facts)):
            less = copy.deepcopy(record)
            del list(lists_of(less))[number][position]
            yield less
    for number, facts in enumerate(lists_of(record)):
        for position, fact in enumerate(facts):
            for name in set(fact) - REQUIRED:
                less = copy.deepcopy(record)
                del list(lists_of(less))[number][position][name]
                yield less


REQUIRED = {"id", "on", "modality", "source", "system", "version", "code", "instrument", "value", "kind", "action",
            "outcome", "reason"}  # fmt: skip


def shrunk(record, differs):
    """`differs(record)` holds for the answer and for nothing that is one step smaller."""
    current = {**record, "hips": record.get("hips") or []}
    progress = True
    while progress:
        progress = False
        for less in smaller(current):
            if is_sound(less) and differs(less):
                current, progress = less, True
                break
    for hip in current["hips"]:
        for name in [name for name in HIP_LISTS if name in hip and not hip[name]]:
            del hip[name]
    return current

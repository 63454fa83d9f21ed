"""Remarks: what speaks against facts that were sent: what the visit form asks a person about.

A machine has nobody to ask, so they refuse nothing unless the caller prefers that (`Prefer: handling=strict`).
"""

from collections.abc import Sequence
from copy import copy

from rest_framework.request import Request

from patients import recording
from patients.models import Fact, Patient
from patients.vocabulary import Side

from ..web.chart import MODELS, Chart, read_chart
from ..web.contradictions import contradictions
from .problems import Conflict, Entries

Sent = Sequence[tuple[Side | None, Fact]]


class Remarks:
    """The record and the facts as they were before these were part of it; judged once these are known to be valid."""

    def __init__(self, patient: Patient, facts: Sent) -> None:
        """Locks the patient, so that nothing is written between this and the recording."""
        self._chart = _but_corrected(read_chart(recording.lock_patient(patient.pk), MODELS), facts)
        self._facts = [(side, copy(fact)) for side, fact in facts]

    def told_to(self, request: Request) -> Entries:
        """Each with a pointer to its fact, its code and its sentence. Raises Conflict for a caller who prefers that."""
        places = {id(fact): f"/facts/{index}" for index, (_side, fact) in enumerate(self._facts)}
        against = contradictions(self._chart, self._facts)
        found = [{"pointer": places[id(one.fact)], "code": one.code, "message": one.text} for one in against]
        if found and _is_strict(request):
            raise Conflict("The record speaks against what was sent. Nothing was saved.", found)
        return found


def _but_corrected(chart: Chart, facts: Sent) -> Chart:
    """Without what the facts correct."""
    for _side, fact in facts:
        if earlier := getattr(fact, "supersedes", None):
            chart = chart.without(earlier)
    return chart


def _is_strict(request: Request) -> bool:
    """RFC 7240."""
    preferred = request.headers.get("Prefer", "").replace('"', "").casefold().split(",")
    return "handling=strict" in {one.partition(";")[0].replace(" ", "") for one in preferred}

"""Frame: what every page says of the sweep and of open reviews, and the viewer's clinics, read once a request.

A page that asks for more puts these questions among its own and hands the answers over.
"""

from collections.abc import Iterable, Sequence

from django.http import HttpRequest

from patients import access
from patients.at_once import Kept, Length, Question
from patients.models import Clinic

from .. import heartbeats, review
from ..models import Heartbeat

Facts = tuple[heartbeats.Beat, int]  # of the sweep, and how many reviews are open


def questions(clinics: Sequence[int]) -> Sequence[Question]:
    open_cases = Length(review.open_cases_of(clinics))
    return heartbeats.rows_of("sweep"), open_cases, access.clinics_with_restricted(clinics)


_ASKED = Kept(questions, clinics=list)


def hand_over(request: HttpRequest, swept: Iterable[Heartbeat], cases: int, clinics: Iterable[Clinic]) -> None:
    """The answers to `questions` were read with others."""
    request.frame_facts = heartbeats.beat_of("sweep", swept), cases  # type: ignore[attr-defined]
    access.viewer_of(request).know_clinics(clinics)


def facts_of(request: HttpRequest) -> Facts:
    if not hasattr(request, "frame_facts"):
        hand_over(request, *_ASKED.read(clinics=list(access.viewer_of(request).clinic_ids)))
    found: Facts = request.frame_facts  # type: ignore[attr-defined]
    return found

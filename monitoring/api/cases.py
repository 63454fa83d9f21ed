"""Cases over the API: one case with what was said, a comment, and the decision that answers it."""

from django.http import Http404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from patients import access
from patients.access import Permission
from patients.recording import RecordingRefused

from .. import audit, review
from ..models import ReviewCase
from .entry import Registry, viewer_of
from .idempotency import once
from .schema import IDEMPOTENCY_KEY, OF_ONE, OF_WRITING
from .serializers import DecisionIn, NoteIn, NoteOut, ReviewOut

_DECISION = OpenApiExample(
    "Watched on", {"outcome": "observe", "reason": "mild, wants to wait", "on": "2026-03-05"}, request_only=True
)


def _case(request: Request, pk: int) -> ReviewCase:
    try:
        case = review.case_for(viewer_of(request), pk)
    except ReviewCase.DoesNotExist:
        raise Http404 from None
    access.check_gate(viewer_of(request), case.patient_id)
    return case


def _at_the_verdict(refused: RecordingRefused) -> RecordingRefused:
    """The decision is the one fact recorded: its problems are those of the body."""
    return RecordingRefused({name.removeprefix("0."): texts for name, texts in refused.problems.items()})


class Review(Registry):
    """One case."""

    @extend_schema(responses={200: ReviewOut, **OF_ONE})
    def get(self, request: Request, pk: int) -> Response:
        case = _case(request, pk)
        audit.looked(viewer_of(request).actor, [(case.clinic_id, case.patient_id)], f"API case-{case.pk}")
        return Response(ReviewOut(case).data)


class ReviewNotes(Registry):
    """What was said and done about a case."""

    needs_to_write = Permission.WORK

    @extend_schema(operation_id="reviews_notes_list", responses={200: NoteOut(many=True), **OF_ONE})
    def get(self, request: Request, pk: int) -> Response:
        case = _case(request, pk)
        audit.looked(viewer_of(request).actor, [(case.clinic_id, case.patient_id)], f"API case-{case.pk}")
        return Response(NoteOut(review.notes_of([case])[case.pk], many=True).data)

    @extend_schema(request=NoteIn, parameters=[IDEMPOTENCY_KEY], responses={201: NoteOut, **OF_WRITING})
    @once
    def post(self, request: Request, pk: int) -> Response:
        """Comment on a case. Needs the scope `work`."""
        case = _case(request, pk)
        sent = NoteIn(data=request.data)
        sent.is_valid(raise_exception=True)
        note = review.comment(case, text=sent.validated_data["text"], viewer=viewer_of(request))
        return Response(NoteOut(note).data, status=status.HTTP_201_CREATED)


class Decide(Registry):
    """The answer to a case."""

    needs_to_write = Permission.DECIDE

    @extend_schema(
        request=DecisionIn,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: ReviewOut, **OF_WRITING},
        examples=[_DECISION],
    )
    @once
    def post(self, request: Request, pk: int) -> Response:
        """Answer an open case with a decision and its reason. Needs the scope `decide`."""
        case = _case(request, pk)
        sent = DecisionIn(data=request.data)
        sent.is_valid(raise_exception=True)
        verdict = review.Verdict(**sent.validated_data)
        try:
            review.decide_case(case, verdict, viewer=viewer_of(request))
        except RecordingRefused as refused:
            raise _at_the_verdict(refused) from None
        return Response(ReviewOut(_case(request, pk)).data)

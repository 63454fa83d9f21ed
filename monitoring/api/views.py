"""Views of the API: the same actions and the same door to rows as the pages."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from patients import access, recording
from patients.access import Permission, Viewer
from patients.models import Clinic, Patient, Visit
from schedules import adoption
from schedules.guideline.evaluation import evaluate
from schedules.guideline.stream import read_question
from schedules.models import Plan, Reminder

from .. import audit, review, worklist
from ..models import Flag, HipEvaluation, ReviewCase
from .facts import fact_from, facts_of
from .idempotency import once
from .parsing import ExactJSONParser
from .problems import Changed
from .serializers import (
    AssessIn,
    DecisionIn,
    FactOut,
    FlagOut,
    HipOut,
    PatientChange,
    PatientNew,
    PatientOut,
    PlanOut,
    ProblemOut,
    ReminderOut,
    ReviewOut,
    VisitIn,
    hips_of,
)

PROBLEM = OpenApiResponse(ProblemOut, description="RFC 9457 problem")
REFUSALS = dict.fromkeys((400, 401, 403, 404, 405, 406, 409, 412, 415, 422), PROBLEM)
IDEMPOTENCY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely.")
IF_MATCH = OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="The ETag as last read.")


class Scoped(BasePermission):
    """The token has the view's scope somewhere; the actions check it again for the clinic."""

    def has_permission(self, request: Request, view: Any) -> bool:
        needed: Permission = view.needs if request.method in ("GET", "HEAD", "OPTIONS") else view.needs_to_write
        return viewer_of(request).may_anywhere(needed)


def viewer_of(request: Request) -> Viewer:
    viewer: Viewer = getattr(request._request, "viewer", access.NOBODY)
    return viewer


class Registry:
    """What every view of rows shares."""

    permission_classes = (Scoped,)
    needs = Permission.READ
    needs_to_write = Permission.RECORD


class Newest(CursorPagination):
    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering = "-id"


class ByPatient(Newest):
    ordering = "patient_id"


def _whole(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isdigit() and len(text) < 19 else None


def _filtered(request: Request, rows: QuerySet[Any], *names: str) -> QuerySet[Any]:
    for name in names:
        if value := request.query_params.get(name, "").replace("\x00", ""):
            rows = rows.filter(**{name: value[:64]})
    if (patient := _whole(request, "patient")) is not None:
        rows = rows.filter(patient=patient)
    return rows


def _patient_parameter() -> OpenApiParameter:
    return OpenApiParameter("patient", OpenApiTypes.INT64, description="Only of this patient.")


def _etag(patient: Patient) -> str:
    return f'"{patient.record_version}"'


def _expected(request: Request) -> int | None:
    text = request.headers.get("If-Match", "").strip().strip('"')
    if not text or text == "*":
        return None
    if not text.isdigit() or len(text) > 9:
        raise Changed("Send the ETag as it was read.")
    return int(text)


class Patients(Registry, generics.ListAPIView[Patient]):
    serializer_class = PatientOut
    pagination_class = Newest

    def get_queryset(self) -> QuerySet[Patient]:
        patients = access.patients_for(viewer_of(self.request)).select_related("clinic")
        number = self.request.query_params.get("record_number", "").replace("\x00", "")
        if number:
            patients = patients.filter(record_number__iexact=number[:32])
        text = self.request.query_params.get("q", "").replace("\x00", "")
        return worklist.search_patients(patients, text[:100]) if text else patients

    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, description="Name, record number or date of birth; spelling is forgiven."),
            OpenApiParameter("record_number", str, description="Exactly this record number."),
        ],
        responses={200: PatientOut(many=True), **REFUSALS},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        answer = super().get(request, *args, **kwargs)
        viewer = viewer_of(request)
        shown = answer.data["results"]
        clinic = viewer.clinic_ids[0] if viewer.clinic_ids else 0
        audit.looked(viewer.actor, [(clinic, row["id"]) for row in shown], "API list")
        return answer

    @extend_schema(request=PatientNew, parameters=[IDEMPOTENCY], responses={201: PatientOut, **REFUSALS})
    @once
    def post(self, request: Request) -> Response:
        """Enrol a patient, with both hips."""
        viewer = viewer_of(request)
        sent = PatientNew(data=request.data)
        sent.is_valid(raise_exception=True)
        data = dict(sent.validated_data)
        clinic = Clinic.objects.get(pk=viewer.clinics_where(Permission.RECORD)[0])
        wishes = {wish["channel"]: (wish["allowed"], wish["how"]) for wish in data.pop("contact_wishes", [])}
        patient = recording.enrol_patient(clinic, by=viewer.actor, contact_wishes=wishes, **_telephone(data))
        return Response(PatientOut(patient).data, status=status.HTTP_201_CREATED, headers={"ETag": _etag(patient)})


def _telephone(data: dict[str, Any]) -> dict[str, Any]:
    if "telephone" in data:
        data["telephone_as_given"] = data["telephone"]
    return data


def _needs_patient(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Hands the handler the patient of the address: 404 where the token does not see one."""

    @wraps(handler)
    def handled(view: Any, request: Request, pk: int) -> Response:
        viewer = viewer_of(request)
        needed = view.needs if request.method == "GET" else view.needs_to_write
        return handler(view, request, access.patient_for(viewer, pk, needed))

    return handled


class OnePatient(Registry, APIView):
    @extend_schema(responses={200: PatientOut, **REFUSALS})
    @_needs_patient
    def get(self, request: Request, patient: Patient) -> Response:
        audit.looked(viewer_of(request).actor, [(patient.clinic_id, patient.pk)], "API")
        return Response(PatientOut(patient).data, headers={"ETag": _etag(patient)})

    @extend_schema(request=PatientChange, parameters=[IF_MATCH], responses={200: PatientOut, **REFUSALS})
    @_needs_patient
    def patch(self, request: Request, patient: Patient) -> Response:
        """Change what is sent, and nothing else. With If-Match, refused (412) when somebody else has written."""
        sent = PatientChange(data=request.data)
        sent.is_valid(raise_exception=True)
        data = dict(sent.validated_data)
        reason = data.pop("reason", "")
        changed = recording.amend_patient(
            patient.pk,
            by=viewer_of(request).actor,
            changes=_telephone(data),
            expected_version=_expected(request),
            reason=reason,
        )
        return Response(PatientOut(changed).data, headers={"ETag": _etag(changed)})


class PatientHips(Registry, APIView):
    @extend_schema(responses={200: HipOut(many=True), **REFUSALS})
    @_needs_patient
    def get(self, request: Request, patient: Patient) -> Response:
        """Both hips with the guideline's answer."""
        audit.looked(viewer_of(request).actor, [(patient.clinic_id, patient.pk)], "API hips")
        return Response(HipOut(hips_of(patient), many=True).data)


class PatientFacts(Registry, APIView):
    @extend_schema(responses={200: FactOut(many=True), **REFUSALS})
    @_needs_patient
    def get(self, request: Request, patient: Patient) -> Response:
        """Everything recorded, superseded and withdrawn facts included."""
        audit.looked(viewer_of(request).actor, [(patient.clinic_id, patient.pk)], "API facts")
        return Response(FactOut(facts_of(patient), many=True).data, headers={"ETag": _etag(patient)})

    @extend_schema(request=VisitIn, parameters=[IDEMPOTENCY, IF_MATCH], responses={201: HipOut(many=True), **REFUSALS})
    @once
    @_needs_patient
    def post(self, request: Request, patient: Patient) -> Response:
        """Record facts together; answers with both hips as they are evaluated now."""
        sent = VisitIn(data=request.data)
        sent.is_valid(raise_exception=True)
        data = sent.validated_data
        facts = [fact_from(fact, index, patient) for index, fact in enumerate(data["facts"])]
        visit = Visit(on=data["on"], kind=data["kind"], note=data.get("note", ""))
        recording.record_facts(
            patient.pk,
            facts,
            by=viewer_of(request).actor,
            visit=visit,
            act="record_visit",
            expected_version=_expected(request),
        )
        return Response(HipOut(hips_of(patient), many=True).data, status=status.HTTP_201_CREATED)


class Hips(Registry, generics.ListAPIView[HipEvaluation]):
    """Hips by status and pathway: what is overdue, what is due."""

    serializer_class = HipOut
    pagination_class = ByPatient

    def get_queryset(self) -> QuerySet[HipEvaluation]:
        rows = HipEvaluation.objects.filter(clinic__in=viewer_of(self.request).clinic_ids).select_related("hip")
        return _filtered(self.request, rows, "status", "pathway")

    @extend_schema(
        parameters=[OpenApiParameter("status", str), OpenApiParameter("pathway", str), _patient_parameter()],
        responses={200: HipOut(many=True), **REFUSALS},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class Plans(Registry, generics.ListAPIView[Plan]):
    """Follow-up windows, one a cycle; `state=current` are those in force."""

    serializer_class = PlanOut
    pagination_class = Newest

    def get_queryset(self) -> QuerySet[Plan]:
        rows = Plan.objects.filter(clinic__in=viewer_of(self.request).clinic_ids).select_related("hip")
        return _filtered(self.request, rows, "state", "pathway")

    @extend_schema(
        parameters=[OpenApiParameter("state", str), OpenApiParameter("pathway", str), _patient_parameter()],
        responses={200: PlanOut(many=True), **REFUSALS},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class Flags(Registry, generics.ListAPIView[Flag]):
    """Findings; those that stand, unless `all=true`."""

    serializer_class = FlagOut
    pagination_class = Newest

    def get_queryset(self) -> QuerySet[Flag]:
        rows = Flag.objects.filter(clinic__in=viewer_of(self.request).clinic_ids).select_related("hip")
        if self.request.query_params.get("all") != "true":
            rows = rows.filter(closed_at__isnull=True)
        return _filtered(self.request, rows, "rule", "action", "urgency")

    @extend_schema(
        parameters=[
            *(OpenApiParameter(name, str) for name in ("rule", "action", "urgency")),
            OpenApiParameter("all", bool, description="Also those that no longer stand."),
            _patient_parameter(),
        ],
        responses={200: FlagOut(many=True), **REFUSALS},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class Reviews(Registry, generics.ListAPIView[ReviewCase]):
    """Cases; the open ones unless `state` says otherwise."""

    serializer_class = ReviewOut
    pagination_class = Newest

    def get_queryset(self) -> QuerySet[ReviewCase]:
        rows = ReviewCase.objects.filter(clinic__in=viewer_of(self.request).clinic_ids)
        if "state" not in self.request.query_params:
            rows = rows.filter(state=ReviewCase.State.OPEN)
        return _filtered(self.request, rows.select_related("hip", "assigned_to"), "state", "action", "urgency")

    @extend_schema(
        parameters=[*(OpenApiParameter(name, str) for name in ("state", "action", "urgency")), _patient_parameter()],
        responses={200: ReviewOut(many=True), **REFUSALS},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class Decide(Registry, APIView):
    needs_to_write = Permission.DECIDE

    @extend_schema(request=DecisionIn, parameters=[IDEMPOTENCY], responses={200: ReviewOut, **REFUSALS})
    @once
    def post(self, request: Request, pk: int) -> Response:
        """Answer an open case with a decision and its reason."""
        viewer = viewer_of(request)
        try:
            case = review.case_for(viewer, pk)
        except ReviewCase.DoesNotExist:
            raise NotFound from None
        sent = DecisionIn(data=request.data)
        sent.is_valid(raise_exception=True)
        review.decide_case(case, review.Verdict(**sent.validated_data), viewer=viewer)
        return Response(ReviewOut(review.case_for(viewer, pk)).data)


class Reminders(Registry, generics.ListAPIView[Reminder]):
    """Reminder mails with their states; never their texts."""

    serializer_class = ReminderOut
    pagination_class = Newest

    def get_queryset(self) -> QuerySet[Reminder]:
        rows = Reminder.objects.filter(clinic__in=viewer_of(self.request).clinic_ids)
        return _filtered(self.request, rows, "state", "step")

    @extend_schema(
        parameters=[OpenApiParameter("state", str), OpenApiParameter("step", str), _patient_parameter()],
        responses={200: ReminderOut(many=True), **REFUSALS},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class Assess(APIView):
    """The guideline on a record that is sent: nothing is stored, nobody is identified."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (ExactJSONParser,)

    @extend_schema(
        request=AssessIn, responses={200: OpenApiTypes.OBJECT, 400: PROBLEM, 415: PROBLEM, 422: PROBLEM}, auth=[]
    )
    def post(self, request: Request) -> Response:
        """`{"record": …, "as_of": "2026-11-22"}` in, the answer of docs/assess.schema.json out."""
        record, as_of = read_question(request.data)
        return Response(evaluate(record, adoption.DEFAULT, as_of).to_json())

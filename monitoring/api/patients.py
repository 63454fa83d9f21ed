"""Patients over the API: whom the clinic follows, what was recorded of them, and recording more."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from patients import access, recording
from patients.access import Permission
from patients.at_once import Kept
from patients.duplicates import find_candidates
from patients.models import Clinic, ContactWish, Fact, Patient, Visit
from patients.plausibility import EARLIEST
from patients.recording import RecordingRefused, today_at

from .. import audit
from ..patient_search import search_patients
from .columns import Row
from .entry import READING, Registry, check_scope, viewer_of
from .facts import asks_for_a_decision, facts_from, facts_of, find_fact, placed
from .idempotency import etag_of, once
from .listing import TEXT, Listing, listed
from .problems import Changed, Conflict, Entries, Merged
from .remarks import Remarks
from .schema import IDEMPOTENCY_KEY, IF_MATCH, OF_ONE, OF_WRITING, PREFER
from .serializers import (
    ContactWishIn,
    DeathIn,
    FactOut,
    HipOut,
    PatientChange,
    PatientNew,
    PatientOut,
    RecordedOut,
    VisitIn,
    WishOut,
    WithdrawalIn,
    hips_of,
)

_ENROLMENT = OpenApiExample(
    "A patient",
    {
        "record_number": "4711",
        "family_name": "Lindqvist",
        "given_name": "Ebba",
        "born_on": "1990-03-10",
        "enrolled_on": "2026-01-10",
        "email": "ebba@mail.example",
        "contact_wishes": [{"channel": "email", "allowed": True, "how": "on paper"}],
    },
    request_only=True,
)
_MRI = {
    "modality": "MR",
    "necrosis": True,
    "lesion_volume_percent": 12,
    "volume_method": "MRI_3D_SEGMENTATION",
}
_PAIN = {"source": "patient", "symptomatic": True, "pain_nrs": 3}
_VISIT = OpenApiExample(
    "A lesion, and pain in it",
    {
        "on": "2026-03-03",
        "facts": [
            {"kind": "imaging", "side": "left", "on": "2026-01-10", "values": _MRI},
            {"kind": "symptom", "side": "left", "on": "2026-03-03", "values": _PAIN},
        ],
    },
    request_only=True,
)
_AMENDMENT = OpenApiExample(
    "A new telephone", {"telephone": "+44 20 7946 0123", "reason": "she moved house"}, request_only=True
)
_WITHDRAWAL = OpenApiExample("The wrong hip", {"reason": "it was the other hip"}, request_only=True)
_OUT = PatientOut()
_OUT.fields.pop("contact_wishes")  # which are read for any number of patients at once
_WISH = tuple(WishOut().fields)
_WISHES = Kept(
    lambda patients: (
        ContactWish.objects.filter(patient__in=patients).order_by("id").values_list("patient_id", *_WISH),
    ),
    patients=list,
)
_PERSON = ("family_name", "given_name", "born_on", "record_number", "national_id", "email")


def _expected(request: Request) -> int | None:
    """The version that If-Match names. Raises Changed for what is no ETag of ours, which matches nothing."""
    text = request.headers.get("If-Match", "").strip()
    if text in ("", "*"):
        return None
    number = text.strip('"')
    if text != f'"{number}"' or not (number.isascii() and number.isdecimal()) or len(number) > 9:
        raise Changed("If-Match names no version of this record; send the ETag as it was read.")
    return int(number)


def _answer(patient: Patient, code: int = status.HTTP_200_OK) -> Response:
    body = {**_OUT.to_representation(patient), "contact_wishes": _wishes_of([patient.pk])[patient.pk]}
    return Response(body, status=code, headers=etag_of(body))


def _wishes_of(patients: list[int]) -> dict[int, list[Row]]:
    """By patient, what they wish of each channel."""
    wishes: dict[int, list[Row]] = defaultdict(list)
    for patient, *wish in _WISHES.read(patients=patients)[0]:
        wishes[patient].append(dict(zip(_WISH, wish, strict=True)))
    return wishes


def _with_telephone(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "telephone_as_given": data["telephone"]} if "telephone" in data else data


@listed
class Patients(Listing):
    """Patients by name, record number or date of birth (`q`; spelling is forgiven), or by exactly this number."""

    serializer_class = PatientOut
    filters = {"q": TEXT, "record_number": TEXT}
    columns = {"contact_wishes": "id"}
    patient = "pk"
    kept = False  # what a search finds is reckoned from its words

    def rows(self) -> QuerySet[Patient]:
        return access.patients_for(viewer_of(self.request))

    def narrowed(self, rows: QuerySet[Patient], asked: dict[str, Any]) -> QuerySet[Patient]:
        if "record_number" in asked:
            rows = rows.filter(record_number__iexact=asked["record_number"])
        return search_patients(rows, asked["q"]) if "q" in asked else rows

    def told(self, page: list[Row]) -> list[Row]:
        """With what each wishes of each channel."""
        wishes = _wishes_of([row["pk"] for row in page])
        return [row | {"contact_wishes": wishes[row["id"]]} for row in super().told(page)]

    @extend_schema(
        request=PatientNew,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: PatientOut, **OF_WRITING},
        examples=[_ENROLMENT],
    )
    @once
    def post(self, request: Request) -> Response:
        """Enrol a patient, with both hips. Likely duplicates are told first (409); `not_the_same` names them."""
        sent = PatientNew(data=request.data)
        sent.is_valid(raise_exception=True)
        data = dict(sent.validated_data)
        viewer = viewer_of(request)
        clinic = Clinic.objects.get(pk=viewer.clinics_where(Permission.RECORD)[0])
        _refuse_duplicates(clinic, data, {*data.pop("not_the_same", ()), *viewer.shut})
        wishes = {wish["channel"]: (wish["allowed"], wish["how"]) for wish in data.pop("contact_wishes", ())}
        patient = recording.enrol_patient(
            clinic, by=viewer.actor, contact_wishes=wishes, synthetic=clinic.synthetic, **_with_telephone(data)
        )
        return _answer(patient, status.HTTP_201_CREATED)


def _refuse_duplicates(clinic: Clinic, data: dict[str, Any], looked_at: set[int]) -> None:
    """Raise Conflict while there are likely duplicates that nobody has looked at."""
    person = {name: data[name] for name in _PERSON if data.get(name)}
    found = [candidate for candidate in find_candidates([clinic.pk], **person) if candidate.is_likely]
    number = data["record_number"].upper()
    new = [one for one in found if one.patient.pk not in looked_at and one.patient.record_number.upper() != number]
    if new:
        entries = [
            {"pointer": "/not_the_same", "message": f"Patient {one.patient.pk}: {', '.join(one.reasons)}."}
            for one in new
        ]
        raise Conflict("This may be somebody who is followed already. Name those who are not in not_the_same.", entries)


def _of_a_patient(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Hands the handler the patient of the address: 404 where the token does not see one, 307 to the record that
    speaks for the person where this one was merged into another."""

    @wraps(handler)
    def handled(view: Any, request: Request, pk: int, **rest: Any) -> Response:
        needed = view.needs if request.method in READING else view.needs_to_write
        patient = access.patient_for(viewer_of(request), pk, needed)
        if patient.merged_into_id is not None:
            raise Merged(request.path.replace(f"/patients/{pk}", f"/patients/{patient.merged_into_id}", 1))
        return handler(view, request, patient, **rest)

    return handled


class OnePatient(Registry):
    """One patient."""

    @extend_schema(responses={200: PatientOut, **OF_ONE})
    @_of_a_patient
    def get(self, request: Request, patient: Patient) -> Response:
        audit.looked(viewer_of(request).actor, [(patient.clinic_id, patient.pk)], "API patient")
        return _answer(patient)

    @extend_schema(
        request=PatientChange,
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        responses={200: PatientOut, **OF_WRITING},
        examples=[_AMENDMENT],
    )
    @once
    @_of_a_patient
    def patch(self, request: Request, patient: Patient) -> Response:
        """Change what is sent, and nothing else."""
        sent = PatientChange(data=request.data)
        sent.is_valid(raise_exception=True)
        data = dict(sent.validated_data)
        changed = recording.amend_patient(
            patient.pk,
            by=viewer_of(request).actor,
            reason=data.pop("reason", ""),
            changes=_with_telephone(data),
            expected_version=_expected(request),
        )
        return _answer(changed)


class PatientWishes(Registry):
    """What the patient wants of a channel."""

    @extend_schema(request=ContactWishIn, parameters=[IDEMPOTENCY_KEY], responses={200: PatientOut, **OF_WRITING})
    @once
    @_of_a_patient
    def post(self, request: Request, patient: Patient) -> Response:
        """Record a contact wish as of today; what is planned follows at once."""
        sent = ContactWishIn(data=request.data)
        sent.is_valid(raise_exception=True)
        today = today_at(patient.clinic, timezone.now())
        recording.set_contact_wish(patient.pk, by=viewer_of(request).actor, on=today, **sent.validated_data)
        return _answer(patient)


class PatientDeath(Registry):
    """The death of a patient."""

    @extend_schema(request=DeathIn, parameters=[IDEMPOTENCY_KEY], responses={200: PatientOut, **OF_WRITING})
    @once
    @_of_a_patient
    def post(self, request: Request, patient: Patient) -> Response:
        """Record it: every window, finding and reminder ends at once."""
        sent = DeathIn(data=request.data)
        sent.is_valid(raise_exception=True)
        try:
            died = recording.record_death(patient.pk, by=viewer_of(request).actor, **sent.validated_data)
        except RecordingRefused as refused:
            known = {"death_source": "source"}
            raise RecordingRefused({known.get(name, name): text for name, text in refused.problems.items()}) from None
        return _answer(died)


class PatientHips(Registry):
    """Both hips."""

    @extend_schema(operation_id="patients_hips_list", responses={200: HipOut(many=True), **OF_ONE})
    @_of_a_patient
    def get(self, request: Request, patient: Patient) -> Response:
        """Both hips with the guideline's answer."""
        audit.looked(viewer_of(request).actor, [(patient.clinic_id, patient.pk)], "API hips")
        return Response(HipOut(hips_of(patient), many=True).data)


class PatientFacts(Registry):
    """What was recorded of a patient."""

    @extend_schema(operation_id="patients_facts_list", responses={200: FactOut(many=True), **OF_ONE})
    @_of_a_patient
    def get(self, request: Request, patient: Patient) -> Response:
        """Everything recorded, superseded and withdrawn facts included, oldest first."""
        audit.looked(viewer_of(request).actor, [(patient.clinic_id, patient.pk)], "API facts")
        version = {"version": patient.record_version}
        return Response(FactOut(facts_of(patient), many=True).data, headers=etag_of(version))

    @extend_schema(
        request=VisitIn,
        parameters=[IDEMPOTENCY_KEY, IF_MATCH, PREFER],
        responses={201: RecordedOut, **OF_WRITING},
        examples=[_VISIT],
    )
    @once
    @_of_a_patient
    def post(self, request: Request, patient: Patient) -> Response:
        """Record facts together. Decisions and discharges need the scope `decide`. What the record speaks against is
        recorded all the same and told in `remarks`, or refused (409) with `Prefer: handling=strict`."""
        sent = VisitIn(data=request.data)
        sent.is_valid(raise_exception=True)
        data = sent.validated_data
        try:
            recorded, remarks = _record(request, patient, data)
        except RecordingRefused as refused:
            raise placed(refused) from None
        return _moved(patient, recorded.facts, remarks, code=status.HTTP_201_CREATED)


def _moved(
    patient: Patient, facts: Iterable[Fact], remarks: Iterable[dict[str, Any]] = (), *, code: int = status.HTTP_200_OK
) -> Response:
    """What recording has led to. The patient's row is locked, so that the version is that of these facts."""
    patient.refresh_from_db(fields=["record_version"])
    hips = HipOut(hips_of(patient), many=True).data
    keys = [fact.key for fact in facts]
    body = {"version": patient.record_version, "facts": keys, "remarks": list(remarks), "hips": hips}
    return Response(body, status=code, headers=etag_of(body))


def _record(request: Request, patient: Patient, data: dict[str, Any]) -> tuple[recording.Recorded, Entries]:
    _check_day(data["on"], patient)
    facts = facts_from(data["facts"], patient)
    if any(asks_for_a_decision(fact) for _side, fact in facts):
        check_scope(request, Permission.DECIDE)
    remarks = Remarks(patient, facts)
    recorded = recording.record_facts(
        patient.pk,
        facts,
        by=viewer_of(request).actor,
        visit=Visit(on=data["on"], kind=data["kind"], note=data.get("note", "")),
        act="record_visit",
        expected_version=_expected(request),
    )
    return recorded, remarks.told_to(request)


def _check_day(on: Any, patient: Patient) -> None:
    if on > today_at(patient.clinic, timezone.now()):
        raise RecordingRefused({"on": ["The date lies in the future."]})
    if on < (patient.born_on or EARLIEST):
        raise RecordingRefused({"on": ["The date lies before the patient's birth."]})


class Withdraw(Registry):
    """A fact entered in error."""

    @extend_schema(
        request=WithdrawalIn,
        parameters=[IDEMPOTENCY_KEY],
        responses={200: RecordedOut, **OF_WRITING},
        examples=[_WITHDRAWAL],
    )
    @once
    @_of_a_patient
    def post(self, request: Request, patient: Patient, key: str) -> Response:
        """Mark a fact as entered in error: its row stays, the evaluation no longer reads it."""
        sent = WithdrawalIn(data=request.data)
        sent.is_valid(raise_exception=True)
        fact = find_fact(patient, key)
        if fact is None:
            raise Http404
        if asks_for_a_decision(fact):
            check_scope(request, Permission.DECIDE)
        recording.withdraw_fact(fact, by=viewer_of(request).actor, reason=sent.validated_data["reason"])
        return _moved(patient, [fact])

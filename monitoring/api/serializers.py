"""Serializers: how rows look to other systems, and what they may send."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from patients.models import Patient
from patients.models.choices import CONDITIONS, OUTCOMES, SIDES
from patients.models.facts import Visit
from schedules.models import Plan, Reminder

from ..models import Flag, HipEvaluation, ReviewCase
from .facts import FACT_KINDS


class PatientOut(serializers.ModelSerializer[Patient]):
    clinic = serializers.CharField(source="clinic.name", read_only=True)
    version = serializers.IntegerField(source="record_version", read_only=True)
    telephone = serializers.CharField(read_only=True)

    class Meta:
        model = Patient
        fields = (
            "id", "clinic", "record_number", "family_name", "given_name", "born_on", "sex", "national_id", "email",
            "email_bounced_on", "telephone", "address", "language", "enrolled_on", "died_on", "death_source", "synthetic",
            "version",
        )  # fmt: skip
        read_only_fields = fields


class ContactWishIn(serializers.Serializer[Any]):
    channel = serializers.ChoiceField(choices=["email", "telephone", "letter"])
    allowed = serializers.BooleanField()
    how = serializers.CharField(max_length=120, help_text="How the patient said so.")


class PatientIn(serializers.Serializer[Any]):
    record_number = serializers.CharField(max_length=32)
    family_name = serializers.CharField(max_length=80)
    given_name = serializers.CharField(max_length=80, required=False, allow_blank=True)
    born_on = serializers.DateField(required=False, allow_null=True)
    sex = serializers.ChoiceField(choices=["female", "male", "other", "unknown"], required=False)
    email = serializers.EmailField(required=False, allow_blank=True)
    telephone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    address = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    language = serializers.ChoiceField(choices=["en", "de"], required=False)


class PatientNew(PatientIn):
    enrolled_on = serializers.DateField()
    conditions = serializers.ListField(
        child=serializers.ChoiceField(choices=CONDITIONS), required=False, max_length=len(CONDITIONS)
    )
    contact_wishes = ContactWishIn(many=True, required=False)


class PatientChange(PatientIn):
    """Only what is sent is changed."""

    record_number = serializers.CharField(max_length=32, required=False)
    family_name = serializers.CharField(max_length=80, required=False)
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)


class HipOut(serializers.ModelSerializer[HipEvaluation]):
    """One hip with the guideline's whole answer; the shape of `answer` is that of POST /api/v1/assess."""

    id = serializers.IntegerField(source="hip_id", read_only=True)
    side = serializers.ChoiceField(choices=SIDES, source="hip.side", read_only=True)
    patient = serializers.IntegerField(source="patient_id", read_only=True)
    volume_percent = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = HipEvaluation
        fields = (
            "id", "patient", "side", "pathway", "phase", "size_band", "volume_percent", "symptomatic", "interval_months",
            "status", "anchor_on", "opens_on", "due_on", "overdue_on", "gap_on", "next_change_on", "because", "answer",
        )  # fmt: skip
        read_only_fields = fields


class FactOut(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="As cited in `evidence`, e.g. imaging-12.")
    kind = serializers.ChoiceField(choices=sorted(FACT_KINDS))
    side = serializers.ChoiceField(choices=SIDES, allow_null=True)
    on = serializers.DateField()
    values = serializers.DictField(help_text="The fields of this kind that are known.")
    supersedes = serializers.CharField(allow_null=True)
    withdrawn = serializers.BooleanField()
    recorded_at = serializers.DateTimeField()
    actor = serializers.CharField()
    origin = serializers.CharField()


class FactIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=sorted(FACT_KINDS))
    side = serializers.ChoiceField(choices=SIDES, required=False, allow_null=True)
    on = serializers.DateField()
    values = serializers.DictField(help_text="Fields of this kind, as in the record of POST /api/v1/assess.")
    supersedes = serializers.CharField(required=False, allow_null=True, max_length=40)
    correction_reason = serializers.CharField(required=False, allow_blank=True, max_length=200)


class VisitIn(serializers.Serializer[Any]):
    """Facts recorded together: all are saved, or none."""

    on = serializers.DateField()
    kind = serializers.ChoiceField(choices=Visit.Kind.choices, default=Visit.Kind.REPORT)
    note = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    facts = FactIn(many=True, allow_empty=False, max_length=100)


class PlanOut(serializers.ModelSerializer[Plan]):
    side = serializers.CharField(source="hip.side", read_only=True)

    class Meta:
        model = Plan
        fields = (
            "id", "patient", "hip", "side", "cycle_on", "state", "pathway", "interval_months", "opens_on", "due_on",
            "overdue_on", "escalate_on", "trace_on", "gap_on", "because", "kept_on", "protocol",
        )  # fmt: skip
        read_only_fields = fields


class FlagOut(serializers.ModelSerializer[Flag]):
    side = serializers.CharField(source="hip.side", read_only=True)

    class Meta:
        model = Flag
        fields = (
            "id", "patient", "hip", "side", "rule", "action", "urgency", "since", "act_by", "step", "because", "evidence",
            "sources", "opened_at", "closed_at",
        )  # fmt: skip
        read_only_fields = fields


class ReviewOut(serializers.ModelSerializer[ReviewCase]):
    side = serializers.CharField(source="hip.side", read_only=True)
    assigned_to = serializers.SerializerMethodField()

    class Meta:
        model = ReviewCase
        fields = (
            "id", "patient", "hip", "side", "action", "rule", "urgency", "since", "act_by", "because", "evidence", "state",
            "level", "assigned_to", "opened_at", "closed_at", "decision",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_assigned_to(self, case: ReviewCase) -> str | None:
        return case.assigned_to.name if case.assigned_to else None


class DecisionIn(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField(max_length=2000)
    on = serializers.DateField()
    consequence = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    next_on = serializers.DateField(required=False, allow_null=True, default=None)


class ReminderOut(serializers.ModelSerializer[Reminder]):
    class Meta:
        model = Reminder
        fields = ("id", "patient", "step", "cycle_on", "due_on", "send_on", "state", "reason", "attempts", "decided_at")
        read_only_fields = fields


class AssessIn(serializers.Serializer[Any]):
    record = serializers.DictField(help_text="As docs/assess.schema.json describes it.")
    as_of = serializers.DateField()


class ProblemOut(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    request_id = serializers.CharField()
    errors = serializers.ListField(child=serializers.DictField(), required=False)


def hips_of(patient: Patient) -> list[HipEvaluation]:
    return list(HipEvaluation.objects.filter(patient=patient).select_related("hip").order_by("hip__side"))

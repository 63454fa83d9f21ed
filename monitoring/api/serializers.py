"""Serializers: how rows look to other systems, and what they may send."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from patients.models import Decision, Patient
from patients.models.choices import CONDITIONS, OUTCOMES, SIDES
from patients.models.clinic import PATIENT_LANGUAGES
from patients.models.facts import Visit
from patients.models.patient import Channel, Sex
from schedules.models import Plan, Reminder

from ..models import CaseNote, Flag, HipEvaluation, ReviewCase
from ..web.contradictions import CODES
from .facts import FACT_KINDS

ID_KINDS = ("nhs", "other")
FACT_KIND_NAMES = [(kind, kind) for kind in sorted(FACT_KINDS)]


@extend_schema_field({"oneOf": [{"$ref": f"#/components/schemas/{kind.title()}Values"} for kind in sorted(FACT_KINDS)]})
class Values(serializers.DictField):
    """The fields of a kind."""


class Sent(serializers.Serializer[Any]):
    """A body: fields that it does not have are refused, so that a slip of the pen is not lost unseen."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = [name for name in data if name not in self.fields] if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class WishOut(serializers.Serializer[Any]):
    channel = serializers.ChoiceField(choices=Channel.choices)
    allowed = serializers.BooleanField()
    how = serializers.CharField()
    on = serializers.DateField()


class PatientOut(serializers.ModelSerializer[Patient]):
    clinic = serializers.CharField(source="clinic.name", read_only=True)
    version = serializers.IntegerField(source="record_version", read_only=True)
    telephone = serializers.CharField(read_only=True)
    email = serializers.CharField(read_only=True)
    contact_wishes = WishOut(many=True, read_only=True)

    class Meta:
        model = Patient
        fields = (
            "id", "clinic", "record_number", "family_name", "given_name", "born_on", "sex", "national_id",
            "national_id_kind", "email", "email_bounced_on", "telephone", "address", "language", "next_of_kin",
            "enrolled_on", "died_on", "death_source", "merged_into", "synthetic", "contact_wishes", "version",
        )  # fmt: skip
        read_only_fields = fields


class ContactWishIn(Sent):
    channel = serializers.ChoiceField(choices=Channel.choices)
    allowed = serializers.BooleanField()
    how = serializers.CharField(max_length=120, help_text="How the patient said so.")


class PatientIn(Sent):
    record_number = serializers.CharField(max_length=32)
    family_name = serializers.CharField(max_length=80)
    given_name = serializers.CharField(max_length=80, required=False, allow_blank=True)
    born_on = serializers.DateField(required=False, allow_null=True)
    sex = serializers.ChoiceField(choices=Sex.choices, required=False)
    national_id = serializers.CharField(max_length=32, required=False, allow_blank=True)
    national_id_kind = serializers.ChoiceField(choices=ID_KINDS, required=False, allow_blank=True)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    telephone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    address = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    language = serializers.ChoiceField(choices=PATIENT_LANGUAGES, required=False)
    next_of_kin = serializers.CharField(max_length=200, required=False, allow_blank=True)
    enrolled_on = serializers.DateField()


class PatientNew(PatientIn):
    conditions = serializers.ListField(
        child=serializers.ChoiceField(choices=CONDITIONS), required=False, max_length=len(CONDITIONS)
    )
    contact_wishes = ContactWishIn(many=True, required=False)
    not_the_same = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62),
        required=False,
        max_length=20,
        help_text="Ids of the likely duplicates of an earlier 409 that somebody looked at.",
    )

    def validate_contact_wishes(self, wishes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({wish["channel"] for wish in wishes}) != len(wishes):
            raise serializers.ValidationError("A channel comes twice.")
        return wishes


class PatientChange(PatientIn):
    """Only what is sent is changed."""

    record_number = serializers.CharField(max_length=32, required=False)
    family_name = serializers.CharField(max_length=80, required=False)
    enrolled_on = serializers.DateField(required=False)
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)


class DeathIn(Sent):
    died_on = serializers.DateField()
    source = serializers.CharField(max_length=120, help_text="How it is known.")  # type: ignore[assignment]


class WithdrawalIn(Sent):
    reason = serializers.CharField(max_length=200, help_text="Why this was entered in error.")


class HipOut(serializers.ModelSerializer[HipEvaluation]):
    """One hip with the guideline's whole answer, in the shape that assess gives."""

    id = serializers.IntegerField(source="hip_id", read_only=True)
    side = serializers.ChoiceField(choices=SIDES, source="hip.side", read_only=True)
    patient = serializers.IntegerField(source="patient_id", read_only=True)
    volume_percent = serializers.FloatField(read_only=True, allow_null=True)
    answer = serializers.SerializerMethodField()

    class Meta:
        model = HipEvaluation
        fields = (
            "id", "patient", "side", "pathway", "phase", "size_band", "volume_percent", "symptomatic",
            "interval_months", "status", "anchor_on", "opens_on", "due_on", "overdue_on", "gap_on", "next_change_on",
            "because", "answer",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field({"$ref": "#/components/schemas/AssessHipAnswer"})
    def get_answer(self, hip: HipEvaluation) -> Any:
        return hip.answer


class FactOut(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="As cited in `evidence`, such as imaging-12.")
    kind = serializers.ChoiceField(choices=FACT_KIND_NAMES)
    side = serializers.ChoiceField(choices=SIDES, allow_null=True)
    on = serializers.DateField()
    values = Values(help_text="The fields of this kind that are known.")
    supersedes = serializers.CharField(allow_null=True)
    correction_reason = serializers.CharField()
    withdrawn = serializers.BooleanField()
    withdrawn_reason = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    actor = serializers.CharField()
    origin = serializers.CharField()


class FactIn(Sent):
    kind = serializers.ChoiceField(choices=FACT_KIND_NAMES)
    side = serializers.ChoiceField(
        choices=SIDES, required=False, allow_null=True, help_text="Needed for all but a BMI reading."
    )
    on = serializers.DateField()
    values = Values(help_text="The fields of this kind; null or left out is unknown.")
    supersedes = serializers.CharField(
        required=False, allow_null=True, max_length=40, help_text="The id of the fact that this corrects."
    )
    correction_reason = serializers.CharField(required=False, allow_blank=True, max_length=200)


class VisitIn(Sent):
    """Facts recorded together: all are saved, or none."""

    on = serializers.DateField()
    kind = serializers.ChoiceField(choices=Visit.Kind.choices, default=Visit.Kind.REPORT)
    note = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    facts = serializers.ListField(child=FactIn(), allow_empty=False, max_length=100)


class RemarkOut(serializers.Serializer[Any]):
    """What the record speaks against, for a person to look at: it is recorded all the same."""

    pointer = serializers.CharField(help_text="JSON Pointer to the fact in the body that was sent.")
    code = serializers.ChoiceField(choices=[(code, code) for code in CODES])
    message = serializers.CharField(help_text="Says both sides of it.")


class RecordedOut(serializers.Serializer[Any]):
    """What recording has led to: the new facts' ids in the order sent, and both hips as they are evaluated now."""

    version = serializers.IntegerField(help_text="Of the record; also the ETag.")
    facts = serializers.ListField(child=serializers.CharField())
    remarks = RemarkOut(many=True)
    hips = HipOut(many=True)


class PlanOut(serializers.ModelSerializer[Plan]):
    side = serializers.ChoiceField(choices=SIDES, source="hip.side", read_only=True)

    class Meta:
        model = Plan
        fields = (
            "id", "patient", "hip", "side", "cycle_on", "state", "pathway", "interval_months", "opens_on", "due_on",
            "overdue_on", "escalate_on", "trace_on", "gap_on", "because", "kept_on", "protocol",
        )  # fmt: skip
        read_only_fields = fields


class FlagOut(serializers.ModelSerializer[Flag]):
    side = serializers.ChoiceField(choices=SIDES, source="hip.side", read_only=True)
    evidence = serializers.ListField(child=serializers.CharField(), read_only=True)
    sources = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Flag
        fields = (
            "id", "patient", "hip", "side", "rule", "action", "urgency", "since", "act_by", "step", "because",
            "evidence", "sources", "opened_at", "closed_at",
        )  # fmt: skip
        read_only_fields = fields


class DecisionOut(serializers.ModelSerializer[Decision]):
    id = serializers.CharField(source="key", read_only=True)

    class Meta:
        model = Decision
        fields = ("id", "on", "outcome", "reason", "consequence", "next_on", "actor")
        read_only_fields = fields


class ReviewOut(serializers.ModelSerializer[ReviewCase]):
    side = serializers.ChoiceField(choices=SIDES, source="hip.side", read_only=True)
    evidence = serializers.ListField(child=serializers.CharField(), read_only=True)
    assigned_to = serializers.SerializerMethodField()
    decision = DecisionOut(read_only=True, allow_null=True)

    class Meta:
        model = ReviewCase
        fields = (
            "id", "patient", "hip", "side", "action", "rule", "urgency", "since", "act_by", "because", "evidence",
            "state", "level", "assigned_to", "opened_at", "closed_at", "decision",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field({"type": ["string", "null"]})
    def get_assigned_to(self, case: ReviewCase) -> str | None:
        return case.assigned_to.name if case.assigned_to else None


class DecisionIn(Sent):
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField(max_length=2000)
    on = serializers.DateField()
    consequence = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    next_on = serializers.DateField(required=False, allow_null=True, default=None)


class NoteOut(serializers.ModelSerializer[CaseNote]):
    class Meta:
        model = CaseNote
        fields = ("id", "at", "actor", "kind", "text")
        read_only_fields = fields


class NoteIn(Sent):
    text = serializers.CharField(max_length=2000)


class ReminderOut(serializers.ModelSerializer[Reminder]):
    class Meta:
        model = Reminder
        fields = ("id", "patient", "step", "cycle_on", "due_on", "send_on", "state", "reason", "attempts", "decided_at")
        read_only_fields = fields


class PlaceOut(serializers.Serializer[Any]):
    """Where something is wrong: one of the three names the place."""

    message = serializers.CharField()
    code = serializers.CharField(required=False, help_text="Of a remark that was to refuse.")
    pointer = serializers.CharField(required=False, help_text="JSON Pointer into the body.")
    path = serializers.CharField(required=False, help_text="JSON path into the record that was to be assessed.")
    parameter = serializers.CharField(required=False, help_text="Parameter of the address.")


class ProblemOut(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    request_id = serializers.CharField(help_text="As in the server's log.")
    errors = PlaceOut(many=True, required=False)  # type: ignore[assignment]


def hips_of(patient: Patient) -> list[HipEvaluation]:
    return list(HipEvaluation.objects.filter(patient=patient).select_related("hip").order_by("hip__side"))

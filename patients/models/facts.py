"""Facts: what was recorded about a hip on a date. They are added, superseded or withdrawn; never changed or deleted.

The application's database role may insert them and set the `withdrawn_*` columns, nothing else.
"""

from collections.abc import Collection
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..vocabulary import (
    STAGE_CODES,
    Action,
    Crescent,
    EndReason,
    Instrument,
    JicType,
    Modality,
    Outcome,
    ProcedureKind,
    StagingSystem,
    SymptomSource,
    VolumeMethod,
)
from .choices import (
    ADJUNCTS,
    CRESCENTS,
    END_REASONS,
    INSTRUMENTS,
    JIC_TYPES,
    MODALITIES,
    OUTCOMES,
    PROCEDURES,
    STAGING_SYSTEMS,
    SYMPTOM_SOURCES,
    VIEWS,
    VOLUME_METHODS,
    between,
    one_of,
    within,
)
from .clinic import Clinic
from .hip import Hip
from .patient import Patient
from .staff import User


class Origin(models.TextChoices):
    STAFF = "staff", _("Staff")
    PATIENT = "patient", _("Patient")
    IMPORT = "import", _("Import")
    FHIR = "fhir", "FHIR"
    API = "api", "API"
    SIMULATION = "simulation", _("Simulation")


class Visit(models.Model):
    """What was recorded together: one attendance, call or report."""

    class Kind(models.TextChoices):
        CLINIC = "clinic", _("Clinic visit")
        TELEPHONE = "telephone", _("Telephone call")
        REPORT = "report", _("Report received")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, related_name="visits", db_constraint=False, db_index=False
    )
    on = models.DateField()
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.CLINIC)
    note = models.TextField(blank=True)
    recorded_at = models.DateTimeField(default=timezone.now)
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    actor = models.CharField(max_length=120)

    class Meta:
        ordering = ["-on", "-id"]
        indexes = [models.Index(fields=["patient", "-on", "-id"], name="visit_by_patient")]
        constraints = [models.CheckConstraint(condition=~Q(actor=""), name="visit_names_actor")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.on}"


class Fact(models.Model):
    """One fact of one patient. `supersedes` takes an earlier fact of its list out; ids rise with the order given."""

    kind: ClassVar[str]

    id = models.BigAutoField(primary_key=True)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    visit = models.ForeignKey(
        Visit, on_delete=models.PROTECT, null=True, blank=True, related_name="%(class)ss", db_index=False
    )
    on = models.DateField()
    note = models.TextField(blank=True)
    origin = models.CharField(max_length=12, choices=Origin.choices, default=Origin.STAFF)
    recorded_at = models.DateTimeField(default=timezone.now)
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    actor = models.CharField(max_length=120)
    supersedes = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="superseded_by",
        db_constraint=False,
        db_index=False,
    )
    correction_reason = models.CharField(max_length=200, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_actor = models.CharField(max_length=120, blank=True)
    withdrawn_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True
        ordering = ["on", "id"]
        constraints = [
            models.CheckConstraint(condition=~Q(actor=""), name="%(class)s_names_actor"),
            models.CheckConstraint(
                condition=Q(supersedes__isnull=True) | (Q(supersedes__lt=F("id")) & ~Q(correction_reason="")),
                name="%(class)s_corrects_earlier_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True) | (~Q(withdrawn_actor="") & ~Q(withdrawn_reason="")),
                name="%(class)s_withdrawn_with_reason",
            ),
            # The clinic's day may be ahead of UTC by at most one.
            models.CheckConstraint(
                condition=Q(on__lte=Cast(F("recorded_at"), models.DateField()) + 1), name="%(class)s_not_in_future"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.on}"

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Nothing: `plausibility.fact_problems` says in words, at the field, what the constraints refuse by name."""

    @property
    def key(self) -> str:
        """The fact's id in the record, cited as evidence."""
        return f"{self.kind}-{self.pk}"


class HipFact(Fact):
    """A fact of one hip; the database ties hip, patient, clinic and the superseded fact together."""

    hip = models.ForeignKey(
        Hip, on_delete=models.PROTECT, related_name="%(class)ss", db_constraint=False, db_index=False
    )

    class Meta(Fact.Meta):
        abstract = True
        indexes = [
            models.Index(fields=["patient"], name="%(class)s_by_patient"),
            # Few facts correct another; whether one is corrected is asked of each fact that is counted.
            models.Index(fields=["supersedes"], condition=Q(supersedes__isnull=False), name="%(class)s_superseding"),
        ]


def _choices(*extra: models.BaseConstraint) -> list[models.BaseConstraint]:
    return [*Fact.Meta.constraints, *extra]


class Imaging(HipFact):
    """One study of this hip with what was read from it. Lengths in mm, volumes in cm3 and percent of the head."""

    kind = "imaging"

    modality = models.CharField(max_length=2, choices=MODALITIES)
    views = ArrayField(models.CharField(max_length=16, choices=VIEWS), default=list, blank=True)
    diagnostic = models.BooleanField(null=True, blank=True, default=None)
    necrosis = models.BooleanField(null=True, blank=True, default=None)
    effusion_grade = models.PositiveSmallIntegerField(null=True, blank=True, validators=within(0, 3))
    marrow_edema = models.BooleanField(null=True, blank=True, default=None)
    lesion_volume_percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True, validators=within(0, 100)
    )
    lesion_volume_cm3 = models.DecimalField(
        max_digits=6, decimal_places=2, null=True, blank=True, validators=within(0, 200)
    )
    volume_method = models.CharField(max_length=20, choices=VOLUME_METHODS, null=True, blank=True)
    crescent = models.CharField(max_length=13, choices=CRESCENTS, null=True, blank=True)
    depression_mm = models.DecimalField(max_digits=4, decimal_places=2, null=True, blank=True, validators=within(0, 50))
    joint_space_narrowed = models.BooleanField(null=True, blank=True, default=None)
    collapse_suspected = models.BooleanField(null=True, blank=True, default=None)
    report = models.TextField(blank=True)
    reader = models.CharField(max_length=120, blank=True)
    accession_number = models.CharField(max_length=64, blank=True)
    study_instance_uid = models.CharField(max_length=64, blank=True)

    class Meta(HipFact.Meta):
        constraints = _choices(
            one_of("modality", Modality, name="imaging_modality_known"),
            between("effusion_grade", 0, 3, name="imaging_effusion_grade"),
            between("lesion_volume_percent", 0, 100, name="imaging_volume_percent"),
            between("lesion_volume_cm3", 0, 200, name="imaging_volume_cm3"),
            between("depression_mm", 0, 50, name="imaging_depression_mm"),
            one_of("volume_method", VolumeMethod, name="imaging_method_known"),
            one_of("crescent", Crescent, name="imaging_crescent_known"),
        )


def _known_stages() -> Q:
    condition = Q()
    for (system, version), codes in STAGE_CODES.items():
        condition |= Q(system=str(system), version=version, code__in=codes)
    return condition


class Staging(HipFact):
    """One immutable reading in one version of one system."""

    kind = "staging"

    system = models.CharField(max_length=10, choices=STAGING_SYSTEMS)
    version = models.CharField(max_length=4)
    code = models.CharField(max_length=12)
    modality_used = models.CharField(max_length=2, choices=MODALITIES, blank=True)
    reader = models.CharField(max_length=120, blank=True)

    class Meta(HipFact.Meta):
        constraints = _choices(
            one_of("system", StagingSystem, name="staging_system_known"),
            models.CheckConstraint(condition=_known_stages(), name="staging_code_of_its_system"),
        )

    @property
    def words(self) -> str:
        return f"{self.get_system_display()} {self.code}"


class SymptomReport(HipFact):
    """What was said of pain in this hip; `pain_nrs` is the worst of the last seven days, 0-10."""

    kind = "symptom"

    source = models.CharField(max_length=10, choices=SYMPTOM_SOURCES)
    symptomatic = models.BooleanField(null=True, blank=True, default=None)
    pain_nrs = models.PositiveSmallIntegerField(null=True, blank=True, validators=within(0, 10))
    pain_site = models.CharField(max_length=60, blank=True)
    sudden_worsening = models.BooleanField(null=True, blank=True, default=None)
    night_pain = models.BooleanField(null=True, blank=True, default=None)
    cannot_bear_weight = models.BooleanField(null=True, blank=True, default=None)
    walking_aid = models.CharField(max_length=60, blank=True)

    class Meta(HipFact.Meta):
        constraints = _choices(
            one_of("source", SymptomSource, name="symptom_source_known"),
            between("pain_nrs", 0, 10, name="symptom_pain_nrs"),
        )


class Score(HipFact):
    """A total score, higher is better; `items` and `variant` tell how it was computed."""

    kind = "score"

    instrument = models.CharField(max_length=8, choices=INSTRUMENTS)
    value = models.DecimalField(max_digits=6, decimal_places=3, validators=within(0, 100))
    variant = models.CharField(max_length=16, blank=True)
    items = models.JSONField(null=True, blank=True)

    class Meta(HipFact.Meta):
        constraints = _choices(
            one_of("instrument", Instrument, name="score_instrument_known"),
            between("value", 0, 100, name="score_value"),
            models.CheckConstraint(condition=~Q(instrument="OHS") | Q(value__lte=48), name="score_oxford_at_most_48"),
        )


class Procedure(HipFact):
    """One treatment; `on` is the day it was done or begun."""

    kind = "procedure"

    class Intent(models.TextChoices):
        THERAPEUTIC = "therapeutic", _("Therapeutic")
        PROPHYLACTIC = "prophylactic", _("Prophylactic")

    procedure = models.CharField(max_length=26, choices=PROCEDURES)
    adjuncts = ArrayField(models.CharField(max_length=24, choices=ADJUNCTS), default=list, blank=True)
    intent = models.CharField(max_length=12, choices=Intent.choices, blank=True)
    stopped_on = models.DateField(null=True, blank=True)
    operator = models.CharField(max_length=120, blank=True)
    complication = models.CharField(max_length=200, blank=True)

    class Meta(HipFact.Meta):
        constraints = _choices(
            one_of("procedure", ProcedureKind, name="procedure_kind_known"),
            models.CheckConstraint(
                condition=Q(stopped_on__isnull=True) | Q(stopped_on__gte=F("on")), name="procedure_stops_after_start"
            ),
        )


class Decision(HipFact):
    """What a clinician decided on a question, why, and what follows from it."""

    kind = "decision"

    action = models.CharField(max_length=32, choices=[(str(a), str(a)) for a in Action])
    outcome = models.CharField(max_length=20, choices=OUTCOMES)
    reason = models.TextField()
    consequence = models.CharField(max_length=200, blank=True)
    next_on = models.DateField(null=True, blank=True)

    class Meta(HipFact.Meta):
        constraints = _choices(
            one_of("action", Action, name="decision_action_known"),
            one_of("outcome", Outcome, name="decision_outcome_known"),
            models.CheckConstraint(condition=~Q(reason=""), name="decision_has_reason"),
        )


class LesionLocation(HipFact):
    """Where the lesion lies: JIC type, and arc sums in degrees (modified Kerboul: MRI; Kerboul 1974: radiograph)."""

    kind = "location"

    jic_type = models.CharField(max_length=2, choices=JIC_TYPES, null=True, blank=True)
    kerboul_modified_degrees = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True, validators=within(0, 360)
    )
    kerboul_degrees = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True, validators=within(0, 360)
    )
    modality_used = models.CharField(max_length=2, choices=MODALITIES, blank=True)

    class Meta(HipFact.Meta):
        constraints = _choices(
            one_of("jic_type", JicType, name="location_jic_type_known"),
            between("kerboul_modified_degrees", 0, 360, name="location_kerboul_modified"),
            between("kerboul_degrees", 0, 360, name="location_kerboul"),
        )


class Ending(HipFact):
    """The end of this hip's surveillance for one of a closed list of reasons, or the taking back of one."""

    kind = "ending"

    reason = models.CharField(max_length=20, choices=END_REASONS)
    receiving_clinic = models.CharField(max_length=160, blank=True)
    evidence = models.CharField(max_length=300, help_text=_("How it is known, such as “letter of 3 Nov 2026”."))

    class Meta(HipFact.Meta):
        indexes = [
            *HipFact.Meta.indexes,
            models.Index(
                fields=["clinic", "recorded_at"], condition=Q(withdrawn_at__isnull=True), name="endings_standing"
            ),
            models.Index(
                fields=["clinic", "supersedes"],
                condition=Q(supersedes__isnull=False, withdrawn_at__isnull=True),
                name="endings_taken_back",
            ),
        ]
        constraints = _choices(
            one_of("reason", EndReason, name="ending_reason_known"),
            models.CheckConstraint(condition=~Q(evidence=""), name="ending_has_evidence"),
            models.CheckConstraint(
                condition=~Q(reason=EndReason.TRANSFERRED.value) | ~Q(receiving_clinic=""),
                name="transfer_names_receiving_clinic",
            ),
            models.CheckConstraint(
                condition=~Q(reason=EndReason.REOPENED.value) | Q(supersedes__isnull=False),
                name="reopening_takes_back_an_ending",
            ),
        )


class BmiReading(Fact):
    """Body mass index, kg/m2."""

    kind = "bmi"

    value = models.DecimalField(max_digits=5, decimal_places=2, validators=within(8, 120))

    class Meta(Fact.Meta):
        indexes = [models.Index(fields=["patient"], name="bmi_by_patient")]
        constraints = _choices(between("value", 8, 120, name="bmi_value"))

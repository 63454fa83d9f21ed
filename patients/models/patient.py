"""Patient: the person, how they may be reached, and the version of their record."""

from datetime import date

import pghistory
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Concat, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .clinic import PATIENT_LANGUAGES, Clinic
from .staff import User
from .telephone import TelephoneField


class Sex(models.TextChoices):
    FEMALE = "female", _("female")
    MALE = "male", _("male")
    OTHER = "other", _("other")
    UNKNOWN = "unknown", _("unknown")


def named(given_name: str, family_name: str) -> str:
    """A patient's name as it is shown."""
    return f"{given_name} {family_name}".strip()


@pghistory.track(level=pghistory.Statement, append_only=True)
class Patient(models.Model):
    """One person in one clinic.

    `record_version` counts the writes to anything that the guideline reads; an evaluation of a lower version is stale.
    `merged_into` is the record that speaks for this person now: this one is kept, read and written to no more.
    """

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="patients")
    record_number = models.CharField(max_length=32)
    family_name = models.CharField(max_length=80)
    given_name = models.CharField(max_length=80, blank=True)
    born_on = models.DateField(null=True, blank=True)
    sex = models.CharField(max_length=8, choices=Sex.choices, default=Sex.UNKNOWN)
    national_id = models.CharField(max_length=32, blank=True)
    national_id_kind = models.CharField(max_length=16, blank=True)
    email = models.EmailField(blank=True)
    email_bounced_on = models.DateField(null=True, blank=True)
    email_bounce_reason = models.CharField(max_length=200, blank=True)
    telephone = TelephoneField(blank=True)  # type: ignore[no-untyped-call]
    telephone_as_given = models.CharField(max_length=40, blank=True)
    address = models.TextField(blank=True)
    language = models.CharField(max_length=8, choices=PATIENT_LANGUAGES, default="en")
    responsible = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    next_of_kin = models.CharField(max_length=200, blank=True)
    enrolled_on = models.DateField()
    died_on = models.DateField(null=True, blank=True)
    death_source = models.CharField(max_length=120, blank=True)
    synthetic = models.BooleanField(default=False)
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged_records", db_constraint=False
    )
    anonymised_on = models.DateField(null=True, blank=True)  # nobody can say any more who this was
    record_version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["family_name", "given_name", "id"]
        constraints = [
            models.UniqueConstraint("clinic", Upper("record_number"), name="record_number_once_per_clinic"),
            models.UniqueConstraint(fields=["id", "clinic"], name="patient_in_its_clinic"),
            models.CheckConstraint(condition=~Q(record_number=""), name="patient_has_record_number"),
            models.CheckConstraint(condition=~Q(family_name=""), name="patient_has_family_name"),
            models.CheckConstraint(
                condition=Q(born_on__isnull=True) | Q(born_on__lte=F("enrolled_on")), name="born_before_enrolment"
            ),
            models.CheckConstraint(
                condition=Q(died_on__isnull=True) | Q(born_on__isnull=True) | Q(born_on__lte=F("died_on")),
                name="born_before_death",
            ),
            models.CheckConstraint(
                condition=Q(died_on__isnull=True) | ~Q(death_source=""), name="death_names_its_source"
            ),
            models.CheckConstraint(condition=Q(sex__in=Sex.values), name="patient_sex_known"),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=F("id")), name="not_merged_into_oneself"
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "family_name", "given_name", "id"], name="patient_by_name"),
            models.Index(fields=["clinic", "born_on"], name="patient_by_birth"),
            GinIndex(
                models.F("clinic"),
                OpClass(Upper(Concat("family_name", models.Value(" "), "given_name")), name="gin_trgm_ops"),
                name="patient_names_of_clinic",
            ),
            GinIndex(
                models.F("clinic"),
                OpClass(Upper("record_number"), name="gin_trgm_ops"),
                name="patient_numbers_of_clinic",
            ),
        ]

    def __str__(self) -> str:
        return self.record_number

    @property
    def display_name(self) -> str:
        return named(self.given_name, self.family_name)

    @property
    def is_closed(self) -> bool:
        """Nothing is written to it any more: another record speaks for the person, or nobody knows who it was."""
        return self.merged_into_id is not None or self.anonymised_on is not None

    def age_on(self, day: date) -> int | None:
        """Whole years on `day`, or at death where that was earlier."""
        if self.born_on is None:
            return None
        day = min(day, self.died_on) if self.died_on else day
        return day.year - self.born_on.year - ((day.month, day.day) < (self.born_on.month, self.born_on.day))


class Channel(models.TextChoices):
    EMAIL = "email", _("E-mail")
    TELEPHONE = "telephone", _("Telephone")
    LETTER = "letter", _("Letter")


@pghistory.track(level=pghistory.Statement, append_only=True)
class ContactWish(models.Model):
    """Whether a patient wants to be reached by a channel, and how they said so."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="contact_wishes")
    channel = models.CharField(max_length=12, choices=Channel.choices)
    allowed = models.BooleanField()
    how = models.CharField(max_length=120, help_text=_("How the patient said so, such as “on paper, 3 Nov 2026”."))
    on = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient", "channel"], name="contact_wish_once_per_channel"),
            models.CheckConstraint(condition=Q(channel__in=Channel.values), name="contact_wish_channel_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()}: {self.allowed}"


class Purpose(models.TextChoices):
    """What, beside care, a patient may agree to."""

    SYMPTOM_CHECK = "symptom_check", _("Being asked how they are between visits")
    RESEARCH = "research", _("Use for research, without name")


@pghistory.track(level=pghistory.Statement, append_only=True)
class Consent(models.Model):
    """Whether a patient agrees to a purpose, and how they said so. By which way they are reached is a contact wish.

    Who was never asked may be sent a symptom check, which is care, and is in no research export.
    """

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    allowed = models.BooleanField()
    how = models.CharField(max_length=120)
    on = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient", "purpose"], name="consent_once_per_purpose"),
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="consent_purpose_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}: {self.allowed}"

"""Reviews: one case per hip and question, answered by a recorded decision."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Decision, Hip, Patient, User
from patients.vocabulary import Action


class ReviewCase(models.Model):
    """`since` and `act_by` follow the open flags of this action; new facts after a decision open it again."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        DECIDED = "decided", _("Decided")
        LAPSED = "lapsed", _("No longer asked")  # the finding went without a decision, e.g. by a correction

    class Level(models.TextChoices):
        CLINICIAN = "clinician", _("Clinician")
        ADMIN = "admin", _("Administrator")  # undecided for too long (R28)

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="cases", db_constraint=False)
    hip = models.ForeignKey(Hip, on_delete=models.PROTECT, related_name="cases")
    action = models.CharField(max_length=32)
    rule = models.CharField(max_length=4)
    urgency = models.CharField(max_length=8)
    since = models.DateField()
    act_by = models.DateField(null=True)
    because = models.CharField(max_length=400)
    evidence = models.JSONField(default=list)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.CLINICIAN)
    assigned_to = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="cases")
    second_opinion_from = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, null=True, related_name="cases")

    class Meta:
        ordering = ["act_by", "since", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["hip", "action"], condition=Q(state="open"), name="one_open_case_per_question"
            ),
            models.CheckConstraint(
                condition=~Q(state="decided") | Q(decision__isnull=False), name="decided_case_has_decision"
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "act_by", "id"], condition=Q(state="open"), name="open_cases_by_deadline"),
            models.Index(fields=["clinic", "id"], condition=Q(state="open"), name="open_cases_by_clinic"),
            models.Index(fields=["patient", "-id"], name="cases_by_patient"),
            models.Index(
                fields=["clinic", "since"],
                condition=Q(action=Action.CORE_DECOMPRESSION_REVIEW.value),
                name="symptom_cases_by_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.since}"


class CaseNote(models.Model):
    """What was said or done on a case: comment, assignment, second opinion, escalation. Rows are only added."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    case = models.ForeignKey(ReviewCase, on_delete=models.PROTECT, related_name="notes")
    at = models.DateTimeField(default=timezone.now)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    actor = models.CharField(max_length=120)
    kind = models.CharField(
        max_length=16
    )  # opened, reopened, comment, assigned, second_opinion, opinion, escalated, decided, lapsed
    text = models.TextField(blank=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor}"

"""Merges: two records found to be of one person, by whom they were made one, what that wrote; and pairs to look at."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .clinic import Clinic
from .patient import Patient
from .staff import User


class Merge(models.Model):
    """`merged` becomes part of `survivor`. Where identifiers differ (`differing`) a second person decides.

    `taken`: the details that the survivor has from the other record since. `wrote`: all that merging wrote, so that
    it can be undone.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", _("Waits for a second person")
        MERGED = "merged", _("Merged")
        REJECTED = "rejected", _("Not merged")
        UNDONE = "undone", _("Undone")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    survivor = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    merged = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    state = models.CharField(max_length=8, choices=State.choices)
    differing = models.JSONField(default=list)
    taken = models.JSONField(default=list)
    wrote = models.JSONField(default=dict)
    reason = models.CharField(max_length=200)
    proposed_at = models.DateTimeField(default=timezone.now)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    proposed_actor = models.CharField(max_length=120)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    decided_actor = models.CharField(max_length=120, blank=True)
    undone_at = models.DateTimeField(null=True)
    undone_actor = models.CharField(max_length=120, blank=True)
    closing_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(survivor=F("merged")), name="merge_of_two_records"),
            models.UniqueConstraint(
                fields=["merged"], condition=Q(state__in=["proposed", "merged"]), name="one_merge_of_a_record"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="merge_gives_reason"),
            models.CheckConstraint(
                condition=Q(state__in=["proposed", "merged", "rejected", "undone"]), name="merge_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["merged", "undone"])
                | Q(differing=[])
                | (Q(proposed_by__isnull=False, decided_by__isnull=False) & ~Q(proposed_by=F("decided_by"))),
                name="merge_of_differing_people_by_two",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["rejected", "undone"]) | ~Q(closing_reason=""), name="merge_closed_with_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merged_id} into {self.survivor_id}: {self.state}"


class PossibleDuplicate(models.Model):
    """Two records of a clinic that the nightly search found alike, until somebody says they are two people.

    `one` is the older record. A pair that was dismissed stays, so that it is not found again.
    """

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    one = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    other = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    score = models.PositiveSmallIntegerField()
    found_at = models.DateTimeField(default=timezone.now)
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    dismissed_actor = models.CharField(max_length=120, blank=True)
    dismissed_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-score", "id"]
        constraints = [
            models.UniqueConstraint(fields=["one", "other"], name="possible_duplicate_once"),
            models.CheckConstraint(condition=Q(one__lt=F("other")), name="possible_duplicate_older_first"),
            models.CheckConstraint(
                condition=Q(dismissed_at__isnull=True) | (~Q(dismissed_reason="") & ~Q(dismissed_actor="")),
                name="dismissal_gives_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["clinic", "-score", "id"],
                condition=Q(dismissed_at__isnull=True),
                name="possible_duplicates_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.one_id} and {self.other_id}: {self.score}"

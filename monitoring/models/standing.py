"""Standing: where each patient stands on the lists, one row a patient, kept by the database in the same transaction.

Nobody writes it: triggers on the tables from which it follows do (`monitoring/standing_sql.py`), so it is right
whoever wrote there and however. Days are kept where the lists depend on today, so nothing changes at midnight.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value

from patients.models import Clinic, Patient, User


def _whose(**more: Any) -> Any:
    """A person, named where triggers found them; whether they exist is seen to there."""
    return models.ForeignKey(
        User, on_delete=models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False, **more
    )


class Standing(models.Model):
    """`rank` and `review_rank` are orders: risk times ten million, and the days since 1900 of the day that matters."""

    patient = models.OneToOneField(
        Patient, on_delete=models.DO_NOTHING, primary_key=True, related_name="standing", db_constraint=False
    )
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    rank = models.IntegerField()  # by the pathway at most risk and the earliest due date
    followed = models.BooleanField()
    late = models.BooleanField()  # a hip is overdue, or a gap
    open = models.BooleanField()  # a hip's window is open, or it is due
    never_started = models.BooleanField()
    incomplete = models.BooleanField()
    no_mail = models.BooleanField()  # no address, bounced, not wished, or consent missing
    review_rank = models.IntegerField(null=True)  # empty: no review is open
    snoozed_until = models.DateField(null=True)
    booked_at = models.DateTimeField(null=True)  # the last time that stands in place of the follow-up
    call_from = models.DateField(null=True)  # the first day on which a call is to be made; empty: none
    call_until = models.DateField(null=True)
    # What filters ask for.
    responsible = _whose()
    language = models.CharField(max_length=8, db_default="")
    pathways = ArrayField(models.CharField(max_length=24), db_default=Value([]))  # of both hips
    due_on = models.DateField(null=True)  # the earliest of a hip that is followed
    overdue_on = models.DateField(null=True)  # the latest of a hip that is late
    clinician_from = models.DateField(null=True)  # when a late hip was escalated to the clinician, the earliest
    admin_from = models.DateField(null=True)  # the same, to administrators
    left_to = _whose()  # by the last contact, in so many words
    promised_by = _whose()  # who comes back to the patient: to whom it was left, else who made the last contact
    promised_on = models.DateField(null=True)
    promised_booking = models.BooleanField(db_default=False)  # the promise is the patient's, to come

    class Meta:
        indexes = [
            models.Index(fields=["clinic", "rank", "patient"], name="standing_all"),
            models.Index(fields=["clinic", "rank", "patient"], condition=Q(late=True), name="standing_late"),
            models.Index(
                fields=["clinic", "rank", "patient"], condition=Q(open=True, late=False), name="standing_open"
            ),
            models.Index(
                fields=["clinic", "rank", "patient"], condition=Q(never_started=True), name="standing_never_started"
            ),
            models.Index(
                fields=["clinic", "rank", "patient"], condition=Q(incomplete=True), name="standing_incomplete"
            ),
            models.Index(
                fields=["clinic", "rank", "patient"],
                condition=Q(no_mail=True, followed=True),
                name="standing_unreachable",
            ),
            models.Index(
                fields=["clinic", "review_rank", "patient"],
                condition=Q(review_rank__isnull=False),
                name="standing_in_review",
            ),
            models.Index(
                fields=["clinic", "snoozed_until", "patient"],
                condition=Q(snoozed_until__isnull=False),
                name="standing_snoozed",
            ),
            models.Index(
                fields=["clinic", "call_until", "patient"],
                condition=Q(call_from__isnull=False),
                name="standing_to_call",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.patient_id}: {self.rank}"

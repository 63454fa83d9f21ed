"""Substitutes: the letter or the telephone call that takes the place of a mail which cannot reach its patient."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Patient
from patients.models.patient import Channel

from .reminder import Reminder


class Substitute(models.Model):
    """One a reminder, and never deleted: it is opened, done or dropped, and may be opened again.

    `why`: why the mail could not go; `outcome`: what came of the substitute, both in words. Nobody need act before
    `waits_until` (an appointment is booked, the patient is put off) nor before `next_on` (a call that was not
    answered). `until` is the last day on which it helps. `batch` names the letters that were printed together.
    """

    class Way(models.TextChoices):
        LETTER = Channel.LETTER.value, _("Letter")
        CALL = Channel.TELEPHONE.value, _("Telephone call")

    class State(models.TextChoices):
        OPEN = "open", _("To do")
        DONE = "done", _("Done")
        DROPPED = "dropped", _("No longer needed")

    reminder = models.OneToOneField(Reminder, on_delete=models.PROTECT, related_name="substitute")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="substitutes", db_constraint=False)
    channel = models.CharField(max_length=12, choices=Way.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    why = models.CharField(max_length=200)
    opened_at = models.DateTimeField()
    until = models.DateField()
    waits_until = models.DateField(null=True, blank=True)
    next_on = models.DateField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # calls, answered or not
    decided_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True)
    batch = models.UUIDField(null=True, blank=True)
    actor = models.CharField(max_length=120)  # of the latest change

    class Meta:
        ordering = ["until", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(channel__in=["letter", "telephone"]), name="substitute_way_known"),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True)
                | Q(state__in=["done", "dropped"], decided_at__isnull=False),
                name="substitute_is_open_or_decided",
            ),
            models.CheckConstraint(
                condition=Q(state="open") | ~Q(outcome=""), name="decided_substitute_says_what_came_of_it"
            ),
            models.CheckConstraint(
                condition=~Q(state="done", channel="letter") | Q(batch__isnull=False), name="printed_letter_names_batch"
            ),
            models.CheckConstraint(condition=~Q(why=""), name="substitute_gives_reason"),
        ]
        indexes = [
            models.Index(
                fields=["clinic", "channel", "until", "id"], condition=Q(state="open"), name="substitutes_to_do"
            ),
            models.Index(fields=["batch"], condition=Q(batch__isnull=False), name="substitutes_by_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.until}"

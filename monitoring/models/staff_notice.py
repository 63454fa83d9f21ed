"""Staff notices: one digest a person, clinic and day, and what each person wants to be told."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, User


class StaffNotice(models.Model):
    """The digest of one day; the row is the queue. `counts`: what it said, by section and group."""

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")
        SENDING = "sending", _("Sending")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        UNCERTAIN = "uncertain", _("Uncertain")  # handed over, and no answer came: not sent again that day
        NOTHING = "nothing_to_say", _("Nothing to say")

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="notices")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    day = models.DateField()  # by the clinic's clock
    state = models.CharField(max_length=16, choices=State.choices, default=State.PLANNED)
    reason = models.CharField(max_length=200, blank=True)
    counts = models.JSONField(default=dict)
    language = models.CharField(max_length=8, blank=True)
    sent_to = models.EmailField(blank=True)
    message_id = models.CharField(max_length=120, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    claimed_by = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=120)

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "clinic", "day"], name="digest_once_a_day"),
            models.CheckConstraint(condition=~Q(state="sending") | Q(lease_until__isnull=False), name="digest_lease"),
            models.CheckConstraint(condition=~Q(state="sent") | ~Q(sent_to=""), name="sent_digest_names_address"),
            models.CheckConstraint(
                condition=~Q(state__in=["failed", "uncertain"]) | ~Q(reason=""), name="digest_not_sent_gives_reason"
            ),
            models.CheckConstraint(condition=~Q(actor=""), name="digest_names_actor"),
        ]
        indexes = [
            models.Index(fields=["clinic", "day", "id"], condition=Q(state="planned"), name="digests_to_send"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="digests_in_flight"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.day}"


class NoticeChoice(models.Model):
    """What one person wants to be told; without a row everything."""

    class Wanted(models.TextChoices):
        ALL = "all", _("What is mine and new, and what was escalated to me")
        ESCALATIONS = "escalations", _("Only what was escalated to me")
        NONE = "none", _("No mail")

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="notice_choice")
    wanted = models.CharField(max_length=12, choices=Wanted.choices, default=Wanted.ALL)
    changed_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.wanted

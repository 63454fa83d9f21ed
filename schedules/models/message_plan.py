"""Message plan: what a clinic chose of its mail, and whether an unusual number of mails waits for a person."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic

EARLIEST_HOUR, LATEST_HOUR = 6, 21


class MessagePlan(models.Model):
    """One row a clinic; without one everything is as the product is delivered.

    `steps`: {step: {"on": true, "days": -42}}; a step that is not named is as delivered. `held_at`: mail waits for a
    person since then, as more was due than is usual. `released_on`: the clinic's day for which a person let it go.
    """

    clinic = models.OneToOneField(Clinic, on_delete=models.PROTECT, primary_key=True, related_name="message_plan")
    steps = models.JSONField(default=dict)
    mail_from = models.PositiveSmallIntegerField(_("Mail goes out from"), default=8)  # hours of the clinic's clock
    mail_until = models.PositiveSmallIntegerField(_("until"), default=18)
    volume_multiple = models.PositiveSmallIntegerField(_("Ask when more than this multiple is due"), default=5)
    held_at = models.DateTimeField(null=True, blank=True)
    held_count = models.PositiveIntegerField(default=0)
    held_limit = models.PositiveIntegerField(default=0)
    released_on = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(mail_from__gte=EARLIEST_HOUR, mail_until__lte=LATEST_HOUR, mail_from__lt=F("mail_until")),
                name="mail_goes_out_in_the_daytime",
            ),
            models.CheckConstraint(
                condition=Q(volume_multiple__gte=2, volume_multiple__lte=20), name="volume_multiple_within_bounds"
            ),
        ]

    def __str__(self) -> str:
        return f"mail of {self.clinic_id}"

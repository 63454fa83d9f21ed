"""Mail server: since when it takes no mail at all, in its words, and when it is asked again."""

from django.db import models


class MailServer(models.Model):
    """One row, there only while the server refuses everything. `tries`: runs that found it so."""

    ONLY = 1

    id = models.SmallIntegerField(primary_key=True, default=ONLY)
    refusing_since = models.DateTimeField()
    said = models.CharField(max_length=200)  # by the server, or of it; names no patient
    tries = models.PositiveIntegerField(default=1)
    ask_again_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_mail_server")]

    def __str__(self) -> str:
        return f"refuses everything since {self.refusing_since:%Y-%m-%d %H:%M}"

"""Heartbeats: when each recurring run last came to its end, and how much it left behind."""

from django.db import models


class Heartbeat(models.Model):
    name = models.CharField(max_length=24, primary_key=True)  # sweep, mail, census
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    behind = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name

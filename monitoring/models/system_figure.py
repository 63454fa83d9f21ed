"""System figures: what is measured of the installation once a day, such as how large its database is."""

from django.db import models


class SystemFigure(models.Model):
    name = models.CharField(max_length=40)
    on = models.DateField()
    value = models.BigIntegerField()

    class Meta:
        ordering = ["name", "-on"]
        constraints = [models.UniqueConstraint(fields=["name", "on"], name="system_figure_once_a_day")]

    def __str__(self) -> str:
        return f"{self.name} {self.on}: {self.value}"

"""Clinic: a place that follows patients, with the words it uses of itself in mail."""

import re
from zoneinfo import ZoneInfo, available_timezones

import pghistory
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

LANGUAGES = [("en", _("English")), ("de", _("German"))]  # of pages, and of the staff who read them
PATIENT_LANGUAGES = [*LANGUAGES, ("es", _("Spanish")), ("fr", _("French"))]  # of mail


def check_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(_("“%(name)s” is no time zone; write one such as Europe/Berlin."), params={"name": name})


def check_hours_in(lines: str) -> None:
    """Each line names the language of mail that it is in: “de: Mo-Fr 8-16 Uhr”."""
    codes = [code for code, _words in PATIENT_LANGUAGES]
    if wrong := [line for line in lines.splitlines() if line.strip() and not re.match(rf"({'|'.join(codes)}):.", line)]:
        said = {"line": wrong[0], "codes": ", ".join(codes)}
        raise ValidationError(_("“%(line)s”: begin with one of %(codes)s and a colon."), params=said)


@pghistory.track(level=pghistory.Statement, append_only=True)
class Clinic(models.Model):
    name = models.CharField(max_length=120, unique=True)
    mail_name = models.CharField(
        max_length=60, help_text=_("How mail names the clinic. It must not tell the disease or the body part.")
    )
    telephone = models.CharField(max_length=40)
    address = models.TextField(blank=True)
    opening_hours = models.CharField(max_length=120, blank=True)
    opening_hours_in = models.TextField(blank=True, default="", db_default="", validators=[check_hours_in])
    reply_to = models.EmailField(blank=True)
    time_zone = models.CharField(max_length=60, default="Europe/London", validators=[check_time_zone])
    language = models.CharField(max_length=8, choices=LANGUAGES, default="en")
    mail_stopped = models.BooleanField(default=False, help_text=_("Stops mail and nothing else."))
    synthetic = models.BooleanField(default=False, help_text=_("Holds simulated people only."))

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def hours_in(self, language: str) -> str:
        """When somebody is there, in that language where the clinic has it, else as it says for everybody."""
        said = dict(line.strip().split(":", 1) for line in self.opening_hours_in.splitlines() if ":" in line)
        return said.get(language, self.opening_hours).strip()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

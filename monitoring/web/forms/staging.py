"""Stage and location of the lesion: a code is chosen together with its system and version."""

from collections.abc import Sequence
from datetime import date

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.models import Fact, LesionLocation, Staging
from patients.models.choices import JIC_TYPES, STAGING_SYSTEMS
from patients.vocabulary import STAGE_CODES

from .section import SectionForm, choice, decimal

_SYSTEM_WORDS = {code: str(words) for code, words in STAGING_SYSTEMS}
STAGES = [
    (
        f"{_SYSTEM_WORDS[system]} {version}",
        [(f"{system}|{version}|{code}", f"{_SYSTEM_WORDS[system]} {code}") for code in codes],
    )
    for (system, version), codes in STAGE_CODES.items()
]


class StagingForm(SectionForm):
    key = "staging"
    title = _("Stage")
    fact_fields = {"system": "stage", "version": "stage", "code": "stage"}

    stage = choice(_("Stage"), STAGES)
    reader = forms.CharField(label=_("Read by"), required=False, max_length=120)

    def facts(self, on: date) -> Sequence[Fact]:
        stage = self.cleaned_data["stage"]
        if not stage:
            return []
        system, version, code = stage.split("|")
        return [Staging(on=on, system=system, version=version, code=code, reader=self.cleaned_data["reader"])]


class LocationForm(SectionForm):
    key = "location"
    title = _("Location of the lesion")
    units = {"kerboul_modified_degrees": "°", "kerboul_degrees": "°"}

    jic_type = choice(_("JIC type"), JIC_TYPES)
    kerboul_modified_degrees = decimal(_("Modified Kerboul angle, on MRI"), 0, 360)
    kerboul_degrees = decimal(_("Kerboul angle, on radiographs"), 0, 360)

    def facts(self, on: date) -> Sequence[Fact]:
        return [LesionLocation(on=on, **self.said(*self.fields))]

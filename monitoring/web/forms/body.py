"""Body mass index of the person, as such or from weight and height."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients.models import BmiReading, Fact

from .section import SectionForm, decimal


class BodyForm(SectionForm):
    key = "bmi"
    title = _("Body mass index")
    units = {"value": "kg/m²", "weight": "kg", "height": "cm"}

    value = decimal(_("Body mass index"), 8, 120)
    weight = decimal(_("or weight"), 15, 500, places=1)
    height = decimal(_("and height"), 50, 260, places=1)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.is_empty() or self.errors or data.get("value") is not None:
            return data
        for name in ("weight", "height"):
            if data.get(name) is None:
                self.add_error(name, gettext("Weight and height are both needed."))
        if not self.errors and not 8 <= self.computed <= 120:
            self.add_error("weight", gettext("Weight and height do not fit each other."))
        return data

    @property
    def computed(self) -> Decimal:
        metres = Decimal(self.cleaned_data["height"]) / 100
        return (Decimal(self.cleaned_data["weight"]) / (metres * metres)).quantize(Decimal("0.01"))

    def facts(self, on: date) -> Sequence[Fact]:
        value = self.cleaned_data["value"]
        return [BmiReading(on=on, value=self.computed if value is None else value)]

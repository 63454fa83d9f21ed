"""A visit as one form of many sections: both hips, the person, and what groups them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from django import forms
from django.forms.utils import ErrorDict
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients.models import Fact, Visit
from patients.recording import RecordingRefused
from patients.vocabulary import Side

from .body import BodyForm
from .go_on import GoOnForm
from .imaging import CtForm, MriForm, RadiographForm
from .procedure import ProcedureForm
from .score import HarrisForm, HoosJrForm, OxfordForm
from .section import Problem, Problems, SectionForm, day
from .staging import LocationForm, StagingForm
from .symptom import SymptomForm

HIP_SECTIONS: Final[tuple[type[SectionForm], ...]] = (
    SymptomForm,
    RadiographForm,
    MriForm,
    CtForm,
    StagingForm,
    LocationForm,
    HarrisForm,
    HoosJrForm,
    OxfordForm,
    ProcedureForm,
)


class VisitForm(GoOnForm):
    """When and how, and the versions by which somebody else's change meanwhile is noticed."""

    on = day(_("Date of the visit"), required=True)
    kind = forms.ChoiceField(label=_("Kind"), choices=Visit.Kind.choices, initial=Visit.Kind.CLINIC)
    note = forms.CharField(label=_("Note"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    record_version = forms.IntegerField(widget=forms.HiddenInput)
    seen_entry = forms.IntegerField(widget=forms.HiddenInput, required=False)


@dataclass(frozen=True, slots=True)
class Entered:
    """One fact to be recorded, and the section it was typed into."""

    side: Side | None
    fact: Fact
    section: SectionForm


@dataclass
class VisitEntry:
    """All forms of one visit. `entered` is filled by `is_valid`."""

    visit: VisitForm
    body: BodyForm
    hips: Mapping[Side, list[SectionForm]]
    entered: list[Entered] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return str(self.visit["kind"].value())

    @classmethod
    def of(cls, data: QueryDict | None = None, *, initial: Mapping[str, Any] | None = None) -> "VisitEntry":
        # What is said on the telephone is the patient's own report, which completes no follow-up.
        preset = {"source": "patient"} if initial and initial.get("kind") == Visit.Kind.TELEPHONE else None
        return cls(
            visit=VisitForm(data, initial=dict(initial or {})),
            body=BodyForm(data, prefix="person"),
            hips={
                side: [section(data, prefix=f"{side}-{section.key}", initial=preset) for section in HIP_SECTIONS]
                for side in Side
            },
        )

    @classmethod
    def resumed(cls, data: QueryDict) -> "VisitEntry":
        """A form that is still being filled in: what was typed, and no word on what is missing or wrong yet."""
        entry = cls.of(data)
        for form in (entry.visit, entry.body, *(section for _side, section in entry.sections())):
            form._errors = ErrorDict()  # type: ignore[attr-defined]  # as Django's own `full_clean` begins
        return entry

    def sections(self) -> list[tuple[Side | None, SectionForm]]:
        of_hips = [(side, section) for side in (Side.RIGHT, Side.LEFT) for section in self.hips[side]]
        return [*of_hips, (None, self.body)]

    def is_valid(self) -> bool:
        """Whether every section that holds anything can be read; then `entered` holds its facts."""
        filled = [(side, section) for side, section in self.sections() if not section.is_empty()]
        valid = [form.is_valid() for form in (self.visit, *(section for _side, section in filled))]
        if not all(valid):
            return False
        on: date = self.visit.cleaned_data["on"]
        self.entered = [Entered(side, fact, section) for side, section in filled for fact in section.facts(on)]
        if not self.entered:
            self.visit.add_error(None, gettext("Nothing is filled in yet: a visit records at least one thing."))
        return bool(self.entered)

    def refuse(self, refused: RecordingRefused) -> None:
        """Put what recording refused at the fields it came from."""
        for name, texts in refused.problems.items():
            index, _dot, fact_field = name.partition(".")
            if not index.isdecimal():
                self.visit.add_error(None, texts)
                continue
            section = self.entered[int(index)].section
            at = section.field_of(fact_field)
            if fact_field == "on" and at is None:
                if not self.visit.has_error("on"):
                    self.visit.add_error("on", texts)
            else:
                section.add_error(at, texts)

    def problems(self) -> list[Problem]:
        """All that is wrong, for the summary on top."""
        problems = Problems()
        if self.visit.is_bound:
            problems.of(self.visit)
        for side, section in self.sections():
            if section.is_bound and not section.is_empty():
                problems.of(section, f"{hip_words(side)}, {section.title}" if side else str(section.title))
        return problems.found


def hip_words(side: Side) -> str:
    return gettext("Right hip") if side is Side.RIGHT else gettext("Left hip")

"""Worklist filters: what the address of a list narrows it to, as a form, as chips and as the address again."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from patients.access import Viewer
from patients.models import Membership, Role
from patients.models.clinic import PATIENT_LANGUAGES

from ..worklist import Filters
from .finding_words import PATHWAYS, day_words
from .forms.section import DayInput
from .sealed_words import opened, seal

NAMES = ("clinic", "clinician", "pathway", "late", "language", "owner", "escalated", "promised", "overdue_from", "q")
ME = "me"


@dataclass(frozen=True)
class Staff:
    """Who works in the viewer's clinics, as choices of id and name."""

    everyone: Mapping[int, tuple[tuple[int, str], ...]]  # by clinic
    clinicians: tuple[tuple[int, str], ...]
    clinics: tuple[tuple[int, str], ...]

    @property
    def people(self) -> list[tuple[int, str]]:
        known = {pk: name for people in self.everyone.values() for pk, name in people}
        return sorted(known.items(), key=lambda person: (person[1], person[0]))


def staff_for(viewer: Viewer) -> Staff:
    """In one query."""
    return staff_of(staff_rows(viewer.clinic_ids))


def staff_rows(clinics: Sequence[int]) -> QuerySet[Membership, tuple[Any, ...]]:
    """What `staff_of` is made of."""
    memberships = Membership.objects.filter(clinic__in=clinics, user__is_active=True)
    columns = ("clinic_id", "clinic__name", "user_id", "user__name", "role")
    return memberships.order_by("user__name", "user_id").values_list(*columns)


def staff_of(rows: Iterable[tuple[Any, ...]]) -> Staff:
    everyone: dict[int, dict[int, str]] = defaultdict(dict)
    clinicians: dict[int, str] = {}
    clinics: dict[int, str] = {}
    for clinic, clinic_name, user, name, role in rows:
        clinics[clinic] = clinic_name
        everyone[clinic][user] = name
        if role == Role.CLINICIAN:
            clinicians[user] = name
    people = {clinic: tuple(names.items()) for clinic, names in everyone.items()}
    by_name = sorted(clinics.items(), key=lambda clinic: (clinic[1], clinic[0]))
    return Staff(people, tuple(clinicians.items()), tuple(by_name))


class FilterForm(forms.Form):
    """Each field narrows the list; a value that is not offered narrows nothing, and is a fault."""

    clinic = forms.TypedChoiceField(label=gettext_lazy("Clinic"), coerce=int, empty_value=None, required=False)
    clinician = forms.TypedChoiceField(label=gettext_lazy("Clinician"), coerce=int, empty_value=None, required=False)
    pathway = forms.ChoiceField(label=gettext_lazy("Pathway"), required=False)
    late = forms.IntegerField(label=gettext_lazy("Days late, at least"), min_value=0, max_value=20_000, required=False)
    language = forms.ChoiceField(label=gettext_lazy("Language"), required=False)
    owner = forms.ChoiceField(label=gettext_lazy("Owner"), required=False)
    escalated = forms.ChoiceField(label=gettext_lazy("Escalated to"), required=False)
    promised = forms.ChoiceField(label=gettext_lazy("Promised for today or before"), required=False)
    overdue_from = forms.DateField(
        label=gettext_lazy("Overdue since, at the earliest"),
        widget=DayInput(),
        input_formats=["%Y-%m-%d"],
        required=False,
    )
    q = forms.CharField(label=gettext_lazy("Name, number or birth date"), max_length=100, required=False)

    def __init__(self, data: QueryDict, *, staff: Staff) -> None:
        super().__init__(data, auto_id="filter_%s")
        any_choice = ("", _("Any"))
        own = {"", *(str(pk) for pk, _name in staff.clinics)}
        if len(staff.clinics) < 2 and data.get("clinic", "") in own:
            del self.fields["clinic"]
        choices: dict[str, list[tuple[Any, Any]]] = {
            "clinic": list(staff.clinics),
            "clinician": list(staff.clinicians),
            "pathway": list(PATHWAYS.items()),
            "language": list(PATIENT_LANGUAGES),
            "owner": [(ME, _("Me")), *staff.people],
            "escalated": [(ME, _("Me"))],
            "promised": [(ME, _("By me"))],
        }
        for name, offered in choices.items():
            if name in self.fields:
                self.fields[name].choices = [any_choice, *offered]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Narrowing:
    """The filters in force: for the query, for the chips, and for every address that must keep them."""

    form: FilterForm
    filters: Filters
    kept: dict[str, str]  # of the address, those that hold
    staff: Staff

    @property
    def faults(self) -> list[str]:
        """What the address asks for and the list is not narrowed to: whoever shows the list says so."""
        named = ((self.form.fields[name].label, texts) for name, texts in self.form.errors.items())
        return [f"{label}: {text}" for label, texts in named for text in texts]

    @property
    def fields(self) -> SafeString:
        """The fields of the form as HTML; most pages have the same, so each content is written once."""
        typed = tuple(self.form.data.get(name, "") for name in self.form.fields)
        people = (self.staff.clinics, self.staff.clinicians, tuple(self.staff.people))
        return _fields(_Content(self.form, get_language(), people, typed))

    def url(self, tab: str, **more: Any) -> str:
        path = reverse("worklist") if tab == "reviews" else reverse("worklist_tab", args=[tab])
        return with_query(path, self.kept | {name: str(value) for name, value in more.items() if value})

    def query(self, **more: Any) -> str:
        return urlencode(dict(self.kept) | more)

    def chips(self, tab: str) -> list[dict[str, str]]:
        return [self._chip(tab, name) for name in self.kept]

    def _chip(self, tab: str, name: str) -> dict[str, str]:
        field = self.form.fields[name]
        value = opened(self.kept[name])
        if isinstance(field, forms.ChoiceField):
            value = next((str(text) for code, text in field.widget.choices if str(code) == value), value)
        elif isinstance(field, forms.DateField):
            value = day_words(date.fromisoformat(value))
        rest = {other: kept for other, kept in self.kept.items() if other != name}
        path = reverse("worklist_tab", args=[tab])
        return {"label": str(field.label), "value": value, "remove_url": with_query(path, rest)}


def narrow(query: QueryDict, *, viewer: Viewer, staff: Staff) -> Narrowing:
    """What the address asks for, as far as the viewer is offered it; the rest are its faults."""
    form = FilterForm(_as_typed(query), staff=staff)
    form.is_valid()
    if query.get("q") and not form.data["q"]:
        form.add_error("q", _("These words cannot be read any more. Search again."))
    known = {name: value for name, value in form.cleaned_data.items() if value not in ("", None)}
    words = known.get("q", "")
    kept = {name: seal(words) if name == "q" else str(known[name]) for name in NAMES if name in known}
    owner, me = known.get("owner"), viewer.actor.user_id
    filters = Filters(
        clinic=known.get("clinic"),
        clinician=known.get("clinician"),
        pathway=known.get("pathway", ""),
        late=known.get("late"),
        language=known.get("language", ""),
        owner=(me if owner == ME else int(owner)) if owner else None,
        escalated_to=me if known.get("escalated") else None,
        promised_by=me if known.get("promised") else None,
        overdue_from=known.get("overdue_from"),
        search=words,
    )
    return Narrowing(form, filters, kept, staff)


@dataclass(frozen=True, slots=True)
class _Content:
    """Everything on which the fields of a form depend."""

    form: FilterForm = field(compare=False)
    language: str | None
    people: tuple[tuple[tuple[int, str], ...], ...]
    typed: tuple[str, ...]


@lru_cache(maxsize=256)
def _fields(content: _Content) -> SafeString:
    return render_to_string("components/fields.html", {"form": content.form, "hide_optional": True})


def _as_typed(query: QueryDict) -> QueryDict:
    """The address with the words of the search as somebody typed them."""
    typed = query.copy()
    if "q" in typed:
        typed["q"] = opened(str(typed["q"]))
    return typed


def with_query(path: str, pairs: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(pairs)}" if pairs else path

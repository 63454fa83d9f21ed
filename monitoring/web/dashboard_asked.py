"""Dashboard asked: who looks, at which clinics, as of which day, and what the plots and lists of one request share."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic
from schedules import adoption
from schedules.guideline.protocol import Protocol

from .. import worklist
from ..statistics import answers, courses, planned, rates
from ..statistics.forecast import ExpectedVisit
from ..statistics.scope import Scope

MONTHS = 12  # of windows
SYMPTOM_MONTHS = 24


@dataclass(frozen=True)
class Asked:
    """One request. What several plots need is read once."""

    viewer: Viewer
    scope: Scope
    clinics: tuple[Clinic, ...]  # all whose numbers the viewer may see
    clinic: Clinic | None  # the one that was chosen

    @property
    def kept(self) -> dict[str, str]:
        """What every address of the dashboard carries along."""
        return {"clinic": str(self.clinic.pk)} if self.clinic else {}

    def list_url(self, name: str, **chosen: str) -> str:
        return self._with(reverse("dashboard_list", args=[name]), chosen)

    def file_url(self, plot: str, kind: str) -> str:
        return self._with(reverse("dashboard_file", args=[plot, kind]), {})

    def section_url(self, section: str) -> str:
        path = reverse("dashboard_section", args=[section]) if section else reverse("dashboard")
        return self._with(path, {})

    def _with(self, path: str, chosen: Mapping[str, str]) -> str:
        pairs = {**self.kept, **chosen}
        return f"{path}?{urlencode(pairs)}" if pairs else path

    @property
    def names(self) -> str:
        """The clinics counted, by name."""
        return self.clinic.name if self.clinic else ", ".join(clinic.name for clinic in self.clinics)

    @property
    def synthetic(self) -> bool:
        counted = [self.clinic] if self.clinic else self.clinics
        return any(clinic.synthetic for clinic in counted)

    @cached_property
    def protocol(self) -> Protocol:
        return adoption.protocol_in_force(self.scope.today)

    @cached_property
    def _windows(self) -> rates.Windows:
        return rates.windows_by_month(self.scope, MONTHS)

    @property
    def windows(self) -> list[rates.Month]:
        return self._windows.ended

    @property
    def tracked(self) -> list[rates.Month]:
        return self._windows.tracked

    @cached_property
    def late(self) -> dict[str, int]:
        """Overdue hips by how late they are."""
        return rates.overdue_by_band(self.scope)

    @cached_property
    def answers(self) -> list[answers.Answer]:
        return answers.read_answers(self.scope, SYMPTOM_MONTHS)

    @cached_property
    def courses(self) -> list[courses.Course]:
        return courses.read_courses(self.scope, self.protocol)

    @cached_property
    def visits(self) -> list[ExpectedVisit]:
        return planned.forecast(self.scope)


def asked_by(request: HttpRequest) -> Asked:
    """Whose numbers are asked for. A clinic that is not the viewer's does not exist."""
    viewer = access.viewer_of(request)
    readable = viewer.clinics_where(Permission.READ)
    if not readable:
        raise PermissionDenied(_("You have no role in any clinic."))
    clinics = tuple(access.clinics_for(viewer).filter(pk__in=readable).order_by("name", "pk"))
    clinic = _chosen(request.GET.get("clinic", ""), clinics)
    ids = (clinic.pk,) if clinic else tuple(one.pk for one in clinics)
    return Asked(viewer, Scope(ids, worklist.today_for(viewer, timezone.now())), clinics, clinic)


def _chosen(wanted: str, clinics: tuple[Clinic, ...]) -> Clinic | None:
    if not wanted:
        return None
    for clinic in clinics:
        if str(clinic.pk) == wanted:
            return clinic
    raise Http404("No such clinic.")

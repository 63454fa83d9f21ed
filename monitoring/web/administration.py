"""Administration: the frame that its pages share, and who may open which of them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET

from patients import access
from patients.access import Permission, Viewer

from .entry import signed_in


def may_administer(viewer: Viewer) -> bool:
    return viewer.superuser or viewer.may_anywhere(Permission.ADMINISTER)


def may_audit(viewer: Viewer) -> bool:
    return viewer.superuser or viewer.may_anywhere(Permission.AUDIT)


SECTIONS: Final[tuple[tuple[str, Any, Callable[[Viewer], bool]], ...]] = (
    ("staff", gettext_lazy("Staff"), may_administer),
    ("clinics", gettext_lazy("Clinics"), may_administer),
    ("tokens", gettext_lazy("API tokens"), lambda viewer: viewer.may_anywhere(Permission.ADMINISTER)),
    ("webhooks", gettext_lazy("Webhooks"), lambda viewer: viewer.may_anywhere(Permission.ADMINISTER)),
    ("retention", gettext_lazy("Retention"), lambda viewer: viewer.may_anywhere(Permission.ADMINISTER)),
    ("endings", gettext_lazy("Endings"), lambda viewer: viewer.may_anywhere(Permission.ADMINISTER)),
    ("system", pgettext_lazy("page", "System"), lambda viewer: viewer.may_anywhere(Permission.ADMINISTER)),
    ("audit_search", gettext_lazy("Audit"), may_audit),
    ("emergency_reviews", gettext_lazy("Emergencies"), may_audit),
)


def administrator(request: HttpRequest) -> Viewer:
    """The viewer. Raises PermissionDenied to whoever administers nothing."""
    viewer = access.viewer_of(request)
    if not may_administer(viewer):
        raise PermissionDenied(_("Only administrators open this page."))
    access.enter_administered_clinics(viewer)
    return viewer


def sections_of(viewer: Viewer, current: str) -> list[dict[str, Any]]:
    """The tabs of the administration pages that are the viewer's."""
    return list(_sections(viewer, current))


def _sections(viewer: Viewer, current: str) -> Iterator[dict[str, Any]]:
    for name, label, is_theirs in SECTIONS:
        if is_theirs(viewer):
            yield {"name": label, "url": reverse(name), "count": None, "current": name == current}


@signed_in
@require_GET
def start(request: HttpRequest) -> HttpResponse:
    """The first page of the administration that the viewer may open."""
    viewer = access.viewer_of(request)
    first = next((name for name, _label, is_theirs in SECTIONS if is_theirs(viewer)), None)
    if first is None:
        raise PermissionDenied(_("Only administrators and auditors open this page."))
    return redirect(first)

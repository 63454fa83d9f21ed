"""Views: every page of the table of routes as one person sees it, and the same pages in other states."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from docs.pictures.cast import EMPTY, EVERYTHING, INVITED, NOT_ALLOWED, TWO_STEPS
from monitoring import invitations
from monitoring.models import Invitation, PatientLinkUse
from patients.access import Viewer, viewer_for
from patients.models import Clinic, Restriction, Role, User
from schedules import links
from schedules.links import Purpose
from schedules.models import Reminder
from tests.journeys import addresses

TEMPLATE_LANGUAGES = ("en", "de", "es", "fr")
TEMPLATE_STEPS = ("due", "missed")


@dataclass(frozen=True)
class View:
    """A page as one person sees it; `who` is an address, or empty for a stranger."""

    name: str
    path: str
    who: str = ""


def of_routes(samples: addresses.Samples) -> Iterator[View]:
    """Every page of the table of routes, once with each of its arguments."""
    seen: Counter[str] = Counter()
    for who, signed_in in ((EVERYTHING, True), ("", False)):
        for path in addresses.pages(samples, signed_in=signed_in):
            name = _name_of(path, samples)
            seen[name] += 1
            yield View(name if seen[name] == 1 else f"{name}-{seen[name]}", path, who)


def _name_of(path: str, samples: addresses.Samples) -> str:
    """A file's name that stays the same from run to run: a number is "one"."""
    parts = ["one" if part.isdecimal() else part for part in path.strip("/").split("/") if part]
    return "-".join(part for part in parts if part != samples.fact) or "worklist"


def of_states(
    clinics: list[Clinic], people: dict[str, User], samples: addresses.Samples, now: datetime
) -> Iterator[View]:
    """What the same pages are in another state, or for somebody else."""
    viewer = viewer_for(people[EVERYTHING])
    for tab in ("", "worklist/all/", "patients/", "review/", "calendar/", "messages/", "messages/letters/"):
        yield View(f"empty-{tab.strip('/').replace('/', '-') or 'worklist'}", f"/{tab}", EMPTY)
    for tab in ("dashboard/", "dashboard/course/", "import/", "duplicates/", "endings/", "webhooks/", "tokens/"):
        yield View(f"empty-{tab.strip('/').replace('/', '-')}", f"/{tab}", EMPTY)
    yield View("empty-search", "/patients/?q=zzz", EVERYTHING)
    yield View("forbidden", reverse("staff"), NOT_ALLOWED)
    yield View("not-found", "/no/such/page/", EVERYTHING)
    yield View("not-found-stranger", "/no/such/page/")
    for name in ("mfa_index", "mfa_view_recovery_codes", "mfa_list_webauthn", "mfa_deactivate_totp", "profile"):
        yield View(f"steps-{name.removeprefix('mfa_').replace('_', '-')}", reverse(name), TWO_STEPS)
    yield View("kept-forms", reverse("kept_forms"), EVERYTHING)
    restricted = Restriction.objects.filter(lifted_at__isnull=True)[0].patient_id
    yield View("restricted-gate", reverse("restricted_gate", args=[restricted]), NOT_ALLOWED)
    yield from _links(samples, now)
    for language in TEMPLATE_LANGUAGES:
        for step in TEMPLATE_STEPS:
            yield View(f"mail-{step}-{language}", reverse("mail_template_html", args=[step, language]), EVERYTHING)
    yield View("mail-digest", reverse("notifications_preview_html"), EVERYTHING)
    invited = _invited(clinics[0], viewer, now)
    yield View("invitation-open", reverse("invitation", query={"key": invitations.key_of(invited)}))


def _invited(clinic: Clinic, viewer: Viewer, now: datetime) -> Invitation:
    open_now = Invitation.objects.filter(email=INVITED, accepted_at=None, revoked_at=None, expires_at__gt=now)
    roles = [Role.CLINICIAN]
    return open_now.first() or invitations.invite(
        by=viewer, clinic=clinic, email=INVITED, name="Vera Lindt", roles=roles, now=now
    )


def _links(samples: addresses.Samples, now: datetime) -> Iterator[View]:
    """Patients' own pages, and their doors that do not open: used, too old, changed on the way."""
    for purpose in Purpose:
        yield View(f"link-{purpose}", reverse(f"patient_{purpose.name.lower()}", args=[samples.tokens[purpose.value]]))
    mails = Reminder.objects.exclude(patient_id=samples.patient).order_by("-send_on", "-pk")
    used, old = mails[0], mails.last()
    PatientLinkUse.objects.get_or_create(
        clinic=used.clinic, patient_id=used.patient_id, reminder_id=used.pk, purpose=Purpose.CHECK,
        defaults={"used_at": now},
    )  # fmt: skip
    path = {name: links.sign(links.link_of(mail, Purpose.CHECK)) for name, mail in (("used", used), ("old", old))}
    path["changed"] = path["used"][:-3] + "xxx"
    for name, token in path.items():
        yield View(f"link-{name}", reverse("patient_check", args=[token]))


# ---- What is shown only when something breaks


def faults() -> dict[str, str]:
    """Their HTML: the photographer serves it, since nothing here is broken."""
    shown = {"request_id": "3f6c9a1e"}
    with translation.override("en"):
        names = ("400", "403_csrf", "413", "429", "500")
        return {f"fault-{name}": render_to_string(f"{name}.html", shown) for name in names}

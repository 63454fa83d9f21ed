"""Banner: who the patient is and how they can be reached, on top of every page about them."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from patients.models import ContactWish, Patient

from .finding_words import day_words
from .identity import born_words


def banner_of(patient: Patient, today: date, wishes: Iterable[ContactWish]) -> dict[str, Any]:
    """The variables of components/patient_banner.html."""
    return {
        "name": patient.display_name,
        "born": _born(patient, today),
        "number": patient.record_number,
        "clinic": patient.clinic.name,
        "clinician": patient.responsible.name if patient.responsible else _("no responsible clinician"),
        "contact": contact_words(patient, {wish.channel: wish.allowed for wish in wishes}),
        "language": patient.get_language_display(),
        "deceased": _("Died %(day)s") % {"day": day_words(patient.died_on)} if patient.died_on else "",
        "restricted": getattr(patient, "is_restricted", False),
        "synthetic": patient.synthetic or patient.clinic.synthetic,
        "url": reverse("patient", args=[patient.pk]),
    }


def _born(patient: Patient, today: date) -> str:
    known = patient.born_on is not None and patient.anonymised_on is None
    return f"{born_words(patient)} ({patient.age_on(today)})" if known else born_words(patient)


def contact_words(patient: Patient, allowed: dict[str, bool]) -> str:
    """Whether mail reaches the patient, and what else may."""
    ways = [_mail_words(patient, allowed.get("email"))]
    if patient.telephone and allowed.get("telephone") is not False:
        ways.append(_("telephone %(number)s") % {"number": patient.telephone.as_international})
    elif allowed.get("telephone") is False:
        ways.append(_("no telephone wished"))
    if allowed.get("letter") is False:
        ways.append(_("no letter wished"))
    return ", ".join(ways)


def _mail_words(patient: Patient, allowed: bool | None) -> str:
    if not patient.email:
        return _("no e-mail address")
    if patient.email_bounced_on:
        return _("e-mail comes back since %(day)s") % {"day": day_words(patient.email_bounced_on)}
    if allowed is None:
        return _("not asked about e-mail")
    return _("e-mail works") if allowed else _("no e-mail wished")

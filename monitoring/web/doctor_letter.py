"""Letter to the doctor: what is known of both hips and what comes next, on at most two pages in the clinic's language.

It goes from doctor to doctor, so it names the disease; the letters of schedules.letters, which go to patients, do not.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import typst
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import override, pgettext
from django.views.decorators.http import require_http_methods

from patients import access
from patients.access import Permission
from patients.models import Exposure, Patient, Visit
from patients.vocabulary import Side
from schedules import appointments, letters

from .. import audit
from .chart import MODELS, ON_SCREEN, Chart, read_chart
from .entry import signed_in
from .fact_words import name_of, words_of
from .finding_words import ACTIONS, PATHWAYS, day_words
from .forms.doctor_letter import DoctorLetterForm
from .hip_panels import hip_panel
from .patient import frame_of

TEMPLATE = Path(__file__).parent.parent / "templates" / "monitoring" / "patient" / "doctor_letter.typ"
MOST_PAGES: Final = 2
# Size of the type in points and how many of each kind are listed: the first that fits on two pages is taken.
FITS: Final = (("10", 4), ("9.5", 3), ("9", 2), ("8.5", 1))
LONGEST: Final = 300  # characters of one finding or reason
ITEMS: Final = 12  # of the latest visit
INTERNAL: Final = frozenset({"R28"})  # that the clinic is late with its own decision


@dataclass(frozen=True, slots=True)
class Line:
    """A term with what is known of it and of which day."""

    term: str
    words: str
    day: str = ""


@dataclass(frozen=True, slots=True)
class HipPart:
    """One hip: what is known, what was seen and done, latest first, and what the guideline asks next."""

    title: str
    summary: str
    known: list[Line]
    images: list[Line]
    treatments: list[Line]
    decisions: list[Line]
    next: list[Line]


@dataclass(frozen=True, slots=True)
class DoctorLetter:
    """The words of the letter, ready to be set."""

    language: str
    clinic: str
    letterhead: list[str]
    sender: str
    address: list[str]
    written_on: str
    heading: str
    person: list[Line]
    warning: str  # that the person is invented; empty where not
    greeting: str
    sentence: list[str]
    visit: str
    visit_lines: list[Line]
    hips: list[HipPart]
    words: dict[str, str]  # headings within
    call: list[str]
    judged: str  # on which day and by which protocol
    signed: list[str]
    foot: str


def write(chart: Chart, *, to: str, greeting: str, sentence: str, most: int = FITS[0][1]) -> DoctorLetter:
    """The letter in the language of the clinic; `most`: how many of each kind are listed."""
    patient, clinic = chart.patient, chart.patient.clinic
    with override(clinic.language):
        home = _lines(clinic.address)
        clinician = patient.responsible.name if patient.responsible else ""
        invented = patient.synthetic or clinic.synthetic
        visit = Visit.objects.filter(patient=patient).order_by("-on", "-id").first()
        return DoctorLetter(
            language=clinic.language,
            clinic=clinic.name,
            letterhead=[*home, clinic.telephone, *([clinic.reply_to] if clinic.reply_to else [])],
            sender=", ".join([clinic.name, *home]),
            address=_lines(to),
            written_on=day_words(chart.today),
            heading=_("Follow-up of osteonecrosis of the hip: %(name)s") % {"name": patient.display_name},
            person=_person(chart),
            warning=_("Synthetic patient: nobody of this name exists.") if invented else "",
            greeting=greeting.strip() or _("Dear colleague,"),
            sentence=_lines(sentence),
            visit=f"{visit.get_kind_display()}, {day_words(visit.on)}" if visit else "",
            visit_lines=_found_at(chart, visit)[:ITEMS] if visit else [],
            hips=[_hip(chart, side, most) for side in ON_SCREEN],
            words={
                "latest": _("Latest visit"),
                "images": _("Latest images"),
                "treatments": _("Treatments"),
                "decisions": _("Decisions"),
                "next": _("What the guideline asks next"),
                "call": _("Whom to call"),
                "page": pgettext("of a letter", "page"),
            },
            call=_call(chart, clinician),
            judged=_judged(chart),
            signed=[_("With kind regards"), *([clinician] if clinician else []), clinic.name],
            foot=f"{patient.display_name}, {patient.record_number}",
        )


def _person(chart: Chart) -> list[Line]:
    patient = chart.patient
    exposures = Exposure.objects.filter(patient=patient, withdrawn_at__isnull=True).order_by("id")
    bmi = chart.standing("bmi")
    rows = [
        Line(_("Name"), patient.display_name),
        Line(_("Born"), day_words(patient.born_on) if patient.born_on else _("birth date unknown")),
        Line(_("Record number"), patient.record_number),
        Line(_("Died"), day_words(patient.died_on) if patient.died_on else ""),
        Line(_("Followed since"), day_words(patient.enrolled_on)),
        Line(_("Conditions and exposures"), ", ".join(str(one.get_kind_display()) for one in exposures)),
        Line(_("Body mass index"), words_of(bmi[-1]) if bmi else "", day_words(bmi[-1].on) if bmi else ""),
        Line(_("Next appointment"), _appointment(patient, timezone.now())),
    ]
    return [row for row in rows if row.words]


def _hip(chart: Chart, side: Side, most: int) -> HipPart:
    answer = chart.answer(side)
    panel = hip_panel(chart, side, answer, as_of=chart.today, cases=None)
    pathway = str(answer.get("pathway", ""))
    window = answer.get("window") or {}
    known = [Line(_("Pathway"), str(PATHWAYS.get(pathway, pathway) or _("Not evaluated yet.")))]
    facts = panel["facts"][2:] if window else panel["facts"]  # the first two tell of the window
    known += [Line(str(row["term"]), _short(row["value"]), str(row.get("note", ""))) for row in facts if row["value"]]
    return HipPart(
        title=_("Right hip") if side is Side.RIGHT else _("Left hip"),
        summary=str(panel["summary"]),
        known=known,
        images=_latest_images(chart, side)[:most],
        treatments=_latest(chart.standing("procedure", side), most),
        decisions=_decisions(chart, side, most),
        next=_next(window, panel["findings"], chart.today),
    )


def _latest_images(chart: Chart, side: Side) -> list[Line]:
    """The latest of each kind, the very latest first."""
    by_kind = {study.modality: study for study in chart.standing("imaging", side)}
    studies = sorted(by_kind.values(), key=lambda study: (study.on, study.pk), reverse=True)
    return [Line(name_of(study), _short(words_of(study)), day_words(study.on)) for study in studies]


def _latest(facts: list[Any], most: int) -> list[Line]:
    return [Line("", _short(words_of(fact)), day_words(fact.on)) for fact in facts[: -most - 1 : -1]]


def _decisions(chart: Chart, side: Side, most: int) -> list[Line]:
    decided = chart.standing("decision", side)[: -most - 1 : -1]
    return [Line(str(ACTIONS.get(one.action, one.action)), _short(words_of(one)), day_words(one.on)) for one in decided]


def _next(window: dict[str, Any], findings: Iterable[dict[str, Any]], today: date) -> list[Line]:
    """What is asked for, what is pressing first, and the next follow-up; not how the clinic reminds itself."""
    told = (found for found in findings if found["rule"] not in INTERNAL)
    asked = sorted(told, key=lambda found: found["act_by"] or date.max)
    rows = [Line(str(one["title"]), _deadline(one["act_by"], today)) for one in asked]
    if not window:
        return rows
    days = {name: day_words(date.fromisoformat(value)) for name, value in window.items() if value}
    span = _("due on %(due)s, overdue from %(overdue)s") % {"due": days["due_on"], "overdue": days["overdue_on"]}
    return [*rows, Line(_("Next follow-up"), span)]


def _deadline(act_by: date | None, today: date) -> str:
    if act_by is None:
        return ""
    words = _("was due by %(day)s") if act_by < today else _("by %(day)s")
    return words % {"day": day_words(act_by)}


def _appointment(patient: Patient, now: datetime) -> str:
    """What is booked next: Clinic visit, Mon 20 Apr 2026, 14:30."""
    booked = appointments.standing([patient.pk], since=now).get(patient.pk)
    if booked is None:
        return ""
    there = booked.starts_at.astimezone(patient.clinic.zone)
    day = f"{date_format(there, 'D')} {day_words(there.date())}"
    return ", ".join([str(booked.get_purpose_display()), day, date_format(there, "H:i")])


def _found_at(chart: Chart, visit: Visit) -> list[Line]:
    """What was recorded at a visit, the right hip first, without what concerns neither."""
    found = []
    for side in ON_SCREEN:
        hip = _("Right hip") if side is Side.RIGHT else _("Left hip")
        for kind in chart.facts:
            facts = [fact for fact in chart.standing(kind, side) if fact.visit_id == visit.pk]
            found += [Line(f"{hip}, {name_of(fact)}", _short(words_of(fact))) for fact in facts]
    return found


def _call(chart: Chart, clinician: str) -> list[str]:
    clinic = chart.patient.clinic
    return [
        *([_("Responsible: %(name)s") % {"name": clinician}] if clinician else []),
        _("Telephone: %(number)s") % {"number": clinic.telephone},
        *([_("We are there: %(hours)s") % {"hours": hours}] if (hours := clinic.hours_in(clinic.language)) else []),
        *([_("E-mail: %(address)s") % {"address": clinic.reply_to}] if clinic.reply_to else []),
    ]


def _judged(chart: Chart) -> str:
    """The day and the protocol of what the guideline says here, and whether something was recorded since."""
    if chart.evaluation is None:
        return _("Not evaluated yet.")
    judged = {"day": day_words(chart.evaluation.as_of), "protocol": chart.evaluation.protocol}
    words = _("What comes next was worked out on %(day)s by protocol %(protocol)s.") % judged
    return f"{words} {_('What was recorded since is not in it.')}" if chart.is_stale else words


def _short(words: Any) -> str:
    return Truncator(str(words)).chars(LONGEST)


def _lines(text: str) -> list[str]:
    return [line for part in text.splitlines() if (line := " ".join(part.split()))]


# ---- The paper


def pdf_of(chart: Chart, *, to: str, greeting: str, sentence: str, now: datetime) -> tuple[bytes, int]:
    """The letter as a tagged PDF and its number of pages: smaller and shorter until it fits on two."""
    for size, most in FITS:
        letter = write(chart, to=to, greeting=greeting, sentence=sentence, most=most)
        inputs = {"letter": json.dumps(asdict(letter)), "size": size}
        pages = _pages_of(inputs)
        if pages <= MOST_PAGES:
            break
    return letters.set_in_type(TEMPLATE, inputs, now=now), pages


def _pages_of(inputs: dict[str, str]) -> int:
    found = typst.query(str(TEMPLATE), "<pages>", field="value", one=True, root=str(TEMPLATE.parent), sys_inputs=inputs)
    return int(json.loads(found))


# ---- The page


@signed_in
@require_http_methods(["GET", "POST"])
def patient_letter(request: HttpRequest, pk: int) -> HttpResponse:
    """What the letter says, to be looked at before it is a PDF; the PDF is audited as taken out, with its address."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.WORK)
    chart = read_chart(person, MODELS)
    form = DoctorLetterForm(request.POST or None)
    valid = form.is_valid()
    typed = (
        {name: form.cleaned_data[name] for name in form.fields} if valid else {"to": "", "greeting": "", "sentence": ""}
    )
    if valid and request.POST.get("act") == "pdf":
        return _download(request, person, chart, typed)
    audit.looked(viewer.actor, [(person.clinic_id, person.pk)], "letter to the doctor")
    letter = write(chart, **typed)
    context = frame_of(request, person, chart.today) | {
        "title": _("Letter to the referring doctor"),
        "form": form,
        "letter": letter,
        "gaps": letters.undrawable(json.dumps(asdict(letter), ensure_ascii=False)),
        "stale": chart.is_stale,
    }
    return render(request, "monitoring/patient/letter.html", context, status=422 if form.errors else 200)


def _download(request: HttpRequest, person: Patient, chart: Chart, typed: dict[str, str]) -> HttpResponse:
    pdf, pages = pdf_of(chart, **typed, now=timezone.now())
    audit.note(
        access.viewer_of(request).actor,
        "export",
        clinic_id=person.clinic_id,
        patient_id=person.pk,
        object="letter to the doctor",
        after={**typed, "pages": pages, "format": "pdf"},
    )
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="letter-{person.pk}-{chart.today.isoformat()}.pdf"'
    return response

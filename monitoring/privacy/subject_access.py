"""Subject access: all that is held of a patient, and who looked, as one ZIP: a PDF to read and JSON of all rows."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override, pgettext

from patients.access import Permission, Viewer
from patients.models import Consent, ContactWish, Exposure, Patient
from schedules import letters
from schedules.models import Appointment, Reminder

from .. import audit
from ..models import AuditEntry
from ..web.act_words import ACTS
from ..web.chart import MODELS, ON_SCREEN, Chart, read_chart
from ..web.fact_words import name_of, words_of
from ..web.finding_words import PATHWAYS, day_words
from ..web.forms.visit import hip_words
from ..web.history import NO_CHANGE, SEEN
from .inventory import held_of

TEMPLATE: Final = Path(__file__).parent.parent / "templates" / "monitoring" / "privacy" / "subject_access.typ"
READ_IN: Final = ("en", "de")  # languages in which the words of the record are known; others read English
LINES: Final = 2_000  # of one section of the PDF; the JSON has all


@dataclass(frozen=True, slots=True)
class Line:
    term: str
    words: str
    day: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: list[Line]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """The words of the PDF, ready to be set."""

    language: str
    clinic: str
    letterhead: list[str]
    title: str
    lead: list[str]
    sections: list[Section]
    nothing: str
    foot: str
    page: str


def records_of(patient: Patient) -> list[int]:
    """The ids of the person's records: this one and those that became part of it."""
    found = [patient.pk]
    for pk in found:
        found += Patient.objects.filter(merged_into=pk).order_by("id").values_list("id", flat=True)
    return found


@transaction.atomic
def write_export(viewer: Viewer, patient: Patient, to: IO[bytes], *, now: datetime | None = None) -> None:
    """The ZIP about this patient, audited first, so that it tells of itself. Raises PermissionDenied."""
    viewer.check(Permission.ADMINISTER, patient.clinic_id)
    now = now or timezone.now()
    audit.note(
        viewer.actor, "export", clinic_id=patient.clinic_id, patient_id=patient.pk, object="everything held",
        after={"format": "zip"},
    )  # fmt: skip
    ids = records_of(patient)
    paper = write(read_chart(patient, MODELS), ids, now)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        name = "ihre-daten.pdf" if paper.language == "de" else "your-data.pdf"
        archive.writestr(name, letters.set_in_type(TEMPLATE, {"paper": json.dumps(asdict(paper))}, now=now))
        with archive.open("everything.json", "w", force_zip64=True) as file:
            _write_json(file, patient, ids, now)


def _write_json(file: IO[bytes], patient: Patient, ids: Sequence[int], now: datetime) -> None:
    """Row by row, so that a long audit never stands in memory whole."""
    head = {"made_at": now, "clinic": patient.clinic.name, "records": list(ids)}
    file.write(json.dumps(head, cls=DjangoJSONEncoder)[:-1].encode() + b', "tables": {')
    for index, (table, rows) in enumerate(held_of(ids)):
        file.write((", " if index else "").encode() + json.dumps(table).encode() + b": [")
        for number, row in enumerate(rows):
            text = json.dumps({name: _plain(value) for name, value in row.items()}, cls=DjangoJSONEncoder)
            file.write((",\n" if number else "\n").encode() + text.encode())
        file.write(b"]")
    file.write(b"}}\n")


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str | list | dict | date | datetime):
        return value
    return str(value)


# ---- The paper


def write(chart: Chart, ids: Sequence[int], now: datetime) -> Paper:
    """The words in the patient's language, where the record's words are known in it."""
    patient, clinic = chart.patient, chart.patient.clinic
    language = patient.language if patient.language in READ_IN else "en"
    with override(language), timezone.override(clinic.zone):
        return Paper(
            language=language,
            clinic=clinic.name,
            letterhead=[*clinic.address.splitlines(), clinic.telephone, *filter(None, [clinic.reply_to])],
            title=_("What we hold about you"),
            lead=[
                _("Made on %(day)s for %(name)s.") % {"day": day_words(chart.today), "name": patient.display_name},
                _("It is what is recorded about you, and who looked at it. The file everything.json beside it holds the"
                  " same row by row, also what was corrected or taken back, for another program to read."),
                _("If something is wrong, tell us: it is corrected, and both stay visible."),
            ],
            sections=[
                _person(patient),
                _reach(patient),
                *(_hip(chart, side) for side in ON_SCREEN),
                _section(_("Your appointments"), _appointments(ids)),
                _section(_("Messages to you"), _messages(ids)),
                _section(_("Who changed your record"), _entries(ids, seen=False)),
                _section(_("Who looked at your record or took it out"), _entries(ids, seen=True)),
            ],
            nothing=_("Nothing."),
            foot=f"{patient.display_name}, {patient.record_number}",
            page=pgettext("of a letter", "page"),
        )  # fmt: skip


def _section(title: str, lines: list[Line]) -> Section:
    more = len(lines) > LINES
    note = _("These are the latest %(n)s; all are in everything.json.") % {"n": LINES} if more else ""
    return Section(title, lines[:LINES], note)


def _person(patient: Patient) -> Section:
    conditions = Exposure.objects.filter(patient=patient, withdrawn_at__isnull=True).order_by("id")
    rows = [
        (_("Name"), patient.display_name),
        (_("Born"), day_words(patient.born_on) if patient.born_on else ""),
        (_("Sex"), str(patient.get_sex_display())),
        (_("Record number"), patient.record_number),
        (_("National number"), patient.national_id),
        (_("E-mail"), patient.email),
        (_("Telephone"), patient.telephone.as_international if patient.telephone else ""),
        (_("Address"), ", ".join(patient.address.splitlines())),
        (_("Language"), str(patient.get_language_display())),
        (_("Next of kin"), patient.next_of_kin),
        (_("Responsible clinician"), patient.responsible.name if patient.responsible else ""),
        (_("Followed since"), day_words(patient.enrolled_on)),
        (_("Died"), day_words(patient.died_on) if patient.died_on else ""),
        (_("Conditions and exposures"), ", ".join(str(one.get_kind_display()) for one in conditions)),
    ]
    return Section(_("About you"), [Line(term, words) for term, words in rows if words])


def _reach(patient: Patient) -> Section:
    said = [(str(w.get_channel_display()), w) for w in ContactWish.objects.filter(patient=patient).order_by("id")]
    agreed = [(str(c.get_purpose_display()), c) for c in Consent.objects.filter(patient=patient).order_by("id")]
    told: list[tuple[str, ContactWish | Consent]] = [*said, *agreed]
    lines = [Line(term, f"{_('yes') if one.allowed else _('no')} ({one.how})", day_words(one.on)) for term, one in told]
    return Section(_("What you told us you want"), lines)


def _hip(chart: Chart, side: Any) -> Section:
    facts = [fact for kind in chart.facts for fact in chart.standing(kind, side)]
    pathway = str(chart.answer(side).get("pathway", ""))
    head = [Line(_("Follow-up"), str(PATHWAYS.get(pathway, pathway)))] if pathway else []
    latest = sorted(facts, key=lambda fact: (fact.on, fact.pk), reverse=True)
    lines = [Line(name_of(fact), _with_note(fact), day_words(fact.on)) for fact in latest]
    return _section(hip_words(side), [*head, *lines])


def _with_note(fact: Any) -> str:
    said = [words_of(fact), fact.note, getattr(fact, "report", "")]
    return ". ".join(" ".join(text.split()) for text in said if text)


def _appointments(ids: Sequence[int]) -> list[Line]:
    rows = Appointment.objects.filter(patient__in=ids).order_by("-starts_at", "-id")[: LINES + 1]
    return [
        Line(str(row.get_purpose_display()), str(row.get_state_display()), day_words(timezone.localdate(row.starts_at)))
        for row in rows
    ]


def _messages(ids: Sequence[int]) -> list[Line]:
    rows = Reminder.objects.filter(patient__in=ids).order_by("-send_on", "-id")[: LINES + 1]
    return [
        Line(str(row.get_step_display()), ", ".join(filter(None, [str(row.get_state_display()), row.sent_to])),
             day_words(row.send_on))
        for row in rows
    ]  # fmt: skip


def _entries(ids: Sequence[int], *, seen: bool) -> list[Line]:
    entries = AuditEntry.objects.filter(patient_id__in=ids)
    rows = (entries.filter(act__in=SEEN) if seen else entries.exclude(act__in=NO_CHANGE)).order_by("-id")[: LINES + 1]
    return [Line(entry.actor, _act_words(entry), day_words(timezone.localdate(entry.at))) for entry in rows]


def _act_words(entry: AuditEntry) -> str:
    what = str(ACTS.get(entry.act, entry.act.replace("_", " ")))
    return f"{what}: {_(entry.object)}" if entry.act in SEEN and entry.object else what

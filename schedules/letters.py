"""Letters: what a mail would have said, on A4 in the patient's language, many in one PDF. They tell nobody else why."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import typst
from django.utils.translation import get_language, gettext, override

from patients.models import Clinic, Patient
from patients.recording import today_at

from .mail import WORDINGS, moment_written_out, written_out
from .models import Reminder

log = logging.getLogger(__name__)
TEMPLATE = Path(__file__).parent / "templates" / "schedules" / "letters" / "letter.typ"
TAGGED: Final = "ua-1"  # readable by screen readers: PDF/UA
GAP: Final = "________"  # to be written in by hand
_PROBE: Final = b'#set document(title: "-")\n#set text(font: "Libertinus Serif")\n#sys.inputs.text'
_BEYOND_LATIN: Final = re.compile(r"[^\x00-\u024f\u2000-\u206f\s]")  # what the fonts that come along may lack


@dataclass(frozen=True, slots=True)
class Letter:
    """The words of one letter, ready to be set; `call` stands out."""

    language: str
    clinic: str
    letterhead: list[str]
    sender: str  # the line above the address, for the window
    address: list[str]
    written_on: str
    heading: str
    paragraphs: list[str]
    call: list[str]
    closing: list[str]
    signed: list[str]
    foot: str


def write(reminder: Reminder, patient: Patient, clinic: Clinic, *, now: datetime) -> Letter:
    """The letter in the place of one mail: its words, in the patient's language."""
    with override(patient.language):
        name = _one_line(clinic.mail_name)
        appointment = reminder.appointment
        day = moment_written_out(appointment.starts_at, clinic) if appointment else written_out(reminder.due_on)
        wording = WORDINGS[reminder.step](name, day)
        home = _lines(clinic.address)
        call = [f"{gettext('Telephone:')} {_one_line(clinic.telephone)}"]
        if hours := clinic.hours_in(patient.language):
            call.append(f"{gettext('We are there:')} {_one_line(hours)}")
        place = _one_line(appointment.place) if appointment else ""
        return Letter(
            language=patient.language,
            clinic=name,
            letterhead=[*home, _one_line(clinic.telephone)],
            sender=", ".join([name, *home]),
            address=[_one_line(patient.display_name), *_lines(patient.address)],
            written_on=written_out(today_at(clinic, now)),
            heading=wording.heading,
            paragraphs=[
                gettext("Dear %(patient)s,") % {"patient": _one_line(patient.display_name)},
                wording.lead,
                *([f"{gettext('Where:')} {place}"] if place else []),
                wording.ask,
            ],
            call=call,
            closing=[wording.already],
            signed=[gettext("With kind regards"), name],
            foot=gettext("If you would rather hear from us in another way, or not at all, please telephone us."),
        )


def bind(letters: Sequence[Letter], *, title: str, now: datetime) -> bytes:
    """All of them as one PDF, tagged for screen readers, with a gap for what no font has.

    Raises ValueError when there is none.
    """
    if not letters:
        raise ValueError("There is no letter to print.")
    data = {
        "title": title,
        "author": letters[0].clinic,
        "language": (get_language() or "en").partition("-")[0],
        "letters": [asdict(letter) for letter in letters],
    }
    return set_in_type(TEMPLATE, {"letters": json.dumps(data)}, now=now)


def set_in_type(template: Path, inputs: dict[str, str], *, now: datetime) -> bytes:
    """The template with its data, which is JSON, as one PDF, tagged for screen readers; what no font has is a gap."""
    filled = {name: json.dumps(_with_gaps(json.loads(text))) for name, text in inputs.items()}
    try:
        return _compiled(template, filled, now, TAGGED)
    except typst.TypstError:  # what it says may hold a patient's words, so it is not logged
        log.warning("letters are printed without tags")
        return _compiled(template, filled, now, None)


def undrawable(text: str) -> str:
    """The characters of the text, each once, for which this server has no font."""
    return "".join(sign for sign in dict.fromkeys(_BEYOND_LATIN.findall(text)) if not _is_drawable(sign))


def _with_gaps(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: _with_gaps(part) for name, part in data.items()}
    if isinstance(data, list):
        return [_with_gaps(part) for part in data]
    if isinstance(data, str) and (lacking := undrawable(data)):
        one = f"[{re.escape(lacking)}]"
        return re.sub(rf"{one}+(?:\s+{one}+)*", GAP, data)
    return data


@lru_cache(maxsize=4096)
def _is_drawable(sign: str) -> bool:
    """Whether some font has the character: a tagged PDF is refused where none has."""
    try:
        typst.compile(_PROBE, format="pdf", sys_inputs={"text": sign}, pdf_standards=TAGGED, timestamp=0)
    except typst.TypstError:
        return False
    return True


def _compiled(template: Path, inputs: dict[str, str], now: datetime, standard: Literal["ua-1"] | None) -> bytes:
    pdf: bytes = typst.compile(
        str(template),
        root=str(template.parent),
        format="pdf",
        sys_inputs=inputs,
        pdf_standards=standard,
        timestamp=int(now.timestamp()),
    )
    return pdf


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _lines(text: str) -> list[str]:
    return [line for part in text.splitlines() if (line := _one_line(part))]

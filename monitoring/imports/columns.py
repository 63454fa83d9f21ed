"""Columns: the layout of an imported file as data, from which reading, the template and docs/import.md follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from django.utils.translation import gettext, override
from django.utils.translation import gettext_noop as _

from patients.models.choices import (
    ADJUNCTS,
    CONDITIONS,
    CRESCENTS,
    JIC_TYPES,
    MODALITIES,
    PROCEDURES,
    STAGING_SYSTEMS,
    SYMPTOM_SOURCES,
    VIEWS,
    VOLUME_METHODS,
)
from patients.models.clinic import PATIENT_LANGUAGES
from patients.models.facts import Procedure, Visit
from patients.models.patient import Sex
from patients.vocabulary import Side


class Kind(StrEnum):
    """What a cell of the column holds."""

    TEXT = _("text")
    DATE = _("date")
    NUMBER = _("number")
    WHOLE = _("whole number")
    YES_NO = _("yes or no")
    ONE_OF = _("one of")
    SOME_OF = _("some of")


@dataclass(frozen=True)
class Codes:
    """The codes that a cell may hold."""

    written: Mapping[str, str] = field(default_factory=dict)  # lower case with underscores -> code
    words: Mapping[str, Any] = field(default_factory=dict)  # code -> what people read


@dataclass(frozen=True)
class Column:
    """One column. `of` is the fact it belongs to, "" for the person; `attribute` is the field it fills."""

    name: str
    kind: Kind
    says: str
    attribute: str
    of: str = ""
    required: bool = False
    side: Side | None = None
    codes: Codes = field(default_factory=Codes)

    @property
    def allowed(self) -> list[str]:
        return list(dict.fromkeys(self.codes.written.values()))


def spelled(text: str) -> str:
    """The spelling in which headings and codes are compared."""
    return "_".join(text.strip().lower().replace("-", " ").replace("_", " ").split())


def _codes(choices: Iterable[tuple[str, Any]], also: Mapping[str, str] | None = None) -> Codes:
    """Each code by itself and by its English word."""
    words = dict(choices)
    with override("en"):
        written = {spelled(str(label)): code for code, label in words.items()}
    return Codes(written | {spelled(code): code for code in words} | dict(also or {}), words)


_MODALITY_WORDS = {"x_ray": "XR", "xray": "XR", "rx": "XR", "mri": "MR", "mrt": "MR", "bone_scan": "NM"}
_PROCEDURE_WORDS = {"thr": "THA", "total_hip_replacement": "THA", "decompression": "CORE_DECOMPRESSION"}

_PERSON: Final = (
    Column("record_number", Kind.TEXT,
           _("The clinic's number for the patient; rows with the same number are one person."),
           "record_number", required=True),
    Column("family_name", Kind.TEXT, "", "family_name", required=True),
    Column("given_name", Kind.TEXT, "", "given_name"),
    Column("born_on", Kind.DATE, _("Date of birth."), "born_on"),
    Column("sex", Kind.ONE_OF, "", "sex", codes=_codes(Sex.choices, {"f": "female", "m": "male"})),
    Column("national_id", Kind.TEXT, _("A national number such as the NHS number."), "national_id"),
    Column("national_id_kind", Kind.TEXT, _("Whose number it is; “nhs” has its check digit checked."),
           "national_id_kind"),
    Column("email", Kind.TEXT, "", "email"),
    Column("telephone", Kind.TEXT, _("A number that cannot be dialled is kept as written."), "telephone_as_given"),
    Column("address", Kind.TEXT, _("Postal address."), "address"),
    Column("language", Kind.ONE_OF, _("Language of the patient's mail."), "language", codes=_codes(PATIENT_LANGUAGES)),
    Column("enrolled_on", Kind.DATE, _("Follow-up counts from here; the day of the import where empty."),
           "enrolled_on"),
    Column("email_consent", Kind.YES_NO, _("Whether the patient wants e-mail; never turns a recorded no into a yes."),
           "email_consent"),
    Column("email_consent_how", Kind.TEXT, _("How the patient said so; needed with email_consent."),
           "email_consent_how"),
    Column("conditions", Kind.SOME_OF, _("Aetiology and exposures, separated by |."), "conditions",
           codes=_codes(CONDITIONS)),
    Column("died_on", Kind.DATE, _("Date of death."), "died_on"),
    Column("death_source", Kind.TEXT, _("How the death is known; needed with died_on."), "death_source"),
)  # fmt: skip

_VISIT: Final = (
    Column("visit_on", Kind.DATE, _("Needed as soon as the row says anything of a hip."), "on", of="visit"),
    Column("visit_kind", Kind.ONE_OF, _("“clinic” where empty."), "kind", of="visit", codes=_codes(Visit.Kind.choices)),
    Column("visit_note", Kind.TEXT, "", "note", of="visit"),
    Column("bmi", Kind.NUMBER, _("Body mass index, kg/m², 8 to 120."), "value", of="bmi"),
)

_HIP: Final = (
    Column("modality", Kind.ONE_OF, _("Kind of image."), "modality", of="imaging",
           codes=_codes(MODALITIES, _MODALITY_WORDS)),
    Column("imaging_on", Kind.DATE, _("Date of the image; visit_on where empty."), "on", of="imaging"),
    Column("views", Kind.SOME_OF, _("Views of a radiograph, separated by |."),
           "views", of="imaging", codes=_codes(VIEWS)),
    Column("diagnostic", Kind.YES_NO, _("“no”: too poor to be read."), "diagnostic", of="imaging"),
    Column("necrosis", Kind.YES_NO, _("Whether the image shows osteonecrosis."), "necrosis", of="imaging"),
    Column("lesion_volume_percent", Kind.NUMBER, _("Share of the femoral head, 0 to 100. Write 12 for 12 %."),
           "lesion_volume_percent", of="imaging"),
    Column("lesion_volume_cm3", Kind.NUMBER, _("Volume of the lesion, cm³, 0 to 200."),
           "lesion_volume_cm3", of="imaging"),
    Column("volume_method", Kind.ONE_OF, _("How it was found; needed with a volume."), "volume_method", of="imaging",
           codes=_codes(VOLUME_METHODS)),
    Column("effusion_grade", Kind.WHOLE, _("Mitchell, 0 to 3."), "effusion_grade", of="imaging"),
    Column("marrow_edema", Kind.YES_NO, "", "marrow_edema", of="imaging"),
    Column("crescent", Kind.ONE_OF, _("Crescent sign."), "crescent", of="imaging", codes=_codes(CRESCENTS)),
    Column("depression_mm", Kind.NUMBER, _("Depth of the depression in mm, 0 to 50; 0 where measured and none."),
           "depression_mm", of="imaging"),
    Column("joint_space_narrowed", Kind.YES_NO, "", "joint_space_narrowed", of="imaging"),
    Column("collapse_suspected", Kind.YES_NO, "", "collapse_suspected", of="imaging"),
    Column("report", Kind.TEXT, _("Text of the report."), "report", of="imaging"),
    Column("accession_number", Kind.TEXT, "", "accession_number", of="imaging"),
    Column("stage_system", Kind.ONE_OF, _("Staging system."), "system", of="staging", codes=_codes(STAGING_SYSTEMS)),
    Column("stage_version", Kind.TEXT, _("Year of the system; needed for ARCO (2019 or 1994)."),
           "version", of="staging"),
    Column("stage_code", Kind.TEXT, _("Stage as the system writes it, such as IIIA."), "code", of="staging"),
    Column("symptomatic", Kind.YES_NO, "", "symptomatic", of="symptom"),
    Column("pain_nrs", Kind.WHOLE, _("Worst pain of the last seven days, 0 to 10."), "pain_nrs", of="symptom"),
    Column("pain_site", Kind.TEXT, "", "pain_site", of="symptom"),
    Column("night_pain", Kind.YES_NO, "", "night_pain", of="symptom"),
    Column("sudden_worsening", Kind.YES_NO, "", "sudden_worsening", of="symptom"),
    Column("cannot_bear_weight", Kind.YES_NO, "", "cannot_bear_weight", of="symptom"),
    Column("walking_aid", Kind.TEXT, "", "walking_aid", of="symptom"),
    Column("symptom_source", Kind.ONE_OF, _("Who reports; “clinician” where empty."), "source", of="symptom",
           codes=_codes(SYMPTOM_SOURCES)),
    Column("hhs", Kind.NUMBER, _("Harris hip score, 0 to 100."), "value", of="score:HHS"),
    Column("hoos_jr", Kind.NUMBER, _("HOOS JR interval score, 0 to 100."), "value", of="score:HOOS_JR"),
    Column("ohs", Kind.NUMBER, _("Oxford hip score, 0 to 48, higher is better."), "value", of="score:OHS"),
    Column("jic_type", Kind.ONE_OF, _("Location by JIC 2001."), "jic_type", of="location", codes=_codes(JIC_TYPES)),
    Column("kerboul_modified_degrees", Kind.NUMBER, _("Sum of arcs on MRI, 0 to 360."), "kerboul_modified_degrees",
           of="location"),
    Column("kerboul_degrees", Kind.NUMBER, _("Sum of arcs on radiographs, 0 to 360."),
           "kerboul_degrees", of="location"),
    Column("procedure", Kind.ONE_OF, _("Operation or treatment."), "procedure", of="procedure",
           codes=_codes(PROCEDURES, _PROCEDURE_WORDS)),
    Column("procedure_on", Kind.DATE, _("When it was done or begun; visit_on where empty."), "on", of="procedure"),
    Column("procedure_intent", Kind.ONE_OF, "", "intent", of="procedure", codes=_codes(Procedure.Intent.choices)),
    Column("adjuncts", Kind.SOME_OF, _("What was added to a core decompression, separated by |."), "adjuncts",
           of="procedure", codes=_codes(ADJUNCTS)),
    Column("operator", Kind.TEXT, "", "operator", of="procedure"),
)  # fmt: skip


def _of_side(column: Column, side: Side) -> Column:
    return Column(
        f"{side}_{column.name}", column.kind, column.says, column.attribute, column.of, False, side, column.codes
    )


SIDES: Final = (Side.RIGHT, Side.LEFT)
HIP_COLUMNS: Final = _HIP
COLUMNS: Final[tuple[Column, ...]] = (
    *_PERSON,
    *_VISIT,
    *(_of_side(column, side) for side in SIDES for column in _HIP),
)
BY_NAME: Final[dict[str, Column]] = {column.name: column for column in COLUMNS}
REQUIRED: Final = tuple(column.name for column in COLUMNS if column.required)
PERSON_COLUMNS: Final = _PERSON
VISIT_COLUMNS: Final = _VISIT


def layout() -> list[tuple[str, str, str, list[str]]]:
    """Every column once, hips without their side, in the reader's language: (name, what a cell holds, what it says,
    allowed codes)."""
    columns = (*_PERSON, *_VISIT, *_HIP)
    return [(c.name, gettext(c.kind.value), c.says and gettext(c.says), c.allowed) for c in columns]

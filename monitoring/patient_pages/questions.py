"""Questions: what the symptom check asks, in which order, and the reports that its answers make."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from patients.models import SymptomReport
from patients.models.facts import Origin
from patients.vocabulary import Side, SymptomSource

Answers = Mapping[str, str]
STRONG_FROM = 7  # of 10: from here on the patient is told to telephone the same day
SIDES = {"right": (Side.RIGHT,), "left": (Side.LEFT,), "both": (Side.RIGHT, Side.LEFT), "none": ()}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One screen. `scale`: the choices are the numbers 0 to 10."""

    key: str
    text: str
    hint: str
    choices: tuple[Choice, ...]
    scale: bool = False

    def accepts(self, value: str) -> bool:
        return any(choice.value == value for choice in self.choices)


def questions_for(answers: Answers) -> Iterator[Question]:
    """The screens that these answers lead to, in order; what comes after "where" depends on it."""
    yield _where()
    for side in sides_in(answers):
        yield _strength(side)
        yield _worse(side)
        yield _weight(side)


def sides_in(answers: Answers) -> tuple[Side, ...]:
    """The sides that hurt, right before left."""
    return SIDES.get(answers.get("where", ""), ())


def next_question(answers: Answers) -> Question | None:
    """The first that is not answered; None when all are."""
    return next((question for question in questions_for(answers) if question.key not in answers), None)


def answered(answers: Answers) -> list[tuple[Question, Choice]]:
    """What was answered so far, in the words of the screens."""
    return [
        (question, choice)
        for question in questions_for(answers)
        for choice in question.choices
        if answers.get(question.key) == choice.value
    ]


def _where() -> Question:
    return Question(
        key="where",
        text=_("Did you have pain around your hips in the last 7 days?"),
        hint=_(
            "The hip is where your leg joins your body. The pain can be in the groin, at the side, in your bottom,"
            " or run down your thigh to the knee."
        ),
        choices=(
            Choice("none", _("No pain")),
            Choice("right", _("Yes, on the right")),
            Choice("left", _("Yes, on the left")),
            Choice("both", _("Yes, on both sides")),
        ),
    )


def _strength(side: Side) -> Question:
    right = _("Right side: how strong was the pain when it was at its worst?")
    left = _("Left side: how strong was the pain when it was at its worst?")
    ends = {0: _("no pain"), 10: _("the worst pain")}
    return Question(
        key=f"strength-{side.value}",
        text=right if side is Side.RIGHT else left,
        hint=_("Think of the last 7 days. 0 means no pain, 10 means the worst pain you can think of."),
        choices=tuple(Choice(str(number), str(number), ends.get(number, "")) for number in range(11)),
        scale=True,
    )


def _worse(side: Side) -> Question:
    right = _("Right side: does the pain come at night, or did it suddenly get much worse?")
    left = _("Left side: does the pain come at night, or did it suddenly get much worse?")
    return Question(
        key=f"worse-{side.value}",
        text=right if side is Side.RIGHT else left,
        hint=_("At night means: it wakes you, or it hurts while you lie still."),
        choices=(
            Choice("no", _("No, neither")),
            Choice("night", _("Yes, at night")),
            Choice("sudden", _("Yes, suddenly much worse")),
            Choice("both", _("Yes, both")),
        ),
    )


def _weight(side: Side) -> Question:
    right, left = _("Can you stand on your right leg?"), _("Can you stand on your left leg?")
    return Question(
        key=f"weight-{side.value}",
        text=right if side is Side.RIGHT else left,
        hint=_("It is enough if you can put your weight on it for a step, even if it hurts a little."),
        choices=(
            Choice("yes", pgettext("can stand on the leg", "Yes")),
            Choice("no", pgettext("can stand on the leg", "No, I cannot put weight on it")),
        ),
    )


def has_alarm(answers: Answers) -> bool:
    """Night pain, sudden worsening or a leg that bears no weight, on either side."""
    sides = sides_in(answers)
    return any(answers[f"worse-{side.value}"] != "no" or answers[f"weight-{side.value}"] == "no" for side in sides)


def is_strong(answers: Answers) -> bool:
    return any(int(answers[f"strength-{side.value}"]) >= STRONG_FROM for side in sides_in(answers))


def reports_from(answers: Answers, *, on: date, note: str) -> list[tuple[Side, SymptomReport]]:
    """One report a hip; a side that was not named does not hurt. The note stands with what hurts, or with both."""
    hurting = sides_in(answers)
    return [(side, _report(answers, side, on, note if side in (hurting or tuple(Side)) else "")) for side in Side]


def _report(answers: Answers, side: Side, on: date, note: str) -> SymptomReport:
    report = SymptomReport(
        on=on, source=SymptomSource.PATIENT, origin=Origin.PATIENT, symptomatic=side in sides_in(answers), note=note
    )
    if report.symptomatic:
        worse = answers[f"worse-{side.value}"]
        report.pain_nrs = int(answers[f"strength-{side.value}"])
        report.night_pain = worse in {"night", "both"}
        report.sudden_worsening = worse in {"sudden", "both"}
        report.cannot_bear_weight = answers[f"weight-{side.value}"] == "no"
    return report

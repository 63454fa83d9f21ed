"""Checks at the start: the server refuses to run when a mail could not be written in some patient's language."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import override

from patients.models.clinic import PATIENT_LANGUAGES

from .ladder import LADDER
from .mail import WORDINGS
from .models import Reminder


@checks.register(checks.Tags.translation)
def every_step_in_every_language(
    app_configs: Sequence[AppConfig] | None = None, **_options: Any
) -> list[checks.CheckMessage]:
    """Each step has its days, on the ladder or before an appointment, and its sentences, and each its translation."""
    return [*_steps_without_words(), *_untranslated()]


def _steps_without_words() -> Iterator[checks.CheckMessage]:
    rungs = {*(rung.step for rung in LADDER), *Reminder.OF_APPOINTMENTS}
    for step in Reminder.Step:
        if step not in WORDINGS or step not in rungs:
            yield checks.Error(f"The step {step} has no words or no days.", id="schedules.E001")


def _untranslated() -> Iterator[checks.CheckMessage]:
    """A sentence that reads as in English was not translated: no two of the languages share one."""
    for step, words in WORDINGS.items():
        with override("en"):
            english = astuple(words("Clinic", "today"))
        for language, _name in PATIENT_LANGUAGES:
            with override(language):
                said = astuple(words("Clinic", "today"))
            same = [
                sentence for sentence, as_in_english in zip(said, english, strict=True) if sentence == as_in_english
            ]
            if language != "en" and any(same):
                yield checks.Error(
                    f"The mail {step} is not wholly written in {language}: {next(filter(None, same))}",
                    hint="Complete schedules/locale and run `make translations`.",
                    id="schedules.E002",
                )

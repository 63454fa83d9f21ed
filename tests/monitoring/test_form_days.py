"""Days, times and numbers in forms: the browser's own fields take them in one way only, in every language."""

import importlib
import pkgutil
import re
from datetime import date, time
from decimal import Decimal

import pytest
from django import forms
from django.conf import settings
from django.urls import reverse
from django.utils import translation

import monitoring.web
from patients import recording
from patients.models import Imaging, Patient
from patients.vocabulary import Side

LANGUAGES = [code for code, _name in settings.LANGUAGES]


def kinds_of_form(kind=forms.BaseForm):
    for module in pkgutil.walk_packages(monitoring.web.__path__, "monitoring.web."):
        importlib.import_module(module.name)
    below = set(kind.__subclasses__())
    return below | {deeper for one in below for deeper in kinds_of_form(one)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_writes_a_day_and_a_time_as_the_browser_reads_them(language):
    with translation.override(language):
        found = [
            (kind.__name__, name, field.widget.format_value(value), str(value)[:width])
            for kind in kinds_of_form()
            if kind.__module__.startswith("monitoring.")
            for name, field in getattr(kind, "base_fields", {}).items()
            for of, value, width in ((forms.DateField, date(2026, 12, 1), 10), (forms.TimeField, time(9, 30), 5))
            if isinstance(field, of)
        ]
    assert len(found) > 10
    assert [one for one in found if one[2] != one[3]] == []


def test_an_edit_in_german_shows_the_days_and_loses_none(clinic, enrol, make_user, sign_in):
    patient = enrol(clinic, born_on=date(1981, 3, 4))
    desk = make_user(clinic, "coordinator")
    browser, url = sign_in(desk), reverse("patient_edit", args=[patient.pk])
    browser.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    page = browser.get(url)
    assert '<html lang="de"' in page.text and 'value="1981-03-04"' in page.text
    days = dict(
        re.findall(r'<input type="date" name="(\w+)" value="(\d{4}-\d\d-\d\d)"', page.text)
    )  # nothing else shows
    sent = {name: "" if value is None else value for name, value in page.context["form"].initial.items()}
    assert browser.post(url, {**sent, "born_on": "", "enrolled_on": "", **days}).status_code == 302
    assert Patient.objects.get(pk=patient.pk).born_on == date(1981, 3, 4)


def test_a_number_with_decimals_is_shown_to_be_corrected_in_german(clinic, enrol, actor, make_user, sign_in):
    patient, lead = enrol(clinic), make_user(clinic, "clinician")
    read = Imaging(on=date(2026, 2, 1), modality="MR", lesion_volume_percent=Decimal("12.5"), volume_method="VISUAL")
    recording.record_facts(patient.pk, [(Side.LEFT, read)], by=actor)
    fact = Imaging.objects.get(hip__patient=patient)
    browser = sign_in(lead)
    browser.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    page = browser.get(reverse("fact_correct", args=[patient.pk, fact.key]))
    assert '<html lang="de"' in page.text and 'value="12.5' in page.text and 'value="2026-02-01"' in page.text

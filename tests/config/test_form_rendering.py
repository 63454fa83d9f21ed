"""Fields written directly are those that Django's own widget templates write."""

import pytest
from django import forms
from django.forms.renderers import TemplatesSetting
from django.test.html import parse_html
from django.utils.translation import gettext_lazy

from config.form_rendering import INPUTS, WRITERS, Renderer

GROUPED = [
    ("", gettext_lazy("Not said")),
    ("Hips", [("R", "Right <hip>"), ("L", 'Left "hip"')]),
    (3, "A number"),
]
FLAT = [(None, "Not read"), (True, "Yes"), (False, "No"), ("a&b", "A & B")]
ATTRS = {"id": "id_x", "class": "wide", "required": True, "disabled": False, "data-say": "\"<&>'", "min": 0}

KINDS = {
    "text": forms.TextInput,
    "number": forms.NumberInput,
    "email": forms.EmailInput,
    "url": forms.URLInput,
    "tel": forms.TelInput,
    "search": forms.SearchInput,
    "date": forms.DateInput,
    "time": forms.TimeInput,
    "datetime": forms.DateTimeInput,
    "hidden": forms.HiddenInput,
    "checkbox": forms.CheckboxInput,
}


def both(widget, value, attrs):
    return [parse_html(widget.render("x", value, attrs, renderer)) for renderer in (Renderer(), TemplatesSetting())]


@pytest.mark.parametrize("attrs", [{}, ATTRS])
@pytest.mark.parametrize("value", [None, "", 0, 7.5, "2026-01-10", '<script>"&', True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_inputs(kind, value, attrs):
    ours, djangos = both(KINDS[kind](), value, attrs)
    assert ours == djangos


@pytest.mark.parametrize("attrs", [{}, ATTRS])
@pytest.mark.parametrize("value", [None, "", "R", 3, True, "a&b", ["R", "L"]])
@pytest.mark.parametrize("choices", [GROUPED, FLAT, []])
@pytest.mark.parametrize("kind", [forms.Select, forms.SelectMultiple, forms.RadioSelect, forms.CheckboxSelectMultiple])
def test_choices(kind, choices, value, attrs):
    ours, djangos = both(kind(choices=choices), value, attrs)
    assert ours == djangos


@pytest.mark.parametrize("value", [None, True, False, "true"])
def test_yes_no_and_unknown(value):
    ours, djangos = both(forms.NullBooleanSelect(), value, ATTRS)
    assert ours == djangos


def test_everything_written_directly_is_compared_here():
    assert set(KINDS) == set(INPUTS)
    names = {
        kind().template_name
        for kind in (*KINDS.values(), forms.Select, forms.RadioSelect, forms.CheckboxSelectMultiple)
    }
    assert names == set(WRITERS)


def test_a_lazy_word_is_translated_and_a_dangerous_one_escaped():
    written = forms.Select(choices=GROUPED).render("x", None, {}, Renderer())
    assert "Not said" in written and "Right &lt;hip&gt;" in written and "<hip>" not in written

"""Answers are written by orjson as Django REST framework writes them."""

import json
from datetime import UTC, timedelta, timezone

from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.renderers import JSONRenderer

from monitoring.api.rendering import QuickJSONRenderer

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=-9, minutes=-30))])
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(max_size=5).map(mark_safe).filter(lambda words: not any("\ud800" <= one <= "\udfff" for one in words)),
    st.sampled_from(["hip", "right"]).map(gettext_lazy),
    st.dates(),
    st.datetimes(timezones=ZONES),
    st.uuids(),
    st.timedeltas(),
)
DATA = st.recursive(PLAIN, lambda of: st.lists(of, max_size=4) | st.dictionaries(st.text("abc", max_size=3), of))


@given(DATA)
def test_what_is_written_reads_the_same(data):
    said = {"data": data}
    assert json.loads(QuickJSONRenderer().render(said)) == json.loads(JSONRenderer().render(said))


def test_dates_and_words_are_written_to_the_letter():
    moment = {"at": "2026-03-05T12:00:00Z", "words": "Größe < 30 %", "none": None, "many": [1, 2.5]}
    assert QuickJSONRenderer().render(moment) == JSONRenderer().render(moment)


def test_nothing_is_nothing_and_an_indent_is_kept():
    assert QuickJSONRenderer().render(None) == b""
    asked = "application/json; indent=4"
    assert QuickJSONRenderer().render({"a": 1}, asked) == JSONRenderer().render({"a": 1}, asked)

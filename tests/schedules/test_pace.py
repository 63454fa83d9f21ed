"""Pace: so many mails a minute and no more, whoever sends them; the rest goes in the next."""

from datetime import timedelta
from itertools import count

import pytest
from django.core.cache import cache
from django.test import override_settings

from schedules import pace
from schedules.models import Reminder
from tests.schedules.conftest import NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
_minutes = count(1)


@pytest.fixture
def minute():
    """A minute of NOON's day that no other test has counted in."""
    cache.clear()
    return NOON + timedelta(minutes=next(_minutes))


@pytest.fixture
def four(clinic, enrol, follow):
    for place, domain in enumerate(["one.example", "One.example", "one.example", "two.example"]):
        follow(enrol(clinic, email=f"p{place}@{domain}"))


def test_what_is_over_the_limit_goes_in_the_next_minute(four, drain, sink, settings, minute):
    settings.EMAIL_A_MINUTE = 3
    assert drain(at=minute).states == {"sent": 3}
    assert drain(at=minute).states == {}
    assert drain(at=pace.next_minute(minute)).states == {"sent": 1}
    assert len(set(sink.recipients)) == len(sink.recipients) == 4


def test_one_domain_does_not_hold_up_another(four, drain, sink, settings, minute):
    settings.EMAIL_A_MINUTE_PER_DOMAIN = 2
    drain(at=minute)
    assert sorted(address.partition("@")[2].lower() for address in sink.recipients) == [
        "one.example",
        "one.example",
        "two.example",
    ]
    drain(at=pace.next_minute(minute))
    assert len(sink.recipients) == 4


def test_without_limits_nothing_is_counted(four, drain, sink, minute):
    assert drain(at=minute).states == {"sent": 4}
    assert cache.get(f"mail-pace:all:{int(minute.timestamp()) // 60}") is None


def test_without_the_counter_mail_goes_out(four, drain, sink, settings, minute):
    settings.EMAIL_A_MINUTE = 1
    nowhere = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(CACHES=nowhere):
        assert drain(at=minute).states == {"sent": 4}


def test_what_waits_is_still_planned(four, drain, settings, minute):
    settings.EMAIL_A_MINUTE = 1
    drain(at=minute)
    waiting = Reminder.objects.filter(step="due", state="planned")
    assert set(waiting.values_list("not_before", flat=True)) == {pace.next_minute(minute)}

"""The two nights in which the clocks change: nothing goes out in the night, twice, or not at all."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from patients.recording import today_at
from schedules.models import Reminder

NIGHTS = [  # in Havana the clocks change at midnight, so that a day begins at one, or has its last hour twice
    ("Europe/Berlin", date(2027, 3, 28)),
    ("Europe/Berlin", date(2027, 10, 31)),
    ("America/Havana", date(2027, 3, 14)),
    ("America/Havana", date(2027, 11, 7)),
]
HOUR = timedelta(hours=1)


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "night"), NIGHTS, ids=[f"{zone}-{night}" for zone, night in NIGHTS])
def test_each_mail_goes_out_once_on_its_day_in_the_morning(clinic, enrol, follow, drain, sink, zone, night):
    clinic.time_zone = zone
    clinic.save()
    there = ZoneInfo(zone)
    for day in (night - timedelta(days=1), night, night + timedelta(days=1)):
        follow(enrol(clinic), day, now=datetime(2027, 1, 1, tzinfo=UTC), cycle_on=day - timedelta(days=180))
    at = datetime.combine(night - timedelta(days=1), datetime.min.time(), tzinfo=there).astimezone(UTC)
    offsets, seen = set(), 0
    while at.astimezone(there).date() <= night + timedelta(days=1):
        offsets.add(at.astimezone(there).utcoffset())
        drain(at=at)
        for row in Reminder.objects.filter(step="due", state="sent", decided_at=at):
            local = at.astimezone(there)
            assert (local.hour, local.minute) == (8, 0), "as soon as the clinic writes, and not before"
            assert row.send_on == local.date() == today_at(clinic, at)
            seen += 1
        at += HOUR
    assert len(offsets) == 2, "the clocks have changed"
    ids = [message["Message-ID"] for message in sink.arrived]  # with other steps that were due meanwhile
    assert seen == 3 and len(ids) == len(set(ids))

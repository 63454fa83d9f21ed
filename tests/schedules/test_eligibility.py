"""The table of who gets a mail now, who never, who later: one line a case."""
# ruff: noqa: E501  (a case is one line, however long)

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schedules.eligibility import Eligibility, Reason, decide

LONDON = ZoneInfo("Europe/London")
NOON = datetime(2027, 3, 27, 12, tzinfo=UTC)
TODAY = date(2027, 3, 27)
TOMORROW_AT_8 = datetime(2027, 3, 28, 8, tzinfo=LONDON)
GOOD = Eligibility(
    now=NOON,
    zone=LONDON,
    send_on=TODAY,
    useful_until=TODAY,
    alive=True,
    enrolled_on=date(2026, 1, 10),
    followed=True,
    wanted=True,
    consent=True,
    address="a@mail.example",
    bounced=False,
    sent_in_episode=0,
    last_written_on=None,
    snoozed_until=None,
    mail_stopped=False,
)

CASES = [
    ("all is well", {}, "send", "", None),
    ("dead", {"alive": False}, "refuse", Reason.DEAD, None),
    ("dead and too late: the death is what matters", {"alive": False, "useful_until": date(2027, 1, 1)}, "refuse", Reason.DEAD, None),
    ("enrolled from tomorrow", {"enrolled_on": date(2027, 3, 28)}, "refuse", Reason.NOT_ENROLLED, None),
    ("enrolled today", {"enrolled_on": TODAY}, "send", "", None),
    ("both hips ended", {"followed": False, "wanted": False}, "refuse", Reason.NOT_FOLLOWED, None),
    ("came meanwhile, or the date moved", {"wanted": False}, "refuse", Reason.PURPOSE_MET, None),
    ("four went out", {"sent_in_episode": 4}, "send", "", None),
    ("five went out", {"sent_in_episode": 5}, "refuse", Reason.ENOUGH, None),
    ("never asked about e-mail", {"consent": None}, "refuse", Reason.CONSENT_MISSING, None),
    ("opted out", {"consent": False}, "refuse", Reason.OPTED_OUT, None),
    ("no address", {"address": ""}, "refuse", Reason.NO_ADDRESS, None),
    ("bounced", {"bounced": True}, "refuse", Reason.BOUNCED, None),
    ("last useful day", {"send_on": date(2027, 3, 20)}, "send", "", None),
    ("a day too late", {"useful_until": date(2027, 3, 26)}, "expire", Reason.TOO_LATE, None),
    ("too late and opted out: too late", {"useful_until": date(2027, 3, 26), "consent": False}, "expire", Reason.TOO_LATE, None),
    ("mail switched off: waits, is not refused", {"mail_stopped": True}, "later", Reason.MAIL_STOPPED, None),
    ("mail switched off until too late", {"mail_stopped": True, "useful_until": date(2027, 3, 26)}, "expire", Reason.TOO_LATE, None),
    ("snoozed for long: asked again each morning", {"snoozed_until": date(2027, 4, 20)}, "later", Reason.SNOOZED, TOMORROW_AT_8),
    ("comes back today", {"snoozed_until": TODAY}, "send", "", None),
    ("written to today", {"last_written_on": TODAY}, "later", Reason.WRITTEN_TODAY, TOMORROW_AT_8),
    ("a mail of today is on its way", {"last_written_on": TODAY, "known_by": NOON + timedelta(minutes=15)}, "later", Reason.WRITTEN_TODAY, NOON + timedelta(minutes=15)),
    ("written to yesterday", {"last_written_on": date(2027, 3, 26)}, "send", "", None),
    ("day not come", {"send_on": date(2027, 3, 29), "useful_until": date(2027, 4, 29)}, "later", Reason.NOT_YET, datetime(2027, 3, 29, 8, tzinfo=LONDON)),
    ("07:59", {"now": datetime(2027, 3, 27, 7, 59, tzinfo=UTC)}, "later", Reason.NIGHT, datetime(2027, 3, 27, 8, tzinfo=LONDON)),
    ("08:00", {"now": datetime(2027, 3, 27, 8, tzinfo=UTC)}, "send", "", None),
    ("17:59", {"now": datetime(2027, 3, 27, 17, 59, tzinfo=UTC)}, "send", "", None),
    ("18:00: tomorrow, by tomorrow's clock", {"now": datetime(2027, 3, 27, 18, tzinfo=UTC)}, "later", Reason.NIGHT, TOMORROW_AT_8),
    ("Auckland has tomorrow already", {"zone": ZoneInfo("Pacific/Auckland"), "now": datetime(2027, 3, 26, 20, tzinfo=UTC)}, "send", "", None),
    ("simulated people do not sleep", {"at_any_hour": True, "now": datetime(2027, 3, 27, 3, tzinfo=UTC)}, "send", "", None),
    ("Los Angeles still sleeps", {"zone": ZoneInfo("America/Los_Angeles")}, "later", Reason.NIGHT, datetime(2027, 3, 27, 15, tzinfo=UTC)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "action", "reason", "not_before"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_eligibility(change, action, reason, not_before):
    verdict = decide(replace(GOOD, **change))
    assert (verdict.action, verdict.reason, verdict.not_before) == (action, reason, not_before)


def test_morning_is_eight_o_clock_on_both_sides_of_the_clock_change():
    """In London the night of 27 to 28 March 2027 has 23 hours."""
    late = decide(replace(GOOD, now=datetime(2027, 3, 27, 19, tzinfo=UTC)))
    assert late.not_before.astimezone(UTC) == datetime(2027, 3, 28, 7, tzinfo=UTC)


def test_whatever_waits_is_asked_again_in_the_future_and_in_the_daytime():
    for hours in range(0, 24 * 370, 7):
        case = replace(GOOD, now=NOON + timedelta(hours=hours), useful_until=date(2030, 1, 1), last_written_on=None)
        verdict = decide(case)
        if verdict.action == "later":
            assert verdict.not_before > case.now
            assert verdict.not_before.astimezone(LONDON).hour == 8

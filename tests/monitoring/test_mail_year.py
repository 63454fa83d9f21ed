"""The rehearsal of a year of mail, in small: what was called for and what became of it add up, or it would be told."""

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.core.management import CommandError, call_command

from monitoring.simulation import mail_server, mail_world, mail_year
from monitoring.simulation.mail_calls import Window, mails_of
from patients import access
from schedules.models import Reminder

pytestmark = pytest.mark.slow

SPRING = mail_world.Order(patients=24, days=45, seed=3, start=date(2027, 3, 5))  # the clocks change in all three zones
DAY = timedelta(days=1)


@pytest.fixture
def year(db):
    """The rehearsal, lived to its end and not yet reckoned."""
    random.seed(SPRING.seed)  # delivery draws its pauses
    year = mail_year.Year(SPRING)
    with mail_server.running(year.server):
        for day in range(SPRING.days):
            year.live(SPRING.start + (day + 1) * DAY)
        year.close()
    return year


def reckon(year):
    with access.system_run("test"):
        return year.reckon()


def told(year, words: str) -> bool:
    return any(words in difference for difference in reckon(year).differences)


def test_the_books_add_up_and_would_tell_what_does_not(year):
    result = reckon(year)
    assert result.differences == []
    assert {"sent", "planned", "cancelled", "expired"} <= {state for state, _reason in result.counts}
    assert result.figures["mails that arrived"] > 20
    assert result.figures["turns with something out"] > 40

    said = next(said for said in year.server.log if said.kept)
    for falsified, words in (
        (said, "arrived 2 times"),
        (replace(said, message_id="<stranger@x>"), "is no reminder's"),
        (replace(said, address="else@mail.example", kept=False), "an address that was not the patient's"),
    ):
        year.server.log.append(falsified)
        assert told(year, words)
        year.server.log.pop()

    sent = Reminder.objects.filter(message_id=said.message_id)
    planned = Reminder.objects.filter(state="planned", events__isnull=True)[:1].values("pk")
    for rows, changes, words in (
        (sent, {"state": "cancelled"}, "arrived and is called cancelled"),
        (sent, {"state": "planned"}, "arrived and is called planned"),
        (Reminder.objects.filter(pk__in=planned), {"step": "due", "cycle_on": date(2020, 1, 1)}, "there is no row"),
    ):
        with access.system_run("test"):
            assert rows.update(**changes) == 1
        assert told(year, words)


def test_its_table_of_mails_is_that_of_the_documentation():
    window = Window(date(2027, 1, 1), date(2027, 6, 17), date(2027, 7, 1), date(2027, 7, 15))
    assert list(mails_of(window, {})) == [
        ("symptom_check", date(2027, 4, 1), date(2027, 4, 28)),
        ("booking_prompt", date(2027, 5, 20), date(2027, 6, 23)),
        ("due", date(2027, 7, 1), date(2027, 7, 1)),
        ("missed", date(2027, 7, 2), date(2027, 7, 28)),
        ("second_missed", date(2027, 7, 29), date(2027, 9, 27)),
    ]
    soon = replace(window, cycle_on=date(2027, 6, 1))
    assert [step for step, _first, _last in mails_of(soon, {})] == ["due", "missed", "second_missed"]


def test_it_runs_in_an_empty_database_only(clinic):
    with pytest.raises(CommandError, match="a database of its own"):
        call_command("simulate_mail_year", patients=3, days=1)


def test_the_command_prints_its_books(db, capsys):
    call_command("simulate_mail_year", patients=3, days=2)
    printed = capsys.readouterr().out
    assert "messages called for" in printed
    assert "accounted for, 0 differences" in printed

"""Reckoning: which mails a year called for and what may have become of each, worked out apart from the code that sends.

It knows three things only: the guideline's answers as they were given (the receipts of evaluations), the history of
appointments, and what the rehearsal itself did to people and servers. From these and the rules as docs/messages.md
and docs/appointments.md tell them it derives every message that was called for and the first moment at which it could
go; the stored reminders and the mail server's log must agree. No function of the ladder or of eligibility is called.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from patients.models import Patient, SymptomReport
from schedules.models import Reminder, ReminderEvent, Substitute

from .mail_calls import (
    DAY,
    Called,
    Key,
    Known,
    Rules,
    Turn,
    answers_of,
    bookings_of,
    called_by_appointments,
    called_by_guideline,
)
from .mail_server import CLOSING, KEPT, NO_MAILBOX, TRY_LATER, Said

MOST_IN_A_CYCLE: Final = 5
ENTERED_LATE: Final = 3 * DAY
HEARD_LATELY: Final = 28 * DAY
ASKING: Final = ("booking_prompt", "due", "missed", "second_missed")
FOR_FOLLOW_UP: Final = ("visit", "radiographs", "mri", "ct")
BY_HAND: Final = (
    "The patient has not said that e-mail is wanted.",
    "The patient does not want e-mail.",
    "There is no e-mail address.",
    "Mail to this address came back.",
)
PURPOSE_GONE: Final = (
    "No follow-up is asked for.",
    "A follow-up took place or its date moved, so this mail has no purpose any more.",
    "The appointment was moved, cancelled or is over, so this mail has no purpose any more.",
)


@dataclass
class Result:
    """What was counted, and every difference between what was called for and what became of it."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    figures: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        return not self.differences

    def lines(self) -> Iterator[str]:
        """The books as they are printed."""
        for name, count in self.figures.items():
            yield f"{count:>7,}  {name}"
        yield ""
        for (state, reason), count in sorted(self.counts.items(), key=lambda row: (row[0][0], -row[1])):
            yield f"{count:>7,}  {state:<15} {reason}".rstrip()
        yield f"{sum(self.counts.values()):>7,}  accounted for, {len(self.differences)} differences"
        yield from self.differences


@dataclass
class Story:
    """One stored reminder with its history. `claims`: when it was taken in hand, with what came of that."""

    row: Reminder
    events: list[ReminderEvent] = field(default_factory=list)
    claims: list[tuple[datetime, str]] = field(default_factory=list)

    def tell(self) -> None:
        for place, event in enumerate(self.events):
            if event.state == "sending":
                after = self.events[place + 1].state if place + 1 < len(self.events) else "sending"
                self.claims.append((event.at, after))


def stories_of(patients: Collection[int]) -> dict[Key, Story]:
    found: dict[int, Story] = {}
    for row in Reminder.objects.filter(patient__in=patients).order_by("id"):
        found[row.pk] = Story(row)
    for event in ReminderEvent.objects.filter(reminder__in=list(found)).order_by("id"):
        found[event.reminder_id].events.append(event)
    for story in found.values():
        story.tell()
    return {_key(story.row): story for story in found.values()}


def _key(row: Reminder) -> Key:
    if row.appointment_id:
        return ("appointment", row.appointment_id, row.appointment_sequence, row.step)
    return (row.patient_id, row.cycle_on, row.due_on, row.step)


class Reckoning:
    """The year's books. `began`: what is older was made up by the simulation of the registry."""

    def __init__(
        self,
        people: Iterable[Known],
        rules: Mapping[int, Rules],
        turns: Sequence[Turn],
        log: Sequence[Said],
        *,
        began: datetime,
        ended: datetime,
    ) -> None:
        self.people = {one.patient: one for one in people}
        self.rules, self.turns, self.log, self.began, self.ended = rules, turns, log, began, ended
        self.starts = [turn.at for turn in turns]
        ids = list(self.people)
        enrolled = dict(Patient.objects.filter(id__in=ids).values_list("id", "enrolled_on"))
        self.answers = answers_of(enrolled)
        self.bookings = bookings_of(ids)
        self.stories = stories_of(ids)
        self.reports: dict[tuple[int, str], list[tuple[datetime, date]]] = defaultdict(list)
        told = SymptomReport.objects.filter(patient__in=ids, withdrawn_at__isnull=True)
        for patient, side, at, on in told.values_list("patient_id", "hip__side", "recorded_at", "on"):
            self.reports[patient, side].append((at, on))
        self.called: dict[Key, Called] = {}
        for patient, known in self.people.items():
            its_rules = rules[known.clinic]
            self.called |= called_by_guideline(patient, self.answers[patient], its_rules)
            self.called |= called_by_appointments(patient, self.bookings[patient], its_rules)
        self.by_patient: dict[int, list[Story]] = defaultdict(list)
        for story in self.stories.values():
            self.by_patient[story.row.patient_id].append(story)

    def reckon(self) -> Result:
        result = Result()
        for key, called in self.called.items():
            story = self.stories.get(key)
            if story is None:
                result.differences.append(f"{called.step} of patient {called.patient}, {key}: there is no row.")
                continue
            state, reason = self._stands(story)
            result.counts[state, reason] += 1
            if self._before(story):
                called.send_on = story.row.send_on  # a clinic's later choice moves only what is planned
            for problem in self._problems(called, story):
                result.differences.append(f"{called.step} of patient {called.patient}, {key}: {problem}")
        for key, story in self.stories.items():
            if key not in self.called and not self._before(story):
                result.differences.append(f"{story.row.step} of patient {story.row.patient_id}: nobody called for it.")
        result.differences += self._by_the_log()
        self._count(result)
        return result

    # ---- One mail

    def _before(self, story: Story) -> bool:
        """Made up with the registry's past."""
        return bool(story.events) and story.events[0].at < self.began

    def _settled_before(self, story: Story) -> bool:
        return self._before(story) and story.events[0].state in ("sent", "failed", "uncertain")

    def _stands(self, story: Story) -> tuple[str, str]:
        row = story.row
        if self._settled_before(story) and not story.claims:
            return "before the year", row.state
        if row.state in ("refused", "expired", "cancelled"):
            return row.state, "Withheld by a person." if row.reason.startswith("Withheld by ") else row.reason
        if row.state == "failed":
            return row.state, "The server refused it." if "5" in row.reason.split(" ")[3:4][0][
                :1
            ] else "Put off 3 times."
        return row.state, ""

    def _problems(self, called: Called, story: Story) -> Iterator[str]:
        row = story.row
        if self._settled_before(story):
            return
        if (row.send_on, row.patient_id) != (called.send_on, called.patient):
            yield f"planned for {row.send_on}, not {called.send_on}."
        for at, _after in story.claims:
            if against := self._against(called, story, at):
                yield f"taken in hand on {at:%Y-%m-%d %H:%M} although {against}."
        first = story.claims[0][0] if story.claims else None
        chance = self._first_chance(called, story)
        if chance is not None and (first is None or first > chance + timedelta(hours=1)):
            yield (
                f"could go on {chance:%Y-%m-%d %H:%M}; it was taken in hand {first or 'never'} and is {row.state} "
                f"({row.reason})."
            )
        yield from self._misstated(called, story)

    def _against(self, called: Called, story: Story, at: datetime) -> str:
        """Why the mail could not go at that moment, or ""."""
        known = self.people[called.patient]
        rules = self.rules[known.clinic]
        here = at.astimezone(rules.zone)
        if not known.alive.at(at):
            return "the patient had died"
        if not called.holds(at):
            return "nothing called for it then"
        if called.told_already:
            return "it had been told already"
        if not called.send_on <= here.date() <= called.until or at >= called.before:
            return "it was not its day"
        if not time(rules.hours[0]) <= here.time() < time(rules.hours[1]):
            return "it was night"
        if not known.consent.at(at):
            return "mail was not wanted"
        if not known.address.at(at) or known.bounced.at(at):
            return "there was no good address"
        if rules.stopped.at(at):
            return "mail was stopped"
        if any(told <= at for told, reminder in known.by_hand if reminder == story.row.pk):
            return "a letter or a call had told it"
        if called.step in ASKING and self._is_booked(called, at, here.date()):
            return "an appointment was booked"
        if called.step == "symptom_check" and self._is_known(called.patient, at):
            return "the answer was known"
        if not called.is_news and self._written_on(called.patient, story, here.date(), at, rules.zone):
            return "the patient had had a mail that day"
        if called.cycle_on and self._in_cycle(called, story, at) >= MOST_IN_A_CYCLE:
            return "five had gone out"
        return ""

    def _first_chance(self, called: Called, story: Story) -> datetime | None:
        """The first turn at which nothing stood against the mail."""
        known = self.people[called.patient]
        rules = self.rules[known.clinic]
        begin = datetime.combine(called.send_on, time(0), tzinfo=rules.zone)
        end = datetime.combine(called.until + DAY, time(0), tzinfo=rules.zone)
        for turn in self.turns[bisect_right(self.starts, begin) : bisect_right(self.starts, end)]:
            if not turn.works or rules.held.at(turn.at) or self._shared(called.patient, story, turn.at):
                continue
            against = self._against(called, story, turn.at)
            if against == "the answer was known" or self._is_withheld(story, turn.at):
                return None
            if not against:
                return turn.at
        return None

    def _shared(self, patient: int, story: Story, at: datetime) -> bool:
        """Another mail of the patient was in hand at the same turn: which came first is all the same."""
        others = (other for other in self.by_patient[patient] if other is not story)
        return any(abs(claimed - at) < timedelta(hours=1) for other in others for claimed, _after in other.claims)

    def _is_withheld(self, story: Story, at: datetime) -> bool:
        return any(event.reason.startswith("Withheld by ") and event.at <= at for event in story.events)

    def _is_booked(self, called: Called, at: datetime, today: date) -> bool:
        window = called.window
        if window is None:
            return False
        zone = self.rules[self.people[called.patient].clinic].zone
        for one in self.bookings[called.patient]:
            day = one.starts_at.astimezone(zone).date()
            stands = one.begin <= at < one.end and one.state in ("booked", "moved") and one.purpose in FOR_FOLLOW_UP
            if stands and window.opens_on <= day <= window.overdue_on + 74 * DAY and today <= day + ENTERED_LATE:
                return True
        return False

    def _is_known(self, patient: int, at: datetime) -> bool:
        """Each hip that is followed was told of in the last 28 days, or hurts."""
        answer = next((one for one in reversed(self.answers[patient]) if one.at <= at), None)
        if answer is None:
            return False
        since = (at - HEARD_LATELY).date()
        return all(
            side in answer.hurting or any(told_at <= at and on > since for told_at, on in self.reports[patient, side])
            for side in answer.followed
        )

    def _written_on(self, patient: int, story: Story, day: date, at: datetime, zone: ZoneInfo) -> bool:
        """A mail went out, or may have, or a letter or a call took the place of one."""
        if any(told <= at and told.astimezone(zone).date() == day for told, _reminder in self.people[patient].by_hand):
            return True
        return any(
            claimed < at and claimed.astimezone(zone).date() == day and after in ("sent", "uncertain", "sending")
            for other in self.by_patient[patient]
            if other is not story
            for claimed, after in other.claims
        )

    def _in_cycle(self, called: Called, story: Story, at: datetime) -> int:
        """Mails of this cycle that had gone out, or may have, and what was told in the place of others."""
        by_hand = {reminder for told, reminder in self.people[called.patient].by_hand if told < at}
        return sum(
            other.row.pk in by_hand
            or any(event.at < at for event in other.events if event.state in ("sent", "uncertain"))
            for other in self.by_patient[called.patient]
            if other is not story
            and other.row.appointment_id is None
            and other.row.cycle_on == called.cycle_on
            and (other.row.pk in by_hand or other.row.state in ("sent", "uncertain", "sending"))
        )

    def _misstated(self, called: Called, story: Story) -> Iterator[str]:
        """What its last state says is not so."""
        row, decided = story.row, story.row.decided_at or self.ended
        known = self.people[called.patient]
        rules = self.rules[known.clinic]
        today = decided.astimezone(rules.zone).date()
        match row.state:
            case "planned":
                if not called.holds(self.ended):
                    yield "still planned although nothing calls for it any more."
                elif self._waits_too_long(called, row, rules):
                    yield "still planned although it is too late."
            case "sending":
                yield "still on its way."
            case "expired":
                late = today > called.until or decided >= called.before or called.told_already
                if not late:
                    yield f"called too late on {today}, but it helps until {called.until}."
            case "cancelled":
                if called.holds(decided) and called.step not in ("visit_in_3_days", "visit_in_1_day", "visit_moved"):
                    yield "cancelled although it is called for."
            case "refused":
                yield from self._refused_wrongly(called, story, decided)
            case "sent" | "uncertain" | "failed":
                if not story.claims:
                    yield f"{row.state}, but it was never taken in hand."

    def _waits_too_long(self, called: Called, row: Reminder, rules: Rules) -> bool:
        """Its last day is over, and a run has had the time to say so since it was to be looked at again."""
        end = datetime.combine(called.until + DAY, time(0), tzinfo=rules.zone)
        end = max(end, row.not_before or end)
        return any(
            turn.works
            and not rules.held.at(turn.at)
            and not rules.stopped.at(turn.at)
            and rules.hours[0] <= turn.at.astimezone(rules.zone).hour < rules.hours[1]
            for turn in self.turns[bisect_right(self.starts, end + DAY) :]
        )

    def _refused_wrongly(self, called: Called, story: Story, at: datetime) -> Iterator[str]:
        known, reason = self.people[called.patient], story.row.reason
        truth = {
            "The patient has died.": not known.alive.at(at),
            "The patient has not said that e-mail is wanted.": known.consent.at(at) is None,
            "The patient does not want e-mail.": known.consent.at(at) is False,
            "There is no e-mail address.": not known.address.at(at),
            "Mail to this address came back.": known.bounced.at(at + timedelta(minutes=5)),
            "How the patient is was told lately, or symptoms are known, so nobody need ask.": (
                called.step == "symptom_check" and self._is_known(called.patient, at)
            ),
            "Five mails went out for this follow-up; a person takes over.": (
                self._in_cycle(called, story, at) >= MOST_IN_A_CYCLE
            ),
            **dict.fromkeys(PURPOSE_GONE, not called.holds(at)),
        }
        if reason.startswith("Withheld by "):
            return
        if reason not in truth:
            yield f"refused for a reason that is not known: {reason}"
        elif not truth[reason]:
            yield f"refused on {at:%Y-%m-%d %H:%M}, but this was not so: {reason}"

    # ---- The mail server's word

    def _by_the_log(self) -> Iterator[str]:
        """What arrived is what is called sent, once, by day, to the address of the day."""
        rows = {story.row.message_id: story for story in self.stories.values() if story.row.message_id}
        arrived: dict[str, list[Said]] = defaultdict(list)
        for said in self.log:
            if said.message_id:
                arrived[said.message_id].append(said)
        for message_id, saids in arrived.items():
            kept = [said for said in saids if said.kept]
            if len(kept) > 1:
                yield f"{message_id} arrived {len(kept)} times."
            if message_id not in rows:
                yield f"{message_id} arrived and is no reminder's."
                continue
            yield from self._against_the_log(rows[message_id], saids)
        for message_id, story in rows.items():
            if story.row.state == "sent" and story.claims and not any(said.kept for said in arrived[message_id]):
                yield f"{story.row.step} of patient {story.row.patient_id} is called sent and never arrived."
        yield from self._days_of_the_log(rows)

    def _against_the_log(self, story: Story, saids: Iterable[Said]) -> Iterator[str]:
        known = self.people[story.row.patient_id]
        what = f"{story.row.step} of patient {known.patient}"
        claims = {at for at, _after in story.claims}
        for said in saids:
            if said.address != known.address.at(said.at):
                yield f"{what} went to an address that was not the patient's."
            if not any(abs(said.at - at) < timedelta(minutes=10) for at in claims):
                yield f"{what} arrived on {said.at:%Y-%m-%d %H:%M} without having been claimed."
            if said.kept and story.row.state not in ("sent", "uncertain", "sending"):
                yield f"{what} arrived and is called {story.row.state}."

    def _days_of_the_log(self, rows: Mapping[str, Story]) -> Iterator[str]:
        days: Counter[tuple[int, date]] = Counter()
        for said in self.log:
            if said.kept and said.message_id in rows:
                row = rows[said.message_id].row
                if row.step not in ("visit_moved", "visit_cancelled"):
                    zone = self.rules[self.people[row.patient_id].clinic].zone
                    days[row.patient_id, said.at.astimezone(zone).date()] += 1
        for (patient, day), mails in days.items():
            if mails > 1:
                yield f"patient {patient} had {mails} mails on {day}."

    # ---- Letters and calls

    def _count(self, result: Result) -> None:
        """Further figures; each mail that could not reach its patient has a letter or a call, or a reason for none."""
        rows = [story.row for story in self.stories.values()]
        stands = dict(Substitute.objects.filter(reminder__in=[row.pk for row in rows]).values_list("reminder", "state"))
        for key, called in self.called.items():
            story = self.stories.get(key)
            if story is None or self._before(story):
                continue
            row = story.row
            unreached = row.state == "failed" or (row.state == "refused" and row.reason in BY_HAND)
            if unreached and row.pk not in stands and not self._no_way(called, story):
                result.differences.append(
                    f"{row.step} of patient {row.patient_id} is {row.state} ({row.reason}) and has no letter or call."
                )
            if stands.get(row.pk) == "open" and not (unreached and self._still_helps(called)):
                result.differences.append(f"{row.step} of patient {row.patient_id} is {row.state} and has a letter.")
        result.figures |= {
            "messages called for": len(self.called),
            "of these about appointments": sum(called.cycle_on is None for called in self.called.values()),
            "mails that arrived": sum(said.kept for said in self.log if said.message_id),
            "connections lost after a mail": sum(bool(said.message_id) and said.answer != KEPT for said in self.log),
            "no such mailbox": sum(said.answer == NO_MAILBOX for said in self.log),
            "put off by the server": sum(said.answer == TRY_LATER for said in self.log),
            "closing for maintenance": sum(said.answer == CLOSING for said in self.log),
            "letters and calls in a mail's place": len(stands),
            "of these printed or told": sum(state == "done" for state in stands.values()),
            "of these still to do": sum(state == "open" for state in stands.values()),
            "turns of mail": len(self.turns),
            "turns with something out": sum(not turn.works for turn in self.turns),
        }

    def _still_helps(self, called: Called) -> bool:
        """Of what is too late the last run that tidied has taken the letter away."""
        zone = self.rules[self.people[called.patient].clinic].zone
        last = next((turn.at for turn in reversed(self.turns) if turn.tidies), self.began)
        return last.astimezone(zone).date() <= called.until

    def _no_way(self, called: Called, story: Story) -> bool:
        """Nothing is opened for what had no purpose or was too late when the mail was given up."""
        decided = story.row.decided_at or self.ended
        zone = self.rules[self.people[called.patient].clinic].zone
        late = decided.astimezone(zone).date() > called.until or decided >= called.before
        return late or not called.holds(decided) or not self.people[called.patient].alive.at(decided)

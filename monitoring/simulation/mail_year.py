"""Mail year: a rehearsal of a year of reminders with an injected clock, and the books of it.

Invented patients attend, miss, book, move and cancel, change their address, opt out and in, die and move away, while
the mail server bounces, puts off and hangs up, workers are killed and whole parts are out for days. Everything is the
product's own: recording, evaluation, sweep, delivery over SMTP to a server on this machine. What each mail came to is
then reckoned by `mail_reckoning`, which shares no rule with the code that sends.

It needs a database of its own without any clinic. Its clinics are made as synthetic and then, as nobody else is in that
database, written to by day only, like real ones.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from patients import access, recording
from patients.changes import Actor
from patients.models import Clinic, ContactWish, Hip, Imaging, Patient, SymptomReport, Visit
from patients.recording import today_at
from patients.vocabulary import EndReason, Side
from schedules import (
    adoption,
    answers,
    appointments,
    channels,
    choosing,
    delivery,
    desk,
    printing,
    substitutes,
    volume,
)
from schedules.ladder import Choice
from schedules.mail import sender_address
from schedules.message_plans import Wishes
from schedules.models import Plan, Reminder, Substitute

from .. import pipeline
from . import mail_server, registry
from .demonstration import NotHere
from .mail_calls import DAY, Known, Rules, Track, Turn
from .mail_reckoning import Reckoning, Result
from .mail_server import MailServer
from .mail_world import PLACES, Order, Outage, Person, Place, Seat

RUN: Final = "mail year"
DESK: Final = Actor(name="Rehearsal desk")
YEARS_BEFORE: Final = 3.0
HOURS: Final = range(0, 24, 4)  # of UTC: every clinic has two or three of them in its daytime
BETWEEN_TURNS: Final = timedelta(hours=HOURS.step)
AT_THE_DESK: Final = range(10, 14)  # of the clinic's clock; one turn a day falls into it, also when the clocks change
OUTAGES: Final = (30, 12, 7, 3, 2, 1, 1, 1)  # days
KINDS: Final = ("server", "workers", "everything", "closing", "sweep", "server", "workers", "everything")
WORKERS_OUT: Final = ("workers", "everything")
ALWAYS: Final = datetime.min.replace(tzinfo=UTC) + 2 * DAY
WEDNESDAY: Final = 2
MOST_RUNS: Final = 25  # a minute apart, while the server puts mail off


class Killed(BaseException):
    """The worker is killed at this instruction."""


class RoughChannel:
    """The way to the rehearsal's server, on which workers die and a second run comes in between."""

    takes_wire = True
    following: channels.Wire | None = None

    def __init__(self, year: "Year", at: datetime, *, alone: bool = False) -> None:
        self.year, self.at, self.alone = year, at, alone
        self.inner = year.channel()

    def send(self, message: EmailMessage | channels.Wire) -> answers.Outcome:
        self.inner.following = self.following
        chance, dies = self.year.rng.random(), self.year.chance_to_die(self.at)
        if chance < dies / 2:
            raise Killed
        if chance < dies:
            self.inner.send(message)
            raise Killed
        if chance < dies + 0.022 and not self.alone:
            self.year.drain(RoughChannel(self.year, self.at, alone=True), self.at)
        outcome = self.inner.send(message)
        if outcome.address_bad:  # known from here on: what a killed worker was told of an address is not
            self.year.came_back(message.recipient if isinstance(message, channels.Wire) else message.to[0])
        return outcome

    def is_well(self) -> bool | None:
        return self.inner.is_well()

    def close(self) -> None:
        self.inner.close()


def rehearse(order: Order, *, progress: Callable[[date], None] = lambda day: None) -> Result:
    """Live the year and reckon. Raises NotHere where there are clinics, in production, or with mail redirected."""
    if settings.PRODUCTION or settings.MAIL_REHEARSAL_TO:
        raise NotHere("A rehearsal of a year has no place in production, nor where mail is redirected.")
    if Clinic.objects.exists():
        raise NotHere("There are clinics here; the rehearsal of a year needs a database of its own.")
    random.seed(order.seed)  # delivery draws its pauses
    year = Year(order)
    with mail_server.running(year.server):
        for day in range(order.days):
            year.live(order.start + (day + 1) * DAY)
            progress(order.start + (day + 1) * DAY)
        year.close()
    with access.system_run(RUN):
        return year.reckon()


class Year:
    """The clock, the servers and the people."""

    def __init__(self, order: Order) -> None:
        self.order, self.rng = order, Random(f"{order.seed}:year")
        self.began = _midnight(order.start + DAY)
        self.bad_days = {order.start + (n + 1) * DAY for n in range(order.days) if self.rng.random() < 0.06}
        self.outages = list(self._outages())
        self.server = MailServer(self.began, self._to_recipient, self._to_mail)
        self.dead: set[str] = set()
        self.turns: list[Turn] = []
        self.swept: dict[int, date] = {}
        self.out = ""
        self.killed = False  # a mail may be left on its way
        self.finished = order.start
        with transaction.atomic():
            adoption.ensure_default(DESK)
        self.seats = [self._seat(number, place) for number, place in enumerate(PLACES)]
        self.at_address = {one.known.address.now: one for seat in self.seats for one in seat.people}

    def _outages(self) -> Iterator[Outage]:
        """One after another, with days between them; together at most a third of the time."""
        room = self.order.days // 3
        at = self.began + 5 * DAY
        for days, kind in zip(self._lengths(room), KINDS, strict=False):
            at += timedelta(hours=self.rng.randint(24, 24 + 48 * max(1, room // 10)))
            yield Outage(at, at + days * DAY, kind)
            at += days * DAY

    def _lengths(self, room: int) -> Iterator[int]:
        for days in OUTAGES:
            if days <= room:
                room -= days
                yield days

    def _seat(self, number: int, place: Place) -> Seat:
        """A clinic filled with lives up to the first day, from then on written to by day."""
        clinic = Clinic.objects.create(
            name=f"Rehearsal {place.name}",
            mail_name=f"Clinic {place.name}",
            telephone=f"+44207946010{number}",
            reply_to=f"desk{number}@clinic.example",
            time_zone=place.zone,
            language=place.language,
            synthetic=True,
        )
        wishes = Wishes(
            {step: Choice(True, days) for step, days in place.days}, *place.hours, volume_multiple=place.volume_multiple
        )
        with access.system_run(RUN, [clinic.pk]):
            choosing.choose(clinic, wishes, by=DESK, now=_midnight(self.order.start))
        share = self.order.patients // len(PLACES) + (number < self.order.patients % len(PLACES))
        seed = self.order.seed * 1000 + number
        registry.simulate(registry.Order(clinic.pk, share, YEARS_BEFORE, seed, self.order.start))
        clinic.synthetic = False
        clinic.save(update_fields=["synthetic"])
        with access.system_run(RUN, [clinic.pk]):
            people = list(self._people(clinic))
        rules = Rules(clinic.zone, Track(ALWAYS, False), Track(ALWAYS, False), dict(place.days), place.hours)
        return Seat(clinic, rules, people, Random(f"{seed}:seat"))

    def _people(self, clinic: Clinic) -> Iterator[Person]:
        wishes = ContactWish.objects.filter(clinic=clinic, channel="email")
        consent = dict(wishes.values_list("patient_id", "allowed"))
        for patient in Patient.objects.filter(clinic=clinic).order_by("id"):
            known = Known(
                patient=patient.pk,
                clinic=clinic.pk,
                consent=Track(ALWAYS, consent.get(patient.pk)),
                address=Track(ALWAYS, patient.email),
                bounced=Track(ALWAYS, patient.email_bounced_on is not None),
                alive=Track(ALWAYS, patient.died_on is None),
            )
            rng = Random(f"{self.order.seed}:{patient.clinic_id}:{patient.record_number}")
            yield Person(known, rng, keeps=rng.uniform(0.3, 0.9))

    # ---- The clock

    def live(self, day: date) -> None:
        for hour in HOURS:
            self._turn(_midnight(day) + timedelta(hours=hour, minutes=self.rng.randint(0, 9)))

    def _turn(self, at: datetime) -> None:
        """People and staff act, then the sweep, then mail, as far as they are not out."""
        self.out = next((one.kind for one in self.outages if one.begin <= at < one.end), "")
        for seat in self.seats:
            if at.astimezone(seat.clinic.zone).hour in AT_THE_DESK:
                self._at_the_desk(seat, at)
        today = {seat.clinic.pk: today_at(seat.clinic, at) for seat in self.seats}
        if self.out not in ("sweep", "everything") and today != self.swept:
            pipeline.sweep(at)
            self.swept = today
        self._mail(at + timedelta(minutes=1))

    def _mail(self, at: datetime) -> None:
        works, finished = self.out in ("", "sweep"), self.finished
        if self.out not in WORKERS_OUT:
            if self.killed:
                self.killed = delivery.recover_leases(now=at) == 0
            works = self._run_mail(at) and works
        self.turns.append(Turn(at, works, tidies=self.finished != finished))
        with access.system_run(RUN):
            held = set(volume.held([seat.clinic.pk for seat in self.seats]))
        for seat in self.seats:
            if (seat.clinic.pk in held) != seat.rules.held.now:
                seat.rules.held.set(at, seat.clinic.pk in held)

    def _run_mail(self, at: datetime) -> bool:
        """Runs a minute apart until one comes to its end; True when it did."""
        for minute in range(MOST_RUNS):
            moment = at + timedelta(minutes=minute)
            tally = self.drain(RoughChannel(self, moment), moment)
            if tally is not None and not tally.unreachable:
                if self.finished != moment.date():  # what follows from the end of a run does so once a day here
                    delivery.finish_run(tally, now=moment)
                    self.finished = moment.date()
                if self.rng.random() < 0.15:
                    self.drain(RoughChannel(self, moment), moment)  # a doubled hint
                return True
            if self.out:
                break
        return False

    def drain(self, channel: RoughChannel, at: datetime) -> delivery.Tally | None:
        """One run of mail; None when its worker was killed in the middle."""
        self.server.now = at
        try:
            return delivery.drain(channel, together=self.rng.choice((1, 1, 3)), seconds=600, clock=lambda: at)
        except Killed:
            self.killed = True
            return None

    def chance_to_die(self, at: datetime) -> float:
        """Of a worker, with each mail: many are killed by what keeps them all away from the next turn on."""
        soon = at + BETWEEN_TURNS
        return 0.2 if any(one.kind in WORKERS_OUT and at < one.begin <= soon for one in self.outages) else 0.008

    def channel(self) -> channels.BackendChannel:
        port = mail_server.NOBODY_LISTENS if self.out == "server" else self.server.port
        return channels.BackendChannel(channels.CarefulBackend(host=mail_server.HOST, port=port, timeout=20))

    def close(self) -> None:
        """What was on its way at the end comes to light as well."""
        delivery.recover_leases(now=self.turns[-1].at + timedelta(hours=1))

    def reckon(self) -> Result:
        people = [one.known for seat in self.seats for one in seat.people]
        rules = {seat.clinic.pk: seat.rules for seat in self.seats}
        ended = self.turns[-1].at + timedelta(hours=2)
        return Reckoning(people, rules, self.turns, self.server.log, began=self.began, ended=ended).reckon()

    # ---- The mail server

    def came_back(self, address: str) -> None:
        if person := self.at_address.get(address):
            person.known.bounced.set(self.server.now + timedelta(seconds=1), True)

    def _to_recipient(self, address: str) -> str:
        now, rng = self.server.now, Random(f"{self.order.seed}:{address}:{self.server.now}")
        if self.out == "closing":
            return mail_server.CLOSING
        if address == sender_address():  # only ever asked whether it would be taken
            return mail_server.KEPT
        if address in self.dead:
            return mail_server.NO_MAILBOX
        if now.date() in self.bad_days and rng.random() < 0.4:
            return mail_server.TRY_LATER
        return "554 5.7.1 Blocked by policy" if rng.random() < 0.004 else mail_server.KEPT

    def _to_mail(self, message_id: str) -> str:
        chance = Random(f"{self.order.seed}:{message_id}:{self.server.now}").random()
        if chance < 0.006:
            return mail_server.HANG_UP_AFTER
        return mail_server.HANG_UP_BEFORE if chance < 0.012 else mail_server.KEPT

    # ---- What people do

    def _at_the_desk(self, seat: Seat, now: datetime) -> None:
        """One day of one clinic; what is recorded is evaluated at once."""
        today = today_at(seat.clinic, now)
        with access.system_run(RUN, [seat.clinic.pk]), pipeline.deferred(now):
            self._staff(seat, now, today)
            windows: dict[int, tuple[date, date]] = {}
            sides: dict[int, list[str]] = {}
            plans = Plan.objects.filter(clinic=seat.clinic, state=Plan.State.CURRENT).order_by("due_on", "cycle_on")
            for patient, due_on, cycle_on, side in plans.values_list("patient_id", "due_on", "cycle_on", "hip__side"):
                windows.setdefault(patient, (due_on, cycle_on))
                sides.setdefault(patient, []).append(side)
            for person in seat.people:
                if person.known.alive.now:
                    pk = person.known.patient
                    _Day(self, seat.clinic, person, now, today).live(windows.get(pk), sides.get(pk, []))

    def _staff(self, seat: Seat, now: datetime, today: date) -> None:
        """Decide what is uncertain, send again, withhold, stop mail for some days, release what was held."""
        rng, rows = seat.rng, Reminder.objects.filter(clinic=seat.clinic).order_by("id")
        kept = {said.message_id for said in self.server.log if said.kept}
        for row in rows.filter(state=Reminder.State.UNCERTAIN):
            if rng.random() < 0.4:
                arrived = row.message_id in kept or not row.claimed_by  # what has no claim is of the registry's past
                desk.resolve_uncertain(row.pk, arrived=arrived, by=DESK, now=now)
        failed = rows.filter(state=Reminder.State.FAILED, decided_at__gte=now - 9 * DAY)
        for row in failed.exclude(substitute__state="done"):
            if rng.random() < 0.05:
                desk.send_again(row.pk, by=DESK, now=now)
        soon = rows.filter(state=Reminder.State.PLANNED, send_on__range=(today, today + 5 * DAY))
        for row in soon:
            if rng.random() < 0.001:
                desk.cancel(row.pk, by=DESK, reason="told in person", now=now)
        self._letters_and_calls(seat, now, today)
        if seat.rules.held.now and rng.random() < 0.7:
            volume.release(seat.clinic, by=DESK, now=now)
            seat.rules.held.set(now, False)
        stop = seat.mail_again_on is None and rng.random() < 4 / 365
        if stop or seat.mail_again_on == today:
            seat.clinic = desk.stop_mail(seat.clinic, by=DESK, stopped=stop)
            seat.rules.stopped.set(now, stop)
            seat.mail_again_on = today + rng.randint(1, 6) * DAY if stop else None

    def _letters_and_calls(self, seat: Seat, now: datetime, today: date) -> None:
        """Letters are printed once a week, calls made on most days; some are not answered."""
        here, told = [seat.clinic.pk], []
        known = {one.known.patient: one.known for one in seat.people}
        if today.weekday() == WEDNESDAY and (batch := printing.print_letters(here, by=DESK, now=now)):
            told = list(Substitute.objects.filter(batch=batch))
        calls = substitutes.to_do(Substitute.Way.CALL, here, now)
        for patient in sorted(set(calls.values_list("patient_id", flat=True))):
            if seat.rng.random() < 0.3:
                answered = seat.rng.random() < 0.6
                rows = Substitute.objects.filter(patient=patient, channel=Substitute.Way.CALL, state="open")
                told += list(rows) if answered else []
                words = "Told by telephone." if answered else "Rang out."
                next_on = None if answered else today + 2 * DAY
                substitutes.record_call(patient, told=answered, outcome=words, by=DESK, at=now, next_on=next_on)
        for row in told:
            known[row.patient_id].by_hand.append((now, row.reminder_id))


@dataclass
class _Day:
    """What one patient does on one day."""

    year: Year
    clinic: Clinic
    person: Person
    now: datetime
    today: date

    def live(self, window: tuple[date, date] | None, sides: Sequence[str]) -> None:
        self.rng, self.pk = self.person.rng, self.person.known.patient
        if self._happens(0.025):
            recording.record_death(self.pk, by=DESK, died_on=self.today, source="Letter of the family", now=self.now)
            self.person.known.alive.set(self.now, False)
            return
        self._wish()
        self._address()
        if window is not None and self._happens(0.05):
            self._move_away(sides)
        elif window is not None:
            self._attend(window, sides)
        if self.person.reopens_on == self.today:
            self._return()
        self._appointment(window)

    def _happens(self, times_a_year: float) -> bool:
        return self.rng.random() < times_a_year / 365

    def _in_days(self, least: int, most: int) -> date:
        return self.today + self.rng.randint(least, most) * DAY

    def _wish(self) -> None:
        consent, person = self.person.known.consent, self.person
        wants = consent.now
        if (wants and self._happens(0.15)) or (wants is None and self._happens(0.6)):
            wants = wants is None
            person.mail_again_on = None if wants or self.rng.random() < 0.3 else self._in_days(2, 60)
        elif person.mail_again_on == self.today:
            wants, person.mail_again_on = True, None
        if wants is not consent.now and wants is not None:
            told = "by telephone"
            recording.set_contact_wish(self.pk, by=DESK, channel="email", allowed=wants, how=told, on=self.today)
            consent.set(self.now, wants)

    def _address(self) -> None:
        known, person = self.person.known, self.person
        if known.address.now and self._happens(0.2):
            self.year.dead.add(known.address.now)
        lacking = not known.address.now or known.bounced.now
        if self._happens(0.25) or (lacking and self.rng.random() < 0.02):
            person.addresses += 1
            gone = not lacking and self.rng.random() < 0.15
            address = "" if gone else f"p{self.pk}.{person.addresses}@mail.example"
            recording.amend_patient(self.pk, by=DESK, changes={"email": address}, now=self.now)
            known.address.set(self.now, address)
            known.bounced.set(self.now, False)
            if address:
                self.year.at_address[address] = person

    def _move_away(self, sides: Sequence[str]) -> None:
        for hip in Hip.objects.filter(patient=self.pk, side__in=sides).order_by("side"):
            ending = recording.end_follow_up(
                hip,
                by=DESK,
                on=self.today,
                reason=EndReason.TRANSFERRED,
                evidence="Letter of the patient",
                receiving_clinic="Westmere General Hospital",
                now=self.now,
            )
            self.person.endings.append(ending)
        self.person.reopens_on = self._in_days(10, 90) if self.rng.random() < 0.5 else None

    def _return(self) -> None:
        for ending in self.person.endings:
            recording.reopen_follow_up(ending, by=DESK, on=self.today, reason="Has moved back.", now=self.now)
        self.person.endings = []

    # ---- Coming

    def _attend(self, window: tuple[date, date], sides: Sequence[str]) -> None:
        person = self.person
        if window != person.wanted:
            person.wanted, person.comes_on = window, max(self._day_of_visit(window[0]), self.today + DAY)
        if person.comes_on == self.today:
            self._visit(sides)
        elif self._happens(0.4):
            told = SymptomReport(on=self.today, source="patient", symptomatic=self.rng.random() < 0.4)
            recording.record_facts(self.pk, [(Side(self.rng.choice(sides)), told)], by=DESK, now=self.now)

    def _day_of_visit(self, due_on: date) -> date:
        if self.rng.random() < self.person.keeps:
            return due_on + round(min(max(self.rng.gauss(0, 5), -13), 13)) * DAY
        late = (60, 150) if self.rng.random() < 0.25 else (14, 60)
        return due_on + self.rng.randint(*late) * DAY

    def _visit(self, sides: Sequence[str]) -> None:
        """A complete follow-up of every hip that is followed; now and then a view is missing."""
        complete = self.rng.random() > 0.08
        views = ["AP_PELVIS", "FROG_LATERAL"] if complete else ["AP_PELVIS"]
        facts: list[tuple[Side | None, Imaging | SymptomReport]] = []
        for side in sides:
            hurts = self.rng.random() < 0.12
            facts.append((Side(side), Imaging(on=self.today, modality="XR", views=views)))
            report = SymptomReport(on=self.today, source="clinician", symptomatic=hurts, pain_nrs=3 if hurts else 0)
            facts.append((Side(side), report))
        recording.record_facts(self.pk, facts, by=DESK, visit=Visit(on=self.today), now=self.now)
        if not complete:
            self.person.comes_on = self._in_days(10, 60)

    # ---- Appointments

    def _appointment(self, window: tuple[date, date] | None) -> None:
        person = self.person
        if person.booking is not None and person.booked_on is not None:
            self._after_booking(person.booking, person.booked_on)
        elif window is not None and self._is_asked(window[0]) and self.rng.random() < 0.06:
            on_the_day = person.comes_on is not None and self.today + DAY < person.comes_on < self.today + 40 * DAY
            day = person.comes_on if on_the_day and self.rng.random() < 0.8 else self._in_days(1, 25)
            wanted = self._wanted(day or self.today + DAY)
            person.booking = appointments.book(self.pk, wanted, by=DESK, now=self.now).pk
            person.booked_on = today_at(self.clinic, wanted.starts_at)

    def _is_asked(self, due_on: date) -> bool:
        return self.today > due_on - 45 * DAY

    def _wanted(self, day: date) -> appointments.Wanted:
        at = time(self.rng.randint(8, 16), self.rng.choice((0, 15, 30, 45)))
        purpose = self.rng.choices(("visit", "radiographs", "telephone"), (70, 15, 15))[0]
        return appointments.Wanted(appointments.moment_at(self.clinic, day, at), purpose=purpose)

    def _after_booking(self, booking: int, day: date) -> None:
        person = self.person
        if day > self.today and self.rng.random() < 0.03:
            wanted = self._wanted(self._in_days(1, 30))
            appointments.move(booking, wanted, by=DESK, now=self.now)
            person.booked_on = today_at(self.clinic, wanted.starts_at)
        elif day > self.today and self.rng.random() < 0.02:
            appointments.cancel(booking, by=DESK, reason="The patient is away.", now=self.now)
            person.booking = None
        elif day < self.today and self.rng.random() < 0.5:
            if self.rng.random() < 0.85:  # else nobody says what came of it
                came = person.comes_on == day or person.wanted is None
                (appointments.attended if came else appointments.did_not_attend)(booking, by=DESK, now=self.now)
            person.booking = None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)

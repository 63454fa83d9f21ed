"""Substitutes: where mail cannot reach a patient, a letter or a telephone call takes its place, and gives it back.

Everybody who writes here holds the patient's lock, as with mails; acts of people are announced.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop as _

from patients.changes import Actor
from patients.models import Clinic, ContactWish, Patient
from patients.models.patient import Channel
from patients.prepared import Ask, rows_of
from patients.recording import lock_patient, today_at

from .circumstances import ASKING, cases_for
from .eligibility import CONTACT_REASONS, Action, Eligibility, Reason, Verdict, decide_by_hand
from .models import Reminder, ReminderEvent, Substitute

Way = Substitute.Way
State = Substitute.State
Step = Reminder.Step
POST_DAYS = 3  # from printing to the patient's letter box
BY_CALL = (Step.SYMPTOM_CHECK, Step.APPOINTMENT_NEAR)  # questions to be answered, and what is tomorrow
UNREACHED = (Reminder.State.REFUSED, Reminder.State.FAILED)

MAIL_AGAIN = _("Mail is possible again.")
OPENED = {Way.LETTER: _("A letter takes its place."), Way.CALL: _("A telephone call takes its place.")}
CALL_UNDONE = _("The call was entered in error.")
MOST_LATE = 1000  # in one turn
NO_WAY = _("The patient wants neither letters nor telephone calls.")


# ---- Which way


@dataclass(frozen=True, slots=True)
class Ways:
    """How else a patient may be reached: a postal address, a number, and whether letters or calls were refused."""

    address: bool
    telephone: bool
    letters: bool = True
    calls: bool = True


def channel_for(step: str, ways: Ways, *, days_left: int) -> Substitute.Way | None:
    """A letter where it arrives in time and can say it, or else a call; None where the patient wants neither.

    `days_left`: how long the message still helps. A call is asked for also where no number is known: finding one is
    then the task.
    """
    letter = ways.address and ways.letters and step not in BY_CALL
    if letter and days_left >= POST_DAYS:
        return Way.LETTER
    if ways.calls and ways.telephone:
        return Way.CALL
    if letter and step in ASKING:  # a little late is better than nothing
        return Way.LETTER
    return Way.CALL if ways.calls else None


def ways_of(patients: Iterable[Patient]) -> dict[int, Ways]:
    """The ways to each of these patients, in one query."""
    people = {patient.pk: patient for patient in patients}
    wishes = ContactWish.objects.filter(
        patient__in=list(people), channel__in=[Channel.LETTER, Channel.TELEPHONE], allowed=False
    )
    refused = set(wishes.values_list("patient_id", "channel"))
    return {
        pk: Ways(
            address=bool(patient.address.strip()),
            telephone=bool(patient.telephone or patient.telephone_as_given),
            letters=(pk, Channel.LETTER.value) not in refused,
            calls=(pk, Channel.TELEPHONE.value) not in refused,
        )
        for pk, patient in people.items()
    }


# ---- Looking


def to_do(way: Substitute.Way, clinic_ids: Collection[int], now: datetime) -> QuerySet[Substitute]:
    """What somebody in these clinics is to do today or was to do before; unordered."""
    return to_do_in(Clinic.objects.filter(id__in=list(clinic_ids)), way, now)


def to_do_in(clinics: Iterable[Clinic], way: Substitute.Way, now: datetime) -> QuerySet[Substitute]:
    """As `to_do`, for clinics that have been read."""
    return Substitute.objects.filter(_today_in(clinics, now), channel=way, state=State.OPEN)


def _today_in(clinics: Iterable[Clinic], now: datetime) -> Q:
    """Ripe by the day of each clinic; nothing where there is none."""
    ripe = Q(pk__in=[])
    for day, ids in _clinics_by_day(clinics, now).items():
        ripe |= Q(clinic__in=ids) & ripe_on(day)
    return ripe


def _clinics_by_day(clinics: Iterable[Clinic], now: datetime) -> dict[date, list[int]]:
    """The clinics by the day that it is there."""
    days: dict[date, list[int]] = {}
    for clinic in clinics:
        days.setdefault(today_at(clinic, now), []).append(clinic.pk)
    return days


def ripe_on(day: date) -> Q:
    """Nothing holds it back any more: no appointment, no promise to come back, no call tried a while ago."""
    waits = Q(waits_until__isnull=True) | Q(waits_until__lte=day)
    return waits & (Q(next_on__isnull=True) | Q(next_on__lte=day))


def hindrances(rows: Collection[Substitute], now: datetime) -> dict[int, str]:
    """What stands against these as things are now, in words, by their id; nothing for what may be done at once.

    Their reminder must be loaded, with patient and clinic.
    """
    cases = cases_for([row.reminder for row in rows], now)
    verdicts = {row.pk: decide_by_hand(cases[row.reminder_id]) for row in rows}
    return {pk: verdict.reason for pk, verdict in verdicts.items() if verdict.action != Action.SEND}


# ---- Opening and dropping


def open_for(reminder_ids: Collection[int], *, by: Actor, at: datetime) -> int:
    """A letter or a call for those of these mails that were refused for want of a way, or failed. Returns how many.

    Nothing is opened where the message serves no purpose any more, nor a second time for what was printed or called.
    What was dropped is opened anew. For the caller's transaction, under the lock of the patients.
    """
    asked = Reminder.objects.filter(id__in=list(reminder_ids), state__in=UNREACHED).order_by("id")
    rows = [
        row
        for row in asked.select_related("patient", "clinic", "substitute")
        if (row.state == Reminder.State.FAILED or row.reason in CONTACT_REASONS) and _may_open(row)
    ]
    if not rows:
        return 0
    cases, ways = cases_for(rows, at), ways_of(row.patient for row in rows)
    wanted = [one for row in rows if (one := _substitute(row, cases[row.pk], ways[row.patient_id], by, at))]
    Substitute.objects.bulk_create(
        wanted, update_conflicts=True, unique_fields=["reminder"], update_fields=[*_OPENING, *_CLEARED]
    )
    remember(((one.reminder, OPENED[Way(one.channel)]) for one in wanted), by=by, at=at)
    return len(wanted)


_OPENING = ("channel", "state", "why", "opened_at", "until", "waits_until", "next_on", "attempts")
_CLEARED = ("decided_at", "outcome", "actor")


def _may_open(reminder: Reminder) -> bool:
    """Nothing stands in the mail's place now, nor did a patient get it."""
    there: Substitute | None = getattr(reminder, "substitute", None)
    return there is None or there.state == State.DROPPED


def _substitute(reminder: Reminder, case: Eligibility, ways: Ways, by: Actor, at: datetime) -> Substitute | None:
    verdict = decide_by_hand(case)
    if verdict.action in (Action.REFUSE, Action.EXPIRE):
        return None
    way = channel_for(reminder.step, ways, days_left=(case.useful_until - case.today).days)
    if way is None:
        return None
    return Substitute(
        reminder=reminder,
        clinic_id=reminder.clinic_id,
        patient_id=reminder.patient_id,
        channel=way,
        why=reminder.reason,
        opened_at=at,
        until=case.useful_until,
        waits_until=_waits_until(verdict, case),
        actor=by.name[:120],
    )


def _waits_until(verdict: Verdict, case: Eligibility) -> date | None:
    """The first day on which somebody is to act; None when that is today."""
    if verdict.action != Action.LATER:
        return None
    if verdict.reason == Reason.SNOOZED:
        return case.snoozed_until
    return verdict.not_before.astimezone(case.zone).date() if verdict.not_before else case.today + timedelta(days=1)


def drop_for(reminder_ids: Collection[int], *, by: Actor, at: datetime, outcome: str = MAIL_AGAIN) -> int:
    """What is still to be done in the place of these mails is no longer needed. Returns how many were dropped."""
    return _drop(dict.fromkeys(reminder_ids, outcome), by=by, at=at)


def _drop(outcomes: Mapping[int, str], *, by: Actor, at: datetime) -> int:
    """Drop the open substitutes of these mails, each with its reason."""
    rows = list(Substitute.objects.filter(reminder__in=list(outcomes), state=State.OPEN).select_related("reminder"))
    for row in rows:
        row.state, row.decided_at, row.outcome = State.DROPPED, at, outcomes[row.reminder_id]
        row.actor = by.name[:120]
    Substitute.objects.bulk_update(rows, ["state", "decided_at", "outcome", "actor"])
    remember(((row.reminder, row.outcome) for row in rows), by=by, at=at)
    return len(rows)


_TO_DO_FOR = "SELECT id FROM schedules_substitute WHERE patient_id = ANY(%s::bigint[]) AND state = 'open'"


def asking_for_open(patient_ids: Collection[int]) -> Ask:
    """Whether anything is to be done for any of these patients: no rows when there is not."""
    return _TO_DO_FOR, [list(patient_ids)]


def reconsider(patient_ids: Collection[int], *, by: Actor, at: datetime) -> None:
    """What is to be done for these patients follows from what is known now: dropped, put off, or done another way.

    A fixed number of queries; one where nothing is open.
    """
    ids = [pk for (pk,) in rows_of(*asking_for_open(patient_ids))]
    if ids:
        rows = Substitute.objects.filter(pk__in=ids).select_related("reminder__patient", "reminder__clinic")
        settle(list(rows.order_by("id")), by=by, at=at)


def settle(rows: Collection[Substitute], *, by: Actor, at: datetime) -> list[Substitute]:
    """Bring these open substitutes to what is known now and return those that still stand.

    Their reminder must be loaded, with patient and clinic.
    """
    cases = cases_for([row.reminder for row in rows], at)
    ways = ways_of(row.reminder.patient for row in rows)
    gone: dict[int, str] = {}
    changed: list[Substitute] = []
    for row in rows:
        case = cases[row.reminder_id]
        verdict = decide_by_hand(case)
        if row.reminder.state not in UNREACHED:
            gone[row.reminder_id] = MAIL_AGAIN
        elif verdict.action in (Action.REFUSE, Action.EXPIRE):
            gone[row.reminder_id] = verdict.reason
        elif way := _way_now(row, ways[row.patient_id], case):
            now = (way, case.useful_until, _waits_until(verdict, case))
            if (row.channel, row.until, row.waits_until) != now:
                row.channel, row.until, row.waits_until = now
                changed.append(row)
        else:
            gone[row.reminder_id] = NO_WAY
    Substitute.objects.bulk_update(changed, ["channel", "until", "waits_until"])
    _drop(gone, by=by, at=at)
    return [row for row in rows if row.reminder_id not in gone]


def _way_now(row: Substitute, ways: Ways, case: Eligibility) -> Substitute.Way | None:
    """The way that was chosen stays while it is open to the patient: a letter does not turn into a call by waiting."""
    if row.channel == Way.LETTER and ways.address and ways.letters:
        return Way.LETTER
    if row.channel == Way.CALL and row.attempts and ways.calls:
        return Way.CALL
    return channel_for(row.reminder.step, ways, days_left=(case.useful_until - case.today).days)


# ---- Calls


@transaction.atomic
def record_call(
    patient_id: int, *, told: bool, outcome: str, by: Actor, at: datetime, next_on: date | None = None
) -> int:
    """Somebody telephoned: with `told` the patient knows and the calls are done, otherwise they wait until `next_on`.

    `outcome`: what came of it, in words. Returns how many calls it settled or put off. `at` names this call in
    `undo_call`.
    """
    lock_patient(patient_id)
    rows = list(_calls(patient_id, State.OPEN))
    for row in rows:
        row.actor, row.attempts = by.name[:120], row.attempts + 1
        if told:
            row.state, row.decided_at, row.outcome = State.DONE, at, outcome[:200]
        else:
            row.next_on = next_on
    Substitute.objects.bulk_update(rows, ["state", "decided_at", "outcome", "next_on", "attempts", "actor"])
    remember(((row.reminder, outcome[:200]) for row in rows), by=by, at=at)
    return len(rows)


@transaction.atomic
def undo_call(patient_id: int, *, told: bool, by: Actor, at: datetime, now: datetime) -> int:
    """The call of that moment was entered in error: what it settled or put off is to be done."""
    lock_patient(patient_id)
    if told:
        rows = list(_calls(patient_id, State.DONE).filter(decided_at=at))
    else:
        rows = list(_calls(patient_id, State.OPEN).filter(attempts__gt=0))
    for row in rows:
        row.state, row.decided_at, row.outcome, row.next_on = State.OPEN, None, "", None
        row.actor, row.attempts = by.name[:120], row.attempts - 1
    Substitute.objects.bulk_update(rows, ["state", "decided_at", "outcome", "next_on", "attempts", "actor"])
    remember(((row.reminder, CALL_UNDONE) for row in rows), by=by, at=now)
    settle(rows, by=by, at=now)
    return len(rows)


def _calls(patient_id: int, state: Substitute.State) -> QuerySet[Substitute]:
    """The patient's calls in this state, locked."""
    calls = Substitute.objects.filter(patient=patient_id, channel=Way.CALL, state=state).order_by("id")
    rows = calls.select_related("reminder__patient", "reminder__clinic")
    return rows.select_for_update(no_key=True, of=("self",))


# ---- Upkeep


def drop_late(*, by: Actor, now: datetime) -> int:
    """What was not done by the last day on which it helped is dropped and says so. Returns how many.

    What somebody else holds is left for the next time.
    """
    dropped = 0
    for day, clinic_ids in _clinics_by_day(Clinic.objects.all(), now).items():
        late = Substitute.objects.filter(clinic__in=clinic_ids, state=State.OPEN, until__lt=day)
        locked = late.select_related("patient").select_for_update(skip_locked=True, no_key=True, of=("self", "patient"))
        ids = [row.reminder_id for row in locked.order_by("id")[:MOST_LATE]]
        dropped += drop_for(ids, by=by, at=now, outcome=Reason.TOO_LATE)
    return dropped


def remember(told: Iterable[tuple[Reminder, str]], *, by: Actor, at: datetime) -> None:
    """Tell it in the history of the mails whose place is taken; their own state stays."""
    ReminderEvent.objects.bulk_create(
        ReminderEvent(
            clinic_id=reminder.clinic_id,
            reminder=reminder,
            at=at,
            state=reminder.state,
            reason=said,
            actor=by.name[:120],
        )
        for reminder, said in told
    )

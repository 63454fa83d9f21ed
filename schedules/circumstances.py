"""Circumstances: what is known of patients at the moment at which mails to them are decided on."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime

from patients.models import ContactWish
from patients.models.patient import Channel

from .eligibility import Eligibility
from .ladder import rung_of
from .models import Plan, Reminder

SnoozeLookup = Callable[[Collection[int]], Mapping[int, date]]
WRITTEN = (Reminder.State.SENT, Reminder.State.SENDING, Reminder.State.UNCERTAIN)
_snooze_lookups: list[SnoozeLookup] = []


def snoozes_from(lookup: SnoozeLookup) -> None:
    """Ask `lookup` (patient ids -> the day on which each snoozed patient comes back) for those put off by staff."""
    if lookup not in _snooze_lookups:
        _snooze_lookups.append(lookup)


def cases_for(reminders: Collection[Reminder], now: datetime) -> dict[int, Eligibility]:
    """The case of each reminder by its id, in a fixed number of queries. Patient and clinic must be loaded."""
    ids = sorted({reminder.patient_id for reminder in reminders})
    plans = _current_plans(ids)
    consent = dict(
        ContactWish.objects.filter(patient__in=ids, channel=Channel.EMAIL).values_list("patient_id", "allowed")
    )
    written = _written(ids)
    snoozed = _snoozed(ids)
    return {
        reminder.pk: _case(
            reminder,
            now,
            plans=plans.get(reminder.patient_id, []),
            consent=consent.get(reminder.patient_id),
            written=[row for row in written.get(reminder.patient_id, []) if row.pk != reminder.pk],
            snoozed_until=snoozed.get(reminder.patient_id),
        )
        for reminder in reminders
    }


def _case(
    reminder: Reminder,
    now: datetime,
    *,
    plans: list[Plan],
    consent: bool | None,
    written: list[Reminder],
    snoozed_until: date | None,
) -> Eligibility:
    patient, clinic = reminder.patient, reminder.clinic
    window = _window_of(reminder, plans)
    days = [row.decided_at.astimezone(clinic.zone).date() for row in written if row.decided_at is not None]
    return Eligibility(
        now=now,
        zone=clinic.zone,
        send_on=reminder.send_on,
        useful_until=rung_of(reminder.step).useful_until(window) if window else reminder.send_on,
        alive=patient.died_on is None,
        enrolled_on=patient.enrolled_on,
        followed=bool(plans),
        wanted=window is not None,
        consent=consent,
        address=patient.email,
        bounced=patient.email_bounced_on is not None,
        sent_in_episode=sum(row.cycle_on == reminder.cycle_on for row in written),
        last_written_on=max(days, default=None),
        snoozed_until=snoozed_until,
        mail_stopped=clinic.mail_stopped,
        at_any_hour=clinic.synthetic,
    )


def _window_of(reminder: Reminder, plans: list[Plan]) -> Plan | None:
    """The current plan that the reminder serves: one of the patient's that are due first."""
    first = min((plan.due_on for plan in plans), default=None)
    for plan in plans:
        if plan.due_on == first and (plan.cycle_on, plan.due_on) == (reminder.cycle_on, reminder.due_on):
            return plan
    return None


def _current_plans(patient_ids: Iterable[int]) -> dict[int, list[Plan]]:
    found: dict[int, list[Plan]] = {}
    rows = Plan.objects.filter(patient__in=list(patient_ids), state=Plan.State.CURRENT).order_by("due_on", "id")
    for plan in rows.only("patient_id", "cycle_on", "opens_on", "due_on", "overdue_on"):
        found.setdefault(plan.patient_id, []).append(plan)
    return found


def _written(patient_ids: Iterable[int]) -> dict[int, list[Reminder]]:
    """Every mail that went, is going or may have gone to these patients."""
    found: dict[int, list[Reminder]] = {}
    rows = Reminder.objects.filter(patient__in=list(patient_ids), state__in=WRITTEN).order_by("patient", "id")
    for row in rows.only("patient_id", "cycle_on", "decided_at"):
        found.setdefault(row.patient_id, []).append(row)
    return found


def _snoozed(patient_ids: Collection[int]) -> dict[int, date]:
    return {patient: until for lookup in _snooze_lookups for patient, until in lookup(patient_ids).items()}

"""Registry: whole clinics of invented patients, chunk by chunk, in one process or several."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from multiprocessing import get_context

from django.db import connections
from django.utils import timezone

from patients import access
from patients.models import Clinic, Membership, Patient, Role, User
from patients.recording import today_at
from schedules import adoption

from .. import evaluating
from ..models import EvaluationRun
from .correspondence import moment
from .lives import Setting, live
from .natural_history import SmallLesions
from .writing import Staff, write_lives

RUN = "simulation"
CHUNK = 1000
SMALLEST_CHUNK = 100
Progress = Callable[[int], None]


class RealPatientsHere(RuntimeError):
    """The clinic is not marked as synthetic: invented patients must not stand among real ones."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be simulated in one clinic. `first` is the number of the first patient."""

    clinic_id: int
    patients: int
    years: float
    seed: int
    as_of: date
    first: int = 1
    small: SmallLesions = SmallLesions.HERNIGOU

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.patients)


def next_number(clinic: Clinic) -> int:
    """The first record number that this clinic has not used. Runs in a transaction that sees the clinic."""
    return Patient.objects.filter(clinic=clinic).count() + 1


def simulate(order: Order, *, processes: int = 1, progress: Progress = lambda done: None) -> int:
    """Live, write and evaluate the patients ordered; each chunk is a transaction. Returns how many were written.

    The same order gives the same registry, however many processes work on it. Raises RealPatientsHere.
    """
    with access.system_run(RUN, [order.clinic_id]) as viewer:
        if not Clinic.objects.get(pk=order.clinic_id).synthetic:
            raise RealPatientsHere("Simulated patients belong into a clinic that is marked as synthetic.")
        run = EvaluationRun.objects.create(kind=RUN, actor=viewer.actor.name, started_at=timezone.now())
    counts = evaluating.Counts()
    for done in _work(list(_chunks(order, processes)), run.pk, processes):
        counts += done
        progress(counts.patients)
    run.finished_at = timezone.now()
    run.patients, run.changed, run.failed = counts.patients, counts.changed, counts.failed
    run.save()
    return counts.patients


def _chunks(order: Order, processes: int) -> Iterator[Order]:
    size = max(SMALLEST_CHUNK, min(CHUNK, -(-order.patients // processes)))
    for start in range(0, order.patients, size):
        yield replace(order, first=order.first + start, patients=min(size, order.patients - start))


def _work(chunks: list[Order], run_id: int, processes: int) -> Iterator[evaluating.Counts]:
    if processes == 1 or len(chunks) == 1:
        for chunk in chunks:
            yield _write_chunk(chunk, run_id)
        return
    connections.close_all()  # a connection must not be shared with a child
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        for future in as_completed([pool.submit(_write_chunk, chunk, run_id) for chunk in chunks]):
            yield future.result()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """No garbage collection while a chunk is made: it would look again and again at objects that all live on.

    This takes a third off the processor's time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _write_chunk(order: Order, run_id: int) -> evaluating.Counts:
    """Live the chunk outside a transaction, then write and evaluate it in one."""
    with _without_collecting():
        counts = _live_and_write(order, run_id)
    gc.collect(1)  # the chunk's own garbage; not all that lives on in this process
    return counts


def _live_and_write(order: Order, run_id: int) -> evaluating.Counts:
    with access.system_run(RUN, [order.clinic_id]):
        clinic = Clinic.objects.get(pk=order.clinic_id)
        protocol = adoption.protocol_in_force(order.as_of)
        staff = staff_of(clinic)
    setting = Setting(order.seed, order.as_of, order.years, clinic.language, protocol, order.small)
    lives = [live(setting, number) for number in order.numbers]
    with access.system_run(RUN, [order.clinic_id]) as viewer:
        ids = write_lives(lives, clinic, by=viewer.actor, staff=staff, as_of=order.as_of)
        run = EvaluationRun.objects.get(pk=run_id)
        return evaluating.evaluate_patients(ids, run=run, now=_now(order.as_of, clinic))


def _now(as_of: date, clinic: Clinic) -> datetime:
    """The present, or midday of the day in the past up to which was simulated."""
    now = timezone.now()
    return now if today_at(clinic, now) == as_of else moment(as_of, 12, 0, clinic.zone)


def staff_of(clinic: Clinic) -> Staff:
    def holding(role: Role) -> list[User]:
        members = Membership.objects.filter(clinic=clinic, role=role, user__is_active=True).select_related("user")
        return [member.user for member in members.order_by("user_id")]

    return Staff(coordinators=holding(Role.COORDINATOR), clinicians=holding(Role.CLINICIAN))

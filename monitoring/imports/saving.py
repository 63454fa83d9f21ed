"""Saving: carries out a plan through patients.recording, and notes what it wrote, so that it can be undone."""

from datetime import date, datetime

from django.utils import timezone

from patients import recording
from patients.changes import Actor
from patients.models import Clinic, Exposure, Patient, Visit

from .plans import Plan, plain
from .written import Wrote


class Saving:
    """Saves the plans of one source into one clinic."""

    def __init__(
        self, clinic: Clinic, *, by: Actor, now: datetime, today: date, enrolled_on: date, source: str, act: str
    ) -> None:
        self.clinic, self.by, self.now, self.today = clinic, by, now, today
        self.enrolled_on, self.source, self.act = enrolled_on, source, act

    def save(self, plan: Plan) -> Patient:
        """Carry out a plan that is not refused, in the caller's transaction. Raises RecordingRefused."""
        arrival, reason = plan.arrival, f"{self.source}, line {plan.arrival.line}"[:200]
        wrote = Wrote(self.now, enrolled=plan.patient is None or bool(plan.returns))
        patient = self._saved_person(plan, reason, wrote)
        for exposure in plan.exposures:
            if plan.patient is None and exposure.is_bare:
                continue  # enrolled with it
            unsaved = Exposure(
                kind=exposure.kind, side=exposure.side, started_on=exposure.started_on, source=exposure.source[:120]
            )
            wrote.exposures.append(recording.record_exposure(patient.pk, unsaved, by=self.by).pk)
        for visit in plan.visits:
            recorded = recording.record_facts(
                patient.pk,
                [(said.side, said.fact) for said in visit.facts],
                by=self.by,
                visit=Visit(on=visit.on, kind=visit.kind, note=visit.note),
                act=self.act,
                reason=reason,
                now=self.now,
            )
            wrote.facts += [(fact.kind, fact.pk) for fact in recorded.facts]
        if plan.dies and arrival.died_on:
            recording.record_death(
                patient.pk, by=self.by, died_on=arrival.died_on, source=arrival.death_source, now=self.now
            )
            wrote.died_on = str(arrival.died_on)
        wrote.until = timezone.now()
        plan.saved, plan.wrote = patient, wrote
        return patient

    def _saved_person(self, plan: Plan, reason: str, wrote: Wrote) -> Patient:
        if plan.patient is None:
            return self._enrolled(plan, wrote)
        if plan.returns:
            recording.withdraw_facts(plan.returns, by=self.by, reason=reason, now=self.now)
        if plan.changes:
            before = {name: plain(getattr(plan.patient, name)) for name in plan.changes}
            after = recording.amend_patient(
                plan.patient.pk, by=self.by, changes=plan.changes, reason=reason, now=self.now
            )
            wrote.changes = {name: (before[name], plain(getattr(after, name))) for name in plan.changes}
        if plan.email_wish:
            wrote.wished, how = plan.email_wish
            recording.set_contact_wish(
                plan.patient.pk, by=self.by, channel="email", allowed=wrote.wished, how=how, on=self.today
            )
        return plan.patient

    def _enrolled(self, plan: Plan, wrote: Wrote) -> Patient:
        details = {"enrolled_on": self.enrolled_on} | dict(plan.arrival.person)
        conditions = [exposure.kind for exposure in plan.exposures if exposure.is_bare]
        patient = recording.enrol_patient(
            self.clinic,
            by=self.by,
            record_number=plan.arrival.record_number,
            contact_wishes={"email": plan.email_wish} if plan.email_wish else None,
            conditions=conditions,
            now=self.now,
            **details,
        )
        if plan.email_wish:
            wrote.wished = plan.email_wish[0]
        if conditions:
            wrote.exposures += Exposure.objects.filter(patient=patient).order_by("id").values_list("id", flat=True)
        return patient

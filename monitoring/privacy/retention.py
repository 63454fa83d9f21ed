"""Retention: who was kept for long enough; names taken out of records by two people, or nightly where a clinic asks.

Facts, days of follow-up and statistics stay, so the census counts the same. What stands in the audit stays there.
"""

from datetime import date, datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import access
from patients.access import Permission, Viewer
from patients.changes import Change, announce
from patients.models import HIP_FACTS, BmiReading, Clinic, Fact, Patient, Visit
from patients.recording import today_at
from schedules.guideline.windows import add_months
from schedules.models import DeliveryEvent, Plan, Reminder

from .. import audit
from ..models import HipEvaluation, RetentionRule, RetentionRun

Kind = RetentionRule.Kind
State = RetentionRun.State
MOST: Final = 1_000  # patients of one run
OVER: Final = ("deceased", "ended", "replaced")  # pathways of hips that nobody follows
FUNCTIONS: Final = {Kind.ENDED_PATIENTS: "anonymise_patient", Kind.MESSAGES: "forget_addresses"}
ACTS: Final = {Kind.ENDED_PATIENTS: "anonymise_patient", Kind.MESSAGES: "forget_addresses"}
_FACTS: Final[tuple[type[Fact], ...]] = (*HIP_FACTS, BmiReading)


class RetentionRefused(ValueError):
    """What was asked cannot be done; the message says why."""


def before_of(clinic: Clinic, months: int, now: datetime) -> date:
    """The day before which things are older than so many months."""
    return add_months(today_at(clinic, now), -months)


def due(clinic: Clinic, kind: str, before: date) -> QuerySet[Patient]:
    """The patients to whom the rule applies, the longest known first."""
    found = Patient.objects.filter(clinic=clinic, anonymised_on__isnull=True).order_by("id")
    if kind == Kind.MESSAGES:
        mine = Q(patient=OuterRef("pk"))
        sent = Reminder.objects.filter(mine, send_on__lt=before).exclude(sent_to="").exclude(_GONE)
        told = DeliveryEvent.objects.filter(mine, at__date__lt=before).exclude(address__endswith="@mail.invalid")
        return found.filter(Exists(sent) | Exists(told))
    followed = HipEvaluation.objects.filter(patient=OuterRef("pk")).exclude(pathway__in=OVER)
    planned = Plan.objects.filter(patient=OuterRef("pk"), state=Plan.State.CURRENT)
    found = found.filter(Q(died_on__isnull=True) | Q(died_on__lt=before), enrolled_on__lt=before)
    found = found.filter(Exists(HipEvaluation.objects.filter(patient=OuterRef("pk"))), merged_into__isnull=True)
    for model in (*_FACTS, Visit):
        found = found.exclude(Exists(model._default_manager.filter(patient=OuterRef("pk"), on__gte=before)))  # type: ignore[attr-defined]
    return found.exclude(Exists(followed)).exclude(Exists(planned))


_GONE: Final = Q(sent_to__endswith="@mail.invalid")


@transaction.atomic
def set_rule(viewer: Viewer, clinic: Clinic, kind: str, *, months: int | None, automatic: bool) -> None:
    """For how long the clinic keeps this; None for ever. Raises PermissionDenied, RetentionRefused."""
    viewer.check(Permission.ADMINISTER, clinic.pk)
    if months is not None and not 12 <= months <= 600:
        raise RetentionRefused(_("Give a number of months between 12 and 600."))
    known = RetentionRule.objects.filter(clinic=clinic, kind=kind)
    before = {rule.kind: [rule.months, rule.automatic] for rule in known}
    if months is None:
        known.delete()
    else:
        told = {
            "months": months,
            "automatic": automatic,
            "changed_at": timezone.now(),
            "actor": viewer.actor.name[:120],
        }
        RetentionRule.objects.update_or_create(clinic=clinic, kind=kind, defaults=told)
    after = {kind: [months, automatic]}
    audit.note(viewer.actor, "set_retention", clinic_id=clinic.pk, object=kind, before=before, after=after)


@transaction.atomic
def propose(viewer: Viewer, rule: RetentionRule, *, now: datetime | None = None) -> RetentionRun:
    """Put those whom the rule finds now, at most MOST, before a second person. Raises RetentionRefused."""
    viewer.check(Permission.ADMINISTER, rule.clinic_id)
    if RetentionRun.objects.filter(clinic=rule.clinic_id, kind=rule.kind, state=State.PROPOSED).exists():
        raise RetentionRefused(_("Such a run waits for a second person already."))
    run = _run(viewer, rule, now or timezone.now())
    if not run.subjects:
        raise RetentionRefused(_("There is nobody to whom the rule applies."))
    run.save()
    audit.note(viewer.actor, "propose_retention", clinic_id=run.clinic_id, object=run.kind, after=_said(run))
    return run


def _run(viewer: Viewer, rule: RetentionRule, now: datetime, **more: Any) -> RetentionRun:
    before = before_of(rule.clinic, rule.months, now)
    ids = list(due(rule.clinic, rule.kind, before).values_list("id", flat=True)[:MOST])
    return RetentionRun(
        clinic=rule.clinic,
        kind=rule.kind,
        months=rule.months,
        before=before,
        subjects=ids,
        proposed_at=now,
        proposed_by_id=viewer.actor.user_id,
        proposed_actor=viewer.actor.name[:120],
        **more,
    )


def _said(run: RetentionRun) -> dict[str, Any]:
    return {"run": run.pk, "patients": len(run.subjects), "months": run.months}


@transaction.atomic
def approve(viewer: Viewer, run_id: int, *, now: datetime | None = None) -> RetentionRun:
    """Carry out what another administrator proposed, for those to whom it still applies. It cannot be undone.

    Raises RetentionRefused, also for one's own proposal.
    """
    run = _open(viewer, run_id)
    if viewer.actor.user_id is None or viewer.actor.user_id == run.proposed_by_id:
        raise RetentionRefused(_("Somebody else has to approve what you proposed."))
    return _carry_out(viewer, run, now or timezone.now())


@transaction.atomic
def reject(viewer: Viewer, run_id: int, *, reason: str, now: datetime | None = None) -> RetentionRun:
    run = _open(viewer, run_id)
    if not reason.strip():
        raise RetentionRefused(_("Say why it is not carried out."))
    run.state, run.reason, run.decided_at = State.REJECTED, reason.strip()[:200], now or timezone.now()
    run.decided_by_id, run.decided_actor = viewer.actor.user_id, viewer.actor.name[:120]
    run.save()
    audit.note(viewer.actor, "reject_retention", clinic_id=run.clinic_id, object=run.kind, reason=run.reason,
               after=_said(run))  # fmt: skip
    return run


def _open(viewer: Viewer, run_id: int) -> RetentionRun:
    run = RetentionRun.objects.select_for_update(of=("self",)).select_related("clinic").get(pk=run_id)
    viewer.check(Permission.ADMINISTER, run.clinic_id)
    if run.state != State.PROPOSED:
        raise RetentionRefused(_("This run has been decided already."))
    return run


def _carry_out(viewer: Viewer, run: RetentionRun, now: datetime) -> RetentionRun:
    run.state, run.decided_at = State.APPROVED, now
    run.decided_by_id, run.decided_actor = viewer.actor.user_id, viewer.actor.name[:120]
    run.save()
    list(Patient.objects.filter(pk__in=run.subjects).order_by("id").select_for_update(no_key=True).values_list("pk"))
    still = set(due(run.clinic, run.kind, run.before).filter(pk__in=run.subjects).values_list("id", flat=True))
    for pk in sorted(still):
        _forget(run, pk)
        announce(Change(ACTS[Kind(run.kind)], viewer.actor, run.clinic_id, pk, after={"run": run.pk}, clinical=False))
    run.state, run.done, run.skipped = State.DONE, len(still), len(run.subjects) - len(still)
    run.save()
    audit.note(viewer.actor, "carry_out_retention", clinic_id=run.clinic_id, object=run.kind, after=_said(run))
    return run


def _forget(run: RetentionRun, patient_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {FUNCTIONS[Kind(run.kind)]}(%s, %s)", [run.pk, patient_id])  # nosec B608  # our own


def run_automatic(now: datetime) -> int:
    """Carry out the rules that a clinic's administrator has switched to automatic; how many patients were changed."""
    changed = 0
    with access.system_run("retention") as viewer:
        clinics = sorted(set(RetentionRule.objects.filter(automatic=True).values_list("clinic", flat=True)))
    for clinic_id in clinics:
        with access.system_run("retention", [clinic_id]) as viewer:
            for rule in RetentionRule.objects.filter(clinic=clinic_id, automatic=True).select_related("clinic"):
                run = _run(viewer, rule, now, automatic=True)
                if run.subjects:
                    run.save()
                    changed += _carry_out(viewer, run, now).done
    return changed

"""Rows: so many of each kind that a list shows, by plain statements and with nothing evaluated.

Person `n` has on the left a hip that is late and in review, and one of all that a clinic may know of somebody. The
first person is also the subject: every record of one patient grows with the lists.
"""

from datetime import UTC, date, datetime, timedelta

from monitoring.models import (
    ApiToken,
    AuditEntry,
    CaseNote,
    Flag,
    HipEvaluation,
    ImportBatch,
    ImportRow,
    Invitation,
    RetentionRun,
    ReviewCase,
    SavedView,
    Snooze,
    WebhookDelivery,
    WebhookEndpoint,
)
from patients.models import (
    Clinic,
    Decision,
    EmergencyAccess,
    Ending,
    Hip,
    Imaging,
    Membership,
    Merge,
    Patient,
    PossibleDuplicate,
    Procedure,
    Score,
    Staging,
    SymptomReport,
    User,
    Visit,
)
from schedules.models import Appointment, Plan, ProtocolVersion, Reminder, Substitute

DAY = date(2026, 8, 20)
NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
LIFETIME = 50  # facts of one kind
STATES = ("planned", "sent", "refused", "failed", "uncertain")


def fill(clinic, number, *, first=1, by):
    """So many more people and things; `by` is whose saved views, proposals and emergencies they are."""
    known = range(first, first + number)
    if first == 1:  # pairs need two records
        _people(clinic, [0])
    people, hips = _people(clinic, known)
    _answers(clinic, hips, known)
    _others(clinic, known, by)
    _mail(clinic, people, known)
    _appointments(clinic, people, known)
    subject = Hip.objects.select_related("patient").get(patient__record_number="L-00001", side="left")
    case = ReviewCase.objects.get(hip=subject, rule="R09")
    _record(clinic, subject, case, known)
    _administration(clinic, people, hips, known, by)
    _machines(clinic, subject, known)
    return {"patient": subject.patient_id, "case": case.pk, "batch": ImportBatch.objects.order_by("id").first().pk}


def _people(clinic, known):
    people = Patient.objects.bulk_create(
        Patient(
            clinic=clinic, record_number=f"L-{n:05d}", family_name=f"Berg{n:05d}", enrolled_on=date(2026, 1, 10),
            email="" if not n % 2 else f"l{n}@mail.example", address=f"Mill Lane {n}", record_version=1,
        )
        for n in known
    )  # fmt: skip
    hips = Hip.objects.bulk_create(
        Hip(clinic=clinic, patient=one, side=side) for one in people for side in ("right", "left")
    )
    return people, hips


def _answers(clinic, hips, known):
    due = {n: date(2026, 7, 1) + timedelta(days=n % 20) for n in known}
    HipEvaluation.objects.bulk_create(
        HipEvaluation(
            hip=hip, patient=hip.patient, clinic=clinic, pathway="observation", because="SYNTHETIC",
            answer={"window": {}}, status=("overdue" if hip.side == "left" else "due"), anchor_on=None,
            opens_on=due[n], due_on=due[n], overdue_on=due[n] + timedelta(days=14),
        )
        for n, pair in zip(known, zip(hips[::2], hips[1::2], strict=True), strict=True)
        for hip in pair
    )  # fmt: skip
    question = {
        "action": "LARGE_LESION_REVIEW", "rule": "R09", "urgency": "SOON", "since": date(2026, 8, 1),
        "act_by": date(2026, 8, 30), "because": "SYNTHETIC",
    }  # fmt: skip
    of_left = [{"clinic": clinic, "patient": hip.patient, "hip": hip} for hip in hips[1::2]]
    ReviewCase.objects.bulk_create(ReviewCase(**one, **question) for one in of_left)
    pain = question | {"action": "CORE_DECOMPRESSION_REVIEW", "rule": "R11"}
    ReviewCase.objects.bulk_create(ReviewCase(**one, **pain) for one in of_left)
    Flag.objects.bulk_create(Flag(**one, **question) for one in of_left)
    dates = {
        name: date(2026, 7, 20) for name in ("opens_on", "due_on", "overdue_on", "escalate_on", "trace_on", "gap_on")
    }
    Plan.objects.bulk_create(
        Plan(
            **one, cycle_on=date(2026, 1, 10), pathway="observation", because="SYNTHETIC", protocol="SYNTHETIC", **dates
        )
        for one in of_left
    )
    lesion = {"modality": "MR", "necrosis": True, "lesion_volume_percent": 12, "volume_method": "MRI_3D_SEGMENTATION"}
    seen = [
        (Imaging, {"on": date(2026, 1, 10), **lesion}),
        (Imaging, {"on": date(2026, 6, 1), "modality": "XR", "crescent": "absent"}),
        (SymptomReport, {"on": date(2026, 6, 1), "source": "clinician", "symptomatic": False, "pain_nrs": 0}),
    ]
    for kind, said in seen:
        kind.objects.bulk_create(kind(**one, **said, actor="SYNTHETIC") for one in of_left)


def _others(clinic, known, by):
    """Of each of these as many more: whose window is open and something missing, and who is put off until later."""
    _open, hips = _people(clinic, [10_000 + n for n in known])
    HipEvaluation.objects.bulk_create(
        HipEvaluation(
            hip=hip, patient=hip.patient, clinic=clinic, pathway="observation", because="SYNTHETIC", status="open",
            answer={"window": {}}, anchor_on=DAY, opens_on=DAY, due_on=DAY, overdue_on=DAY + timedelta(days=14),
        )
        for hip in hips
    )  # fmt: skip
    Flag.objects.bulk_create(
        Flag(
            clinic=clinic, patient=hip.patient, hip=hip, action="MEASURE_VOLUME", rule="R03", urgency="DATA",
            since=DAY, because="SYNTHETIC",
        )
        for hip in hips[1::2]
    )  # fmt: skip
    days = [date(2025, 10, 1) + timedelta(days=n) for n in (0, 30, 31, 44, 60, 90, 120)]
    names = ("cycle_on", "opens_on", "due_on", "overdue_on", "escalate_on", "trace_on", "gap_on")
    Plan.objects.bulk_create(
        Plan(
            clinic=clinic, patient=hip.patient, hip=hip, state="kept", kept_on=days[4], pathway="observation",
            because="SYNTHETIC", protocol="SYNTHETIC", **dict(zip(names, days, strict=True)),
        )
        for hip in hips[1::2]
    )  # fmt: skip
    put_off, _hips = _people(clinic, [20_000 + n for n in known])
    Snooze.objects.bulk_create(
        Snooze(
            clinic=clinic, patient=one, from_on=DAY, until=DAY + timedelta(days=20), reason="SYNTHETIC", owner=by,
            actor="SYNTHETIC",
        )
        for one in put_off
    )  # fmt: skip


def _mail(clinic, people, known):
    """One in each state to each person; a letter is to be printed and a call to be made instead of two of them."""
    rows = Reminder.objects.bulk_create(
        Reminder(
            clinic=clinic, patient=one, cycle_on=date(2026, 1, 10), due_on=date(2026, 7, 10), step=step, state=state,
            send_on=DAY + timedelta(days=2) if state == "planned" else DAY - timedelta(days=n % 9), reason="SYNTHETIC",
            sent_to=f"l{n}@mail.example", decided_at=None if state == "planned" else NOON,
        )
        for n, one in zip(known, people, strict=True)
        for state, step in zip(STATES, Reminder.Step.values, strict=False)
    )  # fmt: skip
    ways = {"failed": "letter", "refused": "telephone"}
    Substitute.objects.bulk_create(
        Substitute(
            reminder=row, clinic=clinic, patient=row.patient, channel=ways[row.state], why="SYNTHETIC", opened_at=NOON,
            until=DAY + timedelta(days=9), actor="SYNTHETIC",
        )
        for row in rows
        if row.state in ways
    )  # fmt: skip


def _appointments(clinic, people, known):
    Appointment.objects.bulk_create(
        Appointment(
            clinic=clinic, patient=one, starts_at=NOON + timedelta(minutes=15 * (n % 20)), actor="SYNTHETIC", place="2"
        )
        for n, one in zip(known, people, strict=True)
    )


def _record(clinic, subject, case, known):
    """One patient's own: notes on the case, entries of the audit, and facts of each kind, of which nobody has more
    than fifty."""
    of_one = {"clinic": clinic, "patient": subject.patient, "actor": "SYNTHETIC"}
    kinds = [
        (Imaging, {"modality": "XR", "views": ["AP_PELVIS"]}),
        (Staging, {"system": "ARCO", "version": "2019", "code": "I"}),
        (SymptomReport, {"source": "clinician", "symptomatic": False, "pain_nrs": 0}),
        (Score, {"instrument": "OHS", "value": 40}),
        (Procedure, {"procedure": "CORE_DECOMPRESSION"}),
        (Decision, {"action": "LARGE_LESION_REVIEW", "outcome": "observe", "reason": "SYNTHETIC"}),
    ]
    days = {n: date(2026, 8, 1) - timedelta(days=n) for n in known if n <= LIFETIME}
    Visit.objects.bulk_create(Visit(**of_one, on=day) for day in days.values())
    for kind, said in kinds:
        kind.objects.bulk_create(kind(**of_one, hip=subject, on=day, **said) for day in days.values())
    Reminder.objects.bulk_create(
        Reminder(
            clinic=clinic, patient=subject.patient, cycle_on=date(2020, 1, 1), due_on=date(2020, 1, 1) + timedelta(n),
            send_on=DAY - timedelta(days=30), step="due", state="sent", sent_to="l1@mail.example", decided_at=NOON,
        )
        for n in known
    )  # fmt: skip
    CaseNote.objects.bulk_create(
        CaseNote(clinic=clinic, case=case, actor="SYNTHETIC", kind="comment", text=f"Note {n}") for n in known
    )
    AuditEntry.objects.bulk_create(
        AuditEntry(actor="Ada Okoye", act=act, clinic_id=clinic.pk, patient_id=subject.patient_id, object=f"visit-{n}")
        for n in known
        for act in ("look", "record_visit")
    )


def _administration(clinic, people, hips, known, by):
    one = people[0]
    Ending.objects.bulk_create(
        Ending(
            clinic=clinic, patient=hip.patient, hip=hip, on=date(2024, 8, 1), recorded_at=NOON - timedelta(days=700),
            actor="SYNTHETIC", reason="declined_in_writing", evidence="letter",
        )
        for hip in hips[::2]
    )  # fmt: skip
    staff = User.objects.bulk_create(
        User(email=f"s{n}@clinic.example", name=f"Staff {n:05d}", password="!") for n in known
    )
    Membership.objects.bulk_create(Membership(user=user, clinic=clinic, role="auditor") for user in staff)
    Clinic.objects.bulk_create(
        Clinic(name=f"Clinic {n:05d}", mail_name="Clinic", telephone="+44 20 7946 0000") for n in known
    )
    Invitation.objects.bulk_create(
        Invitation(
            clinic=clinic, email=f"i{n}@clinic.example", name=f"Invited {n}", roles=["coordinator"], nonce=f"{n}",
            invited_by=by, expires_at=NOON + timedelta(days=3),
        )
        for n in known
    )  # fmt: skip
    older = Patient.objects.get(record_number="L-00000")
    PossibleDuplicate.objects.bulk_create(
        PossibleDuplicate(clinic=clinic, one=older, other=other, score=80) for other in people
    )
    Merge.objects.bulk_create(
        Merge(
            clinic=clinic, survivor=older, merged=other, state="proposed", reason="SYNTHETIC", proposed_by=by,
            proposed_actor="SYNTHETIC", differing=["born_on"],
        )
        for other in people
    )  # fmt: skip
    EmergencyAccess.objects.bulk_create(
        EmergencyAccess(
            user=user, patient=one, clinic=clinic, reason="SYNTHETIC", opened_at=NOON, ends_at=NOON + timedelta(hours=1)
        )
        for user in staff
    )
    RetentionRun.objects.bulk_create(
        RetentionRun(
            clinic=clinic, kind="ended_patients", months=120, before=date(2016, 8, 1), subjects=[one.pk],
            proposed_by=by, proposed_actor="SYNTHETIC", state="rejected", decided_at=NOON, decided_actor="SYNTHETIC",
            reason="SYNTHETIC",
        )
        for _n in known
    )  # fmt: skip
    SavedView.objects.bulk_create(
        SavedView(user=by, name=f"View {n:05d}", tab="overdue", query="late=3") for n in known
    )
    ProtocolVersion.objects.bulk_create(
        ProtocolVersion(name=f"synthetic/{n}", parameters={}, digest=f"{n:064d}", created_by=by, actor="SYNTHETIC")
        for n in known
    )


def _machines(clinic, subject, known):
    """Files, tokens, endpoints that have told of something."""
    batches = ImportBatch.objects.bulk_create(
        ImportBatch(clinic=clinic, file_name=f"f{n}.csv", digest=f"{n:064d}", state="checked", actor="SYNTHETIC")
        for n in known
    )
    first = ImportBatch.objects.order_by("id").first()
    problems = [{"column": "born_on", "text": "SYNTHETIC"}]
    ImportRow.objects.bulk_create(
        ImportRow(clinic=clinic, batch=first, number=n, outcome="refused", problems=problems) for n in known
    )
    ApiToken.objects.bulk_create(
        ApiToken(
            name=f"T{n}", clinic=clinic, digest=f"{n:064d}", prefix=f"{n:08d}", scopes=["read"],
            expires_at=NOON + timedelta(days=30),
        )
        for n in known
    )  # fmt: skip
    endpoints = WebhookEndpoint.objects.bulk_create(
        WebhookEndpoint(
            clinic=clinic, name=f"W{n}", url="https://ehr.example/", events=["flag.opened"], secret="-", told_until=NOON
        )
        for n in known
    )
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            clinic=clinic, endpoint=one, event="flag.opened", object_id=one.pk, patient_id=subject.patient_id,
            hip_id=subject.pk, opened_at=NOON, state="waiting", reason="SYNTHETIC", not_before=NOON,
        )
        for one in endpoints
    )  # fmt: skip
    return batches

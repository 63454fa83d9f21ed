"""Staging: what a demonstration lacks so that no page is empty, and the address of each page then; told as JSON.

Usage: python -m docs.pictures.staging [mail-down | mail-up]

DATA_DIR names an installation that runs, with the demonstration clinics; mail-down: the mail server refuses all.

It writes into that installation: people with every role, a merge, a retention run, letters that were printed. Only
clinics of synthetic patients are written to. The addresses come from the table of routes, as those of the tests do.
"""

import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from allauth.mfa.models import Authenticator  # noqa: E402
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes  # noqa: E402
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret  # noqa: E402
from django.db import transaction  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from docs.pictures.cast import EMPTY, EVERYTHING, GUESSED, IN_EMERGENCY, NOT_ALLOWED, TWO_STEPS  # noqa: E402
from docs.pictures.views import View, faults, of_routes, of_states  # noqa: E402
from monitoring import emergency, kept_forms, protocol_drafts, secrecy, webhooks  # noqa: E402
from monitoring.api import tokens  # noqa: E402
from monitoring.imports import batch  # noqa: E402
from monitoring.models import (  # noqa: E402
    ImportBatch,
    PatientLinkUse,
    RetentionRule,
    RetentionRun,
    ReviewCase,
    WebhookDelivery,
    WebhookEndpoint,
)
from monitoring.privacy import retention  # noqa: E402
from monitoring.simulation import demonstration  # noqa: E402
from patients import access, recording  # noqa: E402
from patients.access import Viewer, viewer_for  # noqa: E402
from patients.duplicate_search import search_duplicates  # noqa: E402
from patients.models import (  # noqa: E402
    Clinic,
    EmergencyAccess,
    Ending,
    Hip,
    Membership,
    Merge,
    Patient,
    Restriction,
    Role,
    SymptomReport,
    User,
)
from patients.vocabulary import EndReason  # noqa: E402
from schedules import links, printing  # noqa: E402
from schedules.guideline.protocol import Protocol  # noqa: E402
from schedules.links import Purpose  # noqa: E402
from schedules.models import Appointment, MailServer, ProtocolVersion, Reminder  # noqa: E402
from tests.journeys import addresses  # noqa: E402

IMPORTED = ("registry of March.csv", "transfers.csv")


@dataclass
class Stage:
    """What the photographer is told."""

    password: str
    totp_secret: str
    letters: str  # where those that were printed are
    elsewhere: list[str]  # a record of another clinic: the clinic's key, the record's number, the birth date
    views: list[View] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)  # rendered here: they are shown only when something breaks


def main() -> None:
    if sys.argv[1:] == ["mail-down"]:
        now = timezone.now()
        down = {"refusing_since": now - timedelta(hours=2), "ask_again_at": now + timedelta(hours=1), "tries": 9}
        MailServer.objects.update_or_create(
            pk=MailServer.ONLY, defaults={**down, "said": "It puts every mail off: 451"}
        )
    elif sys.argv[1:] == ["mail-up"]:
        MailServer.objects.all().delete()
    else:
        print(json.dumps(asdict(_set_up())))


def _set_up() -> Stage:
    password = demonstration.ensure_password()
    now = timezone.now()
    with transaction.atomic():
        clinics = list(Clinic.objects.order_by("pk")[:2])
        if not all(clinic.synthetic for clinic in clinics) or len(clinics) < 2:
            sys.exit("There are no demonstration clinics here; pictures of patients are taken of invented ones only.")
        people = _people(clinics, password)
        access.bind_clinics(Clinic.objects.values_list("pk", flat=True))
        stage = Stage(password, _second_steps(people[TWO_STEPS]), "", _elsewhere(clinics[1]))
        samples = _samples(clinics[0], people, now)
    with transaction.atomic():
        access.bind_clinics(Clinic.objects.values_list("pk", flat=True))
        more_rows(clinics, people, viewer_for(people[EVERYTHING]), now)
        stage.letters = reverse("letters_pdf", args=[printing.batches([clinics[0].pk], now=now)[0].id])
        stage.views = [*of_routes(samples), *of_states(clinics, people, samples, now)]
        stage.pages = faults()
    return stage


# ---- People


def _people(clinics: list[Clinic], password: str) -> dict[str, User]:
    """With every role; with a second step; alone in an empty clinic; without rights; whose password is guessed at."""
    details = {"mail_name": "Westmoor Practice", "telephone": "+44 20 7946 0300", "reply_to": "desk@westmoor.example"}
    empty, _made = Clinic.objects.get_or_create(name="Westmoor Practice", defaults={**details, "synthetic": True})
    staff = [role for role in Role if role != Role.AUDITOR]
    wanted = {
        EVERYTHING: ("Dr Ines Falk", [(clinic, role) for clinic in clinics for role in staff]),
        TWO_STEPS: ("Tom Arden", [(clinics[0], Role.COORDINATOR)]),
        EMPTY: ("Lena Voss", [(empty, role) for role in staff]),
        NOT_ALLOWED: ("Paul Reyes", [(clinics[0], Role.COORDINATOR)]),
        GUESSED: ("Mira Stone", [(clinics[0], Role.COORDINATOR)]),
    }
    people = {}
    for email, (name, roles) in wanted.items():
        user = User.objects.filter(email=email).first() or User.objects.create_user(email, password, name=name)
        everything = email == EVERYTHING
        User.objects.filter(pk=user.pk).update(is_superuser=everything, is_staff=everything, language="en")
        for clinic, role in roles:
            Membership.objects.get_or_create(user=user, clinic=clinic, role=role)
        people[email] = user
    return people


def _second_steps(user: User) -> str:
    """An authenticator app and recovery codes; returns the app's secret."""
    Authenticator.objects.filter(user=user).delete()
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret


# ---- One thing of each kind


def _samples(clinic: Clinic, people: dict[str, User], now: datetime) -> addresses.Samples:
    all_roles = viewer_for(people[EVERYTHING])
    admin = viewer_for(User.objects.get(email="admin@demo.example"))
    today = recording.today_at(clinic, now)
    cases = ReviewCase.objects.filter(clinic=clinic).order_by("-state", "pk")  # open before decided
    case = cases.filter(action="CORE_DECOMPRESSION_REVIEW").first() or cases[0]
    patient = case.patient
    report = SymptomReport.objects.filter(patient=patient).order_by("-pk")[0]
    checked, saved = _imports(clinic, all_roles)
    return addresses.Samples(
        patient.pk,
        case.pk,
        report.key,
        checked,
        appointment=Appointment.objects.filter(clinic=clinic, starts_at__gt=now).order_by("pk")[0].pk,
        protocol=_draft(all_roles, now),
        saved=saved,
        person=User.objects.get(email="coordinator@demo.example").pk,
        clinic=clinic.pk,
        other=_twin(clinic, patient, all_roles, today),
        merge=_merge(clinic, admin, today),
        run=_retention(clinic, admin, now),
        tokens=_tokens_of(patient, now),
    )


def _imports(clinic: Clinic, viewer: Viewer) -> tuple[int, int]:
    """One with problems, and one that was saved and then worked on."""
    there = [ImportBatch.objects.filter(clinic=clinic, file_name=name).first() for name in IMPORTED]
    if there[0] and there[1]:
        return there[0].pk, there[1].pk
    mark = secrets.token_hex(2).upper()
    head = b"record_number,family_name,given_name,born_on,enrolled_on,email\n"
    rows = [f"X-{mark}1,Okafor,Ben,2031-01-01,2026-01-10,", f"X-{mark}2,,Ana,12.13.1970,2026-01-10,nowhere"]
    rows += [f"X-{mark}3,Lund,Karin,1961-04-02,2026-02-10,karin@mail.example", f"X-{mark}3,Lund,Karin,1961-04-02,,"]
    checked = batch.check(clinic, head + "\n".join(rows).encode(), file_name=IMPORTED[0], by=viewer.actor)
    good = head + f"Y-{mark}1,Varga,Lea,1979-05-04,2026-02-10,\nY-{mark}2,Holm,Finn,1988-10-30,2026-02-11,\n".encode()
    saved = batch.check(clinic, good, file_name=IMPORTED[1], by=viewer.actor)
    batch.commit(saved.pk, clinic_id=clinic.pk, by=viewer.actor)
    amended = Patient.objects.get(clinic=clinic, record_number=f"Y-{mark}1")
    recording.amend_patient(amended.pk, by=viewer.actor, changes={"address": "Mill Lane 4\nNorthmere ZZ1 7RT"})
    return checked.pk, saved.pk


def _draft(viewer: Viewer, now: datetime) -> int:
    """A draft that moves hips."""
    there = ProtocolVersion.objects.filter(state="draft").order_by("pk").first()
    made = there or protocol_drafts.start_draft(
        None, note="Closer follow-up in the first year.", viewer=viewer, now=now
    )
    closer = Protocol(standard_interval_months=4)
    edited = protocol_drafts.edit_draft(made.pk, closer, note="Closer.", seen=made.digest, viewer=viewer, now=now)
    return edited.pk


def _twin(clinic: Clinic, patient: Patient, viewer: Viewer, today: date) -> int:
    """The same person enrolled once more under another number, and found by the nightly search."""
    if there := Patient.objects.filter(clinic=clinic, given_name=f"{patient.given_name} J.").first():
        return there.pk
    names = {"family_name": patient.family_name, "given_name": f"{patient.given_name} J."}
    same = {**names, "born_on": patient.born_on, "telephone_as_given": "+44 20 7946 0555"}
    number = f"T-{secrets.token_hex(2).upper()}"
    twin = recording.enrol_patient(clinic, by=viewer.actor, enrolled_on=today, record_number=number, **same)
    search_duplicates(clinic.pk)
    return twin.pk


def _merge(clinic: Clinic, viewer: Viewer, today: date) -> int:
    """Two records with different birth dates, which the administrator would make one."""
    if there := Merge.objects.filter(clinic=clinic, state="proposed").order_by("pk").first():
        return there.pk
    ended = Ending.objects.values("patient")
    first = Patient.objects.filter(clinic=clinic, merged_into__isnull=True).exclude(pk__in=ended).order_by("pk")[7]
    known = {"family_name": first.family_name, "given_name": first.given_name, "born_on": date(1971, 1, 9)}
    number = f"T-{secrets.token_hex(2).upper()}"
    second = recording.enrol_patient(clinic, by=viewer.actor, enrolled_on=today, record_number=number, **known)
    return recording.propose_merge(first.pk, second.pk, by=viewer.actor, reason="the same passport was shown").pk


def _retention(clinic: Clinic, viewer: Viewer, now: datetime) -> int:
    retention.set_rule(viewer, clinic, "messages", months=24, automatic=False)
    rule = RetentionRule.objects.get(clinic=clinic, kind="messages")
    waiting = RetentionRun.objects.filter(clinic=clinic, kind="messages", state="proposed").first()
    return (waiting or retention.propose(viewer, rule, now=now)).pk


def _tokens_of(patient: Patient, now: datetime) -> dict[str, str]:
    """Links that are good and not used, of the patient where there are."""
    used = PatientLinkUse.objects.values("reminder_id")
    mails = Reminder.objects.filter(send_on__gte=now.date() - timedelta(days=50)).exclude(pk__in=used).order_by("-pk")
    mail = mails.filter(patient=patient).first() or mails[0]
    return {purpose.value: links.sign(links.link_of(mail, purpose)) for purpose in Purpose}


# ---- Rows that nothing else makes


def more_rows(clinics: list[Clinic], people: dict[str, User], viewer: Viewer, now: datetime) -> None:
    """Tokens, webhooks, an ending of long ago, a restricted record, one opened in an emergency, forms kept, letters."""
    clinic, other = clinics
    if not list(tokens.tokens_for(viewer)):
        tokens.make_token(name="Radiology archive", clinic=clinic, scopes=["read", "record"], days=90, viewer=viewer)
    if not list(webhooks.endpoints_for(viewer)):
        _webhook(clinic, viewer, now)
    if not Restriction.objects.filter(lifted_at__isnull=True).exists():
        emergency.restrict(Patient.objects.filter(clinic=clinic)[11], reason="works in this clinic", viewer=viewer)
    _ending(clinic, viewer, now)
    _emergency(other, now)
    for pk in kept_forms.kept_for(people[EVERYTHING], now=now).values_list("pk", flat=True):
        kept_forms.drop(people[EVERYTHING], pk)
    typed = [
        ("outcome", "reached"),
        ("note", "Comes on Thursday; wants the letter by post."),
        ("next_on", "2026-12-10"),
    ]
    kept_forms.keep(
        people[EVERYTHING], kept_forms.Typed("/worklist/12/outcome/", "/worklist/overdue/", typed, []), now=now
    )
    if not printing.batches([clinic.pk], now=now):
        printing.print_letters([clinic.pk], by=viewer.actor, now=now)


def _webhook(clinic: Clinic, viewer: Viewer, now: datetime) -> None:
    """Two systems, as rows, since their hosts are made up: one is told, one could not be reached."""
    told, failing = (
        WebhookEndpoint.objects.create(
            clinic=clinic, name=name, url=f"https://{host}.northside.example/hooks/follow-up", events=events,
            secret=secrecy.encrypt(secrets.token_hex()), created_by_id=viewer.actor.user_id,
        )
        for name, host, events in (
            ("Hospital record", "archive", ["flag.opened", "review.opened"]),
            ("Reporting", "figures", ["review.opened"]),
        )
    )  # fmt: skip
    for case in ReviewCase.objects.filter(clinic=clinic).order_by("pk")[:4]:
        about = {"clinic": clinic, "object_id": case.pk, "patient_id": case.patient_id, "hip_id": case.hip_id}
        for endpoint, state, reason in ((told, "delivered", ""), (failing, "given_up", "The system answered 503.")):
            WebhookDelivery.objects.create(
                endpoint=endpoint, event="review.opened", opened_at=now, state=state, reason=reason, decided_at=now,
                **about,
            )  # fmt: skip


def _ending(clinic: Clinic, viewer: Viewer, now: datetime) -> None:
    """A follow-up that ended so long ago that it is to be read again."""
    then = now - timedelta(days=400)
    hip = Hip.objects.filter(clinic=clinic, side="right", patient__enrolled_on__lt=then.date() - timedelta(days=90))
    hip = hip.filter(endings__isnull=True).order_by("pk")[0]
    given = {"on": then.date(), "reason": EndReason.DECLINED_IN_WRITING, "evidence": "letter, scanned"}
    recording.end_follow_up(hip, by=viewer.actor, now=then, **given)


def _elsewhere(clinic: Clinic) -> list[str]:
    patient = Patient.objects.filter(clinic=clinic).order_by("pk")[3]
    return [str(clinic.pk), patient.record_number, str(patient.born_on)]


def _emergency(clinic: Clinic, now: datetime) -> None:
    """A clinician of the other clinic opened a record yesterday."""
    clinician = viewer_for(User.objects.get(email=IN_EMERGENCY))
    _clinic, number, born_on = _elsewhere(clinic)
    if EmergencyAccess.objects.filter(clinic=clinic).exists():
        return
    reason = "Brought in after a fall, is to be operated on tonight."
    asked = {"record_number": number, "born_on": date.fromisoformat(born_on), "reason": reason}
    emergency.open_record(clinic, **asked, viewer=clinician, now=now - timedelta(days=1))
    access.bind_clinics(Clinic.objects.values_list("pk", flat=True))


if __name__ == "__main__":
    main()

"""Worklist: who stands on which tab, in which order, and what a snooze and a search may do."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied

from monitoring import outreach, patient_search, pipeline, worklist
from monitoring.models import AuditEntry, ContactAttempt, Snooze
from monitoring.worklist import Filters, counts, page_of, patients_in
from patients import access, recording
from patients.models import Imaging, Membership, Patient, SymptomReport, User
from patients.vocabulary import Side

NOTHING = Filters()


def seen(on, *, views=("AP_PELVIS", "FROG_LATERAL"), volume=12):
    """A complete follow-up of a small lesion on the left; the right hip is clear."""
    mri = {"lesion_volume_percent": volume, "volume_method": "MRI_3D_SEGMENTATION"} if volume else {}
    return [
        (Side.LEFT, Imaging(on=on, modality="MR", necrosis=True, **mri)),
        (Side.LEFT, Imaging(on=on, modality="XR", views=list(views))),
        (Side.LEFT, SymptomReport(on=on, source="clinician", symptomatic=False, pain_nrs=0)),
        (Side.RIGHT, Imaging(on=on, modality="MR", necrosis=False)),
    ]


def pain(on, **signs):
    return [(Side.LEFT, SymptomReport(on=on, source="patient", symptomatic=True, pain_nrs=3, **signs))]


@pytest.fixture
def viewer(clinic, make_user):
    return access.viewer_for(make_user(clinic, "coordinator", name="Ada Okoye"))


@pytest.fixture
def watch(enrol, actor, clinic):
    """`watch(**details)`: a patient seen on 10 Jan 2026, next due on 10 Jul 2026."""

    def one(*more, on=date(2026, 1, 10), where=clinic, **details):
        patient = enrol(where, **{"enrolled_on": on, **details})
        recording.record_facts(patient.pk, [*seen(on), *more], by=actor)
        return patient

    return one


@pytest.fixture
def on_day():
    """`on_day(date)`: the clock of that day, with every answer brought up to it."""
    clocks = []

    def travel(day):
        clock = time_machine.travel(datetime(day.year, day.month, day.day, 12, tzinfo=UTC), tick=False)
        clock.start()
        clocks.append(clock)
        return day

    yield travel
    for clock in reversed(clocks):
        clock.stop()


def evaluate_all(day):
    now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    run = pipeline.EvaluationRun.objects.create(kind="sweep", actor="system: test", started_at=now)
    pipeline.evaluate_patients(Patient.objects.values_list("id", flat=True), run=run, now=now)


def tabs_of(patient, viewer, today):
    return {tab for tab in worklist.TABS if patients_in(tab, viewer, NOTHING, today).filter(pk=patient.pk).exists()}


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 3, 1), {"all"}),
        (date(2026, 6, 27), {"all", "due"}),
        (date(2026, 7, 10), {"all", "due"}),
        (date(2026, 7, 24), {"all", "overdue"}),
        (date(2027, 6, 1), {"all", "overdue", "incomplete"}),  # the other hip's MRI is asked for again
    ],
    ids=["upcoming", "open", "due", "overdue", "gap"],
)
def test_a_followed_patient_moves_from_tab_to_tab_and_is_never_hidden(day, expected, watch, viewer, on_day):
    on_day(date(2026, 1, 12))
    patient = watch()
    evaluate_all(day)
    assert tabs_of(patient, viewer, day) == expected


def test_new_pain_stands_under_reviews(watch, viewer, on_day):
    today = on_day(date(2026, 3, 5))
    patient = watch(*pain(date(2026, 3, 3)))
    assert "reviews" in tabs_of(patient, viewer, today)


def test_an_alarm_sign_comes_before_an_earlier_deadline(watch, viewer, on_day):
    today = on_day(date(2026, 3, 5))
    calm = watch(*pain(date(2026, 2, 1)))
    alarmed = watch(*pain(date(2026, 3, 4), night_pain=True))
    assert list(patients_in("reviews", viewer, NOTHING, today)) == [alarmed, calm]


def test_enrolled_without_any_follow_up_is_never_started(enrol, clinic, viewer, on_day, actor):
    today = on_day(date(2026, 1, 12))
    patient = enrol(clinic)
    recording.record_facts(patient.pk, seen(date(2026, 1, 10))[:1], by=actor)
    assert "never_started" in tabs_of(patient, viewer, today)


def test_one_view_only_is_incomplete(watch, viewer, on_day):
    today = on_day(date(2026, 3, 5))
    half = (Side.LEFT, Imaging(on=date(2026, 3, 1), modality="XR", views=["AP_PELVIS"]))
    assert "incomplete" in tabs_of(watch(half), viewer, today)


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"email": ""}, "no_address"),
        ({"contact_wishes": {}}, "no_consent"),
        ({"contact_wishes": {"email": (False, "by telephone")}}, "declined"),
    ],
)
def test_whom_mail_cannot_reach_is_listed_with_the_reason(details, why, watch, viewer, on_day):
    today = on_day(date(2026, 1, 12))
    patient = watch(**details)
    assert "unreachable" in tabs_of(patient, viewer, today)
    assert page_of("unreachable", viewer, NOTHING, today).rows[0].no_mail == why


def test_a_bounce_is_listed_until_there_is_another_address(watch, viewer, on_day, actor):
    today = on_day(date(2026, 1, 12))
    patient = watch()
    recording.record_bounce(patient.pk, by=actor, address=patient.email, reason="550", on=today)
    assert "unreachable" in tabs_of(patient, viewer, today)
    recording.amend_patient(patient.pk, by=actor, changes={"email": "new@mail.example"})
    assert "unreachable" not in tabs_of(patient, viewer, today)


def test_a_snoozed_patient_leaves_overdue_but_not_reviews_and_comes_back_on_the_day(watch, viewer, on_day):
    on_day(date(2026, 1, 12))
    patient = watch()
    today = on_day(date(2026, 8, 1))
    recording.record_facts(patient.pk, pain(date(2026, 7, 30)), by=viewer.actor)
    assert {"overdue", "reviews"} <= tabs_of(patient, viewer, today)
    until = today + timedelta(days=10)
    outreach.snooze(patient, until=until, reason="on holiday", viewer=viewer, today=today)
    assert tabs_of(patient, viewer, today) == {"reviews", "snoozed", "all"}
    assert tabs_of(patient, viewer, until - timedelta(days=1)) == {"reviews", "snoozed", "all"}
    assert {"overdue", "reviews"} <= tabs_of(patient, viewer, until)
    assert "snoozed" not in tabs_of(patient, viewer, until)


def test_ending_a_snooze_brings_the_patient_back_at_once(watch, viewer, on_day):
    on_day(date(2026, 1, 12))
    patient = watch()
    today = on_day(date(2026, 8, 1))
    evaluate_all(today)
    outreach.snooze(patient, until=date(2026, 8, 20), reason="on holiday", viewer=viewer, today=today)
    outreach.end_snooze(patient, viewer=viewer)
    assert tabs_of(patient, viewer, today) == {"overdue", "all"}


@pytest.mark.parametrize(
    ("day", "until", "reason", "field"),
    [
        (date(2026, 8, 1), date(2026, 8, 1), "holiday", "until"),
        (date(2026, 8, 1), None, "holiday", "until"),
        (date(2026, 8, 1), date(2026, 8, 9), "  ", "reason"),
        (date(2026, 8, 1), date(2026, 10, 31), "holiday", "until"),
        (date(2027, 6, 1), date(2027, 7, 2), "holiday", "until"),
    ],
    ids=["today", "no day", "no reason", "over 90 days", "over 30 days in a gap"],
)
def test_a_snooze_is_short_and_has_a_reason(day, until, reason, field, watch, viewer, on_day):
    on_day(date(2026, 1, 12))
    patient = watch()
    evaluate_all(day)
    with pytest.raises(outreach.WorkRefused) as refused:
        outreach.snooze(patient, until=until, reason=reason, viewer=viewer, today=day)
    assert refused.value.field == field and not Snooze.objects.exists()


def test_the_longest_snoozes_are_allowed(watch, viewer, on_day):
    on_day(date(2026, 1, 12))
    patient = watch()
    for day, days in ((date(2026, 8, 1), 90), (date(2027, 6, 1), 30)):
        evaluate_all(day)
        outreach.snooze(patient, until=day + timedelta(days=days), reason="abroad", viewer=viewer, today=day)
    assert Snooze.objects.filter(ended_at__isnull=True).get().until == date(2027, 7, 1)


def mixed(watch, enrol, clinic, viewer, day):
    """Patients of every kind, as of `day`."""
    for number in range(7):
        watch(family_name=f"Watched{number}", on=date(2026, 1, 10) + timedelta(days=30 * number))
    watch(*pain(date(2026, 2, 3)))
    enrol(clinic)
    snoozed = watch(email="")
    evaluate_all(day)
    outreach.snooze(snoozed, until=day + timedelta(days=5), reason="abroad", viewer=viewer, today=day)


def test_counts_are_the_lengths_of_the_lists(watch, enrol, clinic, viewer, on_day):
    today = on_day(date(2026, 8, 20))
    mixed(watch, enrol, clinic, viewer, today)
    for filters in (NOTHING, Filters(late=30), Filters(pathway="symptomatic"), Filters(search="watched1")):
        lengths = {tab: len(patients_in(tab, viewer, filters, today)) for tab in worklist.TABS}
        assert counts(viewer, filters, today) == lengths
    assert counts(viewer, NOTHING, today)["all"] == 10


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pages_cover_every_row_exactly_once_in_order(size, watch, enrol, clinic, viewer, on_day):
    today = on_day(date(2026, 8, 20))
    mixed(watch, enrol, clinic, viewer, today)
    for tab in worklist.TABS:
        turned, after = [], ""
        while True:
            page = page_of(tab, viewer, NOTHING, today, after=after, size=size)
            turned += [row.patient.pk for row in page.rows]
            after = page.after
            if not after:
                break
        assert turned == [patient.pk for patient in patients_in(tab, viewer, NOTHING, today)]


def test_what_a_look_reads_at_once_is_what_each_list_says(watch, enrol, clinic, viewer, on_day, make_user):
    today = on_day(date(2026, 8, 20))
    mixed(watch, enrol, clinic, viewer, today)
    me, other = viewer.actor.user_id, make_user(clinic, "clinician").pk
    myself = User.objects.get(pk=me)
    Patient.objects.filter(family_name__in=["Watched1", "Watched2"]).update(responsible=other, language="de")
    for patient in patients_in("overdue", viewer, NOTHING, today)[:2]:
        outreach.record_outcome(patient, outcome="no_answer", viewer=viewer, today=today, next_on=today, owner=myself)
    narrowed = [
        {"clinic": clinic.pk},
        {"clinician": other},
        {"clinician": other, "language": "de"},
        {"late": 30},
        {"late": 0, "overdue_from": date(2026, 5, 1)},
        {"pathway": "symptomatic"},
        {"owner": me},
        {"promised_by": me},
        {"escalated_to": other},
        {"search": "watched1", "language": "de"},
    ]
    for filters in (NOTHING, *(Filters(**one) for one in narrowed)):
        for tab in worklist.TABS:
            rows = page_of(tab, viewer, filters, today, size=2)
            for after in ("", rows.after):
                lengths, page = worklist.look(tab, viewer, filters, today, after=after)
                assert lengths == counts(viewer, filters, today), (tab, filters)
                assert page == page_of(tab, viewer, filters, today, after=after), (tab, filters, after)
    assert len(worklist.look("all", viewer, Filters(owner=me), today)[1].rows) == 3  # one was put off
    assert len(worklist.look("all", viewer, Filters(clinician=other, language="de"), today)[1].rows) == 2


def test_whoever_works_in_two_clinics_sees_one_list_of_both(watch, clinic, other_clinic, make_user, on_day):
    today = on_day(date(2026, 8, 20))
    person, surgeon = make_user(clinic, "admin"), make_user(other_clinic, "clinician")
    Membership.objects.create(user=person, clinic=other_clinic, role="admin")
    both, me = access.viewer_for(person), person.pk
    for number in range(3):
        for where in (clinic, other_clinic):
            watch(where=where, family_name=f"Watched{number}", language="de" if number else "en")
    Patient.objects.filter(family_name="Watched1", clinic=other_clinic).update(responsible=surgeon)
    for patient in patients_in("overdue", both, NOTHING, today)[1:3]:
        outreach.record_outcome(patient, outcome="no_answer", viewer=both, today=today, next_on=today, owner=person)
    evaluate_all(date(2026, 10, 20))
    narrowed = {
        "search": "watched1",
        "language": "de",
        "clinician": surgeon.pk,
        "pathway": "observation",
        "late": 30,
        "owner": me,
        "promised_by": me,
        "escalated_to": me,
        "overdue_from": date(2026, 7, 1),
    }
    for name, value in narrowed.items():
        filters = Filters(**{name: value})
        listed = list(patients_in("all", both, filters, today))
        lengths, page = worklist.look("all", both, filters, today)
        assert [row.patient.pk for row in page.rows] == [patient.pk for patient in listed], name
        assert lengths["all"] == len(listed) > 0, name
    assert {patient.clinic_id for patient in patients_in("all", both, Filters(search="watched1"), today)} == {
        clinic.pk,
        other_clinic.pk,
    }


@pytest.mark.parametrize("mark", ["x", "1~2~3", "~~", "0~2026-02-31~1", "9~~99999999999999999999999"])
def test_a_mark_that_is_none_is_no_error(mark, watch, viewer, on_day):
    today = on_day(date(2026, 1, 12))
    watch()
    assert len(page_of("all", viewer, NOTHING, today, after=mark).rows) in (0, 1)


def test_the_longer_late_of_the_same_risk_comes_first(watch, viewer, on_day):
    on_day(date(2026, 5, 1))
    later = watch(on=date(2026, 3, 10))
    earlier = watch(on=date(2026, 1, 10))
    today = on_day(date(2026, 11, 1))
    evaluate_all(today)
    assert list(patients_in("overdue", viewer, NOTHING, today)) == [earlier, later]
    rows = page_of("overdue", viewer, NOTHING, today).rows
    assert [row.days_late(today) for row in rows] == [114, 52]


def test_another_clinics_patients_are_never_seen(watch, viewer, on_day, other_clinic):
    today = on_day(date(2026, 8, 20))
    mine = watch(family_name="Sameson")
    watch(where=other_clinic, family_name="Sameson", record_number="OTHER-1")
    evaluate_all(today)
    for filters in (NOTHING, Filters(search="sameson"), Filters(clinic=other_clinic.pk)):
        for tab in worklist.TABS:
            found = set(patients_in(tab, viewer, filters, today))
            assert found <= {mine}
    assert counts(viewer, NOTHING, today)["all"] == 1
    assert patient_search.one_with_number(access.patients_for(viewer), "OTHER-1") is None


def test_filters_narrow_by_clinician_language_and_owner(watch, viewer, clinic, make_user, on_day):
    today = on_day(date(2026, 1, 12))
    surgeon = make_user(clinic, "clinician")
    theirs, german, left = watch(responsible=surgeon), watch(language="de"), watch()
    outreach.record_outcome(left, outcome="no_answer", viewer=viewer, today=today, owner=surgeon)

    def listed(**narrowed):
        return list(patients_in("all", viewer, Filters(**narrowed), today))

    assert listed(clinician=surgeon.pk) == [theirs]
    assert listed(language="de") == [german]
    assert listed(owner=surgeon.pk) == [left]


@pytest.mark.parametrize(
    "text",
    [
        "Lindqvist",
        "linqvist",
        "Lindkvist",
        "marta lindqvist",
        "LINDQVIST MARTA",
        "T-00231",
        "t-00231",
        "231",
        "4.3.1981",
        "04/03/1981",
        "1981-03-04",
        "4 Mar 1981",
        "4. März 1981",
        "04.03.81",
        "lindqvist 1981",
        "lindqvist 4.3.1981",
    ],
)
def test_search_finds_by_name_number_and_birth_date_however_written(text, enrol, clinic):
    wanted = enrol(
        clinic, family_name="Lindqvist", given_name="Marta", record_number="T-00231", born_on=date(1981, 3, 4)
    )
    enrol(clinic, family_name="Adeyemi", given_name="Jon", record_number="T-00118", born_on=date(1963, 1, 9))
    assert list(patient_search.search_patients(Patient.objects.all(), text)) == [wanted]


@pytest.mark.parametrize(
    "text",
    [
        "lindqvist",
        "marta lindqvist",
        "1981",
        "lindqvist 1981",
        "2099",
        "231 marta",
        "%",
        "\\",
        "'';",
        "ma",
        "4.3.1981",
        "",
        "a b c",
    ],
)
def test_what_is_found_in_a_clinic_is_what_a_search_finds_there(text, enrol, clinic, other_clinic):
    for where in (clinic, other_clinic):
        for number, family in enumerate(("Lindqvist", "Lindkvist", "Adeyemi", "O''Brien")):
            born = date(1981 + number, 3, 4)
            enrol(where, family_name=family, given_name="Marta", record_number=f"T-0023{number}", born_on=born)
    meant = set(
        patient_search.search_patients(Patient.objects.filter(clinic=clinic), text).values_list("pk", flat=True)
    )
    assert set(patient_search.found_in(clinic.pk, text, [])) == meant
    some = sorted(meant)[:1]
    assert set(patient_search.found_in(clinic.pk, text, some)) == meant - set(some)


@pytest.mark.parametrize(("typed", "name"), [("Muller", "Müller"), ("Adeyimi", "Adeyemi"), ("Berk", "Berg")])
def test_search_forgives_spelling_and_puts_the_exact_first(typed, name, enrol, clinic):
    near, exact = enrol(clinic, family_name=name), enrol(clinic, family_name=typed)
    found = patient_search.search_patients(Patient.objects.all(), typed).order_by("near", "id")
    assert [one.pk for one in found] == [exact.pk, near.pk]


def test_of_names_spelt_otherwise_the_likest_comes_first(enrol, clinic):
    far, close = enrol(clinic, family_name="Adebayin"), enrol(clinic, family_name="Adeyinka")
    found = patient_search.search_patients(Patient.objects.all(), "adeyinca").order_by("near", "id")
    assert [one.pk for one in found] == [close.pk, far.pk][: len(found)] and found[0] == close


@pytest.mark.parametrize("text", ["31.2.1981", "%", "_", "'; drop table", "\x00", "a" * 500, "99.99.9999"])
def test_search_takes_any_text(text, enrol, clinic):
    enrol(clinic)
    assert list(patient_search.search_patients(Patient.objects.all(), text)) in ([], list(Patient.objects.all()))


def test_trying_again_counts_what_was_not_answered_since_the_patient_was_reached(watch, viewer, on_day):
    today = on_day(date(2026, 1, 12))
    patient = watch()
    for outcome in ("no_answer", "reached", "no_answer", "message_left"):
        outreach.record_outcome(patient, outcome=outcome, viewer=viewer, today=today)
    row = page_of("all", viewer, NOTHING, today).rows[0]
    assert (row.unanswered, row.contact.outcome) == (2, "message_left")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"outcome": "danced"}, "outcome"),
        ({"outcome": "reached", "next_on": date(2026, 1, 11)}, "next_on"),
        ({"outcome": "reached", "next_on": date(2036, 1, 11)}, "next_on"),
        ({"outcome": "booked"}, "next_on"),
        ({"outcome": "note"}, "note"),
    ],
)
def test_an_outcome_that_cannot_be_is_refused_at_its_field(given, field, watch, viewer, on_day):
    today = on_day(date(2026, 1, 12))
    with pytest.raises(outreach.WorkRefused) as refused:
        outreach.record_outcome(watch(), viewer=viewer, today=today, **given)
    assert refused.value.field == field and not ContactAttempt.objects.exists()


def test_an_owner_works_in_the_patients_clinic(watch, viewer, make_user, other_clinic, on_day):
    today = on_day(date(2026, 1, 12))
    stranger = make_user(other_clinic, "coordinator")
    with pytest.raises(outreach.WorkRefused, match="somebody of this clinic"):
        outreach.record_outcome(watch(), outcome="reached", viewer=viewer, today=today, owner=stranger)


def test_only_who_recorded_an_outcome_takes_it_back_and_both_are_audited(watch, viewer, make_user, clinic, on_day):
    today = on_day(date(2026, 1, 12))
    attempt = outreach.record_outcome(watch(), outcome="reached", viewer=viewer, today=today)
    with pytest.raises(outreach.WorkRefused):
        outreach.undo_outcome(attempt, viewer=access.viewer_for(make_user(clinic, "coordinator")))
    outreach.undo_outcome(attempt, viewer=viewer)
    outreach.undo_outcome(attempt, viewer=viewer)
    acts = AuditEntry.objects.filter(act__contains="outcome").order_by("id").values_list("act", "actor")
    assert list(acts) == [("record_outcome", "Ada Okoye"), ("undo_outcome", "Ada Okoye")]
    assert page_of("all", viewer, NOTHING, today).rows[0].contact is None


def test_assigning_checks_every_patient_before_any_is_changed(watch, clinic, other_clinic, make_user, on_day):
    on_day(date(2026, 1, 12))
    surgeon = make_user(clinic, "clinician")
    viewer = access.viewer_for(make_user(clinic, "coordinator"))
    mine, other = watch(), watch(where=other_clinic)
    with pytest.raises(PermissionDenied):
        outreach.assign_clinician([mine, other], to=surgeon, viewer=viewer)
    with pytest.raises(outreach.WorkRefused):
        outreach.assign_clinician([mine], to=make_user(clinic, "coordinator"), viewer=viewer)
    assert outreach.assign_clinician([mine], to=surgeon, viewer=viewer) == 1
    mine.refresh_from_db()
    assert mine.responsible == surgeon
    assert outreach.assign_clinician([mine], to=surgeon, viewer=viewer) == 0

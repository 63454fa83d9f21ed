"""Administration pages: staff and their roles, clinics, and the audit that both leave."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from monitoring import audit, clinics, invitations, staff_roles
from monitoring.models import AuditEntry
from patients import access
from patients.changes import Actor
from patients.models import Clinic, Membership, Role, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(clinic, make_user):
    return make_user(clinic, "admin", name="Ruth Amsel")


@pytest.fixture
def nurse(clinic, make_user):
    return make_user(clinic, "coordinator", name="Ada Okoye")


@pytest.fixture
def superuser(clinic, make_user):
    return make_user(clinic, name="Sol Root", is_superuser=True, is_staff=True)


def change(user, clinic, roles, *, by, seen=None, reason="a new post"):
    held = staff_roles.roles_in(user, clinic.pk) if seen is None else seen
    viewer = access.viewer_for(by)
    return staff_roles.change_roles(user, clinic.pk, roles, seen=held, reason=reason, viewer=viewer)


def close(user, *, by):
    return staff_roles.deactivate(user, reason="left", viewer=access.viewer_for(by))


def test_roles_are_changed_with_a_reason_and_the_audit_says_from_what_to_what(clinic, admin, nurse):
    assert change(nurse, clinic, [Role.CLINICIAN, Role.AUDITOR], by=admin)
    entry = AuditEntry.objects.get(act="change_roles")
    assert staff_roles.roles_in(nurse, clinic.pk) == [Role.CLINICIAN, Role.AUDITOR]
    assert entry.before == {"roles": ["coordinator"]} and entry.after == {"roles": ["clinician", "auditor"]}
    assert entry.reason == "a new post" and entry.object == f"user-{nurse.pk}" and entry.user_id == admin.pk


def test_nobody_changes_their_own_rights_not_even_a_superuser(clinic, admin, superuser):
    for person in (admin, superuser):
        with pytest.raises(PermissionDenied):
            change(person, clinic, [Role.ADMIN, Role.CLINICIAN], by=person)
        with pytest.raises(PermissionDenied):
            close(person, by=person)


def test_the_last_administrator_of_a_clinic_keeps_the_role_and_the_account(clinic, admin, superuser, make_user):
    for act in (lambda: change(admin, clinic, [], by=superuser), lambda: close(admin, by=superuser)):
        with pytest.raises(ValidationError, match="last administrator"):
            act()
    second = make_user(clinic, "admin")
    assert close(admin, by=second)
    with pytest.raises(ValidationError, match="last administrator"):
        change(second, clinic, [Role.CLINICIAN], by=superuser)


def test_roles_that_somebody_changed_meanwhile_are_not_overwritten(clinic, admin, nurse):
    with pytest.raises(ValidationError, match="Somebody changed"):
        change(nurse, clinic, [Role.ADMIN], by=admin, seen=[Role.CLINICIAN])
    assert staff_roles.roles_in(nurse, clinic.pk) == [Role.COORDINATOR]


def test_an_administrator_of_one_clinic_gives_no_role_in_another(clinic, other_clinic, admin, nurse):
    with pytest.raises(PermissionDenied):
        change(nurse, other_clinic, [Role.ADMIN], by=admin)


def test_an_account_that_works_elsewhere_too_is_not_one_clinics_to_close(clinic, other_clinic, admin, nurse):
    Membership.objects.create(user=nurse, clinic=other_clinic, role=Role.CLINICIAN)
    with pytest.raises(PermissionDenied):
        close(nurse, by=admin)
    assert change(nurse, clinic, [], by=admin), "leaving this clinic is"


def test_a_closed_account_answers_no_more_and_comes_back_with_its_roles(clinic, admin, nurse, sign_in):
    browser = sign_in(nurse)
    assert browser.get("/").status_code == 200
    close(nurse, by=admin)
    assert browser.get("/").status_code == 302
    staff_roles.reactivate(User.objects.get(pk=nurse.pk), reason="back", viewer=access.viewer_for(admin))
    assert User.objects.get(pk=nurse.pk).is_active and staff_roles.roles_in(nurse, clinic.pk) == [Role.COORDINATOR]
    assert set(AuditEntry.objects.values_list("act", flat=True)) >= {"deactivate_staff", "reactivate_staff"}


def test_the_list_shows_ones_own_clinics_staff_found_by_name_and_state(
    clinic, other_clinic, admin, nurse, make_user, sign_in
):
    make_user(other_clinic, "coordinator", name="Finn Holm")
    browser = sign_in(admin)
    everybody = browser.get("/administration/staff/").content.decode()
    assert "Ada Okoye" in everybody and "Finn Holm" not in everybody and "Never signed in" in everybody
    assert "Ada Okoye" in browser.get("/administration/staff/?q=okoye&state=invited").content.decode()
    assert "Nobody matches" in browser.get("/administration/staff/?q=okoye&state=closed").content.decode()


@pytest.mark.parametrize("many", [1, 60])
def test_the_list_asks_as_often_for_one_person_as_for_a_page(
    clinic, admin, make_user, sign_in, many, django_assert_max_num_queries
):
    for _ in range(many):
        make_user(clinic, "coordinator")
    browser = sign_in(admin)
    with django_assert_max_num_queries(25):
        page = browser.get("/administration/staff/").content.decode()
    assert ('rel="next"' in page) == (many > 50)


def test_a_persons_page_changes_roles_and_refuses_without_a_reason(clinic, admin, nurse, sign_in):
    browser, name = sign_in(admin), f"roles-{clinic.pk}"
    sent = {"act": name, f"{name}-roles": ["clinician"], f"{name}-seen": "coordinator"}
    refused = browser.post(f"/administration/staff/{nurse.pk}/", sent)
    assert refused.status_code == 422 and staff_roles.roles_in(nurse, clinic.pk) == [Role.COORDINATOR]
    assert browser.post(f"/administration/staff/{nurse.pk}/", {**sent, f"{name}-reason": "x"}).status_code == 302
    assert staff_roles.roles_in(nurse, clinic.pk) == [Role.CLINICIAN]


def test_a_person_of_another_clinic_does_not_exist(other_clinic, admin, make_user, sign_in):
    stranger = make_user(other_clinic, "coordinator")
    assert sign_in(admin).get(f"/administration/staff/{stranger.pk}/").status_code == 404
    assert sign_in(admin).get(f"/administration/clinics/{other_clinic.pk}/").status_code == 404


CLINIC = {
    "name": "Northside Hip Clinic", "mail_name": "Northside", "telephone": "+44 20 7946 0999", "address": "",
    "opening_hours": "", "opening_hours_in": "", "reply_to": "desk@clinic.example", "time_zone": "Europe/London",
    "language": "en",
}  # fmt: skip


def test_a_clinic_is_changed_and_the_audit_holds_only_what_changed(clinic, admin, sign_in):
    answer = sign_in(admin).post(f"/administration/clinics/{clinic.pk}/", {**CLINIC, "seen": clinics.mark_of(clinic)})
    assert answer.status_code == 302 and Clinic.objects.get(pk=clinic.pk).telephone == "+44 20 7946 0999"
    entry = AuditEntry.objects.get(act="change_clinic")
    assert entry.before == {"telephone": "+44 20 7946 0000"} and entry.after == {"telephone": "+44 20 7946 0999"}


def test_the_line_breaks_of_a_browser_are_no_change_of_a_clinic(clinic, admin, sign_in):
    Clinic.objects.filter(pk=clinic.pk).update(address="1 High Street\nYork")
    seen = clinics.mark_of(Clinic.objects.get(pk=clinic.pk))
    sent = {**CLINIC, "address": "1 High Street\r\nYork", "seen": seen}
    assert sign_in(admin).post(f"/administration/clinics/{clinic.pk}/", sent).status_code == 302
    assert "address" not in AuditEntry.objects.get(act="change_clinic").after


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"mail_name": "Northside Hip Clinic"}, "Mail must not say hip"),
        ({"address": "Hip Clinic, 1 Heron Way"}, "Mail must not say hip"),
        ({"opening_hours": "Hip clinic 8-16"}, "Mail must not say hip"),
        ({"opening_hours_in": "de: Hüfte 8-16"}, "Mail must not say"),
        ({"opening_hours_in": "Mo-Fr 8-16 Uhr"}, "begin with one of en, de, es, fr"),
        ({"telephone": "abc"}, "Write a telephone number"),
        ({"telephone": "+44 20 7946 0100  Bcc: x"}, "Write a telephone number"),
        ({"reply_to": "nobody"}, "valid email"),
        ({"telephone": ""}, "required"),
        ({"time_zone": "Europe/Atlantis"}, "valid choice"),
        ({"seen": "stale"}, "Somebody changed this clinic"),
    ],
)
def test_what_a_clinic_cannot_be_is_told_and_changes_nothing(clinic, admin, sign_in, wrong, words):
    sent = {**CLINIC, "seen": clinics.mark_of(clinic), **wrong}
    answer = sign_in(admin).post(f"/administration/clinics/{clinic.pk}/", sent)
    assert answer.status_code == 422 and words in answer.content.decode()
    assert Clinic.objects.get(pk=clinic.pk).telephone == "+44 20 7946 0000"


def test_the_name_of_another_clinic_is_refused_in_words(clinic, other_clinic, admin, sign_in):
    sent = {**CLINIC, "name": other_clinic.name, "seen": clinics.mark_of(clinic)}
    answer = sign_in(admin).post(f"/administration/clinics/{clinic.pk}/", sent)
    assert answer.status_code == 422 and "There is a clinic of this name already." in answer.text


def test_only_a_superuser_adds_a_clinic(admin, superuser, sign_in):
    new = {**CLINIC, "name": "Westside"}
    assert sign_in(admin).post("/administration/clinics/new/", new).status_code == 403
    assert sign_in(superuser).post("/administration/clinics/new/", new).status_code == 302
    assert Clinic.objects.filter(name="Westside").exists()


def test_the_audit_is_searched_by_person_patient_and_period(clinic, admin, nurse, patient, sign_in):
    audit.looked(Actor("Ada Okoye", nurse.pk), [(clinic.pk, patient.pk)], "patient page")
    browser = sign_in(admin)
    assert "Looked: patient page" in browser.get("/administration/audit/?who=okoye&kind=looks").content.decode()
    assert "No entry matches" in browser.get("/administration/audit/?who=okoye&until=2001-01-01").content.decode()
    gate = browser.get("/administration/audit/?act=pass_gate").content.decode()
    assert "Only “Opened the restricted record”." in gate
    found = browser.post("/administration/audit/", {"number": patient.record_number})
    assert found.url.endswith(f"?patient={patient.pk}"), "no record number stands in an address"
    page = browser.get(found.url).content.decode()
    assert patient.record_number in page and patient.family_name not in page


def test_another_clinics_audit_is_not_found(other_clinic, admin, sign_in):
    audit.note(Actor("Finn Holm"), "change_clinic", clinic_id=other_clinic.pk)
    assert "Finn Holm" not in sign_in(admin).get("/administration/audit/").content.decode()


def test_the_audit_as_a_file_is_audited_and_opens_harmlessly(clinic, admin, sign_in):
    audit.note(Actor("=cmd()"), "change_clinic", clinic_id=clinic.pk)
    file = b"".join(sign_in(admin).get("/administration/audit.csv?kind=changes").streaming_content).decode()
    assert "'=cmd()" in file and file.startswith("\ufeffWhen,")
    assert AuditEntry.objects.filter(act="export", object="audit", clinic_id=clinic.pk).count() == 1


def test_an_auditor_reads_the_audit_and_administers_nothing(clinic, make_user, sign_in):
    browser = sign_in(make_user(clinic, "auditor"))
    assert browser.get("/administration/").url == "/administration/audit/"
    assert browser.get("/administration/audit/").status_code == 200
    assert browser.get("/administration/staff/").status_code == 403


def test_who_only_takes_out_research_sees_no_patient(clinic, patient, make_user, sign_in):
    browser = sign_in(make_user(clinic, "research"))
    for path in ("/patients/", f"/patients/{patient.pk}/", "/worklist/all/"):
        assert browser.get(path).status_code == 403
    assert patient.family_name not in browser.get("/").content.decode()


def test_an_administrator_invites_sends_again_and_takes_back(clinic, admin, sign_in):
    browser, new = sign_in(admin), {"name": "Eva Lund", "email": "eva@clinic.example", "clinic": clinic.pk}
    assert browser.post("/administration/staff/new/", new).status_code == 422, "without a role"
    assert browser.post("/administration/staff/new/", {**new, "roles": ["clinician"]}).status_code == 302
    page = browser.get("/administration/staff/").content.decode()
    assert "Eva Lund" in page and "1 invitation without an answer" in page
    pk = invitations.open_for(access.viewer_for(admin)).get().pk
    for act in ("resend", "revoke"):
        assert browser.post(f"/administration/staff/invitations/{pk}/", {"act": act}).status_code == 302
    assert not invitations.open_for(access.viewer_for(admin)).exists()


def test_a_superuser_invites_the_first_administrator_of_a_new_clinic(other_clinic, superuser, sign_in):
    new = {"name": "Eva Lund", "email": "eva@clinic.example", "clinic": other_clinic.pk, "roles": ["admin"]}
    browser = sign_in(superuser)
    assert browser.post("/administration/staff/new/", new).status_code == 302
    assert "Eva Lund" in browser.get("/administration/staff/").content.decode()


def test_a_patient_is_told_in_their_language_who_has_seen_the_record(clinic, enrol, make_user, sign_in):
    patient, lead = enrol(clinic, language="es"), make_user(clinic, "clinician", name="Dr Lindqvist")
    browser = sign_in(lead)
    for _time in range(2):
        browser.get(f"/patients/{patient.pk}/")
    page = browser.get(f"/patients/{patient.pk}/seen/").content.decode()
    assert "Dr Lindqvist" in page and "Quién ha visto mi historia" in page and "cadera" not in page.lower()
    assert AuditEntry.objects.filter(act="who_has_seen", patient_id=patient.pk).count() == 1
    made = "Made the report of who has seen the record"
    assert made not in browser.get(f"/patients/{patient.pk}/history/").text, "it changed nothing"
    assert made in browser.get(f"/patients/{patient.pk}/audit/?show=looks").text
    assert sign_in(make_user(clinic, "coordinator")).get(f"/patients/{patient.pk}/seen/").status_code == 403


def test_every_kind_of_entry_has_words():
    """The kinds are read from the sources: whatever is noted or announced under a name of its own."""
    from monitoring.web.act_words import ACTS

    assert sorted(acts_in_the_sources() - set(ACTS) - {"second_opinion"}) == [], "that is a note to a case"


NOTING = {"note", "_note", "_noting", "_announce", "_tell", "_tell_both", "_audit", "_settle", "tell"}


def acts_in_the_sources():
    import ast

    from tests.conftest import PROJECT

    found = set()
    for name in ("config", "monitoring", "patients", "schedules"):
        for path in (PROJECT / name).rglob("*.py"):
            if {"migrations", "simulation", "imports", "fhir"} & set(path.parts):
                continue
            for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
                called = getattr(call.func, "attr", getattr(call.func, "id", ""))
                said = [word.value for word in call.keywords if word.arg == "act"]
                said += call.args[:3] if called in NOTING else []
                found |= {word.value for word in said if isinstance(word, ast.Constant) and isinstance(word.value, str)}
    return {word for word in found if word.count("_") or word in {"look", "export"}}

"""URLs of the pages about one patient."""

from django.urls import path, register_converter

from . import audit_tab, corrections, doctor_letter, enrolment, patient, seen, visit, visit_drafts


class SideConverter:
    """right or left."""

    regex = "right|left"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(SideConverter, "side")

urlpatterns = [
    path("patients/new/", enrolment.patient_enrol, name="patient_enrol"),
    path("patients/<int:pk>/", patient.patient, name="patient"),
    path("patients/<int:pk>/visit/", visit.visit_new, name="visit_new"),
    path("patients/<int:pk>/visit/draft/", visit_drafts.keep, name="visit_draft"),
    path("patients/<int:pk>/visit/draft/discard/", visit_drafts.discard, name="visit_draft_discard"),
    path("patients/<int:pk>/edit/", enrolment.patient_edit, name="patient_edit"),
    path("patients/<int:pk>/contact/", enrolment.patient_contact, name="patient_contact"),
    path("patients/<int:pk>/death/", enrolment.patient_death, name="patient_death"),
    path("patients/<int:pk>/what-if/", patient.patient_whatif, name="patient_whatif"),
    path("patients/<int:pk>/print/", patient.patient_print, name="patient_print"),
    path("patients/<int:pk>/audit/", audit_tab.patient_audit, name="patient_audit"),
    path("patients/<int:pk>/seen/", seen.patient_seen, name="patient_seen"),
    path("patients/<int:pk>/audit.csv", audit_tab.patient_audit_file, name="patient_audit_file"),
    path("patients/<int:pk>/letter/", doctor_letter.patient_letter, name="patient_letter"),
    path("patients/<int:pk>/<side:side>/end/", enrolment.hip_end, name="hip_end"),
    path("patients/<int:pk>/<side:side>/reopen/", enrolment.hip_reopen, name="hip_reopen"),
    path("patients/<int:pk>/<side:side>/decide/<slug:action>/", corrections.finding_decide, name="finding_decide"),
    path("patients/<int:pk>/facts/<slug:key>/withdraw/", corrections.fact_withdraw, name="fact_withdraw"),
    path("patients/<int:pk>/facts/<slug:key>/correct/", corrections.fact_correct, name="fact_correct"),
    path("patients/<int:pk>/<slug:tab>/", patient.patient_tab, name="patient_tab"),
]

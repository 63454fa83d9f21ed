"""Addresses of the administration pages."""

from django.urls import path

from . import (
    administration,
    administration_audit,
    administration_clinics,
    administration_sign_ins,
    administration_staff,
)

urlpatterns = [
    path("administration/", administration.start, name="administration"),
    path("administration/staff/", administration_staff.staff_list, name="staff"),
    path("administration/staff/new/", administration_staff.staff_new, name="staff_new"),
    path("administration/staff/<int:pk>/", administration_staff.person, name="staff_person"),
    path("administration/staff/invitations/<int:pk>/", administration_staff.invitation, name="staff_invitation"),
    path(
        "administration/staff/<int:pk>/sign-in/<slug:act>/", administration_sign_ins.staff_sign_in, name="staff_sign_in"
    ),
    path("administration/clinics/", administration_clinics.clinic_list, name="clinics"),
    path("administration/clinics/new/", administration_clinics.clinic_new, name="clinic_new"),
    path("administration/clinics/<int:pk>/", administration_clinics.clinic_edit, name="clinic_edit"),
    path("administration/audit/", administration_audit.audit_search_page, name="audit_search"),
    path("administration/audit.csv", administration_audit.audit_file, name="audit_file"),
]

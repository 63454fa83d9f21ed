"""Addresses of the protocol's pages."""

from django.urls import path

from . import protocol, protocol_versions

urlpatterns = [
    path("protocol/", protocol.protocol_page, name="protocol"),
    path("protocol/cases/", protocol.cases_page, name="protocol_cases"),
    path("protocol/versions/", protocol_versions.versions, name="protocol_versions"),
    path("protocol/drafts/new/", protocol_versions.draft_new, name="protocol_draft_new"),
    path("protocol/drafts/<int:pk>/", protocol_versions.draft, name="protocol_draft"),
    path("protocol/drafts/<int:pk>/effect/", protocol_versions.effect, name="protocol_effect"),
    path("protocol/drafts/<int:pk>/<slug:act>/", protocol_versions.step, name="protocol_step"),
]

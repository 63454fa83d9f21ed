"""Addresses of the pages for API tokens."""

from django.urls import path

from . import tokens

urlpatterns = [
    path("tokens/", tokens.token_list, name="tokens"),
    path("tokens/<int:pk>/revoke/", tokens.revoke, name="token_revoke"),
]

"""Sessions are kept as Django keeps them, and read by a statement that is planned once."""

from datetime import timedelta

import pytest
from django.contrib.sessions.backends import db as djangos
from django.contrib.sessions.models import Session
from django.utils import timezone

from config.session_store import SessionStore


@pytest.fixture
def kept(db):
    store = SessionStore()
    store["who"] = "Ada"
    store.save()
    return store


def test_what_was_kept_is_read_also_as_django_reads_it(kept):
    assert SessionStore(kept.session_key)["who"] == djangos.SessionStore(kept.session_key)["who"] == "Ada"


@pytest.mark.parametrize("key", ["", None, "no-such-key-0123456789", "'; DROP TABLE django_session"])
def test_a_key_that_nobody_has_is_forgotten(kept, key):
    store = SessionStore(key)
    assert "who" not in store and store.session_key is None


def test_a_session_that_has_ended_is_not_read(kept):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    store = SessionStore(kept.session_key)
    assert "who" not in store and store.session_key is None

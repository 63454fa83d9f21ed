"""Sealed words: what somebody searches for travels in a form, and stands sealed in the addresses that follow.

An address ends up in histories, in the logs of proxies and in pasted links. So names, numbers and birth dates that are
typed into a search are posted, and the page that shows what was found has them encrypted in its address.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import Resolver404, resolve
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.http import require_POST

from .entry import signed_in, typed

MARK: Final = "~"
LONGEST: Final = 200
ANSWERED_BY: Final = frozenset({"patients", "worklist", "worklist_tab"})
NOT_KEPT: Final = frozenset({"csrfmiddlewaretoken", "to"})


def seal(words: str) -> str:
    """The words as an address may carry them, the same for the same words; nothing for none."""
    if not words:
        return ""
    sealed = _box(settings.SECRET_KEY).encrypt(words[:LONGEST].encode(), None)
    return MARK + urlsafe_b64encode(sealed).decode().rstrip("=")


def opened(text: str) -> str:
    """What `seal` was given. Words that were never sealed are themselves; a seal that is not ours holds nothing."""
    if not text.startswith(MARK):
        return text
    try:
        sealed = urlsafe_b64decode(text.removeprefix(MARK) + "==")
    except (binascii.Error, ValueError):
        return ""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _box(key).decrypt(sealed, None).decode()
        except (InvalidTag, ValueError):
            continue
    return ""


def _box(key: str) -> AESSIV:
    return AESSIV(salted_hmac("monitoring.web.sealed_words", "", secret=key, algorithm="sha512").digest())


@signed_in
@require_POST
def search(request: HttpRequest) -> HttpResponse:
    """Go to the list that `to` names, one of ours, with the other fields in its address and `q` sealed."""
    kept = {name: typed(request, name) for name in request.POST if name not in NOT_KEPT}
    kept["q"] = seal(kept.get("q", "").strip())
    query = urlencode({name: value for name, value in kept.items() if value})
    return HttpResponseRedirect(f"{_list_at(request.POST.get('to', ''))}?{query}".rstrip("?"))


def _list_at(path: str) -> str:
    """The path if it is that of a list that can be searched, else the list of patients."""
    try:
        known = url_has_allowed_host_and_scheme(path, allowed_hosts=None) and resolve(path).url_name in ANSWERED_BY
    except (Resolver404, ValueError):
        known = False
    return path if known else "/patients/"

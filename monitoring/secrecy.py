"""Secrecy: what the database must not hold in clear is encrypted here, with keys that the environment gives.

The first key encrypts, every key decrypts: a new one is put in front, `manage.py reencrypt_secrets` is run, and the
old one is taken away. What is kept begins with how it was encrypted, so that the way can be changed as a key is: today
AES-256-GCM; Fernet, which was the way before, is read.
"""

import base64
import secrets
from binascii import Error as NotBase64
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

GCM: Final = "gcm1."  # then the nonce and what it encrypts, in base64
FERNET: Final = "gAAAA"
NONCE: Final = 12  # bytes, drawn anew each time


class Unreadable(ValueError):
    """None of the keys opens this: it was encrypted with a key that is gone, or changed."""


def encrypt(text: str) -> str:
    nonce = secrets.token_bytes(NONCE)
    sealed = AESGCM(_key(settings.ENCRYPTION_KEYS[0], b"hipwatch.secrecy.gcm")).encrypt(nonce, text.encode(), None)
    return GCM + base64.urlsafe_b64encode(nonce + sealed).decode()


def decrypt(kept: str) -> str:
    """The text that was encrypted. Raises Unreadable."""
    opened = _by_gcm if kept.startswith(GCM) else _by_fernet
    for secret in settings.ENCRYPTION_KEYS:
        if (text := _tried(opened, kept, secret)) is not None:
            return text
    raise Unreadable("This was encrypted with a key that is not among ENCRYPTION_KEYS.")


def is_encrypted(kept: str) -> bool:
    """Whether it looks like what `encrypt` returns; secrets kept before there was encryption do not."""
    return kept.startswith((GCM, FERNET))


def renew(kept: str) -> str:
    """The same text encrypted with the first key, as is done today. Raises Unreadable."""
    return encrypt(decrypt(kept))


def _tried(opened: Callable[[str, str], bytes], kept: str, secret: str) -> str | None:
    try:
        return opened(kept, secret).decode()
    except (InvalidTag, InvalidToken, NotBase64, ValueError):
        return None


def _by_gcm(kept: str, secret: str) -> bytes:
    raw = base64.urlsafe_b64decode(kept.removeprefix(GCM).encode())
    return AESGCM(_key(secret, b"hipwatch.secrecy.gcm")).decrypt(raw[:NONCE], raw[NONCE:], None)


def _by_fernet(kept: str, secret: str) -> bytes:
    return Fernet(base64.urlsafe_b64encode(_key(secret, b"hipwatch.secrecy"))).decrypt(kept.encode())


def _key(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())

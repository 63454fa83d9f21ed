"""Secrecy: what the database must not hold in clear is encrypted here, with keys that the environment gives.

The first key encrypts, every key decrypts: a new one is put in front, `manage.py reencrypt_secrets` is run, and the
old one is taken away.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(ValueError):
    """None of the keys opens this: it was encrypted with a key that is gone, or changed."""


def encrypt(text: str) -> str:
    return _box().encrypt(text.encode()).decode()


def decrypt(kept: str) -> str:
    """The text that was encrypted. Raises Unreadable."""
    try:
        return _box().decrypt(kept.encode()).decode()
    except InvalidToken as wrong:
        raise Unreadable("This was encrypted with a key that is not among ENCRYPTION_KEYS.") from wrong


def is_encrypted(kept: str) -> bool:
    """Whether it looks like what `encrypt` returns; secrets kept before there was encryption do not."""
    return kept.startswith("gAAAA")


def renew(kept: str) -> str:
    """The same text encrypted with the first key. Raises Unreadable."""
    try:
        return _box().rotate(kept.encode()).decode()
    except InvalidToken as wrong:
        raise Unreadable("This was encrypted with a key that is not among ENCRYPTION_KEYS.") from wrong


def _box() -> MultiFernet:
    return MultiFernet([Fernet(_key(secret)) for secret in settings.ENCRYPTION_KEYS])


def _key(secret: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"hipwatch.secrecy").derive(secret.encode())
    return base64.urlsafe_b64encode(derived)

"""reencrypt_secrets: all that is kept encrypted under the first of ENCRYPTION_KEYS, so that the others can go."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from ... import secrecy
from ...models import AccountMail, KeptForm, WebhookEndpoint


class Command(BaseCommand):
    help = "Encrypt what is secret with the first of ENCRYPTION_KEYS. Afterwards the keys behind it may be removed."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """All or nothing: what cannot be read stops it, with the person's number."""
        done = 0
        for factor in Authenticator.objects.select_for_update().order_by("id"):
            name = {"totp": "secret", "recovery_codes": "seed"}.get(str(factor.type))
            if name is None:
                continue
            secret = factor.data[name]
            try:
                factor.data[name] = secrecy.renew(secret) if secrecy.is_encrypted(secret) else secrecy.encrypt(secret)
            except secrecy.Unreadable as gone:
                raise CommandError(f"The second factor of user {factor.user_id} cannot be read: {gone}") from gone
            factor.save()
            done += 1
        kept: list[AccountMail | KeptForm] = [*AccountMail.objects.exclude(content="").select_for_update()]
        for row in [*kept, *KeptForm.objects.select_for_update()]:
            row.content = secrecy.renew(row.content)
            row.save()
            done += 1
        for endpoint in WebhookEndpoint.objects.exclude(secret="").select_for_update():
            endpoint.secret = secrecy.renew(endpoint.secret)
            endpoint.former_secret = secrecy.renew(endpoint.former_secret) if endpoint.former_secret else ""
            endpoint.save(update_fields=["secret", "former_secret"])
            done += 1
        self.stdout.write(f"{done} secrets are encrypted with the first key.")

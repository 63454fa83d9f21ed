"""revoke_api_token: a token opens nothing any more."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError

from monitoring.api import tokens
from monitoring.api.staff import acting


class Command(BaseCommand):
    help = "Revoke an API token by its number, or by the beginning of its secret as the list shows it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("token", help="number, or beginning such as hw_3fK9a")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="the administrator who revokes")

    def handle(self, *args: Any, **options: Any) -> None:
        with acting(options["email"]) as desk:
            found = [
                token for token in tokens.tokens_for(desk.viewer) if options["token"] in (str(token.pk), token.prefix)
            ]
            if len(found) != 1:
                numbers = ", ".join(str(token.pk) for token in found)
                raise CommandError(
                    f"Several begin so: {numbers}. Give the number." if found else "There is no such token."
                )
            try:
                revoked = tokens.revoke(found[0], viewer=desk.viewer)
            except PermissionDenied as refused:
                raise CommandError(str(refused)) from None
        self.stdout.write(
            f"Token {found[0].pk} ({found[0].name}) is revoked." if revoked else "It was revoked already."
        )

"""create_api_token: a token for another system, printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError

from monitoring.api import tokens
from monitoring.api.staff import acting


class Command(BaseCommand):
    help = "Make an API token of one clinic. Its secret is printed once, alone on standard output, and kept nowhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--clinic", required=True, help="name of the clinic whose rows it opens")
        parser.add_argument("--name", required=True, help="which system will use it, such as “lab interface”")
        parser.add_argument("--scopes", default="read", help=f"of {','.join(tokens.SCOPES)}; read is always needed")
        parser.add_argument("--days", type=int, default=90, help=f"how long it lives, at most {tokens.MOST_DAYS}")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="the administrator who makes it")

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        with acting(options["email"]) as desk:
            clinic = desk.clinic(options["clinic"])
            try:
                token, secret = tokens.make_token(
                    name=options["name"], clinic=clinic, scopes=scopes, days=options["days"], viewer=desk.viewer
                )
            except (ValueError, PermissionDenied) as refused:
                raise CommandError(str(refused)) from None
        until = token.expires_at.date().isoformat()
        told = f"Token {token.pk} of {clinic}: {token.name}, {', '.join(token.scopes)}, until {until}. Its secret:"
        self.stderr.write(told, lambda text: text)
        self.stdout.write(secret)

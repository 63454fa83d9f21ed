"""Parsing: JSON whose numbers stay the decimals that were written."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from schedules.guideline.values import NotJson, parse_json


class ExactJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return parse_json(stream.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8 text.") from None
        except NotJson as refused:
            raise ParseError(str(refused)) from None

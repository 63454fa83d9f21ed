"""Parsing: JSON whose numbers stay the decimals that were written, and whose text the database can keep."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

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
            raise ParseError(f"The body {refused}.") from None


class KeepableJSONParser(ExactJSONParser):
    """Refuses the characters that JSON can write and PostgreSQL cannot keep: NUL and halves of a pair."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        data = super().parse(stream, media_type, parser_context)
        if not _keepable(data):
            raise ParseError("The body has text with a NUL or with half of a surrogate pair.")
        return data


def _keepable(data: Any) -> bool:
    if isinstance(data, str):
        return "\x00" not in data and not any("\ud800" <= character <= "\udfff" for character in data)
    if isinstance(data, dict):
        return all(_keepable(name) and _keepable(value) for name, value in data.items())
    return not isinstance(data, list) or all(map(_keepable, data))


class EscapedJSONRenderer(JSONRenderer):
    """Writes what a record said back even where UTF-8 cannot, as `manage.py assess --json` does."""

    ensure_ascii = True

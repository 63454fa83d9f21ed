"""Assess: the guideline on a record that is sent. Nothing is stored, nobody is identified."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from schedules import adoption
from schedules.guideline.evaluation import evaluate
from schedules.guideline.stream import read_question

from . import samples
from .entry import Endpoint
from .parsing import EscapedJSONRenderer, ExactJSONParser
from .schema import refusals

MEGABYTE = 1024 * 1024
_QUESTION = {
    "type": "object",
    "required": ["record", "as_of"],
    "properties": {
        "record": {"$ref": "#/components/schemas/AssessRecord"},
        "as_of": {"$ref": "#/components/schemas/AssessDate"},
    },
}


class Assess(Endpoint):
    """Needs no token; with one, its own limit of calls counts."""

    permission_classes = (AllowAny,)
    parser_classes = (ExactJSONParser,)
    renderer_classes = (EscapedJSONRenderer,)
    most_bytes = MEGABYTE

    @extend_schema(
        request={"application/json": _QUESTION},
        responses={
            200: {"$ref": "#/components/schemas/AssessAnswer"},
            **refusals(400, 401, 413, 415, 422, 429),
        },
        examples=[OpenApiExample("New pain in a hip with a lesion", dict(samples.QUESTION), request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """What the guideline asks of both hips on a day, as `manage.py assess --json` answers it."""
        record, as_of = read_question(request.data)
        return Response(evaluate(record, adoption.DEFAULT, as_of).to_json())

"""Schema: what the OpenAPI document says beside what the views say themselves."""

import json
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from drf_spectacular.views import SpectacularAPIView

from . import samples
from .entry import READING, Registry
from .facts import FACT_KINDS, values_schema
from .problems import MEDIA_TYPE
from .serializers import ProblemOut
from .throttling import PerMinute

ASSESS = settings.BASE_DIR / "docs" / "assess.schema.json"
_MEANINGS = {
    307: "Merged into another record, which Location names.",
    400: "The body or a header cannot be read.",
    401: "No valid token.",
    403: "The token lacks a scope.",
    404: "Nothing that this token may see.",
    409: "It conflicts with what is recorded.",
    412: "Somebody else has written since.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "What was sent cannot be true or is incomplete; nothing was saved.",
    429: "Too many calls; Retry-After says when to go on.",
}


def refusals(*codes: int) -> dict[tuple[int, str], OpenApiResponse]:
    return {(code, MEDIA_TYPE): OpenApiResponse(ProblemOut, description=_MEANINGS[code]) for code in codes}


OF_READING = refusals(401, 403, 429)
OF_ONE = refusals(307, 401, 403, 404, 429)
OF_WRITING = refusals(307, 400, 401, 403, 404, 409, 412, 413, 415, 422, 429)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "maxLength": 80, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="Names this write: sent again within a day it gets the first reply and writes nothing.",
)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag as last read; refused with 412 if it has moved on."
)
PREFER = OpenApiParameter(
    "Prefer",
    {"type": "string", "enum": ["handling=strict", "handling=lenient"], "default": "handling=lenient"},
    OpenApiParameter.HEADER,
    description="Strict: refused with 409, and nothing saved, where there are remarks (RFC 7240).",
)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Found by drf-spectacular because `urls` imports this module."""

    target_class = "monitoring.api.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "hw_…",
            "description": "A token of one clinic, with scopes and an expiry. Each call names the scope it needs.",
        }

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        view = auto_schema.view
        if not isinstance(view, Registry):
            return {self.name: []}
        return {self.name: [str(view.needs if auto_schema.method in READING else view.needs_to_write)]}


class Document(SpectacularAPIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (PerMinute,)
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2, OpenApiYamlRenderer]


class YamlDocument(Document):
    """The same for who opens it in a browser, which does not say that it would like YAML."""

    renderer_classes = [OpenApiYamlRenderer2, OpenApiYamlRenderer, OpenApiJsonRenderer2, OpenApiJsonRenderer]


def add_shapes(result: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """Post-processing: the shapes of assess, the values of each kind of fact, a heading for each call."""
    whole = json.loads(ASSESS.read_text("utf-8"))
    named = {"record": {name: whole[name] for name in ("type", "description", "required", "properties")}}
    schemas = result["components"]["schemas"]
    for name, schema in {**whole["$defs"], **named}.items():
        schemas[_component(name)] = _moved(schema)
    for path in result["paths"].values():
        for operation in path.values():
            operation["summary"] = operation.get("description", "").split("\n")[0].split(". ")[0].rstrip(".")
    for kind in FACT_KINDS:
        schemas[f"{kind.title()}Values"] = values_schema(kind)
    for name, example in samples.by_shape().items():
        schemas[name]["examples"] = [example]
    return result


def _component(name: str) -> str:
    return "Assess" + name.title().replace("_", "")


def _moved(schema: Any) -> Any:
    """The same with references into the OpenAPI document."""
    if isinstance(schema, dict):
        return {
            name: f"#/components/schemas/{_component(value.removeprefix('#/$defs/'))}"
            if name == "$ref"
            else _moved(value)
            for name, value in schema.items()
        }
    return [_moved(item) for item in schema] if isinstance(schema, list) else schema

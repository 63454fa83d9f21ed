"""Listing: pages of rows by cursor, narrowed by parameters that are checked, with every look audited."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from patients import access
from patients.models import Patient

from .. import audit
from .columns import Columns, Row
from .entry import Registry, viewer_of
from .problems import Unprocessable
from .schema import OF_READING, refusals

MOST = 200
ID = "id"
TEXT = "text"
Filters = Mapping[str, str | list[str]]  # a parameter's name -> ID, TEXT, or its values


class Newest(CursorPagination):
    page_size = 50
    max_page_size = MOST
    page_size_query_param = "limit"
    page_size_query_description = f"Rows a page, 50 unless told, at most {MOST}."
    ordering = "-pk"

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """DRF's own says `nullable`, which OpenAPI 3.1 no longer knows."""
        address = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": address, "previous": address, "results": schema},
        }

    def decode_cursor(self, request: Request) -> Any:
        """A cursor is the position of a row; whatever else was made up is refused before it reaches a query."""
        try:
            found = super().decode_cursor(request)
        except NotFound:
            raise ParseError("This cursor is none of ours.") from None
        position = "0" if found is None or found.position is None else str(found.position)
        if not (position.isascii() and position.isdecimal() and len(position) < 19):
            raise ParseError("This cursor is none of ours.")
        return found


class Foremost:
    """What paginating asks of a queryset: who is on the page is found before anything else of them is read."""

    def __init__(self, rows: QuerySet[Any], columns: tuple[str, ...]) -> None:
        self.rows, self.columns, self.model = rows, columns, rows.model

    def order_by(self, *order: str) -> "Foremost":
        return Foremost(self.rows.order_by(*order), self.columns)

    def filter(self, **by: Any) -> "Foremost":
        return Foremost(self.rows.filter(**by), self.columns)

    def __getitem__(self, page: slice) -> Any:
        here = self.model._default_manager.filter(pk__in=self.rows.values("pk")[page])
        return here.order_by(*self.rows.query.order_by).values(*self.columns)


class Listing(Registry, generics.ListAPIView[Any]):
    """A list of rows of one's clinics. `filters` are the parameters that it takes; any other is refused."""

    pagination_class = Newest
    filters: Filters = {}
    columns: Mapping[str, str] = {}  # of fields that are more than a column of the row
    default: Mapping[str, str] = {}  # what holds where a parameter is not given
    joined_last = False  # for lists of which PostgreSQL would rather read and sort everybody

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def get_queryset(self) -> Any:
        asked = _checked(self.request, self.filters)
        viewer, rows = viewer_of(self.request), self.rows()
        patient = "pk" if rows.model is Patient else "patient_id"
        here = access.ungated(viewer, rows.filter(clinic__in=viewer.clinic_ids), patient)
        found, columns = self.narrowed(here, asked), ("pk", "clinic_id", patient, *self.of_columns().of.values())
        return Foremost(found, columns) if self.joined_last else found.values(*columns)

    @classmethod
    @cache
    def of_columns(cls) -> Columns:
        return Columns(cls.serializer_class, cls.columns)  # type: ignore[arg-type]

    def narrowed(self, rows: QuerySet[Any], asked: dict[str, str]) -> QuerySet[Any]:
        return rows.filter(**{**self.default, **asked})

    def paginate_queryset(self, queryset: Any) -> Any:
        """The rows of this page, whose patients were looked at."""
        page: list[Row] = super().paginate_queryset(queryset)  # type: ignore[assignment]
        patient = "pk" if queryset.model is Patient else "patient_id"
        seen = dict.fromkeys((row["clinic_id"], row[patient]) for row in page)
        audit.looked(viewer_of(self.request).actor, seen, f"API {self.request.path.rstrip('/').rpartition('/')[2]}")
        return page

    def told(self, page: list[Row]) -> list[Row]:
        return self.of_columns().written(page)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.get_paginated_response(self.told(self.paginate_queryset(self.get_queryset())))


def _checked(request: Request, filters: Filters) -> dict[str, str]:
    """The filters as given. Raises Unprocessable for an unknown parameter or value: it would show too much."""
    wrong: list[dict[str, str]] = []
    asked: dict[str, str] = {}
    for name, text in request.query_params.dict().items():
        if name == "cursor":
            continue
        message = _limit_problem(text) if name == "limit" else _problem(filters.get(name), text)
        if message:
            wrong.append({"parameter": name, "message": message})
        elif name != "limit":
            asked[name] = text
    if wrong:
        raise Unprocessable("The address has parameters that cannot be followed.", wrong)
    return asked


def _problem(wanted: str | list[str] | None, text: str) -> str:
    if wanted is None:
        return "There is no such parameter here."
    if wanted == ID:
        return "" if text.isascii() and text.isdecimal() and len(text) < 19 else "Write a number."
    if wanted == TEXT:
        return "" if 0 < len(text) <= 100 and "\x00" not in text else "Write 1 to 100 characters."
    return "" if text in wanted else f"Write one of {', '.join(wanted)}."


def _limit_problem(text: str) -> str:
    fits = text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MOST
    return "" if fits else f"Write a number from 1 to {MOST}."


V = TypeVar("V", bound=type[Listing])


def listed(view: V) -> V:
    """Describes a list in the OpenAPI document by its serializer and its filters."""
    parameters = [
        OpenApiParameter(
            name,
            OpenApiTypes.INT64 if wanted == ID else OpenApiTypes.STR,
            enum=wanted if isinstance(wanted, list) else None,
            default=view.default.get(name),
        )
        for name, wanted in view.filters.items()
    ]
    serializer: Any = getattr(view, "serializer_class")  # noqa: B009 - a generic's variable, to mypy
    answers: dict[Any, Any] = {200: serializer(many=True), **OF_READING, **refusals(400, 422)}
    describe: Callable[[V], V] = extend_schema_view(get=extend_schema(parameters=parameters, responses=answers))
    return describe(view)

"""Listing: pages of rows by cursor, narrowed by parameters that are checked, with every look audited."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
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
from patients.access import Permission, Viewer
from patients.at_once import Kept, Question

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


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a list of one clinic, as paginating adds to it; the rows are read when it is said how many."""

    view: type["Listing"]
    viewer: Viewer
    filters: tuple[tuple[str, str], ...]
    order: tuple[str, ...] = ()
    place: tuple[str, str] | None = None  # behind which row: a lookup and its value

    def order_by(self, *order: str) -> "Asked":
        return replace(self, order=order)

    def filter(self, **by: str) -> "Asked":
        ((lookup, value),) = by.items()
        return replace(self, place=(lookup, value))

    def __getitem__(self, page: slice) -> list[Row]:
        of, lookup = self.view.filters, self.place[0] if self.place else ""
        keys = {name: int(value) for name, value in self.filters if of[name] == ID}
        said = tuple(one for one in self.filters if one[0] not in keys)
        given: dict[str, Any] = {
            "clinic": self.viewer.clinic_ids[0],
            "passed": list(self.viewer.gates),
            "trusted": list(self.viewer.clinics_where(Permission.RESTRICTED)),
            **keys,
        }
        if self.place:
            given["place"] = int(self.place[1])
        kept = _kept(self.view, said, tuple(keys), self.order, lookup, page.start, page.stop)
        (rows,) = kept.read(**given)
        return [dict(zip(self.view.names(), row, strict=True)) for row in rows]


@lru_cache(maxsize=512)
def _kept(
    view: type["Listing"],
    said: tuple[tuple[str, str], ...],
    keys: tuple[str, ...],
    order: tuple[str, ...],
    lookup: str,
    start: int,
    stop: int,
) -> Kept:
    """One page of a list, by the filters whose values are words and the names of those that are keys."""

    def questions(
        *, clinic: int, passed: Sequence[int], trusted: Sequence[int], place: int = 0, **by: int
    ) -> Sequence[Question]:
        one = view()
        here = access.without_restricted(one.rows().filter(clinic=clinic), view.patient, passed, trusted)
        found = one.narrowed(here, dict(said) | by).order_by(*order)
        if lookup:
            found = found.filter(**{lookup: place})
        if view.joined_last:  # who is on the page is found before anything else of them is read
            foremost = found.values("pk")[start:stop]
            return (found.model._default_manager.filter(pk__in=foremost).order_by(*order).values_list(*view.names()),)
        return (found.values_list(*view.names())[start:stop],)

    slots: dict[str, type] = {"clinic": int, "passed": list, "trusted": list} | dict.fromkeys(keys, int)
    return Kept(questions, **slots | ({"place": int} if lookup else {}))


class Listing(Registry, generics.ListAPIView[Any]):
    """A list of rows of one's clinics. `filters` are the parameters that it takes; any other is refused."""

    pagination_class = Newest
    filters: Filters = {}
    columns: Mapping[str, str] = {}  # of fields that are more than a column of the row
    default: Mapping[str, str] = {}  # what holds where a parameter is not given
    joined_last = False  # for lists of which PostgreSQL would rather read and sort everybody
    patient = "patient_id"  # the column that names whom a row is about
    kept = True  # asked by a kept question, in which only keys vary

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def get_queryset(self) -> Any:
        asked, viewer = _checked(self.request, self.filters), viewer_of(self.request)
        if self.kept and len(viewer.clinic_ids) == 1:
            return Asked(type(self), viewer, tuple(sorted(asked.items())))
        here = access.ungated(viewer, self.rows().filter(clinic__in=viewer.clinic_ids), self.patient)
        return self.narrowed(here, asked).values(*self.names())

    @classmethod
    @cache
    def names(cls) -> tuple[str, ...]:
        """The columns that are read; those of the serializer's fields may be some of the first again."""
        return tuple(dict.fromkeys(("pk", "clinic_id", cls.patient, *cls.of_columns().of.values())))

    @classmethod
    @cache
    def of_columns(cls) -> Columns:
        return Columns(cls.serializer_class, cls.columns)  # type: ignore[arg-type]

    def narrowed(self, rows: QuerySet[Any], asked: dict[str, Any]) -> QuerySet[Any]:
        return rows.filter(**{**self.default, **asked})

    def paginate_queryset(self, queryset: Any) -> Any:
        """The rows of this page, whose patients were looked at."""
        page: list[Row] = super().paginate_queryset(queryset)  # type: ignore[assignment]
        seen = dict.fromkeys((row["clinic_id"], row[self.patient]) for row in page)
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

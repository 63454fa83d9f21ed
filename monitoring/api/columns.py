"""Columns: the rows of a list as its serializer writes them, read as columns and not as models.

A serializer asks a field for each value of each row; of a list that was as dear as all the rest. What a serializer
says is still what the document describes, and that both say the same is tested (tests/monitoring/test_api_columns.py).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from rest_framework import serializers

Row = dict[str, Any]
# What JSON writes as it was read. All other fields are asked for each value.
_AS_READ: Final = (
    serializers.BooleanField,
    serializers.CharField,
    serializers.ChoiceField,
    serializers.DateField,
    serializers.IntegerField,
    serializers.ListField,
    serializers.SerializerMethodField,
)


class Columns:
    """Which columns the fields of a serializer are. `others`: those of fields that are more than their source says."""

    def __init__(self, serializer: type[serializers.Serializer[Any]], others: Mapping[str, str]) -> None:
        self.of: dict[str, str] = {}
        self.asked: dict[str, Callable[[Any], Any]] = {}
        for name, field in serializer().fields.items():
            is_key = isinstance(field, serializers.PrimaryKeyRelatedField)
            column = f"{name}_id" if is_key else (field.source or name).replace(".", "__")
            self.of[name] = others.get(name, column)
            if not is_key and not isinstance(field, _AS_READ) and name not in others:
                self.asked[name] = field.to_representation

    def written(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of `.values()` under the names of the fields."""
        written = [{name: row[column] for name, column in self.of.items()} for row in rows]
        for name, represented in self.asked.items():
            for row in written:
                if row[name] is not None:
                    row[name] = represented(row[name])
        return written

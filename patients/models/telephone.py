"""Telephone numbers of a model: parsed when somebody asks for them, since lists load many and show few."""

from typing import Any

from phonenumber_field.modelfields import PhoneNumberDescriptor, PhoneNumberField
from phonenumber_field.phonenumber import to_python


class ParsedWhenRead(PhoneNumberDescriptor):
    """Keeps what was assigned as it came, and makes a number of it when it is read for the first time."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)  # type: ignore[no-untyped-call]
        if isinstance(value, str) and value:
            value = instance.__dict__[self.field.name] = to_python(value, region=self.field.region)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.name] = value if isinstance(value, str) else to_python(value)


class TelephoneField(PhoneNumberField):
    descriptor_class = ParsedWhenRead

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value

    def deconstruct(self) -> Any:
        """As the library's own: the column is the same."""
        name, _path, args, kwargs = super().deconstruct()  # type: ignore[no-untyped-call]
        return name, "phonenumber_field.modelfields.PhoneNumberField", args, kwargs

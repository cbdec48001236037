"""Values that a spec writes down to compare a field with."""

from decimal import Decimal

from common.errors import RecordRefusedError
from stream_features import values
from stream_features.spec_model import Field, Scalar


def literal(field: Field, value: object) -> Scalar:
    """`value` as an event's field holds it: decimals scaled to an integer. ValueError says what is wrong."""
    match field.kind:
        case "string":
            if isinstance(value, str) and len(value.encode()) <= values.MAX_TEXT_BYTES:
                return value
            raise ValueError(f'{field.name!r} is a string; write a text in quotes, such as "ecom"')
        case "bool":
            if isinstance(value, bool):
                return value
            raise ValueError(f"{field.name!r} is a bool; write true or false")
        case "decimal" | "int":
            return _scaled(field, value)
        case "float":
            raise ValueError(
                f"{field.name!r} is a float, and only exact values compare; declare it decimal(n)"
            )


def _scaled(field: Field, value: object) -> int:
    number = isinstance(value, int) and not isinstance(value, bool)
    if not number and not (isinstance(value, Decimal) and value.is_finite()):
        raise ValueError(f"{field.name!r} is a number; write one without quotes")
    try:
        return values.fixed(str(value).encode(), field.name, field.digits)
    except RecordRefusedError as error:
        raise ValueError(str(error)) from error

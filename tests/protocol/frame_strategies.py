"""Hypothesis strategies for every frame, read from the types themselves: all that the codec allows, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec.inspect as inspect
from hypothesis import strategies as st

if TYPE_CHECKING:
    from protocol.messages import Frame


def frames(frame: type[Frame]) -> st.SearchStrategy[Frame]:
    """Any legal frame of a class."""
    strategy: st.SearchStrategy[Frame] = _values(inspect.type_info(frame))
    return strategy


def _values(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.IntType(ge=least, le=most):
            return st.integers(least, most)
        case inspect.StrType(max_length=most):
            return st.text(max_size=min(most or 20, 20))
        case inspect.BytesType(min_length=least, max_length=most):
            return st.binary(min_size=least or 0, max_size=300 if most is None else most)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.ListType(item_type=item, min_length=least, max_length=most):
            return st.lists(_values(item), min_size=least or 0, max_size=min(most or 4, 4))
        case inspect.UnionType(types=types):
            return st.one_of([_values(each) for each in types])
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, *[_values(field.type) for field in fields])
        case _:
            raise AssertionError(f"no frame should have a field of {info}")


def integer_fields(frame: type[Frame]) -> list[tuple[str, int, int]]:
    """Name, least and most of each integer field at the frame's top level."""
    info = inspect.type_info(frame)
    assert isinstance(info, inspect.StructType)
    return [
        (field.name, field.type.ge, field.type.le)
        for field in info.fields
        if isinstance(field.type, inspect.IntType) and field.type.ge is not None and field.type.le is not None
    ]

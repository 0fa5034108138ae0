"""Dataclasses as JSON and back, every field checked against its type."""

import base64
import binascii
import dataclasses
import json
import math
import types
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
SPELLED = {"defense_rate": "defence_rate", "passed_colors": "passed_colours", "flavor": "flavour"}
"""Fields that result files, the first of which were written before the code's own spelling, name otherwise."""
_SCALARS = {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}


def encode(value: Any) -> Any:  # noqa: ANN401  (whatever the dataclass holds)
    """`value` as what `json` writes: dataclasses as objects, with their properties; bytes as base64."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        names += [name for name, member in vars(type(value)).items() if isinstance(member, property)]
        return {SPELLED.get(name, name): encode(getattr(value, name)) for name in names}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: encode(held) for name, held in value.items()}
    return [encode(held) for held in value] if isinstance(value, list | tuple) else value


def decode(kind: type[T], value: object, where: str) -> T:
    """`value`, as `json` read it, as a `kind`: a dataclass of scalars, bytes, tuples, dicts and dataclasses.

    Fields that `kind` lacks are passed over, and those that it has a default for may be missing. Raises `ValueError`
    naming the place from `where` on, what is expected there and what was got.
    """
    return cast(T, _decode(kind, value, where))


def _decode(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401  (type hints are of no common type)
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _decode(get_args(kind)[0], value, where)  # the one union used: X | None
    if kind in _SCALARS:
        return _scalar(kind, value, where)
    if kind is bytes:
        return _bytes(value, where)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind), value, where)
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    if get_origin(kind) is dict:
        return {str(name): _decode(get_args(kind)[1], held, f"{where}.{name}") for name, held in value.items()}
    return _dataclass(kind, value, where)


def _scalar(kind: type, value: object, where: str) -> object:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise _wrong(where, _SCALARS[kind], value)
    return value


def _bytes(value: object, where: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)  # type: ignore[arg-type]  # what is no text is caught below
    except (TypeError, ValueError, binascii.Error):
        raise _wrong(where, "base64", value) from None


def _tuple(kinds: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise _wrong(where, f"a list of {len(kinds)}", value)
    pairs = zip(kinds, value, strict=True)
    return tuple(_decode(kind, held, f"{where}[{index}]") for index, (kind, held) in enumerate(pairs))


def _dataclass(kind: Any, value: dict[str, Any], where: str) -> Any:  # noqa: ANN401  (an instance of `kind`)
    hints = get_type_hints(kind)
    fields = [
        (field.name, SPELLED.get(field.name, field.name), field.default is dataclasses.MISSING)
        for field in dataclasses.fields(kind)
    ]
    if missing := [written for _, written, required in fields if required and written not in value]:
        raise ValueError(f"{where} has no '{missing[0]}'")
    held = {
        name: _decode(hints[name], value[written], f"{where}.{written}")
        for name, written, _ in fields
        if written in value
    }
    try:
        return kind(**held)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _wrong(where: str, expected: str, got: object) -> ValueError:
    return ValueError(f"{where} must be {expected}, got {json.dumps(got)[:60]}")

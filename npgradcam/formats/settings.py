"""What a layer is made of, as JSON and named arrays, and back. Nothing is executed, and no name is looked up freely.

A layer is a frozen dataclass, so its fields say all there is to say of it, and their types say what a file may hold:
whole numbers, floats, truth values, texts, None, arrays, tuples of these, another layer. A new layer travels without a
line of code of its own.

    2, 0.5, true, "same", null    themselves
    infinity, not a number        {"float": "inf"}
    a tuple                       a list
    an array                      {"array": NAME}, the array lies in the file under that name
    a layer                       {"layer": KIND, "settings": {FIELD: VALUE, ...}}
    what makes a computed layer   {"recipe": {FIELD: VALUE, ...}}: an operation of an ONNX file
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from npgradcam import layers
from npgradcam.errors import ModelFormatError, NpGradcamError
from npgradcam.layers import Layer

from ._source import shown
from .onnx_operators import Recipe
from .onnx_values import Operation

Array = NDArray[Any]

KINDS: dict[str, type[Layer]] = {
    name: kind for name in layers.__all__
    if isinstance(kind := getattr(layers, name), type) and issubclass(kind, Layer) and is_dataclass(kind)
}
MOST = 2**63  # a whole number that no array could count


class Unfit(Exception):
    """A value is not of the type that a field has; the text says which."""


def encode(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Return a value as JSON; arrays go into `arrays`, under `name` or names that begin with it.

    Raises
    ------
    ModelFormatError
        If the value is of a type that cannot travel: a function, an object.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [encode(part, f"{name}.{i}", arrays) for i, part in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): encode(part, f"{name}.{key}", arrays) for key, part in value.items()}
    if isinstance(value, (Recipe, Operation)):
        held = {key: getattr(value, key) for key in types_of(type(value))}
        return {"recipe": {key: encode(part, f"{name}.{key}", arrays) for key, part in held.items()}}
    if callable(value):
        raise ModelFormatError(f"{name} is a function; keep the model's own file, or export it with fixed sizes")
    kind = type(value).__name__
    if KINDS.get(kind) is not type(value):
        raise ModelFormatError(f"{name}: expected numbers, texts, arrays or a layer of npgradcam, got a {kind}")
    held = {name: getattr(value, name) for name in types_of(KINDS[kind])}
    return {"layer": kind, "settings": {key: encode(part, f"{name}.{key}", arrays) for key, part in held.items()}}


def decode_layer(record: Any, take: Mapping[str, Array]) -> Layer:
    """Return the layer that a record describes.

    Raises
    ------
    Unfit
        If the kind is unknown, a field is missing, unknown or of another type, or the layer refuses its settings.
    """
    if not isinstance(record, dict) or set(record) != {"layer", "settings"} or not isinstance(record["settings"], dict):
        raise Unfit(f"expected a layer and its settings, got {shown(str(record))}")
    kind = KINDS.get(record["layer"]) if isinstance(record["layer"], str) else None
    if kind is None:
        raise Unfit(f"no layer is of the kind {shown(str(record['layer']))}")
    hints, settings = types_of(kind), record["settings"]
    if set(settings) != set(hints):
        got = shown(", ".join(settings))
        raise Unfit(f"a {kind.__name__} has the settings {', '.join(hints) or '(none)'}, got {got}")
    values = {name: _field(f"{kind.__name__}.{name}", value, hints[name], take) for name, value in settings.items()}
    if "weight" in values and any(isinstance(v, np.ndarray) and v.dtype.kind != "f" for v in values.values()):
        raise Unfit(f"{kind.__name__}: expected weights that are floats")
    try:
        return kind(**values)
    except (NpGradcamError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unfit(f"{kind.__name__}: {str(error)[:300]}") from None


def _field(name: str, record: Any, hint: Any, take: Mapping[str, Array]) -> Any:
    try:
        return decode(record, hint, take)
    except Unfit as error:
        raise Unfit(f"{name}: {error}") from None


def decode(record: Any, hint: Any, take: Mapping[str, Array]) -> Any:
    """Return the value of type `hint` that a record describes, with arrays from `take`; `Unfit` if it is another."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _first(record, parts, take)
    if origin is Literal and any(type(record) is type(part) and record == part for part in parts):
        return record
    if hint in (NoneType, bool, str) and type(record) is hint:
        return record
    if hint is int and type(record) is int and abs(record) < MOST:
        return record
    if hint is float:
        if type(record) in (int, float):
            return record
        if isinstance(record, dict) and record in ({"float": "inf"}, {"float": "-inf"}, {"float": "nan"}):
            return float(record["float"])
    if origin is np.ndarray and isinstance(record, dict) and set(record) == {"array"}:
        return _array(record["array"], parts, take)
    if origin is tuple and isinstance(record, list):
        types = parts[:1] * len(record) if parts[1:] == (...,) else parts
        if len(types) == len(record):
            return tuple(decode(part, kind, take) for part, kind in zip(record, types, strict=True))
    if origin is frozenset and isinstance(record, list):
        return frozenset(decode(part, parts[0], take) for part in record)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(record, dict):
        return {key: decode(part, parts[1], take) for key, part in record.items()}
    if origin is Callable or hint in (Recipe, Operation):
        return _recipe(record, Operation if hint is Operation else Recipe, take)
    if isinstance(hint, type) and issubclass(hint, Layer):
        layer = decode_layer(record, take)
        if isinstance(layer, hint):
            return layer
    raise Unfit(f"expected {getattr(hint, '__name__', hint)}, got {shown(str(record))}")


def _recipe(record: Any, kind: type[Recipe] | type[Operation], take: Mapping[str, Array]) -> Recipe | Operation:
    """Return what makes a computed layer: names, numbers and arrays; which layers they may name, a table says."""
    hints = types_of(kind)
    if not isinstance(record, dict) or set(record) != {"recipe"} or not isinstance(record["recipe"], dict):
        raise Unfit(f"expected a recipe, got {shown(str(record))}")
    if set(record["recipe"]) != set(hints):
        raise Unfit(f"a recipe says {', '.join(hints)}, got {shown(', '.join(record['recipe']))}")
    return kind(**{name: _field(name, part, hints[name], take) for name, part in record["recipe"].items()})


def _first(record: Any, hints: tuple[Any, ...], take: Mapping[str, Array]) -> Any:
    """Return the value as the first of several types that it fits."""
    said = []
    for hint in hints:
        with suppress(Unfit):
            return decode(record, hint, take)
        said.append(getattr(hint, "__name__", str(hint)))
    raise Unfit(f"expected {' or '.join(said)}, got {shown(str(record))}")


def _array(name: Any, parts: tuple[Any, ...], take: Mapping[str, Array]) -> Array:
    """Return the array of that name, if its numbers are of the kind that `parts` (a shape and a dtype) speaks of."""
    if not isinstance(name, str) or name not in take:
        raise Unfit(f"there is no array {shown(str(name))}")
    array = take[name]
    wanted = get_args(parts[1])[0]
    number = get_origin(wanted) or wanted
    floats = number in (Any, np.floating)  # whole numbers fit as well: shapes are computed by the same layers
    if array.dtype.kind not in "biuf" or not (floats or issubclass(array.dtype.type, number)):
        raise Unfit(f"array {shown(name)}: expected {getattr(number, '__name__', 'any')} numbers, got {array.dtype}")
    return array


def _typed(kind: Any) -> dict[str, Any]:
    """Return the types of the fields of a kind of layer, or of a recipe, by name."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


types_of: Callable[[Any], dict[str, Any]] = cache(_typed)

"""The table of operators: which function builds which layer, since which version of the operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ModelFormatError, UnsupportedOperatorError
from npgradcam.formats._source import shown
from npgradcam.formats.onnx_file import Operation
from npgradcam.layers import Layer

Array = NDArray[Any]
Rule = Callable[..., Any]
F = TypeVar("F", bound=Rule)


@dataclass(frozen=True)
class Call:
    """One node of a file, as the function that builds its layer sees it.

    Attributes
    ----------
    operation : Operation
    opset : int
    shapes : tuple of (tuple of int, or None)
        The shape of each input where its number of axes is known; None for a length that is open.
    kinds : tuple of (str, or None)
        The dtype of each input where it is known; "float" for the network's own, whatever the file says.
    constants : tuple of (ndarray, or None)
        Each input that no picture changes.
    add : function of (layer, *inputs)
        Puts a layer of its own into the graph and returns its name, where one operator is several layers.
    """

    operation: Operation
    opset: int
    shapes: tuple[tuple[int | None, ...] | None, ...]
    kinds: tuple[str | None, ...]
    constants: tuple[Array | None, ...]
    add: Callable[..., str]

    def __call__(self, attribute: str, default: Any = None) -> Any:
        """Return an attribute, or its default; of the default's kind."""
        value = self.operation.attributes.get(attribute, default)
        kinds: dict[type, tuple[type, ...]] = {tuple: (tuple,), int: (int,), float: (int, float), str: (str,)}
        if default is not None and not isinstance(value, kinds[type(default)]):
            self.fail(f"expected a {type(default).__name__} as attribute {attribute}, got {shown(str(value))}")
        return float(value) if isinstance(default, float) else value

    def rank(self, position: int, default: int) -> int:
        """Return how many axes an input has, where that is known."""
        shape = self.shapes[position] if position < len(self.shapes) else None
        return default if shape is None else len(shape)

    def length(self, position: int, axis: int, what: str) -> int:
        """Return how long an axis of an input is; what needs to know it is not supported where it is open."""
        shape = self.shapes[position] if position < len(self.shapes) else None
        if shape is not None and not -len(shape) <= axis < len(shape):
            raise ModelFormatError(f"expected an input with axis {axis}, got shape {shape}")
        length = None if shape is None else shape[axis]
        if length is None:
            raise UnsupportedOperatorError(f"{what} of an axis whose length is open")
        return length

    def uses(self, output: int) -> bool:
        """Whether the node's output of that position has a name."""
        return output < len(self.operation.outputs) and bool(self.operation.outputs[output])

    def unsupported(self, reason: str) -> NoReturn:
        """Raise `UnsupportedOperatorError` with a reason."""
        raise UnsupportedOperatorError(reason)

    def fail(self, reason: str) -> NoReturn:
        """Raise `ModelFormatError` with a reason."""
        raise ModelFormatError(reason)


class Operator(NamedTuple):
    """How an operator becomes a layer.

    `build(call, *settings)` returns a layer for the operator's first output, or a list of layers (or of names that
    `call.add` returned), one for each output. `settings` are the positions of the inputs that are parameters or whole
    numbers: they are handed over as arrays, None where absent. With `holds`, every input that is a constant is handed
    over in its position, None where an array arrives instead. `others(call)` comes first, also where settings are not
    known yet: it names what the node's further outputs are, or says that they are not supported.
    """

    build: Rule
    settings: tuple[int, ...]
    holds: bool
    others: Callable[[Call], list[str]] | None

    def layers(self, call: Call, values: Mapping[int, Array | None]) -> list[Any]:
        """Build the layers, one for each output, with the settings at these positions."""
        positions = range(len(call.operation.inputs)) if self.holds else self.settings
        made = self.build(call, *(values.get(n) for n in positions))
        return made if isinstance(made, list) else [made]


_TABLE: dict[str, dict[int, Operator]] = {}


def operator(*kinds: str, since: int = 1, settings: tuple[int, ...] = (), holds: bool = False,
             others: Callable[[Call], list[str]] | None = None) -> Callable[[F], F]:
    """Enter a function into the table under these operators' names."""

    def enter(build: F) -> F:
        for kind in kinds:
            _TABLE.setdefault(kind, {})[since] = Operator(build, settings, holds, others)
        return build

    return enter


def find(operation: Operation, opset: int) -> Operator:
    """Return the row for an operator as it was in this version.

    Raises
    ------
    UnsupportedOperatorError
    """
    if operation.domain:
        raise UnsupportedOperatorError(f"the operator set {shown(operation.domain)} is not ONNX's own")
    versions = [since for since in _TABLE.get(operation.kind, {}) if since <= opset]
    if not versions:
        raise UnsupportedOperatorError("no such layer")
    _expect_complete(operation, opset)
    return _TABLE[operation.kind][max(versions)]


@dataclass(frozen=True)
class Recipe:
    """What makes the layer of an operation whose settings are computed on the way: `make` of a `Computed` layer.

    Attributes
    ----------
    operation : Operation
    opset : int
    shapes, kinds : tuple
        As of a `Call`.
    constants : tuple of (ndarray, or None)
        The settings that are known.
    late : tuple of int
        The positions of those that arrive.
    output : int
        Which of the operation's outputs is made.
    """

    operation: Operation
    opset: int
    shapes: tuple[tuple[int | None, ...] | None, ...]
    kinds: tuple[str | None, ...]
    constants: tuple[Array | None, ...]
    late: tuple[int, ...]
    output: int = 0

    def __call__(self, *numbers: Array) -> Layer:
        """Return the layer for settings that have arrived."""
        values = dict(enumerate(self.constants)) | dict(zip(self.late, numbers, strict=True))
        call = Call(self.operation, self.opset, self.shapes, self.kinds, self.constants, _no_part)
        layer = find(self.operation, self.opset).layers(call, values)[self.output]
        if not isinstance(layer, Layer):
            raise UnsupportedOperatorError("an operator of several layers, whose settings are computed on the way")
        return layer


def _no_part(*_: Any) -> str:
    raise UnsupportedOperatorError("an operator of several layers, whose settings are computed on the way")


def _expect_complete(operation: Operation, opset: int) -> None:
    """Refuse a node with more or fewer inputs than its operator has, or without an attribute that it must have."""
    schema = _schema(operation.kind, opset)
    if schema is None:
        return
    count, least, most = len(operation.inputs), schema.min_input, schema.max_input
    if not least <= count <= most or (least and not operation.inputs[0]):
        wanted = str(least) if least == most else f"{least} or more" if most > 100 else f"{least} to {most}"
        raise ModelFormatError(f"expected {wanted} inputs, got {', '.join(map(shown, operation.inputs)) or 'none'}")
    for name, attribute in schema.attributes.items():
        if attribute.required and name not in operation.attributes:
            raise ModelFormatError(f"expected an attribute {name}, got {', '.join(operation.attributes) or 'none'}")


@cache
def _schema(kind: str, opset: int) -> Any:
    """Return what the specification says of an operator in a version; None where it does not know it."""
    import onnx.defs

    try:
        return onnx.defs.get_schema(kind, max_inclusive_version=opset, domain="")
    except onnx.defs.SchemaError:
        return None


def supported() -> tuple[str, ...]:
    """Return the names of all operators that have a layer."""
    return tuple(sorted(_TABLE))


def whole(array: Array | None) -> tuple[int, ...] | None:
    """Return a setting as a tuple of whole numbers; None where it is absent."""
    if array is None:
        return None
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise ModelFormatError(f"expected a list of whole numbers, got {array.dtype} of shape {array.shape}")
    return tuple(int(n) for n in np.atleast_1d(array))

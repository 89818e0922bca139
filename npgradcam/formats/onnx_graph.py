"""Operation by operation from a file to nodes: constants are folded, names are kept, gaps are noted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam.errors import ModelFormatError, NpGradcamError, UnsupportedOperatorError
from npgradcam.layers import Computed, Constant, Identity, Layer
from npgradcam.layers.checking import NoShapeYetError
from npgradcam.layers.room import NoRoomError, Room
from npgradcam.network import Node
from npgradcam.topology import outcome
from npgradcam.typing import Shape

from ._source import shown
from .onnx_file import DTYPES, OnnxFile, Operation
from .onnx_operators import Call, Operator, Recipe, find

_LISTED = 20
_UNFIT = (ArithmeticError, AttributeError, LookupError, MemoryError, StopIteration, TypeError, ValueError)
_QUANTISED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
    "MatMulInteger",
)
# Lengths that open axes have (the batch; any other) while shapes are followed through the graph: what is equal for both
# does not depend on them.
_PROBES = ((1, 256), (2, 288))
_REAL = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
Array = NDArray[Any]
Known = Shape | Array | None


class GraphInMaking:
    """The nodes so far; what each name of the file stands for; which values are known already."""

    def __init__(self, file: OnnxFile, dtype: str) -> None:
        self.file, self.dtype = file, dtype
        self.constants = {  # what is folded is computed in the network's own precision
            name: value.astype(dtype, copy=False) if value.dtype.kind == "f" else value
            for name, value in file.constants.items()
        }
        self.nodes: list[Node] = []
        self.inputs = {value.name for value in file.inputs}
        self.taken = self.inputs | {""}
        self.names = {value.name: value.name for value in file.inputs}  # a tensor of the file -> a node or input here
        # where a length is open, what shapes say of it is computed when a picture is there
        self.open = any(value.shape is None or None in value.shape for value in file.inputs)
        self.known: dict[str, tuple[Known, ...]] = {
            value.name: tuple(_probe(value.shape, lengths) for lengths in _PROBES[: 1 + self.open])
            for value in file.inputs
        }
        self.live = {value.name for value in file.inputs if value.type in _REAL}  # from here a signal reaches an input
        self.tensors = {name for operation in file.operations for name in operation.outputs} | set(file.constants)
        self.room = Room(sum(value.size for value in self.constants.values()))
        self.copies: Counter[str] = Counter()  # of each name that was wanted more than once
        self.gaps: list[str] = []
        self.broken: set[str] = set()

    def translate(self, operation: Operation) -> None:
        """Add the layers of one operation, or note why not."""
        where = f"{operation.kind} {(operation.name or next(iter(operation.outputs), ''))!r}"
        if self.broken.intersection(operation.inputs):
            self.broken.update(operation.outputs)
        try:
            rule = find(operation, self.file.opset)
            if not self.broken.intersection(operation.inputs):
                self._build(operation, rule)
        except UnsupportedOperatorError as error:
            self.gaps.append(f"{where} ({error})")
            self.broken.update(operation.outputs)
        except NpGradcamError as error:
            raise ModelFormatError(f"{self.file.source}: {where}: {error}") from None
        except _UNFIT as error:  # inputs that are missing or left over, attributes that no layer takes
            reason = shown(str(error).replace("\n", " "))
            raise ModelFormatError(
                f"{self.file.source}: {where}: expected inputs and attributes that fit together ({reason})"
            ) from None

    def _build(self, operation: Operation, rule: Operator) -> None:
        given = [self.constants.get(name) if name else None for name in operation.inputs]
        settings = self._settings(operation, rule, given)
        late = tuple(n for n in settings if given[n] is None)
        shapes, kinds = tuple(map(self._shape, operation.inputs)), tuple(map(self._kind, operation.inputs))
        call = Call(operation, self.file.opset, shapes, kinds, tuple(given), partial(self._part, operation))
        others = rule.others(call) if rule.others else []
        if late:
            kept = tuple(value if n in settings else None for n, value in enumerate(given))
            recipe = Recipe(operation.alone(), self.file.opset, shapes, kinds, kept, late)
            count = 1 if others else len(operation.outputs)
            parts = [Computed(replace(recipe, output=n), len(late), operation.kind) for n in range(count)]
        else:
            parts = rule.layers(call, {n: given[n] for n in settings})
        through = [name for n, name in enumerate(operation.inputs) if name and n not in settings]
        self._enter(operation, [*parts, *others], [*through, *(operation.inputs[n] for n in late)])

    def _settings(self, operation: Operation, rule: Operator, given: list[Array | None]) -> tuple[int, ...]:
        """Return the positions of the inputs that do not flow through the layer, but make it what it is."""
        if rule.holds:
            constant = tuple(n for n, value in enumerate(given) if value is not None)
            return constant[1:] if len(constant) == len(given) else constant  # one goes through where none arrives
        settings = tuple(n for n in rule.settings if n < len(given) and operation.inputs[n])
        for n in settings:
            source = self.names.get(operation.inputs[n], operation.inputs[n])
            if given[n] is None and source in self.live and source not in self.inputs:
                raise UnsupportedOperatorError(f"its parameter {operation.inputs[n]!r} is computed from the picture")
        return settings

    def _enter(self, operation: Operation, parts: list[Any], inputs: list[str]) -> None:
        """Add what an operation is, one part for each of its outputs: a layer, or the name of what is there already."""
        for part, tensor in zip(parts, operation.outputs, strict=False):
            if not tensor:
                continue
            if isinstance(part, str):
                name = self.names.get(part, part)
            else:
                named = operation.name if part is parts[0] and operation.name else tensor
                name = self.add(part, inputs, named, tensor)
            self.names[tensor] = name
            if name in self.constants:
                self.constants[tensor] = self.constants[name]
            elif part is parts[0] and operation.name and operation.name not in self.tensors:
                self.names.setdefault(operation.name, name)
        for tensor in operation.outputs[len(parts) :]:
            if tensor:
                raise UnsupportedOperatorError(f"its output {tensor!r} has no layer")

    def _part(self, operation: Operation, layer: Layer, *inputs: str) -> str:
        return self.add(layer, list(inputs), f"{operation.name or operation.outputs[0]}.{type(layer).__name__.lower()}")

    def add(self, layer: Layer, inputs: list[str], name: str, tensor: str = "") -> str:
        """Add a layer that reads these tensors and makes `tensor`; fold it where all are constants. Return its name."""
        name = self._free(name, tensor)
        if all(tensor in self.constants for tensor in inputs):
            values = [self.constants[tensor] for tensor in inputs]
            self.room.ask(layer, values)
            with np.errstate(all="ignore"):
                self.constants[name] = layer.astype(self.dtype).forward(*values)[0]
            return name
        sources = tuple(map(self._node, inputs))
        known = self._outcomes(layer, sources)
        if isinstance(known[0], np.ndarray) and not self.open:
            self.constants[name] = known[0]
            return name
        self.known[name] = known
        self.nodes.append(node := Node(name, layer, sources))
        if self.live.intersection(node.pays):
            self.live.add(name)
        return name

    def _node(self, tensor: str) -> str:
        """Return the node that makes a tensor; a constant gets one of its own."""
        if tensor not in self.constants:
            return self.names.get(tensor, tensor)
        if tensor not in self.names or self.names[tensor] in self.constants:
            name = self._free(tensor, tensor)
            value = self.constants[tensor]
            self.nodes.append(Node(name, Constant(value), ()))
            self.names[tensor], self.known[name] = name, (value,) * (1 + self.open)
        return self.names[tensor]

    def output(self, tensor: str) -> str:
        """Return the node of one of the file's outputs; one that is an input as well gets a node of its own."""
        name = self._node(tensor)
        return self.add(Identity(), [tensor], f"{tensor}.output") if name in self.inputs else name

    def _free(self, name: str, tensor: str = "") -> str:
        """Return a name that no other node has, and no other tensor."""
        base = name
        while name in self.taken or (name in self.tensors and name != tensor):
            self.copies[base] += 1
            name = f"{base}#{1 + self.copies[base]}"
        self.taken.add(name)
        return name

    def _shape(self, tensor: str) -> tuple[int | None, ...] | None:
        """Return a tensor's shape where its number of axes is known; None for a length that is open."""
        if tensor in self.constants:
            return self.constants[tensor].shape
        found = self.known.get(self.names.get(tensor, tensor), (None,))
        shapes = [x.shape if isinstance(x, np.ndarray) else x for x in found]
        if any(shape is None or len(shape) != len(shapes[0] or ()) for shape in shapes):
            return None
        both = zip(*(shape or () for shape in shapes), strict=True)
        return tuple(lengths[0] if len(set(lengths)) == 1 else None for lengths in both)

    def _kind(self, tensor: str) -> str | None:
        """Return a tensor's dtype where that is known: "float" for any that is computed in the network's own."""
        if tensor in self.constants:
            dtype = self.constants[tensor].dtype
            return "float" if dtype.kind == "f" else str(dtype)
        name = self.names.get(tensor, tensor)
        declared = next((value.type for value in self.file.inputs if value.name == name), None)
        if name in self.live or declared is None:
            return "float" if name in self.live else None
        return str(np.dtype(DTYPES[declared])) if declared in DTYPES else declared

    def _outcomes(self, layer: Layer, sources: tuple[str, ...]) -> tuple[Known, ...]:
        """Return the shape of a layer's output (or its value, where shapes decide it); None where that is open."""
        found: list[Known] = []
        for known in zip(*(self.known.get(source, (None,) * (1 + self.open)) for source in sources), strict=True):
            decided = all(k is not None for k in known)
            try:
                found.append(outcome(layer, list(known), self.room) if decided else None)
            except (NpGradcamError, ValueError, IndexError, TypeError) as error:
                # no shape yet: it depends on numbers that arrive at run time; open: a picture of another size may fit
                if isinstance(error, NoRoomError) or not (self.open or isinstance(error, NoShapeYetError)):
                    raise
                found.append(None)
        return tuple(found) or (None,)

    def complain(self) -> None:
        """Raise one error that lists every operator without a layer."""
        if not self.gaps:
            return
        kinds = {operation.kind for operation in self.file.operations}
        if kinds.intersection(_QUANTISED):
            raise UnsupportedOperatorError(
                f"{self.file.source}: this graph computes with quantised integers, which have no gradient "
                f"({', '.join(sorted(kinds.intersection(_QUANTISED)))}); export the model before it was quantised"
            )
        rest = [gap.partition(" (")[0] for gap in self.gaps[_LISTED:]]  # every node is named, not every reason twice
        more = f"; and {', '.join(rest)}" if rest else ""
        raise UnsupportedOperatorError(
            f"{self.file.source}: {len(self.gaps)} of {len(self.file.operations)} nodes have no layer: "
            f"{'; '.join(self.gaps[:_LISTED])}{more}"
        )


def _probe(shape: tuple[int | None, ...] | None, lengths: tuple[int, int]) -> Shape | None:
    return None if shape is None else tuple(lengths[axis > 0] if n is None else n for axis, n in enumerate(shape))

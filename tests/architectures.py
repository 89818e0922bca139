"""Which architectures are compared with PyTorch's, on what input, and which layer is explained where nobody says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RECORDED = Path(__file__).parent / "data" / "architectures.npz"
SEED = 0
# The seed of the picture. A gate whose input lies within float32's rounding of its kink may be open in one precision
# and closed in the other; the two gradients then differ by what passes there. For the first picture that is a cosine of
# 0.99988 in MobileNetV2 and of 0.99993 in MNASNet-0.5 and Lite4. These six have pictures for which no gate flips, but
# Lite4: each of twelve pictures flips some of its gates, this one four, by a cosine of 0.999997.
PICTURE = 20161007
PICTURES = {"mobilenet_v2": 0, "mnasnet0_5": 0, "efficientnet_lite1": 1, "efficientnet_lite2": 3,
            "efficientnet_lite3": 2, "efficientnet_lite4": 7}
SIZE, LARGER = (64, 96), (107, 139)  # height and width differ, so that axes that are mixed up show

# Our name of the default layer, and the module of PyTorch that makes it ("relu": the last one, which is a function).
LAYERS = {
    "alexnet": ("relu5", "features.11"),
    "vgg11": ("relu5_2", "features.19"), "vgg11_bn": ("relu5_2", "features.27"),
    "vgg13": ("relu5_2", "features.23"), "vgg13_bn": ("relu5_2", "features.33"),
    "vgg16": ("relu5_3", "features.29"), "vgg16_bn": ("relu5_3", "features.42"),
    "vgg19": ("relu5_4", "features.35"), "vgg19_bn": ("relu5_4", "features.51"),
    "googlenet": ("inception5b.concat", "inception5b"),
    "inception_v3": ("Mixed_7c.concat", "Mixed_7c"),
    "resnet18": ("layer4.1.relu", "layer4"), "resnet34": ("layer4.2.relu", "layer4"),
    "resnet50": ("layer4.2.relu", "layer4"), "resnet101": ("layer4.2.relu", "layer4"),
    "resnet152": ("layer4.2.relu", "layer4"), "resnext50_32x4d": ("layer4.2.relu", "layer4"),
    "wide_resnet50_2": ("layer4.2.relu", "layer4"),
    "squeezenet1_0": ("fire9.concat", "features"), "squeezenet1_1": ("fire9.concat", "features"),
    "densenet121": ("features.relu5", "relu"), "densenet161": ("features.relu5", "relu"),
    "densenet169": ("features.relu5", "relu"), "densenet201": ("features.relu5", "relu"),
    "mobilenet_v2": ("features.18.relu", "features"),
    "mobilenet_v3_large": ("features.16.hardswish", "features"),
    "mobilenet_v3_small": ("features.12.hardswish", "features"),
    "shufflenet_v2_x0_5": ("conv5.relu", "conv5"), "shufflenet_v2_x1_0": ("conv5.relu", "conv5"),
    "shufflenet_v2_x1_5": ("conv5.relu", "conv5"), "shufflenet_v2_x2_0": ("conv5.relu", "conv5"),
    "mnasnet0_5": ("layers.14.relu", "layers"), "mnasnet0_75": ("layers.14.relu", "layers"),
    "mnasnet1_0": ("layers.14.relu", "layers"), "mnasnet1_3": ("layers.14.relu", "layers"),
    "efficientnet_b0": ("features.8.silu", "features"), "efficientnet_b1": ("features.8.silu", "features"),
    "efficientnet_b2": ("features.8.silu", "features"), "efficientnet_b3": ("features.8.silu", "features"),
    "efficientnet_b4": ("features.8.silu", "features"),
    "efficientnet_lite1": ("head.relu", "top"), "efficientnet_lite2": ("head.relu", "top"),
    "efficientnet_lite3": ("head.relu", "top"), "efficientnet_lite4": ("head.relu", "top"),
}
CROP = (slice(20, 28), slice(30, 38))
RULES = ("gradient", "guided")


def picture(name, dtype="float64"):
    """Return one random picture (1, 3, H, W): smooth, with some noise, of unit scale."""
    height, width = LARGER if name == "inception_v3" else SIZE
    draw = np.random.default_rng(PICTURES.get(name, PICTURE))
    x = np.zeros((1, 3, height, width))
    for cells in (2, 4, 8, 16):
        coarse = draw.standard_normal((1, 3, cells, cells))
        rows, columns = np.arange(height) * cells // height, np.arange(width) * cells // width
        x += coarse[:, :, rows][:, :, :, columns]
    x += 0.5 * draw.standard_normal(x.shape)
    return (x / x.std()).astype(dtype)


def summary(signal):
    """Return what is recorded of a signal (1, 3, H, W): a crop, its norms, and its products with random vectors."""
    flat = np.asarray(signal, np.float64).ravel()
    vectors = np.random.default_rng(7).standard_normal((8, flat.size))
    norms = [np.abs(flat).sum(), np.sqrt((flat**2).sum()), np.abs(flat).max()]
    crop = np.asarray(signal, np.float64)[0][:, CROP[0], CROP[1]]
    return {"crop": crop, "norms": np.array(norms), "products": vectors @ flat}

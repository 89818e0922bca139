"""What scripts record of a skeleton and tests compare: the image, the seed, the explained layer, small summaries."""

from __future__ import annotations

import hashlib

import numpy as np
from onnx import ModelProto
from onnx_skeletons import DATA, draw

MANIFEST = DATA / "truths.json"
CROP = 96  # so many numbers of an array are kept as they are, spread evenly
PROJECTIONS = 4  # the rest shows in products with signs drawn from a generator
TAILS = ("Softmax", "LogSoftmax", "Sigmoid")


def image_of(model: ModelProto, name: str, sizes: tuple[int, ...] | None = None) -> np.ndarray:
    """Return the image that a skeleton is asked about: 1.5 times uniform noise, and as many as its batch says."""
    held = {t.name for t in model.graph.initializer}
    (value,) = [i for i in model.graph.input if i.name not in held]
    shape = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    shape = sizes or tuple(n or usual for n, usual in zip(shape, OPEN.get(name, (2, 3, 64, 64)), strict=True))
    return draw(f"image of {name}", shape, -1.5, 1.5)


def seed_of(logits: np.ndarray) -> np.ndarray:
    """Return where backward starts: one in each row's top class, or signs on an output that is no list of classes."""
    if logits.ndim == 2:
        return np.eye(logits.shape[1], dtype=logits.dtype)[logits.argmax(1)]
    return np.sign(draw("seed", logits.shape, -1, 1)).astype(logits.dtype)


def explained_output(model: ModelProto) -> str:
    """Return the output's name, or the logits' where a softmax or sigmoid ends the graph."""
    producer = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while producer[name].op_type in (*TAILS, "Identity"):
        name = producer[name].input[0]
    return name


def summary(name: str, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return a few numbers of an array that change when any of its numbers does."""
    flat = np.ascontiguousarray(x, np.float64).reshape(-1)
    places = np.unique(np.linspace(0, flat.size - 1, min(CROP, flat.size)).astype(np.int64))
    key = int.from_bytes(hashlib.sha256(f"{name} {x.shape}".encode()).digest()[:8], "little")
    signs = 1.0 - 2.0 * np.random.default_rng(key).integers(0, 2, (PROJECTIONS, flat.size))
    return {f"{name}/shape": np.array(x.shape), f"{name}/norm": np.array(np.linalg.norm(flat)),
            f"{name}/largest": np.array(np.abs(flat).max()), f"{name}/crop": flat[places],
            f"{name}/projections": signs @ flat}


def distance(name: str, x: np.ndarray, truth: dict[str, np.ndarray]) -> float:
    """Return how far an array is from a recorded one: of crop, norm and projections the largest relative difference."""
    if tuple(truth[f"{name}/shape"]) != x.shape:
        raise AssertionError(f"{name}: shape {x.shape}, recorded {tuple(truth[f'{name}/shape'])}")
    now = summary(name, x)
    norm, largest = truth[f"{name}/norm"], truth[f"{name}/largest"]
    parts = {"crop": largest, "largest": largest, "norm": norm, "projections": norm}
    return max(float(np.abs(now[f"{name}/{p}"] - truth[f"{name}/{p}"]).max() / scale) for p, scale in parts.items())


# the image's shape where the file leaves lengths open, if not (2, 3, 64, 64)
OPEN = {"unet_bilinear-script11": (1, 3, 40, 56), "unet_transposed_b-dynamo18": (1, 3, 40, 56)}
# files that take any height and width: another size, forward only
ELSEWHERE = {
    name: (1, 3, 88, 72) for name in (
        "resnet18-dynamo18", "resnet50-script17", "squeezenet1_1_b-dynamo18", "mobilenet_v3_small_b-script14",
        "shufflenet_v2_x0_5-script11", "efficientnet_b0_b-dynamo18", "regnet_y_400mf-dynamo18", "fcn_resnet50-script13",
        "deeplabv3_mobilenet-script11", "unet_transposed-script13", "unet_transposed_b-dynamo18",
        "unet_bilinear-script11", "unet_bilinear_b-dynamo18", "tf_efficientnet_b0-script13",
    )
}
# where the explained tensor lies channels last
CHANNELS_LAST = ("keras_mobilenet_v3-tf2onnx13",)
# the layer that is recorded: the last with maps on every path, no class maps; read off the graph by eye
EXPLAINED = {
    "alexnet-script11": "/features/features.11/Relu_output_0",
    "convnext_atto-script17": "/stages/stages.3/blocks/blocks.1/Add_output_0",
    "convnext_tiny-script13": "/features/features.7/features.7.2/Add_output_0",
    "convnext_tiny_b-dynamo20": "add_1082",
    "cspdarknet53-script13": "/stages/stages.4/conv_transition/bn/act/LeakyRelu_output_0",
    "deeplabv3_mobilenet-script11": "/net/classifier/classifier.3/Relu_output_0",
    "densenet121-script13": "/Relu_output_0",
    "efficientnet_b0-script17": "/features/features.8/features.8.2/Mul_output_0",
    "efficientnet_b0_b-dynamo18": "silu_48",
    "fcn_resnet50-script13": "/net/classifier/classifier.2/Relu_output_0",
    "ghostnet_100-dynamo18": "relu_40",
    "googlenet-script11": "/inception5b/Concat_output_0",
    "inception_v3-script13": "/Mixed_7c/Concat_output_0",
    "keras_densenet121-tf2onnx18": "densenet121_1/relu_1/Relu:0",
    "keras_efficientnet_b0-tf2onnx17": "efficientnetb0_1/top_activation_1/mul_1:0",
    "keras_mobilenet-tf2onnx9": "mobilenet_0.25_64_1/conv_pw_13_relu_1/Relu6:0",
    "keras_mobilenet_v2-tf2onnx13": "mobilenetv2_0.35_96_1/out_relu_1/Relu6:0",
    "keras_mobilenet_v3-tf2onnx13": "MobileNetV3Small_1/activation_17_1/mul:0",
    "keras_nasnet_mobile-tf2onnx9": "nasnet_mobile_1/activation_206_1/Relu:0",
    "keras_resnet50_v2-tf2onnx11": "resnet50v2_1/post_relu_1/Relu:0",
    "keras_xception-tf2onnx15": "xception_1/block14_sepconv2_act_1/Relu:0",
    "light_bvlc_alexnet-caffe2": "r13",
    "light_densenet121-caffe2": "r907",
    "light_inception_v1-caffe2": "r137",
    "light_inception_v2-caffe2": "r504",
    "light_resnet50-caffe2": "r171",
    "light_shufflenet-caffe2": "r198",
    "light_squeezenet-caffe2": "r60",
    "light_vgg19-caffe2": "r35",
    "light_zfnet512-caffe2": "r13",
    "lraspp_mobilenet-dynamo18": "hardswish_19",
    "mnasnet0_5-script9": "/layers/layers.16/Relu_output_0",
    "mobilenet_v2-script13": "/features/features.18/features.18.2/Clip_output_0",
    "mobilenet_v3_small-script11": "/features/features.12/features.12.2/Mul_output_0",
    "mobilenet_v3_small_b-script14": "/features/features.12/features.12.2/HardSwish_output_0",
    "mobilenet_v3_small_c-dynamo18": "hardswish_17",
    "nf_regnet_b0-dynamo18": "silu_48",
    "nf_resnet26-script13": "/final_act/Relu_output_0",
    "nfnet_l0-script14": "/final_act/Mul_output_0",
    "regnet_y_400mf-dynamo18": "relu_64",
    "repvgg_a0-dynamo18": "relu_21",
    "resnet18-dynamo18": "relu_16",
    "resnet18_old-script8": "/layer4/layer4.1/relu_1/Relu_output_0",
    "resnet50-script17": "/layer4/layer4.2/relu_2/Relu_output_0",
    "resnet51q-script13": "/final_conv/bn/act/Mul_output_0",
    "resnetv2_bit-script17": "/norm/act/Relu_output_0",
    "resnext50-dynamo18": "relu_48",
    "rexnet_100-script14": "/features/features.16/bn/act/Mul_output_0",
    "shufflenet_v2_x0_5-script11": "/conv5/conv5.2/Relu_output_0",
    "shufflenet_v2_x0_5_b-dynamo20": "relu_36",
    "squeezenet1_1-script10": "/features/features.12/Concat_output_0",
    "squeezenet1_1_b-dynamo18": "cat_7",
    "tf_efficientnet_b0-script13": "/bn2/act/Mul_output_0",
    "tf_efficientnet_lite0-dynamo18": "hardtanh_32",
    "unet_bilinear-script11": "/up.1/up.1.5/Relu_output_0",
    "unet_bilinear_b-dynamo18": "relu_9",
    "unet_nearest-script9": "/up.1/up.1.5/Relu_output_0",
    "unet_transposed-script13": "/up.1/up.1.5/Relu_output_0",
    "unet_transposed_b-dynamo18": "relu_9",
    "vgg11_bn-script13": "/features/features.27/Relu_output_0",
    "xception41p-script13": "/act/Relu_output_0",
}
NOT_THE_DEFAULT = {
    # LR-ASPP adds class maps of two scales: nothing before that sum lies on every path
    "lraspp_mobilenet-dynamo18": "add_1445",
    # a group norm that reshapes (N, C, H, W) to (N, groups, the rest) and back: which axis is which is lost on the way
    "resnetv2_bit-script17": "/stages/stages.3/blocks/blocks.2/Add_output_0",
}

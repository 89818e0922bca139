"""Export real architectures with both of PyTorch's exporters, as skeletons: python tests/make_onnx_torch.py [NAME...].

Made with Python 3.11, torch 2.14.1, torchvision 0.29.1, timm 1.0.31, onnxscript 0.7.2 and onnx 1.23.2. The names of
the files say what made them: `script13` is torch.onnx.export(dynamo=False, opset_version=13), `dynamo18` the other
exporter. Truths are recorded by make_onnx_truth.py.
"""

from __future__ import annotations

import io
import sys
import warnings

import onnx
import timm
import torch
import torchvision
from make_onnx_nets import UNet
from onnx_skeletons import DATA, save, strip

CLASSIFY, SEGMENT = torchvision.models, torchvision.models.segmentation
SQUARE = (1, 3, 64, 64)
BATCH, SIZES = {0: "batch"}, {0: "batch", 2: "height", 3: "width"}


def tv(name, **settings):
    return lambda: getattr(CLASSIFY, name)(weights=None, **settings)


def seg(name):
    return lambda: First(getattr(SEGMENT, name)(weights=None, weights_backbone=None))


def tm(name, **settings):
    return lambda: timm.create_model(name, pretrained=False, **settings)


class First(torch.nn.Module):
    """torchvision's segmentation models return a dictionary; its first entry is the answer."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)["out"]


INCEPTION = {"transform_input": True, "aux_logits": False, "init_weights": False}
# name: (what is built, input shape, exporter, opset, which axes are dynamic, more for the exporter)
UNFOLDED = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
ZOO = {
    "alexnet": (tv("alexnet"), (1, 3, 224, 224), "script", 11, None, {}),
    "vgg11_bn": (tv("vgg11_bn"), (1, 3, 224, 224), "script", 13, None, {}),
    "googlenet": (tv("googlenet", **INCEPTION), SQUARE, "script", 11, None, {}),
    "inception_v3": (tv("inception_v3", **INCEPTION), (1, 3, 139, 139), "script", 13, None, {}),
    "resnet18_old": (tv("resnet18"), SQUARE, "script", 8, None, {"keep_initializers_as_inputs": True}),
    "resnet18": (tv("resnet18"), SQUARE, "dynamo", 18, SIZES, {}),
    "resnet50": (tv("resnet50"), SQUARE, "script", 17, SIZES, {}),
    "resnext50": (tv("resnext50_32x4d"), SQUARE, "dynamo", 18, BATCH, {}),
    "squeezenet1_1": (tv("squeezenet1_1"), SQUARE, "script", 10, None, {}),
    "squeezenet1_1_b": (tv("squeezenet1_1"), SQUARE, "dynamo", 18, SIZES, {}),
    "densenet121": (tv("densenet121"), SQUARE, "script", 13, None, UNFOLDED),
    "mobilenet_v2": (tv("mobilenet_v2"), SQUARE, "script", 13, BATCH, {}),
    "mobilenet_v3_small": (tv("mobilenet_v3_small"), SQUARE, "script", 11, None, {}),
    "mobilenet_v3_small_b": (tv("mobilenet_v3_small"), SQUARE, "script", 14, SIZES, UNFOLDED),
    "mobilenet_v3_small_c": (tv("mobilenet_v3_small"), SQUARE, "dynamo", 18, BATCH, {}),
    "shufflenet_v2_x0_5": (tv("shufflenet_v2_x0_5"), SQUARE, "script", 11, SIZES, {}),
    "shufflenet_v2_x0_5_b": (tv("shufflenet_v2_x0_5"), SQUARE, "dynamo", 20, BATCH, {}),
    "mnasnet0_5": (tv("mnasnet0_5"), SQUARE, "script", 9, None, {}),
    "efficientnet_b0": (tv("efficientnet_b0"), SQUARE, "script", 17, BATCH, {}),
    "efficientnet_b0_b": (tv("efficientnet_b0"), SQUARE, "dynamo", 18, SIZES, {}),
    "convnext_tiny": (tv("convnext_tiny"), SQUARE, "script", 13, None, {}),
    "convnext_tiny_b": (tv("convnext_tiny"), SQUARE, "dynamo", 20, BATCH, {}),
    "regnet_y_400mf": (tv("regnet_y_400mf"), SQUARE, "dynamo", 18, SIZES, {}),
    "fcn_resnet50": (seg("fcn_resnet50"), SQUARE, "script", 13, SIZES, {}),
    "deeplabv3_mobilenet": (seg("deeplabv3_mobilenet_v3_large"), SQUARE, "script", 11, SIZES, {}),
    "lraspp_mobilenet": (seg("lraspp_mobilenet_v3_large"), SQUARE, "dynamo", 18, BATCH, {}),
    "unet_transposed": (lambda: UNet("transposed"), (1, 3, 48, 64), "script", 13, SIZES, {}),
    "unet_transposed_b": (lambda: UNet("transposed"), (1, 3, 48, 64), "dynamo", 18, SIZES, {}),
    "unet_bilinear": (lambda: UNet("bilinear"), (1, 3, 48, 64), "script", 11, SIZES, {}),
    "unet_bilinear_b": (lambda: UNet("bilinear"), (1, 3, 48, 64), "dynamo", 18, SIZES, {}),
    "unet_nearest": (lambda: UNet("nearest"), (1, 3, 48, 64), "script", 9, None, {}),
    "repvgg_a0": (tm("repvgg_a0"), SQUARE, "dynamo", 18, BATCH, {}),
    "resnet51q": (tm("resnet51q"), SQUARE, "script", 13, BATCH, {}),
    "nf_resnet26": (tm("nf_resnet26"), SQUARE, "script", 13, None, UNFOLDED),
    "nfnet_l0": (tm("eca_nfnet_l0"), SQUARE, "script", 14, BATCH, UNFOLDED),
    # its optimiser would fold the means of standardised weights
    "nf_regnet_b0": (tm("nf_regnet_b0"), SQUARE, "dynamo", 18, BATCH, {"optimize": False}),
    "resnetv2_bit": (tm("resnetv2_50x1_bit"), SQUARE, "script", 17, None, UNFOLDED),
    "convnext_atto": (tm("convnext_atto"), SQUARE, "script", 17, BATCH, {}),
    "tf_efficientnet_b0": (tm("tf_efficientnet_b0"), SQUARE, "script", 13, SIZES, {}),
    "tf_efficientnet_lite0": (tm("tf_efficientnet_lite0"), SQUARE, "dynamo", 18, BATCH, {}),
    "rexnet_100": (tm("rexnet_100"), SQUARE, "script", 14, BATCH, {}),
    "ghostnet_100": (tm("ghostnet_100"), SQUARE, "dynamo", 18, BATCH, {}),
    "xception41p": (tm("xception41p"), (1, 3, 96, 96), "script", 13, None, {}),
    "cspdarknet53": (tm("cspdarknet53"), SQUARE, "script", 13, BATCH, {}),
}


def unsettled(net):
    """Move parameters and statistics off the values that they begin with: exporters merge equal ones and drop zeros."""
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            if tensor.is_floating_point():
                tensor += 0.1 * torch.rand_like(tensor)
    return net


def exported(net, x, exporter, opset, axes, more):
    names = {"input_names": ["image"], "output_names": ["logits"], **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "script":
            buffer = io.BytesIO()
            dynamic = {"image": axes, "logits": {0: "batch"}} if axes else None
            torch.onnx.export(net, (x,), buffer, dynamo=False, opset_version=opset, dynamic_axes=dynamic, **names)
            return onnx.load_model_from_string(buffer.getvalue())
        if axes:
            auto = torch.export.Dim.DYNAMIC
            names["dynamic_shapes"] = ({i: auto if len(axes) > 1 else torch.export.Dim("batch") for i in axes},)
            x = torch.cat([x, x]) if 0 in axes else x  # an axis of length 1 is taken for a constant
        return torch.onnx.export(net, (x,), dynamo=True, opset_version=opset, verbose=False, **names).model_proto


def without_remarks(model):
    """Drop stack traces and remarks, which are most of what the newer exporter writes."""
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    return model


def main(names):
    for name in names or ZOO:
        build, shape, exporter, opset, axes, more = ZOO[name]
        torch.manual_seed(0)
        net = unsettled(build().eval())
        try:
            model = without_remarks(exported(net, torch.randn(shape), exporter, opset, axes, more))
        except Exception as error:
            if not names:
                print(f"{name}: not exported: {type(error).__name__}: {str(error)[:300]}", flush=True)
                continue
            raise
        path = DATA / "skeletons" / f"{name}-{exporter}{opset}.onnx.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(strip(model), path)
        kinds = sorted({node.op_type for node in model.graph.node})
        print(f"{path.name}: {path.stat().st_size} bytes, {len(model.graph.node)} nodes: {' '.join(kinds)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

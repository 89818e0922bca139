"""The record of a run: what was explained, of what, how, and every convention that a number depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from npgradcam import __version__
from npgradcam.cli.console import readable, resolved
from npgradcam.cli.network import input_shapes
from npgradcam.cli.photographs import Photograph
from npgradcam.convention import KERNELS
from npgradcam.images import Prepared
from npgradcam.kernels.session import choose
from npgradcam.models import Model, Prediction

SCHEMA = "npgradcam/explain/1"

CONVENTIONS = {
    "score": "the class's logit: a last Softmax, LogSoftmax or Sigmoid is cut (see model); one class at a time, seed 1 "
             "at the class and 0 elsewhere; where every pixel has a class, summed over the pixels that have this one",
    "probability": "softmax over all logits, in float64; after a last Sigmoid the sigmoid of the logit; where every "
                   "pixel has a class, the share of pixels",
    "ranking": "by logit, equal logits in the order of their indices; where every pixel has a class, by the share of "
               "pixels, and logit is the largest of all pixels",
    "grad_cam": "alpha_k = mean over i, j of d score / d A_k[i, j]; map = ReLU(sum over k of alpha_k A_k)",
    "grad_cam_relu": "after the sum over channels, at the layer's size, before upsampling",
    "counterfactual_grad_cam": "as Grad-CAM with alpha_k = mean of -d score / d A_k",
    "grad_cam_plus_plus": "w_k = sum of a ReLU(g), g = d score / d A_k[i, j], a = g^2 / (2 g^2 + T g^3) = "
                          "1 / (2 + T g), T = sum of A_k; a = 0 where that is 0/0 or has a pole; no epsilon; without "
                          "the factor exp(score) that all w_k share; map = ReLU(sum over k of w_k A_k)",
    "xgrad_cam": "alpha_k = sum of A_k d score / d A_k over sum of A_k; 0 where that is 0; no epsilon; map as Grad-CAM",
    "hires_cam": "sum over k of A_k d score / d A_k, cell by cell; the picture shows its ReLU",
    "layer_cam": "sum over k of A_k ReLU(d score / d A_k), cell by cell, then ReLU; no tanh",
    "cam": "sum over k of w_k A_k with the last linear layer's weights, without its bias; the picture shows its ReLU",
    "guided_grad_cam": "raw Grad-CAM map, not normalised, upsampled to the input, times raw guided signal",
    "rules_act_on": "Relu, Clip from 0 (ReLU6), LeakyRelu, PRelu and ThresholdedRelu; gates counts them",
    "rule_gradient": "signal * slope: the derivative",
    "rule_deconvnet": "max(signal, 0), without the slope",
    "rule_guided": "max(signal, 0) * slope",
    "relu_slope": "1 for x > 0, 0 for x <= 0",
    "leaky_slope": "1 for x > 0, the leak for x <= 0; the three rules multiply by it as by any slope",
    "relu6_slope": "1 for 0 < x < 6, 0 elsewhere, 0 and 6 included",
    "max_pool": "the signal goes to the largest cell of the window; a tie goes to the first in row-major order",
    "batch_norm": "inference: stored mean and variance",
    "input_signal": "d score / d x for the preprocessed input x (see preprocess), channels as in x",
    "upsampling": KERNELS["bilinear"],
    "normalisation": "a map as it is drawn, divided by its own maximum; no epsilon, no subtraction of the minimum",
    "zero_map": "stays zero: drawn in the colour of 0, and said in notes",
    "overlay": "0.5 photograph + 0.5 colour inside crop_box; outside it the photograph as it is",
    "colours": "turbo, 0 to the maximum",
    "signal_picture": "grey 128 + 127 signal / limit, larger ones clipped, all channels alike; 0 is exactly 128",
    "signal_limit": "the 99.5th percentile of |signal| (where that is 0, the maximum): few numbers are larger",
    "arrays": "CAM types: the signed map before its ReLU, (I, J) at the layer's size; others: the signal (C, H, W), "
              "also where the input is NHWC",
    "range": "smallest and largest number of the array",
    "grid": "drawn on what the network saw; each picture has its own scale, on the bar beneath it",
    "crop_box": "left, top, right, bottom in pixels of the upright photograph; pixel n covers n to n + 1",
}


def manifest_of(
    model: Model,
    photograph: Photograph,
    sha256: str,
    prepared: Prepared,
    drawn_on: Prepared,
    layers: Sequence[str],
    predictions: Sequence[Prediction],
    explanations: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Return everything about one photograph's folder as JSON has it."""
    network, (shape,) = model.network, input_shapes(model).values()
    height, width = prepared.photograph.shape[:2]
    last = network.last(network.outputs[0])  # what makes probabilities of the score, and is cut
    return {
        "schema": SCHEMA,
        "version": __version__,
        "model": {
            "name": model.name,
            "weights": model.source,
            "parameters": network.parameter_count,
            "input_shape": list(shape),
            "input_layout": model.layout,
            "optimised": network.rewrite is not None,
            "output": network.outputs[0],
            "score": network.score(network.outputs[0]),
            "cut": None if last is None else {"kind": type(last.layer).__name__, "name": last.name},
            "dtype": network.dtype,
            "backend": resolved(choose(network.backend)),
        },
        "image": {
            "path": readable(photograph.path),
            "sample": photograph.sample,
            "sha256": sha256,
            "width": width,
            "height": height,
            "exif_orientation": prepared.orientation,
            "exif_applied": prepared.orientation != 1,
            "crop_box": [float(edge) for edge in prepared.box],
            "drawn_at": [drawn_on.photograph.shape[1], drawn_on.photograph.shape[0]],
        },
        "preprocess": prepared.preprocess.as_dict(),
        "layer": layers[0] if layers else None,
        "layers": list(layers),
        "predictions": [asdict(p) for p in predictions],
        "explanations": list(explanations),
        "files": {"input": "input.png", "grid": "grid.png", "manifest": "manifest.json"},
        "conventions": CONVENTIONS,
    }


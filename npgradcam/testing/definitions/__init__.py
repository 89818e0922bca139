"""Slow definitions, straight from the equations: nested loops over single numbers, nothing shared with the kernels.

Whole numbers give int64 (exact), everything else float64; only a mean of whole numbers is a float64: its sum is exact
and divided once. Hold your own implementation against these: each is short enough to be checked by eye.

Axes: N images, R rows of signal, C channels in, O out, H x W cells in, I x J cells out, U x V cells of a kernel,
K feature maps.
"""

from . import places
from .arithmetic import place_by_place, place_by_place_adjoint
from .convolution import conv2d, conv2d_adjoint, conv2d_weight_gradient
from .finishing import enlarge, finish
from .methods import cam, grad_cam, grad_cam_alpha, upsample
from .normalisation import (
    group_norm,
    group_norm_adjoint,
    instance_norm,
    instance_norm_adjoint,
    layer_norm,
    layer_norm_adjoint,
    lrn,
    lrn_adjoint,
)
from .numbers import wide, zeros
from .pointwise import (
    batch_norm2d,
    batch_norm2d_adjoint,
    batch_norm2d_gradients,
    clip,
    rectifier_signal,
    relu,
)
from .pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_adjoint,
    avg_pool2d,
    avg_pool2d_adjoint,
    avg_pool2d_counts,
    global_avg_pool2d,
    global_avg_pool2d_adjoint,
    max_pool2d,
    max_pool2d_adjoint,
)
from .products import matmul, matmul_adjoint
from .reductions import (
    reduce_extreme,
    reduce_extreme_adjoint,
    reduce_l2,
    reduce_l2_adjoint,
    reduce_mean,
    reduce_mean_adjoint,
    reduce_sum,
    reduce_sum_adjoint,
)
from .relatives import grad_cam_plus_plus, hires_cam, layer_cam, xgrad_cam
from .resampling import resize, resize_adjoint
from .shaping import (
    concat,
    concat_adjoint,
    linear,
    linear_adjoint,
    linear_weight_gradient,
    pad,
    pad_adjoint,
)
from .softmaxes import log_softmax, log_softmax_adjoint, softmax, softmax_adjoint
from .transposed import conv_transpose2d, conv_transpose2d_adjoint, conv_transpose2d_weight_gradient
from .windows import looks, same_padding, starts

__all__ = [
    "adaptive_avg_pool2d", "adaptive_avg_pool2d_adjoint", "avg_pool2d", "avg_pool2d_adjoint", "avg_pool2d_counts",
    "batch_norm2d", "batch_norm2d_adjoint", "batch_norm2d_gradients", "cam", "clip", "concat", "concat_adjoint",
    "conv2d", "conv2d_adjoint", "conv2d_weight_gradient", "conv_transpose2d", "conv_transpose2d_adjoint",
    "conv_transpose2d_weight_gradient", "enlarge", "finish", "global_avg_pool2d", "global_avg_pool2d_adjoint",
    "grad_cam",
    "grad_cam_alpha", "grad_cam_plus_plus", "group_norm", "group_norm_adjoint", "hires_cam", "instance_norm",
    "instance_norm_adjoint", "layer_cam", "layer_norm", "layer_norm_adjoint", "linear", "linear_adjoint",
    "linear_weight_gradient", "log_softmax", "log_softmax_adjoint", "looks", "lrn", "lrn_adjoint", "matmul",
    "matmul_adjoint", "max_pool2d", "max_pool2d_adjoint", "pad", "pad_adjoint", "place_by_place",
    "place_by_place_adjoint", "places", "rectifier_signal", "reduce_extreme", "reduce_extreme_adjoint", "reduce_l2",
    "reduce_l2_adjoint", "reduce_mean", "reduce_mean_adjoint", "reduce_sum", "reduce_sum_adjoint", "relu", "resize",
    "resize_adjoint", "same_padding", "softmax", "softmax_adjoint", "starts", "upsample", "wide", "xgrad_cam",
    "zeros",
]

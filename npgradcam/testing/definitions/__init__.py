"""Slow definitions, straight from the equations: nested loops over single numbers, nothing shared with the kernels.

Whole numbers give int64 (exact), everything else float64; only a mean of whole numbers is a float64: its sum is exact
and divided once. Hold your own implementation against these: each is short enough to be checked by eye.

Axes: N images, R rows of signal, C channels in, O out, H x W cells in, I x J cells out, U x V cells of a kernel,
K feature maps.
"""

from .convolution import conv2d, conv2d_adjoint, conv2d_weight_gradient
from .methods import cam, grad_cam, grad_cam_alpha, upsample
from .numbers import wide, zeros
from .pointwise import (
    batch_norm2d,
    batch_norm2d_adjoint,
    batch_norm2d_gradients,
    clip,
    rectifier_signal,
    relu,
    softmax,
    softmax_adjoint,
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
from .shaping import (
    add,
    add_adjoint,
    concat,
    concat_adjoint,
    flatten,
    flatten_adjoint,
    linear,
    linear_adjoint,
    linear_weight_gradient,
    pad,
    pad_adjoint,
)
from .windows import looks, same_padding, starts

__all__ = [
    "adaptive_avg_pool2d", "adaptive_avg_pool2d_adjoint", "add", "add_adjoint", "avg_pool2d", "avg_pool2d_adjoint",
    "avg_pool2d_counts", "batch_norm2d", "batch_norm2d_adjoint", "batch_norm2d_gradients", "cam", "clip",
    "concat", "concat_adjoint", "conv2d", "conv2d_adjoint", "conv2d_weight_gradient", "flatten", "flatten_adjoint",
    "global_avg_pool2d", "global_avg_pool2d_adjoint", "grad_cam", "grad_cam_alpha", "linear", "linear_adjoint",
    "linear_weight_gradient", "looks", "max_pool2d", "max_pool2d_adjoint", "pad", "pad_adjoint", "rectifier_signal",
    "relu", "same_padding", "softmax", "softmax_adjoint", "starts", "upsample", "wide", "zeros",
]

"""The many ways in which a file writes down global average pooling and one linear layer, and what is no such head."""

import numpy as np
import pytest
from small_nets import conv, linear, pictures

import npgradcam as ng
from npgradcam.layers import (
    AdaptiveAvgPool2d,
    Add,
    Computed,
    Constant,
    Div,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Linear,
    MatMul,
    ReduceMean,
    ReduceSum,
    ReLU,
    Reshape,
    Squeeze,
    Transpose,
)
from npgradcam.methods import NoCamHeadError
from npgradcam.methods.cam import cam_head
from npgradcam.network import Network, Node

R = np.random.default_rng(11)
CELLS = 7 * 10
WEIGHT, BIAS = R.standard_normal((5, 6)), R.standard_normal(5)
TRUNK = [("conv", conv(R, 6, 3, padding="same")), ("relu", ReLU())]
FLAT = ("flat", Flatten())
LINEAR = [("fc", Linear(WEIGHT, BIAS))]
PRODUCT = [("fc", MatMul(None, WEIGHT.T)), ("bias", Add(BIAS))]
LAST = ("last", Transpose((0, 2, 3, 1)))


def sequence(*layers):
    return Network.sequential([*TRUNK, *layers], dtype="float64")


HEADS = {
    "pooling": [("pool", GlobalAvgPool2d()), FLAT, *LINEAR],
    "adaptive pooling": [("pool", AdaptiveAvgPool2d((1, 1))), FLAT, *LINEAR],
    "mean": [("pool", ReduceMean((2, 3))), FLAT, *LINEAR],
    "mean from behind": [("pool", ReduceMean((-1, -2))), FLAT, *LINEAR],
    "mean without its axes": [("pool", ReduceMean((3, 2), False)), *LINEAR],
    "sum, then its share": [("pool", ReduceSum((2, 3))), ("share", Div(None, np.array(float(CELLS)))), FLAT, *LINEAR],
    "rows last": [LAST, ("pool", ReduceMean((1, 2), False)), *LINEAR],
    "rows last, from behind": [LAST, ("pool", ReduceMean((-2, -3), False)), *LINEAR],
    "reshape": [("pool", GlobalAvgPool2d()), ("flat", Reshape((0, -1))), *LINEAR],
    "squeeze": [("pool", GlobalAvgPool2d()), ("flat", Squeeze((2, 3))), *LINEAR],
    "nothing between": [("pool", GlobalAvgPool2d()), FLAT, ("drop", Dropout()), ("same", Identity()), *LINEAR],
    "product and bias": [("pool", GlobalAvgPool2d()), FLAT, *PRODUCT],
    "product": [("pool", GlobalAvgPool2d()), FLAT, PRODUCT[0]],
}


def check(net):
    x = pictures(2)
    e = ng.cam(net, x, target=[[0, 3], [2]])
    g = ng.grad_cam(net, x, target=[[0, 3], [2]], layer=e.layer)
    np.testing.assert_array_equal(e.alpha, WEIGHT[[0, 3, 2]])
    by_hand = np.einsum("rk,rkij->rij", WEIGHT[[0, 3, 2]], e.activations[[0, 0, 1]])
    np.testing.assert_allclose(e.signed_cam, by_hand, atol=1e-13)
    np.testing.assert_allclose(e.signed_cam, CELLS * g.signed_cam, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_cam_reads_the_heads_own_weights_however_the_head_is_written(head):
    check(sequence(*HEADS[head]))


@pytest.mark.parametrize(("kind", "make"), [
    ("Flatten", lambda shape: Flatten()), ("Reshape", lambda shape: Reshape(tuple(int(n) for n in shape))),
    ("Squeeze", lambda shape: Squeeze((2, 3))),
])
def test_a_shape_that_is_computed_on_the_way_is_no_obstacle(kind, make):
    nodes = [Node("conv", TRUNK[0][1], ("input",)), Node("relu", ReLU(), ("conv",)),
             Node("pool", GlobalAvgPool2d(), ("relu",)), Node("shape", Constant(np.array([0, 6])), ()),
             Node("flat", Computed(make, 1, kind), ("pool", "shape")), Node("fc", LINEAR[0][1], ("flat",))]
    check(Network(tuple(nodes), dtype="float64"))


@pytest.mark.parametrize(("head", "words"), [
    ([("pool", GlobalAvgPool2d()), FLAT, ("bent", ReLU()), *LINEAR], "got Linear 'fc' after ReLU 'bent'; Grad"),
    ([("pool", GlobalAvgPool2d()), FLAT, *LINEAR, ("bent", ReLU())], "got ReLU 'bent'; Grad"),
    ([FLAT, ("fc1", linear(R, 6, 6 * CELLS)), ("fc", PRODUCT[0][1]), PRODUCT[1]],
     "got Add 'bias' after MatMul 'fc' after Linear 'fc1'; Grad"),
    ([("pool", ReduceMean((2,))), ("pool2", ReduceMean((3,))), FLAT, *LINEAR],
     "Flatten 'flat' after ReduceMean 'pool2'; Grad"),
    ([("pool", ReduceMean(None)), ("fc", MatMul(None, R.standard_normal((1, 5))))], "after ReduceMean 'pool'; Grad"),
    ([("pool", GlobalAvgPool2d()), FLAT, ("share", Div(None, np.arange(1.0, 7.0))), *LINEAR],
     "after Div 'share'; Grad"),
    ([("pool", AdaptiveAvgPool2d((1, 2))), FLAT, ("fc", linear(R, 5, 12))], "AdaptiveAvgPool2d 'pool'; Grad"),
    ([("pool", GlobalAvgPool2d()), ("turned", Transpose((0, 1, 3, 2))), FLAT, *LINEAR],
     "after Transpose 'turned'; Grad"),
    ([LAST, ("pool", ReduceMean((2, 3), False)), ("fc", MatMul(None, R.standard_normal((7, 5))))],
     r"got one over C, W in 'pool'; Grad"),
])
def test_another_head_is_refused_with_what_stands_there(head, words):
    with pytest.raises(NoCamHeadError, match=words):
        ng.cam(sequence(*head), pictures(1), target=0)


def test_a_product_without_a_held_matrix_is_no_head():
    held = MatMul(R.standard_normal((5, 6)))
    for layer in (held, MatMul(None, R.standard_normal((2, 6, 5)))):
        with pytest.raises(NoCamHeadError, match="got MatMul 'fc'; Grad"):
            cam_head(sequence(("pool", GlobalAvgPool2d()), FLAT, ("fc", layer)), "fc")

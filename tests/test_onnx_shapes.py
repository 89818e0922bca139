"""Graphs that compute shapes while they run: pictures of any size and number go through, and one alone is the same."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")

from onnx_graphs import ANY, answers, model, n, network, numbers, whole
from small_nets import relative

import npgradcam as ng
from npgradcam.errors import NpGradcamError, ShapeError
from npgradcam.layers import Computed, Resize

SIZES = [(1, 3, 6, 8), (2, 3, 6, 8), (3, 3, 10, 4), (1, 3, 256, 256)]
ONE, ZERO, LAST = whole(1), whole(0), whole(-1)
I0, I1, I2, I3 = (np.array(i, np.int64) for i in range(4))
K, V = numbers(4, 3, 3, 3, seed=1) / 3, numbers(5, 4, seed=2)


def pictures(shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def slope_agrees(net, x, tolerance=1e-6):
    """Compare the signal at the input with a finite difference in a random direction."""
    direction = pictures((*x.shape, 1))[..., 0]
    tape = net.forward(x, observe="x")
    seed = pictures((*tape.logits.shape, 2))[..., 0]
    h = 1e-5
    wanted = np.sum(seed * (answers(net, x + h * direction) - answers(net, x - h * direction))) / (2 * h)
    assert np.sum(net.backward(tape, seed, "x") * direction) == pytest.approx(wanted, rel=tolerance, abs=1e-7)


def view_flat():
    """x.view(x.size(0), -1), as PyTorch writes it."""
    return model(n("Shape", "x", "s"), n("Gather", "s i0", "b", axis=0), n("Unsqueeze", "b zero", "b1"),
                 n("Concat", "b1 last", "t", axis=0), n("Reshape", "x t", "f", name="view"), n("Relu", "f"),
                 i0=I0, zero=ZERO, last=LAST)


def resize_like():
    """Pool, convolve, and interpolate back to the size of the picture."""
    return model(n("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]), n("Conv", "p K", "c", pads=[1] * 4),
                 n("Shape", "x", "s"), n("Slice", "s two four", "hw"), n("Shape", "c", "cs"),
                 n("Slice", "cs zero two", "nc"), n("Concat", "nc hw", "to", axis=0),
                 n("Resize", "c - - to", "y", name="up", mode="linear"),
                 K=K, two=whole(2), four=whole(4), zero=ZERO)


def shuffle():
    """Channels in 2 groups of 3, turned; the batch and the picture's size from Shape."""
    return model(n("Concat", "x x", "d", axis=1), n("Shape", "d", "s"), n("Gather", "s i0", "b"),
                 n("Gather", "s i2", "h"), n("Gather", "s i3", "w"),
                 *(n("Unsqueeze", f"{a} zero", f"{a}1") for a in "bhw"),
                 n("Concat", "b1 two three h1 w1", "t", axis=0), n("Concat", "b1 six h1 w1", "u", axis=0),
                 n("Reshape", "d t", "g"), n("Transpose", "g", "q", perm=[0, 2, 1, 3, 4]), n("Reshape", "q u"),
                 i0=I0, i2=I2, i3=I3, zero=ZERO, two=whole(2), three=whole(3), six=whole(6))


def group_norm():
    """What a group norm is exported as: (N, G, -1), instance norm, back to the shape of x, scale and shift."""
    return model(n("Conv", "x K", "c", pads=[1] * 4), n("Reshape", "c groups", "g"),
                 n("InstanceNormalization", "g ones zeros", "m", epsilon=1e-5), n("Shape", "c", "s"),
                 n("Reshape", "m s", "r"), n("Mul", "r a", "t"), n("Add", "t b"), K=K,
                 groups=whole(0, 2, -1), ones=np.ones(2, np.float32), zeros=np.zeros(2, np.float32),
                 a=V[0][:, None, None], b=V[1][:, None, None])


def tiled():
    """A mean as large as the picture: Expand to the picture's own shape, times one."""
    return model(n("ReduceMean", "x", "m", axes=[2, 3]), n("Shape", "x", "s"), n("Expand", "m s", "e"), n("Sub", "x e"))


def halves():
    """Cut the picture where half its width is, computed with whole numbers, and stack both parts."""
    return model(n("Shape", "x", "s"), n("Gather", "s i3", "w"), n("Div", "w two", "half"),
                 n("Unsqueeze", "half zero", "h"),
                 n("Slice", "x zero h three", "left"), n("Slice", "x h far three", "right"), n("Sub", "left right"),
                 i3=I3, two=np.array(2, np.int64), zero=ZERO, three=whole(3), far=whole(2**62))


def wanted(made, x):
    batch, _, height, width = x.shape
    if made is view_flat:
        return np.maximum(x, 0).reshape(batch, -1)
    if made is shuffle:
        return np.concatenate([x, x], 1)[:, [0, 3, 1, 4, 2, 5]]
    if made is tiled:
        return x - x.mean((2, 3), keepdims=True)
    if made is halves:
        return x[..., : width // 2] - x[..., width // 2 :]
    windows = lambda a: np.lib.stride_tricks.sliding_window_view(  # noqa: E731
        np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
    convolve = lambda a: np.einsum("ncijuv,ocuv->noij", windows(a), K)  # noqa: E731
    if made is group_norm:
        parts = convolve(x).reshape(batch, 2, -1)
        normal = (parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + 1e-5)
        return normal.reshape(batch, 4, height, width) * V[0][:, None, None] + V[1][:, None, None]
    small = convolve(x.reshape(batch, 3, height // 2, 2, width // 2, 2).max((3, 5)))
    for axis, size in ((2, height), (3, width)):
        at = np.clip((np.arange(size) + 0.5) / 2 - 0.5, 0, size // 2 - 1)
        low = np.floor(at).astype(int)
        part = (at - low).reshape(-1, *(1,) * (3 - axis))
        high = np.minimum(low + 1, size // 2 - 1)
        small = np.take(small, low, axis) * (1 - part) + np.take(small, high, axis) * part
    return small


GRAPHS = [view_flat, resize_like, shuffle, group_norm, tiled, halves]


@pytest.mark.parametrize("made", GRAPHS, ids=lambda made: made.__name__)
def test_pictures_of_any_size_and_number_go_through(made):
    net = network(made())
    for shape in SIZES:
        x = pictures(shape)
        assert relative(net(x), wanted(made, x)) < 1e-12
        assert net.shapes(shape)[net.outputs[0]] == net(x).shape


@pytest.mark.parametrize("made", GRAPHS, ids=lambda made: made.__name__)
def test_gradients_find_their_way_through_computed_shapes(made):
    for shape in SIZES[:3]:
        slope_agrees(network(made()), pictures(shape))


@pytest.mark.parametrize("made", GRAPHS, ids=lambda made: made.__name__)
def test_where_all_lengths_are_known_nothing_is_left_to_compute(made):
    fixed = made()
    for axis, length in enumerate(SIZES[1]):
        fixed.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = length
    net, x = network(fixed), pictures(SIZES[1])
    assert not any(isinstance(node.layer, Computed) for node in net.nodes)
    assert not any(type(node.layer).__name__ in ("Shape", "Gather", "Cast") for node in net.nodes)
    assert relative(net(x), wanted(made, x)) < 1e-12


@pytest.mark.parametrize("made", GRAPHS, ids=lambda made: made.__name__)
def test_each_image_is_explained_as_if_alone(made):
    net = network(made())
    x, random = pictures((3, 3, 6, 8)), np.random.default_rng(1)
    tape = net.forward(x, observe="x")
    image = np.array([2, 0, 0, 1])
    seed = random.standard_normal((4, *tape.logits.shape[1:]))
    together = net.backward(tape, seed, "x", image=image)
    for row, i in enumerate(image):
        one = net.forward(x[i : i + 1], observe="x")
        assert relative(together[row], net.backward(one, seed[row : row + 1], "x")[0]) < 1e-12


def test_a_batch_that_is_open_and_a_size_that_is_not():
    net = network(model(n("Shape", "x", "s"), n("Gather", "s i2", "h"), n("Gather", "s i0", "b"), n("Mul", "h b", "hb"),
                        n("Unsqueeze", "hb zero", "u"), n("Concat", "u last", "t", axis=0), n("Reshape", "x t"),
                        inputs={"x": ("N", 3, 6, 8)}, i0=I0, i2=I2, zero=ZERO, last=LAST))
    for batch in (1, 2, 5):
        assert net(pictures((batch, 3, 6, 8))).shape == (6 * batch, 24)


def test_a_picture_that_does_not_fit_is_a_sentence_with_the_node():
    net = network(model(n("Shape", "x", "s"), n("Slice", "s one two", "c"), n("Concat", "c last", "t", axis=0),
                        n("Reshape", "x t", "y", name="fold"), n("Reshape", "y five", "z", name="view"),
                        n("Shape", "x", "q"), outputs="z", one=ONE, two=whole(2), last=LAST, five=whole(-1, 5)))
    assert net(pictures((1, 3, 5, 5))).shape == (15, 5)
    with pytest.raises(ShapeError, match="'view'"):
        net(pictures((1, 3, 4, 4)))


def test_settings_that_depend_on_the_pictures_numbers_are_refused():
    made = model(n("ReduceMax", "x", "m", keepdims=0), n("Cast", "m", "i", to=7), n("Unsqueeze", "i zero", "u"),
                 n("Concat", "u last", "t", axis=0), n("Reshape", "x t"), zero=ZERO, last=LAST)
    net = network(made)
    with pytest.raises(NpGradcamError, match="numbers"):
        net.shapes((1, 3, 4, 4))


def test_a_range_and_a_constant_of_shape_are_made_for_each_picture():
    made = model(n("Shape", "x", "s"), n("Gather", "s i3", "w"), n("Range", "i0 w i1", "r"), n("Cast", "r", "f", to=1),
                 n("ConstantOfShape", "s", "z"), n("Add", "x f", "a"), n("Add", "a z"), i0=I0, i1=I1, i3=I3)
    net = network(made)
    for shape in SIZES[:3]:
        x = pictures(shape)
        assert relative(net(x), x + np.arange(shape[3])) < 1e-15


def gap_net():
    """A head of pooling, a view of the batch's own size and a linear layer."""
    return model(n("Conv", "x K", "c", pads=[1] * 4), n("Relu", "c", "r"), n("GlobalAveragePool", "r", "p"),
                 n("Shape", "p", "s"), n("Gather", "s i0", "b"), n("Unsqueeze", "b zero", "b1"),
                 n("Concat", "b1 last", "t", axis=0), n("Reshape", "p t", "f"), n("Gemm", "f V", "y", transB=1),
                 K=K, V=V, i0=I0, zero=ZERO, last=LAST)


def test_grad_cam_runs_behind_computed_shapes_with_a_batch():
    net, x = network(gap_net()), pictures((2, 3, 6, 8))
    e = ng.grad_cam(net, x, target=[[0, 3], [1]])
    assert e.layer == "r"
    A = np.maximum(net.forward(x, observe="c").activation("c"), 0)
    for row, (i, target) in enumerate([(0, 0), (0, 3), (1, 1)]):
        assert relative(e.signed_cam[row], np.einsum("k,kij->ij", V[target] / 48.0, A[i])) < 1e-6


def test_a_computed_view_between_pooling_and_the_linear_layer_is_no_obstacle_to_cam():
    net, x = network(gap_net()), pictures((2, 3, 6, 8))
    c, e = (method(net, x, target=[[0, 3], [1]]) for method in (ng.cam, ng.grad_cam))
    assert relative(c.signed_cam, 48 * e.signed_cam) < 1e-6


def test_a_resize_is_an_ordinary_layer_where_its_sizes_are_constants():
    scales = np.array([1, 1, 2, 2], np.float32)
    net = network(model(n("Resize", "x - scales", mode="nearest"), scales=scales, inputs={"x": ANY}))
    assert isinstance(net.nodes[0].layer, Resize)

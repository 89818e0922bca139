"""Grad-CAM's relatives: numbers worked out by hand, identities from their papers, and what pytorch-grad-cam says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_weights import RELATIVES_RECORDED, TARGETS, reference_arrays
from small_nets import conv, flat_net, gap_net, linear, lite0, needs_imagenet, pictures, reference_net, relative

import npgradcam as ng
from npgradcam.layers import Conv2d, Flatten, Linear, ReLU, Transpose
from npgradcam.methods.hires_cam import hires_cam_of
from npgradcam.network import Network, Node
from npgradcam.testing import definitions as slow

LIMITS = {"float64": 1e-12, "float32": 2e-5}
RELATIVES = (ng.grad_cam_plus_plus, ng.xgrad_cam, ng.hires_cam, ng.layer_cam)


def name_of(value):
    return getattr(value, "__name__", None)


def linear_head(height, width, seed=0, dtype="float64", classes=5):
    """conv - ReLU - flatten - linear: one linear layer above the maps, with a weight for every cell."""
    random = np.random.default_rng(seed)
    return Network.sequential([
        ("conv", conv(random, 4, 3, padding="same")), ("relu", ReLU()), ("flatten", Flatten()),
        ("fc", linear(random, classes, 4 * height * width)),
    ], dtype=dtype)


def above(net, layer):
    """The part of a sequential network that follows a layer."""
    place = [node.name for node in net.nodes].index(layer)
    return Network.sequential([(n.name, n.layer) for n in net.nodes[place + 1 :]], dtype=net.dtype)


def without_biases(net):
    """The same network, homogeneous: every bias of a convolution or linear layer is 0."""
    layers = [(n.name, type(n.layer)(**{**vars(n.layer), "bias": 0 * n.layer.bias}) if hasattr(n.layer, "bias")
               else n.layer) for n in net.nodes]
    return Network.sequential(layers, dtype=net.dtype)


# ---------------------------------------------------------------- by hand
#
#   x = | 1 -2 |   the convolution makes x and -x of it, so after the ReLU   A^1 = | 1 0 |   A^2 = | 0 2 |   T = (4, 4)
#       | 3 -2 |                                                                   | 3 0 |         | 0 2 |
#
#   the class weighs the cells:   g^1 = | 1/2 -1/2 |   g^2 = | -1/4 -1  |   y = 1/2 + 9/2 - 2 + 1 = 4
#                                       | 3/2   0  |         |  0   1/2 |
#
#   Grad-CAM++:  2 + T g = | 4  0 |  | 1 -2 |   so the weights of the gradients are   | 1/4  0 |   | 1 -1/2 |
#                          | 8  2 |  | 2  4 |                                         | 1/8  0 |   | 0  1/4 |
#                (the pole at 2 + T g = 0 and the cells with g = 0 have 0)
#                w = (1/4 1/2 + 1/8 3/2, 1/4 1/2) = (5/16, 1/8);  5/16 A^1 + 1/8 A^2 = |  5/16 1/4 |
#                                                                                      | 15/16 1/4 |
#   XGrad-CAM:   alpha = ((1/2 + 9/2) / 4, (-2 + 1) / 4) = (5/4, -1/4);  5/4 A^1 - 1/4 A^2 = |  5/4 -1/2 |  sum 4 = y
#                                                                                            | 15/4 -1/2 |
#   HiResCAM:    g^1 A^1 + g^2 A^2 = | 1/2 -2 |  sum 4 = y      LayerCAM:  ReLU(g) in place of g:  | 1/2 0 |
#                                    | 9/2  1 |                                                   | 9/2 1 |

X = np.array([[[[1.0, -2], [3, -2]]]])
G = np.array([[[0.5, -0.5], [1.5, 0]], [[-0.25, -1], [0, 0.5]]])


@pytest.fixture(params=LIMITS)
def by_hand(request):
    layers = [("conv", Conv2d(np.array([1.0, -1]).reshape(2, 1, 1, 1), np.zeros(2))), ("relu", ReLU()),
              ("flatten", Flatten()), ("fc", Linear(G.reshape(1, 8), np.zeros(1)))]
    return Network.sequential(layers, dtype=request.param), X.astype(request.param)


def test_grad_cam_plus_plus_is_what_a_person_computes_on_paper(by_hand):
    e = ng.grad_cam_plus_plus(*by_hand)
    np.testing.assert_array_equal(e.gradients, [G])
    np.testing.assert_array_equal(e.gradient_weights, [[[[0.25, 0], [0.125, 0]], [[1, -0.5], [0, 0.25]]]])
    np.testing.assert_array_equal(e.alpha, [[5 / 16, 1 / 8]])
    np.testing.assert_array_equal(e.signed_cam, [[[5 / 16, 1 / 4], [15 / 16, 1 / 4]]])
    np.testing.assert_array_equal(e.cam, e.signed_cam)


def test_xgrad_cam_is_what_a_person_computes_on_paper(by_hand):
    e = ng.xgrad_cam(*by_hand)
    np.testing.assert_array_equal(e.alpha, [[5 / 4, -1 / 4]])
    np.testing.assert_array_equal(e.signed_cam, [[[5 / 4, -1 / 2], [15 / 4, -1 / 2]]])
    np.testing.assert_array_equal(e.cam, [[[5 / 4, 0], [15 / 4, 0]]])
    assert e.signed_cam.sum() == e.logits[0, 0] == 4


def test_hires_cam_is_what_a_person_computes_on_paper(by_hand):
    e = ng.hires_cam(*by_hand)
    np.testing.assert_array_equal(e.cell_weights, [G])
    np.testing.assert_array_equal(e.signed_cam, [[[0.5, -2], [4.5, 1]]])
    np.testing.assert_array_equal(e.cam, [[[0.5, 0], [4.5, 1]]])
    assert e.signed_cam.sum() == e.logits[0, 0] == 4


def test_layer_cam_is_what_a_person_computes_on_paper(by_hand):
    e = ng.layer_cam(*by_hand)
    np.testing.assert_array_equal(e.cell_weights, [np.maximum(G, 0)])
    np.testing.assert_array_equal(e.signed_cam, [[[0.5, 0], [4.5, 1]]])
    np.testing.assert_array_equal(e.cam, [[[0.5, 0], [4.5, 1]]])


# ---------------------------------------------------------------- the slow definitions


def assert_equal_their_definitions(net, x, target, layer, limit):
    record = ng.grad_cam(net, x, target, layer)
    seen = record.activations, record.gradients, record.image.tolist()

    def close(ours, right, times=1):
        return np.abs(ours - right).max() <= limit * times * max(1, np.abs(right).max())

    e, (weights, alpha, signed, cam) = ng.grad_cam_plus_plus(net, x, target, layer), slow.grad_cam_plus_plus(*seen)
    pole = max(1, np.abs(weights).max())  # 1 / (2 + T g): the nearer to its pole, the more rounding of T g weighs
    assert close(e.gradient_weights, weights, pole)
    assert close(e.alpha, alpha, pole)
    assert close(e.signed_cam, signed, pole)
    assert close(e.cam, cam, pole)
    e, (alpha, signed, cam) = ng.xgrad_cam(net, x, target, layer), slow.xgrad_cam(*seen)
    assert close(e.alpha, alpha)
    assert close(e.signed_cam, signed)
    assert close(e.cam, cam)
    for fast, definition in ((ng.hires_cam, slow.hires_cam), (ng.layer_cam, slow.layer_cam)):
        e, (signed, cam) = fast(net, x, target, layer), definition(*seen)
        assert close(e.signed_cam, signed)
        assert close(e.cam, cam)


@given(st.data())
def test_each_equals_its_slow_definition(data):
    dtype = data.draw(st.sampled_from(list(LIMITS)))
    seed, count = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.integers(1, 3))
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    targets = data.draw(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=count, max_size=count))
    net, x = flat_net(height, width, seed, dtype=dtype), pictures(count, height, width, seed, dtype)
    record = ng.grad_cam(net, x, targets, "relu")
    d = 2 + record.activations[record.image].sum(axis=(2, 3), keepdims=True) * record.gradients
    if np.abs(d).min() > 1e-2:  # nearer to the pole rounding is enlarged without bound
        assert_equal_their_definitions(net, x, targets, "relu", LIMITS[dtype])


def test_each_equals_its_slow_definition_on_maps_of_both_signs():
    assert_equal_their_definitions(flat_net(5, 6), pictures(2, 5, 6), [[0, 4], [2]], "conv", 1e-10)


# ---------------------------------------------------------------- identities


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("make", [lambda dtype: linear_head(7, 10, dtype=dtype), lambda dtype: gap_net(dtype=dtype)])
def test_hires_cam_and_a_bias_are_the_logit_where_one_linear_layer_follows(make, dtype):
    net, x = make(dtype), pictures(2, dtype=dtype)
    e = ng.hires_cam(net, x, [[0, 1, 2], [3, 4]])
    bias, logit = net[e.output].layer.bias[e.target], e.logits[e.image, e.target]
    scale = np.abs(e.cell_weights * e.activations[e.image]).sum(axis=(1, 2, 3)).max()
    assert np.abs(e.signed_cam.sum(axis=(1, 2), dtype=np.float64) + bias - logit).max() <= LIMITS[dtype] * scale


@given(st.integers(0, 2**32 - 1), st.sampled_from(list(LIMITS)))
def test_hires_cam_and_xgrad_cam_are_grad_cam_on_a_pooled_linear_head(seed, dtype):
    net, x = gap_net(seed, dtype), pictures(2, seed=seed, dtype=dtype)
    e, c = ng.grad_cam(net, x, [[0, 1], [2]]), ng.cam(net, x, [[0, 1], [2]])
    scale = np.einsum("rk,rkij->rij", np.abs(e.alpha), e.activations[e.image]).max()
    for method in (ng.hires_cam, ng.xgrad_cam):
        f = method(net, x, [[0, 1], [2]])
        assert np.abs(f.signed_cam - e.signed_cam).max() <= LIMITS[dtype] * scale
        Z = e.signed_cam[0].size
        assert np.abs(Z * f.signed_cam - c.signed_cam).max() <= LIMITS[dtype] * Z * scale


def test_where_gradients_differ_from_cell_to_cell_no_two_methods_agree():
    net, x = flat_net(7, 10), pictures()
    maps = [method(net, x, [0, 1]).signed_cam for method in (ng.grad_cam, *RELATIVES)]
    maps = [m / np.abs(m).max() for m in maps]
    assert min(np.abs(a - b).max() for n, a in enumerate(maps) for b in maps[:n]) > 0.1


@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_layer_cam_of_a_score_minus_that_of_its_opposite_is_hires_cam(seed, target):
    """ReLU(g) - ReLU(-g) = g."""
    net, x = flat_net(5, 6, seed), pictures(2, 5, 6, seed)
    one_hot = np.eye(5)[[target] * 2]
    rise, fall = (ng.layer_cam(net, x, seed=sign * one_hot).signed_cam for sign in (1, -1))
    e = ng.hires_cam(net, x, target)
    assert np.abs(rise - fall - e.signed_cam).max() <= 1e-12 * (1 + rise.max() + fall.max())


def test_xgrad_cam_conserves_the_score_of_a_piecewise_linear_network_without_biases():
    net, x = without_biases(flat_net(7, 10)), pictures()
    for method in (ng.xgrad_cam, ng.hires_cam):
        e = method(net, x, [[0, 1, 2, 3, 4]] * 2)
        total = e.signed_cam.sum(axis=(1, 2))
        assert np.abs(total - e.logits[e.image, e.target]).max() <= 1e-12 * np.abs(e.signed_cam).sum(axis=(1, 2)).max()


def test_what_xgrad_cam_does_not_conserve_is_the_offsets_of_the_layers_above():
    """Equation (5) of its paper: score = sum_k <dy/dA^k, A^k> + offset, here <dy/dh, b1> + b2 with h = fc1's output."""
    net, x, target = flat_net(7, 10), pictures(), [3, 1]
    e = ng.xgrad_cam(net, x, target)
    signal = net.backward(net.forward(x, observe="fc1"), np.eye(5)[target], down_to="fc1")
    offset = signal @ net["fc1"].layer.bias + net["fc2"].layer.bias[target]
    assert np.abs(offset).min() > 0.1
    np.testing.assert_allclose(e.signed_cam.sum(axis=(1, 2)) + offset, e.logits[[0, 1], target], rtol=1e-11)


def test_xgrad_cam_is_sensitive_each_channel_sums_to_what_the_score_loses_without_it():
    net, x = linear_head(7, 10), pictures(1)
    e, head = ng.xgrad_cam(net, x, 2), above(linear_head(7, 10), "relu")
    for k in range(e.alpha.shape[1]):
        less = e.activations.copy()
        less[:, k] = 0
        lost = (head(e.activations) - head(less))[0, 2]
        assert e.alpha[0, k] * e.activations[0, k].sum() == pytest.approx(lost, rel=1e-10)
        assert ng.grad_cam(net, x, 2).alpha[0, k] * e.activations[0, k].sum() != pytest.approx(lost, rel=1e-2)


def test_channels_that_sum_to_zero_have_a_stated_weight():
    """Channel 0 is dead, channel 1 holds 1 and -1, channel 2 is ordinary."""
    A = np.array([[[[0.0, 0]], [[1, -1]], [[1, 3]]]])
    weight = np.array([[1.0, 2, 3, 4, 5, 6]])
    net = Network.sequential([("same", Conv2d(np.eye(3).reshape(3, 3, 1, 1), np.zeros(3))), ("flatten", Flatten()),
                              ("fc", Linear(weight, np.zeros(1)))], dtype="float64")
    e = ng.xgrad_cam(net, A, 0, "same")
    np.testing.assert_array_equal(e.alpha, [[0, 0, (1 * 5 + 3 * 6) / 4]])
    e = ng.grad_cam_plus_plus(net, A, 0, "same")
    np.testing.assert_array_equal(e.gradient_weights[0, :2], np.full((2, 1, 2), 0.5))  # 1 / (2 + 0 g)
    np.testing.assert_array_equal(e.alpha[0, :2], [(1 + 2) / 2, (3 + 4) / 2])
    for method in (ng.grad_cam, *RELATIVES):
        nothing = method(net, 0 * A, 0, "same")
        assert not nothing.signed_cam.any()
        assert "no cell of same has positive evidence for 0" in nothing.note()


@pytest.mark.parametrize("method", [ng.grad_cam, *RELATIVES], ids=name_of)
@pytest.mark.parametrize("dtype", LIMITS)
def test_the_units_of_a_channel_do_not_matter(method, dtype):
    """A^k times 2^n, and what reads it divided by 2^n: the same network, and the same map to the last bit."""
    net, x = flat_net(7, 10, dtype=dtype), pictures(dtype=dtype)
    units = 2.0 ** np.array([-30, 0, 7, 30])
    a, b = net["conv"].layer, net["fc1"].layer
    scaled = {"conv": Conv2d(a.weight * units[:, None, None, None], a.bias * units, padding="same"),
              "fc1": Linear((b.weight.reshape(8, 4, -1) / units[:, None]).reshape(8, -1), b.bias)}
    other = Network(tuple(Node(n.name, scaled.get(n.name, n.layer), n.inputs) for n in net.nodes), dtype=dtype)
    np.testing.assert_array_equal(other(x), net(x))
    np.testing.assert_array_equal(method(other, x, [0, 3]).signed_cam, method(net, x, [0, 3]).signed_cam)


# ---------------------------------------------------------------- Grad-CAM++


def test_the_weights_are_equation_10_for_the_exponential_of_the_logit():
    """Its second and third derivative are measured, along single cells, on the part of the network above."""
    net, x = linear_head(3, 4), pictures(1, 3, 4) / 8
    e, head = ng.grad_cam_plus_plus(net, x, 1), above(linear_head(3, 4), "relu")
    A = e.activations
    for k, i, j in np.argwhere(np.abs(e.gradients[0]) > 0.2):
        h = 0.01 / abs(e.gradients[0, k, i, j])
        step = np.zeros_like(A)
        step[0, k, i, j] = h
        Y = {n: np.exp(head(A + n * step)[0, 1] - e.logits[0, 1]) for n in (-2, -1, 0, 1, 2)}
        second = (Y[1] - 2 * Y[0] + Y[-1]) / h**2
        third = (Y[2] - 2 * Y[1] + 2 * Y[-1] - Y[-2]) / (2 * h**3)
        expected = second / (2 * second + A[0, k].sum() * third)
        assert e.gradient_weights[0, k, i, j] == pytest.approx(expected, rel=2e-3)


@given(st.integers(0, 2**32 - 1))
def test_a_weight_times_its_channels_sum_is_at_most_the_cells_that_pull(seed):
    """ReLU(g) T / (2 + T g) < 1 for each cell."""
    e = ng.grad_cam_plus_plus(flat_net(5, 6, seed), pictures(2, 5, 6, seed), [[0, 1], [2]])
    T, pulling = e.activations[e.image].sum(axis=(2, 3)), (e.gradients > 0).sum(axis=(2, 3))
    assert (e.alpha >= 0).all()
    assert (e.alpha * T <= pulling).all()
    assert (e.cam == e.signed_cam).all()


def test_a_constant_in_the_logit_changes_nothing_and_no_exponential_is_taken():
    """exp(S + 1e30) would overflow."""
    net, x = linear_head(7, 10, dtype="float32"), pictures(dtype="float32")
    fc = net["fc"].layer
    raised = Linear(fc.weight, fc.bias + np.float32(1e30))
    other = Network((*net.nodes[:-1], Node("fc", raised, ("flatten",))))
    e, same = (ng.grad_cam_plus_plus(n, x, 1) for n in (net, other))
    assert same.logits[0, 1] > 1e29
    np.testing.assert_array_equal(same.signed_cam, e.signed_cam)


def test_gradients_whose_squares_underflow_are_weighed_all_the_same():
    net, x = linear_head(7, 10, dtype="float32"), pictures(dtype="float32")
    e = ng.grad_cam_plus_plus(net, x, seed=np.eye(5, dtype="float32")[[1, 2]] * np.float32(1e-30))
    assert not (e.gradients**2).any()
    np.testing.assert_array_equal(e.gradient_weights[e.gradients != 0], 0.5)
    np.testing.assert_allclose(e.alpha, np.maximum(e.gradients, 0).sum(axis=(2, 3)) / 2, rtol=1e-5)


# ---------------------------------------------------------------- the records


def test_no_array_pretends_to_be_what_it_is_not():
    net, x = flat_net(7, 10), pictures(1)
    g, p, v, h, m = (method(net, x, 1) for method in (ng.grad_cam, *RELATIVES))
    for e in (g, p, v):
        assert e.cell_weights is None
        assert e.class_weights is e.alpha
        np.testing.assert_allclose(e.signed_cam, np.einsum("rk,rkij->rij", e.alpha, e.activations), rtol=1e-12)
    for e in (h, m):
        assert e.alpha is e.class_weights is None
        np.testing.assert_allclose(e.signed_cam, (e.cell_weights * e.activations).sum(axis=1), rtol=1e-10)
    np.testing.assert_array_equal(h.cell_weights, h.gradients)
    assert [e.method for e in (p, v, h, m)] == ["grad-cam-plus-plus", "xgrad-cam", "hires-cam", "layer-cam"]
    assert "alpha" not in repr(h)
    assert "gradient_weights (1, 4, 7, 10)" in repr(p)
    for array in (p.gradient_weights, h.cell_weights, m.cell_weights):
        assert not array.flags.writeable
    for e in (g, p, v, h, m):
        np.testing.assert_array_equal(e.gradients, g.gradients)
        assert (e.layer, e.target.tolist(), e.output) == (g.layer, [1], "fc2")
        assert e.picture().shape == (112, 160, 3)


@pytest.mark.parametrize("method", RELATIVES, ids=name_of)
def test_maps_with_channels_last_come_out_the_same(method):
    plain, x = flat_net(7, 10), pictures()
    there, back = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))
    conv_, relu, flat, *head = [(node.name, node.layer) for node in plain.nodes]
    layers = [conv_, ("there", there), relu, ("back", back), flat, *head]
    net = Network.sequential(layers, dtype="float64")
    e, same = method(net, x, [[0, 3], [1]], "relu"), method(plain, x, [[0, 3], [1]], "relu")
    assert e.activations.shape == (2, 4, 7, 10)
    np.testing.assert_allclose(e.signed_cam, same.signed_cam, rtol=1e-10)


def test_a_relative_of_a_record_without_gradients_names_the_way_out():
    with pytest.raises(ng.NpGradcamError, match=r"got one of cam; take one of grad_cam"):
        hires_cam_of(ng.cam(gap_net(), pictures()))


# ---------------------------------------------------------------- pytorch-grad-cam 1.5.7


@pytest.fixture(scope="module")
def recorded():
    with np.load(RELATIVES_RECORDED) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("layer", ["relu6", "features"])
@pytest.mark.parametrize("method", [ng.hires_cam, ng.layer_cam], ids=name_of)
def test_hires_cam_and_layer_cam_equal_pytorch_grad_cam(recorded, method, layer):
    e = method(reference_net(), reference_arrays()["images"], TARGETS, layer)
    assert relative(e.signed_cam, recorded[f"{method.__name__}/{layer}"]) <= 1e-12


@pytest.mark.parametrize("layer", ["relu6", "features"])
def test_xgrad_cam_equals_pytorch_grad_cam_but_for_the_1e7_that_it_adds_to_the_sum(recorded, layer):
    e = ng.xgrad_cam(reference_net(), reference_arrays()["images"], TARGETS, layer)
    T = e.activations[e.image].sum(axis=(2, 3))
    theirs = recorded[f"xgrad_cam/{layer}/weights"]
    np.testing.assert_allclose(e.alpha * T / (T + 1e-7), theirs, rtol=1e-11, atol=1e-14)
    assert relative(e.signed_cam, recorded[f"xgrad_cam/{layer}"]) <= 1e-7


@pytest.mark.parametrize("layer", ["relu6", "features"])
def test_grad_cam_plus_plus_equals_pytorch_grad_cam_but_for_the_1e6_that_it_adds_to_the_denominator(recorded, layer):
    """g^2 / (2 g^2 + T g^3 + 1e-6) is equation (19) only where g^2 is much larger than 1e-6."""
    e = ng.grad_cam_plus_plus(reference_net(), reference_arrays()["images"], TARGETS, layer)
    g, T = e.gradients, e.activations[e.image].sum(axis=(2, 3), keepdims=True)
    weights = (np.maximum(g, 0) * g**2 / (2 * g**2 + T * g**3 + 1e-6)).sum(axis=(2, 3))
    theirs = recorded[f"grad_cam_plus_plus/{layer}/weights"]
    assert relative(weights, theirs) <= 1e-12
    assert relative(np.einsum("rk,rkij->rij", weights, e.activations[e.image]),
                    recorded[f"grad_cam_plus_plus/{layer}"]) <= 1e-12
    assert 1e-4 < relative(e.signed_cam, recorded[f"grad_cam_plus_plus/{layer}"]) < 2e-2


@needs_imagenet
def test_on_a_real_network_that_1e6_takes_a_quarter_of_the_weights_and_bends_the_map():
    """Gradients behind a pooling of 49 cells are about 1e-3, their squares as large as the epsilon."""
    net = lite0()
    e = ng.grad_cam_plus_plus(net, net.preprocess(ng.images.sample("chelsea")))
    g, T = e.gradients.astype(float), e.activations.astype(float).sum(axis=(2, 3), keepdims=True)
    weights = (np.maximum(g, 0) * g**2 / (2 * g**2 + T * g**3 + 1e-6)).sum(axis=(2, 3))
    bent = np.einsum("rk,rkij->rij", weights, e.activations)
    assert 0.7 < weights.sum() / e.alpha.sum() < 0.8
    assert 0.01 < np.abs(bent / bent.max() - e.cam / e.cam.max()).max() < 0.2

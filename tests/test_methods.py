"""What the papers say of each method: numbers worked out by hand, and identities that hold on any network."""


from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_nets import (
    conv,
    flat_net,
    gap_net,
    linear,
    lite0,
    needs_imagenet,
    needs_shared,
    pictures,
    pixel_net,
    relative,
    shared_images,
    two_headed_net,
)

import npgradcam as ng
from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU
from npgradcam.methods import NoCamHeadError
from npgradcam.methods.guided_grad_cam import product
from npgradcam.network import Network
from npgradcam.testing import definitions

LIMITS = {"float64": 1e-12, "float32": 1e-5}


# ---------------------------------------------------------------- by hand
#
#   x = | 1 -2  3 |     the convolution makes x and -x of it, so after the ReLU   A^1 = | 1 0 3 |   A^2 = | 0 2 0 |
#       | 0  4 -5 |                                                                     | 0 4 0 |         | 0 0 5 |
#
#   class 0 weighs the flattened cells:  w^1 = | 1 2 3 |   w^2 = | -1 -1 -2 |     class 1: all weights 0, bias 7
#                                              | 4 5 6 |         | -2 -3 -3 |
#
#   y^0 = 1*1 + 3*3 + 4*5 - 2*1 - 5*3 = 13.    dy/dA = w.    alpha = (21/6, -12/6) = (3.5, -2).
#   3.5 A^1 - 2 A^2 = | 3.5 -4 10.5 |          at x, where A^1 is open w^1 arrives, where A^2 is open -w^2:
#                     | 0   14  -10 |          gradient | 1 1 3 |  (0 at the kink x = 0)
#                                                       | 0 5 3 |
#   guided: w^2 < 0 is stopped, w^1 passes where x > 0: | 1 0 3 |    deconvnet: w^1 passes everywhere: | 1 2 3 |
#                                                       | 0 5 0 |                                      | 4 5 6 |

X = np.array([[[[1.0, -2, 3], [0, 4, -5]]]])
W1, W2 = [[1, 2, 3], [4, 5, 6]], [[-1, -1, -2], [-2, -3, -3]]
SIGNED = [[3.5, -4, 10.5], [0, 14, -10]]
CAM = [[3.5, 0, 10.5], [0, 14, 0]]
SIGNALS = {
    "gradient": [[1, 1, 3], [0, 5, 3]],
    "guided": [[1, 0, 3], [0, 5, 0]],
    "deconvnet": [[1, 2, 3], [4, 5, 6]],
}


@pytest.fixture(scope="module", params=["float64", "float32"])
def by_hand(request):
    head = np.array([np.ravel([W1, W2]), np.zeros(12)])
    layers = [
        ("conv", Conv2d(np.array([1.0, -1]).reshape(2, 1, 1, 1), np.zeros(2))), ("relu", ReLU()),
        ("flatten", Flatten()), ("fc", Linear(head, np.array([0.0, 7]))),
    ]
    return Network.sequential(layers, dtype=request.param), X.astype(request.param)


def test_grad_cam_is_what_a_person_computes_on_paper(by_hand):
    e = ng.grad_cam(*by_hand)
    assert (e.layer, e.target.tolist(), e.image.tolist()) == ("relu", [0], [0])
    np.testing.assert_array_equal(e.logits, [[13, 7]])
    np.testing.assert_array_equal(e.activations, [[[[1, 0, 3], [0, 4, 0]], [[0, 2, 0], [0, 0, 5]]]])
    np.testing.assert_array_equal(e.gradients, [[W1, W2]])
    np.testing.assert_array_equal(e.alpha, [[3.5, -2]])
    np.testing.assert_array_equal(e.signed_cam, [SIGNED])
    np.testing.assert_array_equal(e.cam, [CAM])


def test_the_counterfactual_is_what_a_person_computes_on_paper(by_hand):
    e = ng.counterfactual_grad_cam(*by_hand)
    np.testing.assert_array_equal(e.gradients, [[W1, W2]])
    np.testing.assert_array_equal(e.alpha, [[-3.5, 2]])
    np.testing.assert_array_equal(e.signed_cam, [[[-3.5, 4, -10.5], [0, -14, 10]]])
    np.testing.assert_array_equal(e.cam, [[[0, 4, 0], [0, 0, 10]]])


@pytest.mark.parametrize("rule", SIGNALS)
def test_each_rule_is_what_a_person_computes_on_paper(by_hand, rule):
    b = ng.backprop(*by_hand, rule=rule)
    np.testing.assert_array_equal(b.signal, [[SIGNALS[rule]]])
    assert (b.rule, b.method, b.gates) == (rule, "guided-backprop" if rule == "guided" else rule, 1)


def test_guided_grad_cam_is_what_a_person_computes_on_paper(by_hand):
    g = ng.guided_grad_cam(*by_hand)
    np.testing.assert_array_equal(g.signal, [[[[3.5, 0, 31.5], [0, 70, 0]]]])
    assert g.layer == "relu"


# ---------------------------------------------------------------- CAM, where the head is pooling and one linear layer


def assert_cam_is_z_times_grad_cam(net, x, limit, target=None):
    e, c = ng.grad_cam(net, x, target), ng.cam(net, x, target)
    Z = c.signed_cam.shape[1] * c.signed_cam.shape[2]
    assert (e.layer, e.target.tolist(), e.image.tolist()) == (c.layer, c.target.tolist(), c.image.tolist())
    assert relative(Z * e.signed_cam, c.signed_cam) <= limit
    assert relative(Z * e.alpha, c.alpha) <= limit
    np.testing.assert_array_equal(c.cam, np.maximum(c.signed_cam, 0))
    np.testing.assert_array_equal(e.cam, np.maximum(e.signed_cam, 0))
    assert c.gradients is None
    assert c.class_weights is c.alpha
    logit = c.logits[c.image, c.target]
    network = getattr(net, "network", net)
    bias = network[c.output].layer.bias[c.target]
    mean = c.signed_cam.mean(axis=(1, 2), dtype=np.float64)
    assert np.abs(mean + bias - logit).max() <= limit * np.abs(c.signed_cam).max()


@given(st.data())
def test_cam_is_z_times_grad_cam_on_any_pooled_linear_head(data):
    dtype = data.draw(st.sampled_from(list(LIMITS)))
    seed, count = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.integers(1, 3))
    height, width = data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9))
    net = gap_net(seed, dtype, channels=data.draw(st.integers(1, 7)))
    x = pictures(count, height, width, seed, dtype)
    targets = data.draw(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=count, max_size=count))
    if ng.grad_cam(net, x, targets).activations.any():
        assert_cam_is_z_times_grad_cam(net, x, LIMITS[dtype], targets)


@needs_imagenet
@pytest.mark.parametrize("dtype", LIMITS)
def test_cam_is_z_times_grad_cam_on_sample_photographs(dtype):
    net = lite0(dtype)
    x = net.preprocess([ng.images.sample(name) for name in ("chelsea", "coffee", "cat_and_coffee")])
    tape = net.forward(x, observe="head.relu")
    assert_cam_is_z_times_grad_cam(net, tape, LIMITS[dtype])
    assert_cam_is_z_times_grad_cam(net, tape, LIMITS[dtype], [[285, 967], [967], [282, 967, 0]])


@needs_shared
@needs_imagenet
@pytest.mark.parametrize("dtype", LIMITS)
def test_cam_is_z_times_grad_cam_on_reference_photographs(dtype):
    assert_cam_is_z_times_grad_cam(lite0(dtype), shared_images(4, dtype), LIMITS[dtype])


def test_below_global_pooling_alpha_is_the_weight_over_z_and_elsewhere_the_mean_of_what_differs():
    """dy/dA^k = w_k / Z in every cell, so its mean is that number to the last bit; before that, cells differ."""
    random = np.random.default_rng(0)
    conv = Conv2d(random.standard_normal((5, 3, 3, 3)), np.zeros(5), padding="same")
    head = Linear(random.standard_normal((4, 5)), np.zeros(4))
    net = Network.sequential([("conv", conv), ("relu", ReLU()), ("pool", GlobalAvgPool2d()), ("flat", Flatten()),
                              ("head", head)], dtype="float64")
    x = random.standard_normal((1, 3, 7, 6))
    assert (ng.grad_cam(net, x, target=[[0, 3]], layer="relu").alpha == head.weight[[0, 3]] / 42).all()
    e = ng.grad_cam(net, x, target=[[0, 3]], layer="conv")
    np.testing.assert_allclose(e.alpha, e.gradients.sum(axis=(2, 3)) / 42, rtol=1e-13)
    assert np.ptp(e.gradients, axis=(2, 3)).all()


def test_cam_on_another_head_says_what_stands_in_the_way_and_names_grad_cam():
    with pytest.raises(NoCamHeadError, match=r"Linear 'fc2' after ReLU 'relu1'.*Grad-CAM"):
        ng.cam(flat_net(7, 10), pictures())
    with pytest.raises(NoCamHeadError, match=r"Conv2d 'classes'.*Grad-CAM"):
        ng.cam(pixel_net(), pictures())


# ---------------------------------------------------------------- identities


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(-3, 3))
def test_the_signed_map_is_linear_in_the_seed(seed, a, b):
    net, x = flat_net(5, 6, seed), pictures(2, 5, 6, seed)
    tape = net.forward(x, observe="relu")
    one, other = np.random.default_rng(seed).standard_normal((2, *tape.logits.shape))
    maps = [ng.grad_cam(net, tape, seed=s, layer="relu").signed_cam for s in (one, other, a * one + b * other)]
    scale = np.abs(a * maps[0]) + np.abs(b * maps[1])
    assert np.abs(a * maps[0] + b * maps[1] - maps[2]).max() <= 1e-12 * (scale.max() + 1)


def test_a_one_hot_seed_is_its_target():
    net, x = flat_net(7, 10), pictures()
    seed = np.eye(5)[[3, 1]]
    e, same = ng.grad_cam(net, x, seed=seed), ng.grad_cam(net, x, [3, 1])
    np.testing.assert_array_equal(e.signed_cam, same.signed_cam)
    assert e.target is None
    assert e.image.tolist() == [0, 1]
    for rule in SIGNALS:
        ours, theirs = (ng.backprop(net, x, rule=rule, **which) for which in ({"seed": seed}, {"target": [3, 1]}))
        np.testing.assert_array_equal(ours.signal, theirs.signal)


@given(st.integers(0, 2**32 - 1))
def test_the_counterfactual_is_grad_cam_with_the_opposite_sign(seed):
    net, x = gap_net(seed), pictures(seed=seed)
    e, minus = ng.grad_cam(net, x, [[0, 1], [2]]), ng.counterfactual_grad_cam(net, x, [[0, 1], [2]])
    np.testing.assert_array_equal(minus.signed_cam, -e.signed_cam)
    np.testing.assert_array_equal(minus.cam, np.maximum(-e.signed_cam, 0))
    np.testing.assert_array_equal(minus.gradients, e.gradients)


def test_guided_grad_cam_is_the_product_of_its_raw_parts():
    net, x = gap_net(), pictures(2, 8, 12)
    g = ng.guided_grad_cam(net, x, [[0, 3], [2]])
    where, what = ng.grad_cam(net, x, [[0, 3], [2]]), ng.backprop(net, x, [[0, 3], [2]], rule="guided")
    np.testing.assert_array_equal(g.grad_cam.cam, where.cam)
    np.testing.assert_array_equal(g.backprop.signal, what.signal)
    np.testing.assert_array_equal(g.upsampled, ng.maps.upsample(where.cam, (8, 12)))
    np.testing.assert_array_equal(g.signal, what.signal * g.upsampled[:, None])
    assert g.signal.any()
    assert (g.target.tolist(), g.image.tolist(), g.gates) == ([0, 3, 2], [0, 0, 1], 2)


def test_grad_cam_equals_its_slow_definition():
    net, x = flat_net(7, 10), pictures()
    e = ng.grad_cam(net, x, [[0, 4], [2]])
    signed, cam = definitions.grad_cam(e.activations, e.gradients, e.image.tolist())
    assert relative(e.signed_cam, signed) <= 1e-13
    assert relative(e.cam, cam) <= 1e-13
    assert relative(e.alpha, definitions.grad_cam_alpha(e.gradients)) <= 1e-13


def test_gradients_are_finite_differences_of_the_score():
    """dy/dA is measured on the part of the network that follows A."""
    net, x = flat_net(5, 6), pictures(1, 5, 6)
    e = ng.grad_cam(net, x, 2)
    above = Network.sequential([(n.name, n.layer) for n in net.nodes[2:]], dtype="float64")
    random, h = np.random.default_rng(0), 1e-6
    for _ in range(5):
        d = random.standard_normal(e.activations.shape)
        slope = (above(e.activations + h * d) - above(e.activations - h * d))[0, 2] / (2 * h)
        assert slope == pytest.approx((e.gradients * d).sum(), rel=1e-6)


# ---------------------------------------------------------------- many targets, many images, one tape

METHODS = {
    "grad_cam": lambda net, x, t: ng.grad_cam(net, x, t).signed_cam,
    "cam": lambda net, x, t: ng.cam(net, x, t).signed_cam,
    "counterfactual": lambda net, x, t: ng.counterfactual_grad_cam(net, x, t).signed_cam,
    "grad_cam_plus_plus": lambda net, x, t: ng.grad_cam_plus_plus(net, x, t).signed_cam,
    "xgrad_cam": lambda net, x, t: ng.xgrad_cam(net, x, t).signed_cam,
    "hires_cam": lambda net, x, t: ng.hires_cam(net, x, t).signed_cam,
    "layer_cam": lambda net, x, t: ng.layer_cam(net, x, t).signed_cam,
    "gradient": lambda net, x, t: ng.backprop(net, x, t).signal,
    "guided": lambda net, x, t: ng.backprop(net, x, t, rule="guided").signal,
    "deconvnet": lambda net, x, t: ng.backprop(net, x, t, rule="deconvnet").signal,
    "guided_grad_cam": lambda net, x, t: ng.guided_grad_cam(net, x, t).signal,
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("method", METHODS)
class TestRows:
    limits = {"float64": 1e-12, "float32": 1e-6}  # noqa: RUF012

    def test_several_targets_of_one_image_are_each_alone(self, method, dtype):
        net, x = gap_net(dtype=dtype), pictures(1, dtype=dtype)
        together = METHODS[method](net, x, [[4, 0, 2, 0]])
        alone = np.concatenate([METHODS[method](net, x, c) for c in (4, 0, 2, 0)])
        assert relative(together, alone) <= self.limits[dtype]
        assert np.abs(together[0] - together[1]).max() > 0

    def test_a_batch_is_its_images_one_by_one(self, method, dtype):
        net, x = gap_net(dtype=dtype), pictures(3, dtype=dtype)
        together = METHODS[method](net, x, [3, 0, 3])
        alone = np.concatenate([METHODS[method](net, x[i : i + 1], c) for i, c in enumerate((3, 0, 3))])
        assert relative(together, alone) <= self.limits[dtype]
        assert all(row.any() for row in together)

    def test_several_targets_of_several_images_are_each_alone(self, method, dtype):
        net, x = gap_net(dtype=dtype), pictures(3, dtype=dtype)
        together = METHODS[method](net, x, [[1, 2], [4], [0, 3, 1]])
        pairs = [(0, 1), (0, 2), (1, 4), (2, 0), (2, 3), (2, 1)]
        alone = np.concatenate([METHODS[method](net, x[i : i + 1], c) for i, c in pairs])
        assert relative(together, alone) <= self.limits[dtype]

    def test_a_tape_gives_the_same_bits_as_the_images(self, method, dtype):
        net, x = gap_net(dtype=dtype), pictures(2, dtype=dtype)
        tape = net.forward(x, observe=("input", "relu2"))
        for target in (None, [[0, 1], [2]]):
            np.testing.assert_array_equal(METHODS[method](net, tape, target), METHODS[method](net, x, target))

    def test_neither_images_nor_tape_are_changed(self, method, dtype):
        net, x = gap_net(dtype=dtype), pictures(2, dtype=dtype)
        x.flags.writeable = False
        tape = net.forward(x, observe=("input", "relu2"))
        kept = tape.activations["relu2"].copy()
        first = METHODS[method](net, tape, [1, 2])
        METHODS[method](net, tape, [3, 4])
        np.testing.assert_array_equal(tape.activations["relu2"], kept)
        np.testing.assert_array_equal(METHODS[method](net, tape, [1, 2]), first)
        np.testing.assert_array_equal(x, pictures(2, dtype=dtype))


# ---------------------------------------------------------------- which output, which score


def test_each_output_is_explained_by_its_name():
    net, x = two_headed_net(), pictures()
    first, second = ng.grad_cam(net, x, 1), ng.grad_cam(net, x, 1, output="second")
    assert (first.output, first.layer, first.logits.shape) == ("first", "relu", (2, 3))
    assert (second.output, second.layer, second.logits.shape) == ("second", "relu_b", (2, 4))
    same = ng.grad_cam(net, net.forward(x, observe="relu_b", output="second"), 1)
    np.testing.assert_array_equal(same.signed_cam, second.signed_cam)
    assert ng.backprop(net, x, 3, output="second").output == "second"
    assert ng.cam(net, x, 3, output="second").output == "second"
    with pytest.raises(ng.NpGradcamError, match=r"'first'.*'second'"):
        ng.grad_cam(net, net.forward(x, observe="relu", output="second"), 1, output="first")


def test_a_last_softmax_is_cut_and_the_record_says_what_was_explained():
    bare, soft, x = gap_net(), gap_net(softmax=True), pictures()
    for method in METHODS.values():
        np.testing.assert_array_equal(method(soft, x, [1, 3]), method(bare, x, [1, 3]))
    e = ng.grad_cam(soft, x)
    assert e.output == "fc"
    np.testing.assert_array_equal(e.logits, bare(x))


def test_score_output_is_the_derivative_of_the_probability():
    net, x = gap_net(softmax=True), pictures(1)
    b = ng.backprop(net, x, 2, score="output")
    assert b.output == "softmax"
    np.testing.assert_array_equal(b.logits, net(x))
    random, h = np.random.default_rng(1), 1e-6
    for _ in range(5):
        d = random.standard_normal(x.shape)
        slope = (net(x + h * d) - net(x - h * d))[0, 2] / (2 * h)
        assert slope == pytest.approx((b.signal * d).sum(), rel=1e-5)
    # dp_2/dA = p_2 (dy_2/dA - sum_d p_d dy_d/dA)
    p, logit = net(x)[0], ng.grad_cam(net, x, [[0, 1, 2, 3, 4]]).gradients
    expected = p[2] * (logit[2] - np.tensordot(p, logit, 1))
    assert relative(ng.grad_cam(net, x, 2, score="output").gradients[0], expected) <= 1e-12


def test_a_tape_of_another_score_is_an_error_and_never_explains_it_in_silence():
    net, x = gap_net(softmax=True), pictures()
    tape, logits = (net.forward(x, observe=("input", "relu2"), output=name) for name in ("softmax", "fc"))
    for method in (ng.grad_cam, ng.cam, ng.counterfactual_grad_cam, ng.backprop, ng.guided_grad_cam):
        with pytest.raises(ng.NpGradcamError, match=r"tape of 'fc'.*'softmax'"):
            method(net, tape, 1)
    for method in (ng.grad_cam, ng.counterfactual_grad_cam, ng.backprop, ng.guided_grad_cam):
        with pytest.raises(ng.NpGradcamError, match=r"softmax.*'fc'"):
            method(net, logits, 1, score="output")
        assert method(net, tape, 1, score="output").output == "softmax"


def test_a_tape_may_be_made_at_the_logits_of_a_network_that_ends_in_a_softmax():
    net, x = gap_net(softmax=True), pictures()
    tape = net.forward(x, observe=("input", "relu2"), output="fc")
    for method in METHODS.values():
        np.testing.assert_array_equal(method(net, tape, 1), method(net, x, 1))


@pytest.mark.parametrize("target", [None, 1])
def test_a_class_of_a_spatial_output_is_its_logit_summed_over_the_pixels_where_it_is_on_top(target):
    net, x = pixel_net(), pictures(2)
    e = ng.grad_cam(net, x, target)
    top = e.logits.argmax(axis=1)
    assert e.layer == "relu2"
    for row, (n, c) in enumerate(zip(e.image, e.target, strict=True)):
        assert target == c or e.logits[n, c].max() == e.logits[n].max()
        seed = np.zeros_like(e.logits[n : n + 1])
        seed[0, c] = top[n] == c
        alone = ng.grad_cam(net, x[n : n + 1], seed=seed)
        assert relative(e.signed_cam[row], alone.signed_cam[0]) <= 1e-13


def test_region_replaces_the_pixels_of_a_spatial_output():
    net, x = pixel_net(), pictures(2)
    region = np.zeros((7, 10), bool)
    region[1:4, 6:] = True
    b = ng.backprop(net, x, [[0, 2], [1]], region=region)
    seed = np.zeros((1, 3, 7, 10))
    seed[0, 2, 1:4, 6:] = 1
    assert relative(b.signal[1], ng.backprop(net, x[:1], seed=seed).signal[0]) <= 1e-13
    assert not b.signal[1][:, :, :3].any()  # two 3x3 convolutions see two cells beyond the region
    with pytest.raises(ng.errors.TargetError, match=r"region.*\(7, 10\)"):
        ng.backprop(net, x, 1, region=region.T)
    with pytest.raises(ng.errors.TargetError, match="region"):
        ng.backprop(net, x, 1, region=np.zeros((7, 10), bool))


def test_region_on_an_output_without_pixels_is_an_error():
    with pytest.raises(ng.NpGradcamError, match="region"):
        ng.grad_cam(gap_net(), pictures(), 1, region=np.ones((7, 10), bool))


def test_every_class_of_a_one_pixel_output_can_be_explained():
    """Class maps under global pooling with no Flatten: (N, classes, 1, 1) has nothing to choose pixels from."""
    random = np.random.default_rng(0)
    net = Network.sequential([("conv", conv(random, 4, 3)), ("relu", ReLU()), ("classes", conv(random, 5, 4, 1)),
                              ("pool", GlobalAvgPool2d())], dtype="float64")
    flat = Network((*net.nodes, ng.Node("flatten", Flatten(), ("pool",))), dtype="float64")
    x = pictures()
    every = [[0, 1, 2, 3, 4]] * 2
    np.testing.assert_array_equal(ng.grad_cam(net, x, every).signed_cam, ng.grad_cam(flat, x, every).signed_cam)


def test_one_of_several_inputs_is_chosen_by_name():
    random = np.random.default_rng(0)
    net = Network((
        ng.Node("left_conv", conv(random, 4, 3), ("left",)), ng.Node("right_conv", conv(random, 4, 3), ("right",)),
        ng.Node("add", ng.layers.Add(), ("left_conv", "right_conv")), ng.Node("relu", ReLU(), ("add",)),
        ng.Node("pool", GlobalAvgPool2d(), ("relu",)), ng.Node("flatten", Flatten(), ("pool",)),
        ng.Node("fc", linear(random, 3, 4), ("flatten",)),
    ), inputs=("left", "right"), dtype="float64")
    x = {"left": pictures(), "right": pictures(seed=9)}
    assert ng.grad_cam(net, x).layer == "relu"
    left, right = (ng.backprop(net, x, 0, input=name).signal for name in ("left", "right"))
    h, d = 1e-6, np.random.default_rng(2).standard_normal(x["right"].shape)
    slope = (net({**x, "right": x["right"] + h * d}) - net({**x, "right": x["right"] - h * d}))[:, 0].sum() / (2 * h)
    assert slope == pytest.approx((right * d).sum(), rel=1e-6)
    assert not np.array_equal(left, right)
    for wrong in ({"left": x["left"]}, {**x, "middle": x["left"]}, x["left"]):
        with pytest.raises(ng.errors.ShapeError, match="left, right"):
            ng.grad_cam(net, wrong)


@pytest.mark.filterwarnings("error")
def test_a_product_beyond_the_largest_number_is_infinite_and_nobody_is_warned():
    e = ng.guided_grad_cam(gap_net(), pictures())
    where = replace(e.grad_cam, cam=np.full_like(e.grad_cam.cam, 1e300))
    what = replace(e.backprop, signal=np.full_like(e.backprop.signal, 1e300))
    assert (product(where, what).signal == np.inf).all()

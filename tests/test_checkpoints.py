"""A network is found in a checkpoint whatever the training script wrapped around it, unless two of them are there."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from small_nets import pictures

import npgradcam as ng
from npgradcam.errors import ModelFormatError
from npgradcam.formats import write_npz
from npgradcam.images import preset
from npgradcam.models import MODELS, Labels, random_weights
from npgradcam.models.checkpoints import network_part
from npgradcam.models.densenet import current_name

NAME = "squeezenet1_1"


@pytest.fixture(scope="module")
def arrays():
    """A whole state dict."""
    drawn = random_weights(4)
    ng.build(NAME, drawn)
    return drawn.taken


def same(weights, arrays):
    x = pictures(1, 40, 40, dtype="float32")
    np.testing.assert_array_equal(ng.build(NAME, weights)(x), ng.build(NAME, arrays)(x))


@pytest.mark.parametrize("prefix", ["module.", "model.", "state_dict.", "state_dict.model.module.", "net.0."])
def test_what_all_names_begin_with_is_left_out(arrays, prefix):
    same({f"{prefix}{name}": array for name, array in arrays.items()}, arrays)


def test_what_lies_beside_the_network_is_left_alone(arrays):
    wrapped = {f"state_dict.{name}": array for name, array in arrays.items()}
    wrapped |= {name: np.ones(3) for name in ("optimizer.state.0.exp_avg", "loss.weight", "state_dict_of_loss.w")}
    same(wrapped, arrays)


def test_the_networks_own_names_win_and_everything_else_is_unexpected(arrays):
    with pytest.raises(ModelFormatError, match=r"unexpected ema\.features\.0\.weight"):
        ng.build(NAME, arrays | {f"ema.{name}": array for name, array in arrays.items()})


def test_two_networks_in_one_checkpoint_are_ambiguous(arrays):
    twice = {f"{prefix}{name}": array for prefix in ("model.", "ema.") for name, array in arrays.items()}
    with pytest.raises(ModelFormatError, match=r"got 2.*'model\.', 'ema\.'.*dictionary"):
        ng.build(NAME, twice)


def test_with_a_prefix_everything_missing_and_left_over_is_listed_at_once(arrays):
    broken = {f"module.{name}": array for name, array in arrays.items() if name != "features.0.bias"}
    broken["module.classifier.1.weight"] = np.zeros((10, 512, 1, 1), np.float32)
    broken["module.more"] = np.ones(1)
    with pytest.raises(ModelFormatError) as caught:
        ng.build(NAME, broken)
    for part in ("features.0.bias: expected (64,), missing", "classifier.1.weight: expected (1000, 512, 1, 1), got (10",
                 "unexpected more"):
        assert part in str(caught.value)


def test_weights_of_nothing_like_it_are_listed_as_they_are():
    with pytest.raises(ModelFormatError, match=r"features\.0\.weight.*missing"):
        ng.build(NAME, {"a.b": np.ones(3)})
    assert network_part({}, ["a"]) == {}


def test_an_inner_name_is_not_taken_for_a_prefix():
    """`layer1.conv.weight` ends in `conv.weight`; only a prefix under which everything is there counts."""
    arrays = {name: np.ones(1) for name in ("x.conv.weight", "x.layer1.conv.weight", "x.fc.weight")}
    assert set(network_part(arrays, ["conv.weight", "layer1.conv.weight", "fc.weight"])) == {
        "conv.weight", "layer1.conv.weight", "fc.weight"}


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
def test_every_format_gives_the_same_network(arrays, tmp_path, suffix):
    path, wrapped = tmp_path / f"weights{suffix}", {f"module.{name}": array for name, array in arrays.items()}
    if suffix == ".npz":
        write_npz(path, wrapped)
    elif suffix == ".safetensors":
        pytest.importorskip("safetensors.numpy").save_file(wrapped, path)
    else:
        path.write_bytes(zipped_checkpoint(wrapped))
    labels = Labels.parse(map(str, range(1000)))
    net, again = ng.load(NAME, wrapped, labels=labels), ng.load(NAME, path, labels=labels)
    x = pictures(1, 40, 40, dtype="float32")
    np.testing.assert_array_equal(again(x), net(x))
    assert again.source == path.name
    with pytest.raises(ModelFormatError, match=r"which architecture|that save\(net, path\) wrote"):
        ng.load(path)


def zipped_checkpoint(arrays):
    from checkpoint_files import dictionary, identity, number, numbers, tensor, zipped

    parts, storages = {}, {}
    for i, (name, array) in enumerate(arrays.items()):
        strides = [s // array.itemsize for s in array.strides]
        storages[str(i)] = array.astype("<f4").tobytes()
        storage = identity(str(i), numel=number(array.size))
        parts[name] = tensor(storage, shape=numbers(*array.shape), strides=numbers(*strides))
    return zipped(dictionary(parts), storages)


def test_old_names_of_densenet_are_read():
    drawn = random_weights(1)
    net = ng.build("densenet121", drawn)
    old = {re.sub(r"(denselayer\d+\.(norm|conv))", r"\1.", name): array for name, array in drawn.taken.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert set(old) != set(drawn.taken)
    assert {current_name(name) for name in old} == set(drawn.taken)
    x = pictures(1, 32, 64, dtype="float32")
    np.testing.assert_array_equal(ng.build("densenet121", old)(x), net(x))
    with pytest.raises(ModelFormatError, match="twice"):
        ng.build("densenet121", old | drawn.taken)


@pytest.mark.parametrize(("name", "prefixes"), [("googlenet", ("aux1.", "aux2.")), ("inception_v3", ("AuxLogits.",))])
def test_auxiliary_classifiers_may_be_there_and_are_not_read(name, prefixes):
    drawn = random_weights(1)
    network = ng.build(name, drawn)
    extra = {f"{prefix}conv.weight": np.ones((2, 3)) for prefix in prefixes}
    assert ng.build(name, drawn.taken | extra).parameter_count == network.parameter_count
    with pytest.raises(ModelFormatError, match=r"unexpected aux3\.fc"):
        ng.build(name, drawn.taken | {"aux3.fc": np.ones(1)})


def test_a_network_of_other_classes_says_how_many():
    drawn = random_weights(1)
    net = ng.load("resnet18", drawn, classes=7)
    assert net(pictures(1, 32, 32, dtype="float32")).shape == (1, 7)
    assert net.labels is None
    with pytest.raises(ModelFormatError, match=r"fc\.weight: expected \(1000, 512\), got \(7, 512\)"):
        ng.load("resnet18", drawn.taken)
    assert ng.load("resnet18", drawn.taken, labels=Labels.parse("abcdefg")).label(1) == "b"
    with pytest.raises(ModelFormatError, match=r"fc\.weight: expected \(3, 512\), got \(7, 512\)"):
        ng.load("resnet18", drawn.taken, labels=Labels.parse("abc"))


def test_networks_that_torchvision_converts_the_input_of_are_given_it_converted():
    """pixel / 127.5 - 1 is torchvision's `transform_input` of what its usual preprocessing makes."""
    pixels = np.random.default_rng(1).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    for name in ("googlenet", "inception_v3"):
        made = MODELS[name].preprocessing
        x = made.prepare(pixels, "float64").x
        assert np.abs(x).max() <= 1
        like = preset("imagenet", made.size)
        usual = replace(like, shorter=made.shorter).prepare(pixels, "float64").x
        mean, std = (np.reshape(v, (1, 3, 1, 1)) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        np.testing.assert_allclose(usual * (std / 0.5) + (mean - 0.5) / 0.5, x, atol=1e-12)

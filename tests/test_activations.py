"""What a file's own declared input would take of memory is known from shapes, before anything is computed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from npgradcam import save
from npgradcam.errors import ModelFormatError
from npgradcam.formats.activations import check_activations
from npgradcam.layers import Add, Sigmoid
from npgradcam.models import build, load, random_weights
from npgradcam.network import Network, Node

WIDE = (None, 1, 2**15, 2**14)  # 2 GiB of float32, for one image


def chain(length, declared=WIDE, dtype="float32", skip=False, outputs=()):
    """Sigmoids one after the other; with `skip` the input is added at the end."""
    names = ["input", *(f"s{n}" for n in range(length))]
    nodes = [Node(b, Sigmoid(), (a,)) for a, b in pairwise(names)]
    if skip:
        nodes.append(Node("sum", Add(), (names[-1], "input")))
    return Network(tuple(nodes), declared={"input": declared}, dtype=dtype, backend="numpy", outputs=outputs)


@pytest.mark.parametrize("net", [
    chain(31),  # two at once, 32 in all
    chain(2, skip=True), chain(3, (4, 1, 2**14, 2**13), skip=True), chain(15, dtype="float64"),
    chain(3, outputs=("s0", "s1", "s2")), chain(99, (None, 1, None, 2**14)), chain(99, None),
])
def test_what_fits_passes(net):
    check_activations(net)


@pytest.mark.parametrize(("net", "said"), [
    (chain(32), "got 4.0 and 66.0"), (chain(16, dtype="float64"), "got 8.0 and 68.0"),
    (chain(2, (2, *WIDE[1:]), skip=True), "got 12.0 and 16.0"),
    (chain(4, (None, 1, 2**15, 2**14 + 8), skip=True, dtype="float64"), "got 12.0 and 24.0"),
    (chain(5, outputs=("s0", "s1", "s2", "s3", "s4")), "got 10.0 and 12.0"),  # outputs stay to the end
])
def test_what_does_not_is_refused_with_its_size(net, said):
    with pytest.raises(ModelFormatError, match=f"at most 8 GiB of activations at once and 64 in all.*{said}"):
        check_activations(net)


def test_a_saved_model_goes_through_the_same_check(tmp_path):
    save(chain(32), tmp_path / "m.npz")
    with pytest.raises(ModelFormatError, match=r"m\.npz: network: .*GiB of activations"):
        load(tmp_path / "m.npz", backend="numpy")


@pytest.mark.parametrize("name", ["vgg16", "densenet201", "efficientnet_b4"])
def test_large_pictures_in_large_networks_pass(name):
    net = build(name, random_weights(0), dtype="float64", backend="numpy")
    check_activations(replace(net, declared={"input": (1, 3, 768, 768)}))

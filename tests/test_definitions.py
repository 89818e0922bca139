"""The methods and the upsampling against the slow definitions of the papers' maps, and the definitions by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgradcam as ng
from npgradcam import maps
from npgradcam.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU
from npgradcam.network import Network
from npgradcam.testing import definitions as slow

pytestmark = pytest.mark.usefixtures("warm")


def test_grad_cam_by_hand() -> None:
    """Two maps of 1 x 2 cells: alpha = (1, -1), so the map is A0 - A1."""
    A, dA = np.array([[[[3.0, 1.0]], [[1.0, 4.0]]]]), np.array([[[[2.0, 0.0]], [[-3.0, 1.0]]]])
    np.testing.assert_array_equal(slow.grad_cam_alpha(dA), [[1, -1]])
    signed, cam = slow.grad_cam(A, dA)
    np.testing.assert_array_equal((signed, cam), ([[[2, -3]]], [[[2, 0]]]))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(data=st.data())
def test_grad_cam_and_cam_equal_their_slow_definitions(dtype: str, data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    batch, height, width = (data.draw(st.integers(low, 7)) for low in (1, 3, 4))
    network = Network.sequential([
        ("conv", Conv2d(random.standard_normal((5, 3, 3, 2)), random.standard_normal(5), padding="same")),
        ("relu", ReLU()), ("pool", GlobalAvgPool2d()), ("flat", Flatten()),
        ("scores", Linear(random.standard_normal((4, 5)), random.standard_normal(4))),
    ], dtype=dtype)
    x = random.standard_normal((batch, 3, height, width)).astype(dtype)
    target = data.draw(st.lists(st.integers(0, 3), min_size=batch, max_size=batch))
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]

    def close(got: np.ndarray, right: np.ndarray) -> bool:
        return got.shape == right.shape and np.abs(got - right).max() <= tolerance * max(1, np.abs(right).max())

    e = ng.grad_cam(network, x, target, layer="relu")
    signed, cam = slow.grad_cam(e.activations, e.gradients, list(e.image))
    assert close(e.alpha, slow.grad_cam_alpha(e.gradients))
    assert close(e.signed_cam, signed)
    assert close(e.cam, cam)
    z = ng.cam(network, x, target)
    signed, cam = slow.cam(z.activations, network["scores"].layer.arrays["weight"][target], list(z.image))
    assert close(z.signed_cam, signed)
    assert close(z.cam, cam)
    assert close(z.signed_cam, height * width * slow.grad_cam(e.activations, e.gradients, list(e.image))[0])


@given(sizes=st.tuples(*(st.integers(1, 6),) * 2, *(st.integers(1, 13),) * 2))
def test_upsampling_equals_its_slow_definition(sizes: tuple[int, int, int, int]) -> None:
    small = np.random.default_rng(sum(sizes)).standard_normal((2, *sizes[:2]))
    found, right = maps.upsample(small, sizes[2:]), slow.upsample(small, sizes[2:])
    assert found.shape == right.shape
    assert np.abs(found - right).max() <= 1e-13

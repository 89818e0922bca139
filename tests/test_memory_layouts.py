"""However the numbers lie in memory, the answer is the same or an error says why; and nobody's array is changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from invariants import Mode, made, modes, numbers, picture
from small_nets import gap_net, reference_net

import npgradcam as ng
from npgradcam import kernels
from npgradcam.errors import ShapeError

pytestmark = pytest.mark.usefixtures("warm")
Array = np.ndarray


def unaligned(x: Array) -> Array:
    """One byte off."""
    room = np.zeros(x.nbytes + 1, np.uint8)
    moved = room[1:].view(x.dtype).reshape(x.shape)
    moved[...] = x
    assert not moved.flags.aligned
    return moved


def read_only(x: Array) -> Array:
    held = x.copy()
    held.flags.writeable = False
    return held


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "reversed": lambda x: x[:, ::-1, ::-1, ::-1].copy()[:, ::-1, ::-1, ::-1],
    "every second": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "Fortran": np.asfortranarray, "read-only": read_only, "unaligned": unaligned,
}


@modes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_input_in_any_layout_is_explained_alike_and_left_alone(layout: str, mode: Mode) -> None:
    for drawn, layer in ((gap_net(), "relu2"), (reference_net(), "features")):
        net = made(drawn, mode)
        x = picture(np.random.default_rng(0), mode[0], count=2, height=12, width=16)
        same = LAYOUTS[layout](x)
        assert np.array_equal(same, x)
        right, before = numbers(net, x, [0, 3], layer), same.tobytes()
        found = numbers(net, same, [0, 3], layer)
        assert same.tobytes() == before
        assert all(found[part].tobytes() == right[part].tobytes() for part in right)


@modes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_and_seeds_in_any_layout_too(layout: str, mode: Mode) -> None:
    net = made(gap_net(), mode)
    x = picture(np.random.default_rng(0), mode[0])
    tape, seed = net.forward(x, "input"), np.random.default_rng(1).standard_normal((1, 5)).astype(mode[0])
    odd = LAYOUTS[layout](seed.reshape(1, 5, 1, 1)).reshape(1, 5)
    np.testing.assert_array_equal(net.backward(tape, odd, "input"), net.backward(tape, seed, "input"))
    layer = net["conv2"].layer
    moved = type(layer)(**{**vars(layer), "weight": LAYOUTS[layout](layer.weight)})
    with kernels.session("numpy" if mode[1] == "numpy" else "numba"):
        y = np.ones((1, 4, 6, 7), mode[0])
        np.testing.assert_array_equal(moved.forward(y)[0], layer.forward(y)[0])


@modes
@pytest.mark.parametrize("change", [
    lambda x: x.astype(x.dtype.newbyteorder()), lambda x: x.astype(int), lambda x: x.astype(object),
    lambda x: x.astype(np.float16), lambda x: x[:0], lambda x: x[:, :0], lambda x: x[:, :, :0], lambda x: x[..., :0],
    lambda x: x[0], lambda x: x[None], lambda x: x.astype(complex),
], ids=["byte-swapped", "whole", "object", "half", "no image", "no channel", "no row", "no column", "three axes",
        "five axes", "complex"])
def test_what_is_no_picture_of_the_networks_dtype_is_refused_or_converted(change, mode: Mode) -> None:  # type: ignore
    net, x = made(gap_net(), mode), picture(np.random.default_rng(0), mode[0])
    odd = change(x)
    before = odd.tobytes()
    if np.array_equal(odd, x) and odd.dtype == x.dtype:  # converted: the same numbers
        np.testing.assert_array_equal(ng.grad_cam(net, odd, 1).signed_cam, ng.grad_cam(net, x, 1).signed_cam)
    else:
        with pytest.raises(ShapeError, match=r"^[^\n]+$"):
            ng.grad_cam(net, odd, 1)
    assert odd.tobytes() == before


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_kernels_refuse_or_convert_what_is_not_theirs(backend: str) -> None:
    """Each function of the room, called with every argument in turn byte-swapped, of whole numbers, or empty."""
    one = np.ones
    x, w, m = one((1, 2, 5, 6)), one((3, 2, 2, 2)), one((3, 4))
    pair, none = (1, 1), (0, 0, 0, 0)
    y = one((1, 3, 4, 5))
    index = np.zeros((1, 2, 4, 5), np.int32)
    calls: dict[str, tuple[Callable[..., object], list[Array]]] = {
        "correlate2d": (lambda x, w: kernels.correlate2d(x, w, pair, none, pair, 1), [x, w]),
        "adjoint": (lambda y, w: kernels.correlate2d_adjoint(y, w, pair, none, pair, 1, (1, 2, 5, 6)), [y, w]),
        "linear": (kernels.linear, [one((2, 4)), m]), "linear_adjoint": (kernels.linear_adjoint, [one((2, 3)), m]),
        "gate": (lambda s, y: kernels.gate(s, y, 0.0, 6.0, True, True), [x, x.copy()]),
        "max_pool2d": (lambda x: kernels.max_pool2d(x, (2, 2), pair, none, pair, (4, 5)), [x]),
        "max_pool2d_adjoint": (lambda s, i: kernels.max_pool2d_adjoint(s, i, (2, 2), pair, none, pair, (1, 2, 5, 6)),
                               [one((1, 2, 4, 5)), index]),
        "add": (kernels.add, [one(20000), one(20000)]),
    }
    changes = [lambda a: a.astype(a.dtype.newbyteorder()), lambda a: a.astype(np.int64), lambda a: a[:0],
               lambda a: a[..., :0], lambda a: a.astype(np.float16), unaligned, read_only, lambda a: a.astype(object)]
    with kernels.session(backend):
        for name, (call, arguments) in calls.items():
            call(*arguments)
            for place, change in ((n, change) for n in range(len(arguments)) for change in changes):
                given = [change(a) if n == place else a for n, a in enumerate(arguments)]
                before = [a.tobytes() for a in given]
                try:
                    call(*given)
                except (ShapeError, ValueError):  # NumPy's own, where it adds arrays of different shapes
                    pass
                except Exception as error:
                    raise AssertionError(f"{name}, argument {place}: {error!r}") from error
                assert [a.tobytes() for a in given] == before

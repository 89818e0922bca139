"""The arithmetic of one cell, written out to the last character, and the steps that lead to a map."""

import numpy as np
import pytest
from small_nets import gap_net, pictures

import npgradcam as ng
from npgradcam.errors import ShapeError, TargetError
from npgradcam.methods.why import Step, Steps, Term, contributions, in_order, why_of

# seven channels of 2 x 3 cells; at cell (1, 2) the products are 3, -2, 0, 3, -0.5, 0.25, -2
WEIGHTS = np.array([1.0, -1.0, 5.0, 0.5, 1.0, 0.25, -2.0])
AT = np.array([3.0, 2.0, 0.0, 6.0, -0.5, 1.0, 1.0])
MAPS = np.full((7, 2, 3), 100.0)
MAPS[:, 1, 2] = AT


def terms(channels):
    return tuple(Term(k, WEIGHTS[k], AT[k], WEIGHTS[k] * AT[k]) for k in channels)


def test_a_cell_is_its_largest_products_of_either_sign_the_rest_and_the_total():
    e = why_of(WEIGHTS, MAPS, "cat", 1, 2, top=2)
    assert e.positive == terms([0, 3])  # of two as large the first comes first
    assert e.negative == terms([6, 1])  # read from the other end, so the last comes first
    assert (e.cell, e.label, e.others, e.rest, e.total) == ((1, 2), "cat", 3, -0.25, 1.75)


def test_a_product_of_zero_is_of_neither_sign():
    e = why_of(WEIGHTS, MAPS, "cat", 1, 2)
    assert e.positive == terms([0, 3, 5])
    assert e.negative == terms([6, 1, 4])
    assert (e.others, e.rest) == (1, 0)


def test_ten_channels_of_either_sign_are_named_where_nothing_is_said():
    w = np.r_[np.arange(1.0, 13), -np.arange(1.0, 14)]
    e = why_of(w, np.ones((25, 1, 1)), "cat", 0, 0)
    assert [t.channel for t in e.positive] == list(range(11, 1, -1))
    assert [t.channel for t in e.negative] == list(range(24, 14, -1))
    assert (e.others, e.rest, e.total) == (5, 1 + 2 - 1 - 2 - 3, -13)


def test_many_equal_products_stay_in_the_order_of_their_channels():
    e = why_of(np.tile([1.0, 2.0], 500), np.ones((1000, 1, 1)), "cat", 0, 0, top=5)
    assert [t.channel for t in e.positive] == [1, 3, 5, 7, 9]


def test_weights_of_cells_are_read_at_the_cell():
    cells = np.zeros((7, 2, 3))
    cells[:, 1, 2] = WEIGHTS
    assert why_of(cells, MAPS, "cat", 1, 2) == why_of(WEIGHTS, MAPS, "cat", 1, 2)
    assert why_of(cells, MAPS, "cat", 0, 2).total == 0


def test_the_cell_prints_its_sum():
    assert str(why_of(WEIGHTS, MAPS, "cat", 1, 2, top=1)) == (
        "L[1, 2] for cat: the sum over k of weight_k A^k[1, 2]\n"
        "  k = 0    +1 x 3 = +3\n"
        "  k = 6    -2 x 1 = -2\n"
        "  5 other channels: +0.75\n"
        "  total +1.75, after the ReLU 1.75"
    )
    few = why_of(np.array([-0.5]), np.ones((1, 1, 1)), "cat", 0, 0)
    assert repr(few) == (
        "L[0, 0] for cat: the sum over k of weight_k A^k[0, 0]\n  k = 0    -0.5 x 1 = -0.5\n"
        "  total -0.5, after the ReLU 0"
    )


@pytest.mark.parametrize("cell", [(-1, 0), (2, 0), (0, -1), (0, 3)])
def test_a_cell_that_is_not_there_is_an_error(cell):
    with pytest.raises(ShapeError, match=r"from \(0, 0\) to \(1, 2\), got \(-?\d, -?\d\)"):
        why_of(WEIGHTS, MAPS, "cat", *cell)


def test_a_sum_in_order_keeps_the_shape_of_its_terms():
    parts = np.random.default_rng(0).standard_normal((3, 2, 4))
    np.testing.assert_array_equal(in_order(parts), parts[0] + parts[1] + parts[2])
    assert in_order(parts[:0]).shape == (2, 4)


def test_each_row_of_a_batch_reads_its_own_image():
    e = ng.grad_cam(gap_net(), pictures(3), [[1], [2], [3]])
    cells = [[[e.why(i, j, row).total for j in range(5)] for i in range(3)] for row in range(3)]
    np.testing.assert_allclose(cells, e.signed_cam, atol=1e-14)
    assert e.why(1, 1).label == "1"
    both = ng.grad_cam(gap_net(), pictures(2), [2, 3])
    assert abs(both.why(2, 4, 1).total - both.signed_cam[1, 2, 4]) < 1e-14
    for row in (-1, 3):
        with pytest.raises(TargetError, match=f"row: expected a number from 0 to 2, got {row}"):
            e.why(0, 0, row)


def test_a_map_without_weights_has_no_arithmetic():
    e = ng.grad_cam(gap_net(), pictures(1), 1)
    bare = type(e)(**{**vars(e), "alpha": None})
    with pytest.raises(ShapeError, match="expected a map with weights, got grad-cam without any; take one of grad_cam"):
        bare.why(0, 0)
    assert [step.name for step in bare.steps] == ["activations of relu2", "gradients", "weighted sum", "ReLU"]


@pytest.mark.parametrize(("method", "lines"), [
    (ng.grad_cam, ["activations of relu2: A^k_ij", "gradients: dy^c/dA^k_ij",
                   "alpha: alpha^c_k = 1/Z sum_ij dy^c/dA^k_ij (Selvaraju et al. 2017, equation (1))"]),
    (ng.cam, ["activations of relu2: A^k_ij", "class weights: w^c_k, the head's own (Zhou et al. 2016, equation (2))"]),
    (ng.hires_cam, ["activations of relu2: A^k_ij", "gradients: dy^c/dA^k_ij", "weights: w^c_k"]),
])
def test_the_steps_say_what_was_computed_by_which_equation(method, lines):
    e = method(gap_net(), pictures(1), 1)
    said = [f"{s.name}: {s.equation}" + (f" ({s.source})" if s.source else "") for s in e.steps]
    assert said == [*lines, "weighted sum: S_ij = sum_k weight_k A^k_ij", "ReLU: L_ij = max(S_ij, 0)"]
    assert e.steps[-1].values is e.cam
    assert e.steps[-2].values is e.signed_cam


def test_steps_print_one_a_line_with_shape_range_and_source():
    made = Steps([Step("a", "b", np.arange(6.0).reshape(2, 3)), Step("c", "d", np.array(-1.5), "e"),
                  Step("f", "g", np.zeros((0, 2)))])
    lines = ["1. a: b  [2 x 3, 0 to 5]", "2. c: d  [one number, -1.5 to -1.5]  e", "3. f: g  [0 x 2]"]
    assert str(made) == repr(made) == "\n".join(lines)


def test_products_of_single_precision_are_exact_in_double_precision():
    alpha, A = np.float32([1 / 3, 0.1]), np.random.default_rng(0).standard_normal((2, 2, 3)).astype(np.float32)
    parts = contributions(alpha, A)
    assert parts.dtype == np.float64
    exact = [[[float(a) * float(x) for x in row] for row in maps] for a, maps in zip(alpha, A, strict=True)]
    assert parts.tolist() == exact
    cell = why_of(alpha, A, "cat", 1, 2)
    assert cell.total == parts[0, 1, 2] + parts[1, 1, 2]

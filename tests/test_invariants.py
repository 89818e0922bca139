"""Which test stands for which invariant, rows 1 to 16, and that each is there; rows 1 to 4 without Numba as well.

Of rows 1 to 4 Hypothesis draws 100, 300, 300 and 300 cases for each layer or kernel (of row 4's plans, 100 networks),
never fewer than the profile's number: 40, or 300 with HYPOTHESIS_PROFILE=thorough, as .ci/full sets it. Every other row
counts its own networks.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from invariants import examples
from test_layers import APART, REAL, WHOLE, one_image

from npgradcam import kernels
from npgradcam.testing import check_adjoint, check_gradient, slow_backward, slow_forward

pytestmark = pytest.mark.usefixtures("warm")
HERE = Path(__file__).parent
ON_KERNELS = ("AvgPool2d", "Conv2d", "ConvTranspose2d", "Linear", "MaxPool2d")  # the others are NumPy in any case
HERE_TOO = Path(__file__).stem

ROWS: dict[int, dict[str, tuple[str, ...]]] = {
    1: {"test_layers": ("test_backward_is_the_derivative_of_forward", "test_backward_equals_the_slow_definition",
                        "test_parameter_gradients_are_derivatives_and_the_same_in_float32",
                        "test_parameter_gradients_equal_their_definition"),
        HERE_TOO: ("test_row_1_numpys_kernels_are_differentiated_rightly",)},
    2: {"test_layers": ("test_backward_is_adjoint_of_forward",), HERE_TOO: ("test_row_2_numpys_kernels_have_adjoints",),
        "test_passes": ("test_dense_is_the_definition_both_ways", "test_depthwise_is_the_definition_both_ways")},
    3: {"test_layers": ("test_whole_numbers_are_exact_both_ways",),
        HERE_TOO: ("test_row_3_whole_numbers_are_exact_in_numpys_kernels",)},
    4: {"test_kernels": ("test_compiled_kernels_equal_their_definition",
                         "test_a_compiled_linear_layer_is_its_definition", "test_a_compiled_gate_is_its_definition",
                         "test_a_compiled_sum_is_its_definition",
                         "test_a_network_gives_the_same_answer_with_either_backend"),
        "test_blocked_plans": ("test_what_is_looked_at_is_the_same",)},
    5: {"test_completeness": ("test_they_add_up_on_any_piecewise_linear_network",
                              "test_the_public_check_agrees_with_the_sum_written_here",
                              "test_they_add_up_on_efficientnet_lite0_with_saturated_relu6_and_batch_norms",
                              "test_they_add_up_on_every_piecewise_linear_architecture"),
        "test_invariants_complete": ("test_row_5_gradient_times_input_and_biases_are_the_score",)},
    6: {"test_methods": ("test_cam_is_z_times_grad_cam_on_any_pooled_linear_head",),
        "test_invariants_complete": ("test_row_6_cam_is_grad_cam_times_the_number_of_cells",)},
    7: {"test_invariants_maps": ("test_row_7_the_raw_map_is_linear_in_its_target",
                                 "test_row_7_all_classes_together_are_each_alone")},
    8: {"test_invariants_maps": ("test_row_8_what_raises_one_probability_lowers_the_others",)},
    9: {"test_invariants_maps": ("test_row_9_below_a_linear_head_map_times_gradient_is_the_score",)},
    10: {"test_invariants_equal": ("test_row_10_one_function_written_in_two_ways_is_explained_alike",),
         "test_onnx_and_named": ("test_grad_cam_is_the_same", "test_what_arrives_at_the_picture_is_the_same")},
    11: {"test_invariants_moved": ("test_row_11_a_mirrored_picture_and_mirrored_kernels_have_the_mirrored_map",
                                   "test_row_11_a_shifted_picture_has_the_shifted_map_where_edges_wrap_around",
                                   "test_row_11_the_order_of_channels_does_not_matter",
                                   "test_row_11_without_biases_a_brighter_picture_has_the_brighter_map")},
    12: {"test_invariants_rules": ("test_row_12_every_rule_is_its_formula_exactly_on_whole_numbers",
                                   "test_row_12_every_rule_is_its_formula_on_any_network",
                                   "test_row_12_where_all_is_positive_guided_is_the_gradient",
                                   "test_row_12_deconvnet_does_not_look_at_the_picture_without_pools",
                                   "test_row_12_guided_grad_cam_is_the_product")},
    13: {"test_invariants_kinks": ("test_row_13_pytorchs_answer_at_a_kink",)},
    14: {"test_invariants_degenerate": ("test_row_14_nothing_to_explain_is_said_and_never_nan",
                                        "test_row_14_no_method_explains_what_is_not_a_number")},
    15: {"test_invariants_same_bits": ("test_row_15_ten_times_in_a_row_and_in_eight_threads_the_bits_are_the_same",
                                       "test_row_15_one_core_and_all_give_the_same_bits",
                                       "test_row_15_a_batch_is_its_pictures_one_by_one"),
         "test_processes": ("test_any_number_of_cores_gives_the_same_bits",
                            "test_any_number_of_cores_gives_the_same_bits_on_fifty_drawn_networks",
                            "test_spawned_workers_get_the_same_bits",
                            "test_eight_threads_at_once_get_the_bits_of_one_on_every_layer")},
    16: {"test_architectures": ("test_an_architecture_computes_what_pytorch_does",),
         "test_invariants_architectures": ("test_row_16_an_architecture_by_default_is_the_exact_one",)},
}


@pytest.mark.parametrize("row", range(1, 17))
def test_every_row_has_its_tests(row: int) -> None:
    for file, tests in ROWS[row].items():
        tree = ast.parse((HERE / f"{file}.py").read_text(encoding="utf-8"))
        assert set(tests) <= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", ON_KERNELS)
@examples(100)
@given(data=st.data())
def test_row_1_numpys_kernels_are_differentiated_rightly(name: str, data: st.DataObject) -> None:
    """Centred differences to 1e-6; float32's signals are the definition's in float64 to 1e-5."""
    case = data.draw(APART[name])
    with kernels.session("numpy"):
        check_gradient(case.layer, *case.xs, directions=2)
        y, _ = case.layer.forward(*case.xs)
        signal = np.random.default_rng(0).standard_normal(y.shape)
        single = case.astype("float32")
        down = single.layer.backward(signal.astype("float32"), single.layer.forward(*single.xs)[1])
    for part, right in zip(down, slow_backward(case.layer, signal, *case.xs), strict=True):
        assert np.abs(part - right).max(initial=0) <= 1e-5 * max(1, np.abs(right).max(initial=0))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(set(ON_KERNELS) - {"MaxPool2d"}))
@examples(300)
@given(data=st.data())
def test_row_2_numpys_kernels_have_adjoints(name: str, dtype: str, data: st.DataObject) -> None:
    """To 1e-14 and 1e-6."""
    case = data.draw(REAL[name]).astype(dtype)
    with kernels.session("numpy"):
        check_adjoint(case.layer, *case.xs, rows=3 if one_image(case) else None)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ON_KERNELS)
@examples(300)
@given(data=st.data())
def test_row_3_whole_numbers_are_exact_in_numpys_kernels(name: str, dtype: str, data: st.DataObject) -> None:
    """An average's quotient is the definition's, rounded once."""
    case = data.draw(WHOLE[name])
    single = case.astype(dtype)
    with kernels.session("numpy"):
        y, cache = single.layer.forward(*single.xs)
        signal = 36.0 * np.random.default_rng(0).integers(-8, 9, y.shape)
        down = single.layer.backward(signal.astype(dtype), cache)
    np.testing.assert_array_equal(y, slow_forward(case.layer, *case.xs).astype(dtype), strict=True)
    for part, right in zip(down, slow_backward(case.layer, signal, *case.xs), strict=True):
        np.testing.assert_array_equal(part, right.astype(dtype), strict=True)

"""Colours: where 0 is, that nothing is clipped silently, and that the tables are the published ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgradcam.colours import BLUE_WHITE_RED, GREY, TURBO, colourise, overlay, signal_image
from npgradcam.errors import ImageError, ShapeError

SIGNALS = hnp.arrays(np.float64, (3, 4, 5), elements=st.floats(-1e6, 1e6))


def test_turbo_passes_through_its_published_colours():
    first = {0: (48, 18, 59), 1: (50, 21, 67), 63: (42, 185, 238)}
    second = {128: (164, 252, 60), 191: (251, 129, 34), 255: (122, 4, 3)}
    for index, colour in {**first, **second}.items():
        assert np.abs(TURBO.rgb[index].astype(int) - colour).max() <= 1


def test_turbo_is_the_published_table_to_one_level():
    matplotlib = pytest.importorskip("matplotlib", reason="its copy of the published table is what we compare with")
    published = np.rint(np.array(matplotlib.colormaps["turbo"].colors) * 255)
    assert TURBO.rgb.shape == (256, 3)
    assert np.abs(TURBO.rgb - published).max() <= 1


def test_tables_are_read_only_bytes():
    for table in (TURBO, BLUE_WHITE_RED, GREY):
        assert table.rgb.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            table.rgb[0] = 0


def test_zero_is_exactly_white_and_signs_have_their_colours():
    for dtype in (np.float32, np.float64):
        assert colourise(np.zeros(1, dtype), BLUE_WHITE_RED).tolist() == [[255, 255, 255]]
    negative, positive = colourise(np.array([-0.5, 0.5]), BLUE_WHITE_RED).astype(int)
    assert negative[2] > negative[0] + 50
    assert positive[0] > positive[2] + 50
    distance = np.arange(255) - 127
    paler = BLUE_WHITE_RED.rgb.astype(int).min(axis=1)
    assert (np.diff(paler[distance >= 0]) <= 0).all()
    assert (np.diff(paler[distance <= 0]) >= 0).all()


@given(hnp.arrays(np.float64, (4,), elements=st.floats(-1, 1)))
def test_a_number_and_its_negative_are_mirrored(values):
    grey = colourise(values, GREY).astype(int) - 128
    np.testing.assert_array_equal(colourise(-values, GREY).astype(int) - 128, -grey)


def test_colourise_takes_the_nearest_colour_of_any_shape():
    values = np.linspace(0, 1, 256).reshape(4, 64)
    np.testing.assert_array_equal(colourise(values).reshape(256, 3), TURBO.rgb)
    np.testing.assert_array_equal(colourise(values + 0.4 / 255 * (values < 0.9)).reshape(256, 3), TURBO.rgb)
    assert colourise(np.float32(1)).tolist() == TURBO.rgb[255].tolist()


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan, np.inf])
def test_numbers_outside_the_table_are_not_clipped_silently(bad):
    with pytest.raises(ImageError, match="normalise"):
        colourise(np.array([0.5, bad]))


def test_rounding_errors_are_within_the_table():
    assert colourise(np.array([-1e-7, 1 + 1e-7])).tolist() == TURBO.rgb[[0, 255]].tolist()
    with pytest.raises(ShapeError):
        colourise(np.array([1j]))


# ----------------------------------------------------------------------------------------------------------- overlay


def test_overlay_mixes_photograph_and_colour():
    rng = np.random.default_rng(0)
    photograph, cam = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), rng.random((5, 7))
    before = photograph.copy()
    np.testing.assert_array_equal(overlay(photograph, cam, 0), photograph)
    np.testing.assert_array_equal(overlay(photograph, cam, 1), colourise(cam))
    np.testing.assert_array_equal(overlay(photograph, cam), np.rint((photograph.astype(float) + colourise(cam)) / 2))
    inside = cam > 0.5
    part = overlay(photograph, cam, inside=inside)
    np.testing.assert_array_equal(part[~inside], photograph[~inside])
    np.testing.assert_array_equal(part[inside], overlay(photograph, cam)[inside])
    np.testing.assert_array_equal(photograph, before)


def test_overlay_of_other_shapes_is_refused():
    photograph = np.zeros((5, 7, 3), np.uint8)
    for arguments in ((photograph, np.zeros((7, 5))), (photograph[:, :, 0], np.zeros((5, 7)))):
        with pytest.raises(ShapeError, match="expected"):
            overlay(*arguments)
    with pytest.raises(ShapeError, match="uint8"):
        overlay(photograph / 255, np.zeros((5, 7)))
    with pytest.raises(ShapeError, match="inside"):
        overlay(photograph, np.zeros((5, 7)), inside=np.ones((7, 5), bool))
    with pytest.raises(ImageError, match="opacity"):
        overlay(photograph, np.zeros((5, 7)), 50)


# --------------------------------------------------------------------------------------------------- signal_image


def test_a_zero_signal_is_uniform_mid_grey():
    assert (signal_image(np.zeros((3, 4, 5))) == 128).all()


@given(SIGNALS)
def test_signal_image_is_odd_around_mid_grey(signal):
    one, other = signal_image(signal).astype(int) - 128, signal_image(-signal).astype(int) - 128
    assert one.shape == (4, 5, 3)
    np.testing.assert_array_equal(one, -other)
    np.testing.assert_array_equal(np.sign(one) * np.sign(signal).transpose(1, 2, 0) >= 0, True)
    assert np.abs(one).max() == (127 if signal.any() else 0)


def test_signal_image_by_hand():
    signal = np.zeros((3, 1, 2))
    signal[0, 0, 0], signal[2, 0, 1] = 2, -1
    assert signal_image(signal).tolist() == [[[255, 128, 128], [128, 128, 64]]]
    assert signal_image(signal, limit=4).tolist() == [[[192, 128, 128], [128, 128, 96]]]
    assert signal_image(signal, limit=0.5).tolist() == [[[255, 128, 128], [128, 128, 1]]]
    assert signal_image(signal, channels="BGR").tolist() == [[[128, 128, 255], [64, 128, 128]]]
    assert signal_image(signal[:1]).tolist() == [[[255, 255, 255], [128, 128, 128]]]
    assert signal_image(np.float32([[[1e-45, -1e-45]]])).tolist() == [[[255, 255, 255], [1, 1, 1]]]


def test_signal_image_of_other_things_is_refused():
    for wrong in (np.zeros((2, 4, 5)), np.zeros((1, 3, 4, 5)), np.zeros((4, 5))):
        with pytest.raises(ShapeError):
            signal_image(wrong)
    with pytest.raises(ShapeError):
        signal_image(np.zeros((3, 4, 5)), channels="GBR")
    with pytest.raises(ImageError, match="NaN"):
        signal_image(np.full((3, 4, 5), np.nan))
    for limit in (0, -1, np.nan, np.inf):
        with pytest.raises(ImageError, match="limit"):
            signal_image(np.ones((3, 4, 5)), limit=limit)

"""From a photograph to what the network sees: which pixels, in which order, with which numbers."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from npgradcam.errors import ImageError, ModelFormatError, ShapeError
from npgradcam.images import PRESETS, Preprocess, lite, preset, read_image, sample, sample_names

SIDES = st.integers(1, 90)


def noise(height, width):
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def with_size(size, **fields):
    return Preprocess("test", size, **fields)


@given(SIDES, SIDES)
def test_the_lite_crop_is_the_evaluation_crop_of_tensorflow(height, width):
    side = max(1, int(224 / (224 + 32) * min(height, width)))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    assert lite(224).box(height, width) == (left, top, left + side, top + side)


def test_lite_by_hand():
    photograph = noise(300, 451)
    prepared = lite(224).prepare(photograph)
    assert prepared.box == (95, 19, 357, 281)
    crop = Image.fromarray(photograph[19:281, 95:357]).resize((224, 224), Image.Resampling.BICUBIC)
    expected = (np.asarray(crop).astype(np.float32) - 127) / 128
    assert prepared.x.dtype == np.float32
    np.testing.assert_array_equal(prepared.x[0], expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(prepared.photograph, photograph)


@given(SIDES, SIDES, st.tuples(SIDES, SIDES), st.sampled_from([None, 0.3, 0.5, 0.875, 1.0]))
def test_the_box_is_inside_centred_and_of_the_shape_of_the_input(height, width, size, crop):
    left, top, right, bottom = with_size(size, crop=crop).box(height, width)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs(left - (width - right)) <= 1
    assert abs(top - (height - bottom)) <= 1
    if crop is None:
        assert (left, top, right, bottom) == (0, 0, width, height)
    elif min(right - left, bottom - top) > 1:
        h, w = size
        assert abs((bottom - top) * w - (right - left) * h) <= max(h, w)  # to the whole pixel


def test_height_and_width_are_never_swapped():
    prepared = with_size((20, 60), crop=1.0).prepare(noise(40, 50))
    assert prepared.x.shape == (1, 3, 20, 60)
    assert prepared.box == (0, 12, 50, 28)  # 50 wide, 50 / 3 high
    bright = np.zeros((40, 50, 3), np.uint8)
    bright[:, 25:] = 255  # the right half
    x = with_size((20, 60), crop=1.0).prepare(bright).x
    assert x[0, :, :, :29].max() == 0
    assert x[0, :, :, 31:].min() == 255


def test_a_photograph_of_the_right_size_is_not_resampled():
    photograph = noise(24, 24)
    x = with_size((24, 24), crop=1.0).prepare(photograph).x
    np.testing.assert_array_equal(x[0].transpose(1, 2, 0), photograph)


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (64, 64), (37, 91), (500, 333), (10, 700)])
@pytest.mark.parametrize("shorter", [32, 40])
def test_shorter_is_resizing_and_then_cropping(size, shorter):
    height, width = size
    photograph = Image.fromarray(noise(height, width))
    short = min(size)
    wide, tall = int(shorter * width / short), int(shorter * height / short)
    resized = np.asarray(photograph.resize((wide, tall), Image.Resampling.BILINEAR)).astype(int)
    top, left = round((tall - 32) / 2), round((wide - 32) / 2)
    prepared = with_size((32, 32), crop=None, shorter=shorter, interpolation="bilinear").prepare(photograph)
    difference = np.abs(prepared.x[0].transpose(1, 2, 0) - resized[top : top + 32, left : left + 32])
    assert difference.max() <= 1  # rounding between the two passes of Pillow's resizing
    assert (difference > 0).mean() < 0.05
    assert prepared.box == pytest.approx(
        (left * width / wide, top * height / tall, (left + 32) * width / wide, (top + 32) * height / tall)
    )


def test_a_thin_photograph_costs_no_more_memory_than_others():
    for size in ((1, 65500), (65500, 1)):
        for preprocess in (preset("imagenet"), lite(), preset("none")):
            assert preprocess.prepare(Image.new("RGB", size, "red")).x.shape == (1, 3, 224, 224)


def test_channels():
    photograph = noise(8, 8)
    rgb = with_size((8, 8), crop=1.0).prepare(photograph).x
    bgr = with_size((8, 8), crop=1.0, channels="BGR").prepare(photograph).x
    np.testing.assert_array_equal(bgr, rgb[:, ::-1])
    grey = with_size((8, 8), crop=1.0, channels="grey", mean=(0.0,), std=(1.0,)).prepare(photograph).x
    assert grey.shape == (1, 1, 8, 8)
    assert np.abs(grey[0, 0] - photograph @ (0.299, 0.587, 0.114)).max() <= 0.51


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_is_the_inverse(name, dtype):
    preprocess = Preprocess(**{**preset(name).as_dict(), "size": (9, 5), "crop": 1.0, "shorter": None})
    photograph = noise(9, 5)
    prepared = preprocess.prepare(photograph, dtype)
    assert prepared.x.dtype == dtype
    assert prepared.preprocess is preprocess
    np.testing.assert_array_equal(preprocess.pixels(prepared.x), photograph)
    np.testing.assert_array_equal(preprocess.pixels(prepared.x[0]), photograph)


def test_pixels_clips_and_repeats_grey():
    grey = with_size((1, 3), channels="grey", mean=(100.0,), std=(10.0,))
    shown = grey.pixels(np.array([[[-99.0, 1.04, 99.0]]]))
    assert shown.tolist() == [[[0, 0, 0], [110, 110, 110], [255, 255, 255]]]
    for wrong in ((3, 1, 3), (2, 1, 1, 3), (1, 3)):
        with pytest.raises(ShapeError, match="take one image"):
            grey.pixels(np.zeros(wrong))


def test_what_comes_out_is_read_only_and_the_source_stays():
    photograph = noise(20, 30)
    before = photograph.copy()
    prepared = lite(16).prepare(photograph)
    np.testing.assert_array_equal(photograph, before)
    for array in (prepared.x, prepared.photograph):
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_presets_compute_what_their_names_promise():
    white = Image.new("RGB", (300, 300), (255, 0, 51))
    first = {name: preset(name).prepare(white, "float64").x[0, :, 100, 100] for name in PRESETS}
    np.testing.assert_allclose(first["imagenet"], [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225])
    np.testing.assert_allclose(first["tf"], [1, -1, -0.6])
    np.testing.assert_allclose(first["caffe"], [51 - 103.939, -116.779, 255 - 123.68])
    np.testing.assert_allclose(first["lite"], [1, -127 / 128, -76 / 128])
    np.testing.assert_allclose(first["unit"], [1, 0, 0.2])
    np.testing.assert_allclose(first["none"], [255, 0, 51])
    with pytest.raises(ModelFormatError, match="imagenet, tf, caffe, lite, unit, none"):
        preset("imagnet")


def test_presets_for_one_channel_see_in_grey():
    grey = Image.new("RGB", (300, 300), (51, 51, 51))
    first = {name: preset(name, channels=1).prepare(grey, "float64").x for name in ("tf", "lite", "unit", "none")}
    assert all(x.shape == (1, 1, 224, 224) for x in first.values())
    assert [float(x[0, 0, 9, 9]) for x in first.values()] == pytest.approx([-0.6, -76 / 128, 0.2, 51])
    with pytest.raises(ModelFormatError, match="'imagenet': it is for 3 channels, the network has 1; take tf"):
        preset("imagenet", channels=1)


@pytest.mark.parametrize("name", PRESETS)
def test_a_record_survives_json(name):
    preprocess = preset(name, (32, 48))
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.as_dict()))) == preprocess


@pytest.mark.parametrize(
    "fields",
    [
        {"size": (224,)},
        {"size": (0, 2)},
        {"size": 224},
        {"size": (2.5, 2)},
        {"crop": 0.0},
        {"crop": 1.5},
        {"crop": "half"},
        {"crop": float("nan")},
        {"interpolation": "cubic"},
        {"channels": "GBR"},
        {"channels": "grey"},
        {"mean": (1.0, 2.0)},
        {"mean": 3.0},
        {"std": (1.0, 0.0, 1.0)},
        {"std": (1.0, float("inf"), 1.0)},
        {"shorter": 100},
        {"shorter": 256.5},
    ],
)
def test_impossible_preprocessing_is_refused(fields):
    with pytest.raises(ModelFormatError, match=r"^preprocessing 'mine': expected \w+ to be"):
        Preprocess(**{"name": "mine", "size": (224, 224), **fields})


def test_an_unknown_field_is_refused():
    with pytest.raises(ModelFormatError, match="'sizes'"):
        Preprocess.from_dict({"name": "mine", "size": [2, 2], "sizes": 3})
    with pytest.raises(ModelFormatError, match="no name or no size"):
        Preprocess.from_dict({"name": "mine"})


# ------------------------------------------------------------------------------------------------------- the samples


def test_samples_are_small_readable_and_credited():
    credits = sample("chelsea").with_name("CREDITS.md").read_text(encoding="utf-8")
    sizes = {name: read_image(sample(name)).size for name in sample_names()}
    assert sizes == {"chelsea": (451, 300), "coffee": (600, 400), "cat_and_coffee": (448, 448), "two_shapes": (32, 32)}
    for name in sample_names():
        assert sample(name).stat().st_size < 300_000
        assert f"`{sample(name).name}`" in credits
    assert "CC0" in credits


def test_chelsea_has_the_published_pixels():
    digest = hashlib.sha256(np.asarray(read_image(sample("chelsea"))).tobytes()).hexdigest()
    assert digest == "416b729128bfb2c3d1eb69bf9b1734a796293abc17939267b2dc94f8a5784031"


def test_the_composite_has_its_border_in_the_middle():
    pixels = np.asarray(read_image(sample("cat_and_coffee"))).astype(float)
    steps = np.abs(np.diff(pixels, axis=1)).mean(axis=(0, 2))
    assert steps.argmax() == 223


def test_an_unknown_sample_names_those_that_there_are():
    with pytest.raises(ImageError, match="chelsea"):
        sample("chelsae")


@pytest.mark.parametrize(("name", "said"), [
    ("chelsie", "come along; near it: chelsea"), ("Coffee", "come along; near it: coffee, cat_and_coffee"),
    ("nonsense", "come along: cat_and_coffee, chelsea, coffee, two_shapes"),
    (3, "come along: cat_and_coffee, chelsea, coffee, two_shapes"),
])
def test_a_sample_that_is_not_there_is_answered_with_near_ones_or_all(name, said):
    with pytest.raises(ImageError, match=f"^sample {name!r}: expected one of the photographs that {said}$"):
        sample(name)

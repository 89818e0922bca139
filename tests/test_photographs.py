"""Whatever holds a photograph becomes an upright RGB picture; whatever does not, one sentence."""

import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npgradcam.errors import ImageError
from npgradcam.images import preset
from npgradcam.photographs import FORMATS, read_image

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True, "exact": True}}


def encode(picture, format="PNG", **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def read(source, **options):
    image = read_image(source, **options)
    assert image.mode == "RGB"
    return np.asarray(image)


def refused(source, **options):
    with pytest.raises(ImageError) as caught:
        read_image(source, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "object at 0x" not in sentence
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # no Pillow traceback is shown
    return sentence


# ---------------------------------------------------------------------------------------------- what is a photograph


def test_every_kind_of_source_gives_the_same_pixels(tmp_path):
    path, data = tmp_path / "no_suffix", encode(PICTURE)
    path.write_bytes(data)
    with path.open("rb") as file:
        sources = [path, str(path), data, bytearray(data), io.BytesIO(data), file, Image.open(path), PICTURE]
        for source in sources:
            np.testing.assert_array_equal(read(source), PICTURE)


@pytest.mark.parametrize("format", LOSSLESS)
def test_lossless_formats_keep_every_pixel(format):
    np.testing.assert_array_equal(read(encode(PICTURE, format, **LOSSLESS[format])), PICTURE)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_keeps_a_plain_colour(format):
    plain = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    assert np.abs(read(encode(plain, format)).astype(int) - plain).max() <= 3


def stored_as(upright, orientation):
    """Return the pixels that a camera stores, when the EXIF tag says how to turn them into `upright`."""
    return {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }.get(orientation, lambda a: a)(upright)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535])
def test_exif_orientation_is_applied_and_an_invalid_one_is_not(orientation, format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(stored_as(PICTURE, orientation))
    upright = read_image(encode(stored, format, exif=exif, **LOSSLESS[format]))
    prepared = preset("none", (2, 2)).prepare(encode(stored, format, exif=exif, **LOSSLESS[format]))
    assert prepared.orientation == (orientation if 1 <= orientation <= 8 else 1)
    np.testing.assert_array_equal(np.asarray(upright), PICTURE)
    np.testing.assert_array_equal(read(upright), PICTURE)  # and not a second time


def test_orientation_of_a_jpeg():
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored left is the upright top
    upright = read(encode(wide, "JPEG", exif=exif, quality=95))
    assert upright.shape == (32, 16, 3)
    assert upright[:14].min() > 240
    assert upright[18:].max() < 15


def test_damaged_metadata_do_not_refuse_whole_pixels():
    np.testing.assert_array_equal(read(encode(PICTURE, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")), PICTURE)


def test_grey_arrays_and_files_are_equal_in_the_three_channels():
    grey = PICTURE[:, :, 0]
    for source in (grey, encode(grey), Image.fromarray(grey)):
        np.testing.assert_array_equal(read(source), np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_by_257_to_the_nearest_level(format):
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(read(encode(every, format))[:, :, 0], np.rint(every / 257))


def test_big_endian_sixteen_bits():
    values = (np.arange(6) * 13107).astype(">u2").reshape(2, 3)
    file = Image.frombytes("I;16B", (3, 2), values.tobytes())
    np.testing.assert_array_equal(read(file)[:, :, 1], np.arange(6).reshape(2, 3) * 51)


def test_one_bit_is_black_and_white():
    bits = Image.fromarray(PICTURE[:, :, 0] > 128)
    np.testing.assert_array_equal(read(encode(bits))[:, :, 2], np.where(PICTURE[:, :, 0] > 128, 255, 0))


def test_alpha_is_composited_on_white():
    alpha = np.linspace(0, 255, 35).round().astype(np.uint8).reshape(5, 7)
    rgba = np.dstack([PICTURE, alpha])
    a = alpha[:, :, None] / 255
    for source in (rgba, encode(rgba), encode(rgba, "WEBP", lossless=True, exact=True)):
        assert np.abs(read(source) - (PICTURE * a + 255 * (1 - a))).max() <= 1
    grey_alpha = Image.merge("LA", [Image.fromarray(PICTURE[:, :, 0].copy()), Image.fromarray(alpha)])
    assert np.abs(read(encode(grey_alpha))[:, :, 0] - (PICTURE * a + 255 * (1 - a))[:, :, 0]).max() <= 1
    premultiplied = Image.fromarray(rgba).convert("RGBa")
    assert np.abs(read(premultiplied) - (PICTURE * a + 255 * (1 - a))).max() <= 2


def test_transparency_without_an_alpha_channel_becomes_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    for format in ("PNG", "GIF"):
        assert read(encode(palette, format)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
        assert read(encode(palette, format, transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert read(encode(palette, "PNG", transparency=b"\x00\x80"))[0, 0].tolist() == [255, 255, 255]
    rgb = encode(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), transparency=(1, 2, 3))
    assert read(rgb).tolist() == [[[255, 255, 255], [4, 5, 6]]]
    sixteen = encode(np.array([[257, 514]], np.uint16), transparency=514)
    assert read(sixteen).tolist() == [[[1, 1, 1], [255, 255, 255]]]


def test_cmyk_jpeg():
    plain = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    cmyk = Image.fromarray(plain).convert("CMYK")
    assert np.abs(read(encode(cmyk, "JPEG", quality=95)).astype(int) - plain).max() <= 4


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_taken(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.abs(read(data).astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (65500, 1), (1, 65500)])
def test_extreme_shapes(size):
    for format in ("JPEG", "PNG"):
        assert read_image(encode(Image.new("RGB", size), format)).size == size


def test_the_source_is_not_changed():
    image, array = Image.fromarray(PICTURE).convert("RGBA"), PICTURE.copy()
    before = image.tobytes()
    read_image(image).putpixel((0, 0), (1, 2, 3))
    read_image(array).putpixel((0, 0), (1, 2, 3))
    assert image.tobytes() == before
    np.testing.assert_array_equal(array, PICTURE)


# ------------------------------------------------------------------------------------------------------ what is not


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"hello, I am a text file\n" * 20, "hello"),
        (b"\0" * 300, "begin"),
        (b"%PDF-1.7\n" + b"x" * 300, "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"8BPS\0\1" + b"\0" * 300, "Photoshop"),
        (b"SIMPLE  =                    T" + b" " * 2850, "FITS"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 300, "HEIC"),
        (b"PK\x03\x04" + b"\0" * 300, "zip"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 300, "damaged PNG"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 300, "damaged JPEG"),
        (b"P6 2 2 255\n" + bytes(12), "P6"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, data, word):
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    sentence = refused(path)
    assert word in sentence
    assert "picture.png" in sentence
    assert word in refused(data)


def test_real_formats_that_are_not_on_the_list_are_refused():
    for format in ("EPS", "PDF", "PPM", "TGA", "ICO", "PCX"):
        assert "expected a photograph" in refused(encode(PICTURE, format))


def test_paths_that_lead_to_no_file(tmp_path):
    assert "folder" in refused(tmp_path)
    assert "no such file" in refused(tmp_path / "missing.png")
    assert "download" in refused("https://example.org/cat.jpg")
    assert "cannot be read" in refused("nul\0byte.png") or "no such file" in refused("nul\0byte.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "pipe" in refused(tmp_path / "pipe")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_truncated_file_is_not_half_a_photograph(format):
    data = encode(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8), format)
    for keep in (0.3, 0.6, 0.9):
        assert "expected a" in refused(data[: int(keep * len(data))])


def bomb_png(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60000, 60000), (10000, 10000), (7072, 7072), (2**31 - 1, 1)])
def test_a_bomb_is_refused_before_it_is_decoded(size):
    assert "at most 50000000 pixels" in refused(bomb_png(*size))


def test_max_pixels_is_an_argument_that_counts_for_every_source():
    assert read(PICTURE, max_pixels=35).shape == PICTURE.shape
    for source in (PICTURE, encode(PICTURE), Image.fromarray(PICTURE)):
        assert "7 x 5" in refused(source, max_pixels=34)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (PICTURE / 255, "float64"),
        (PICTURE.astype(np.float32), "float32"),
        (PICTURE.astype(np.int64), "int64"),
        (PICTURE > 9, "bool"),
        (PICTURE.transpose(2, 0, 1), "channels last"),
        (PICTURE[None], "one photograph"),
        (PICTURE[0, 0], "(3,)"),
        (PICTURE[:0], "one pixel"),
        (None, "NoneType"),
        (3, "int"),
        ([PICTURE], "list"),
        (io.StringIO("text"), "'rb'"),
        (Image.new("F", (2, 2)), "floating point"),
        (Image.new("I", (2, 2)), "32-bit integer"),
        (Image.new("RGB", (0, 2)), "one pixel"),
    ],
)
def test_sources_that_cannot_be_meant_say_the_way_out(source, word):
    assert word in refused(source)


# ------------------------------------------------------------------------------------------------- and what stays so


def test_reading_leaves_the_warning_filters_alone_in_every_thread():
    before, data = list(warnings.filters), encode(PICTURE)
    threads = [threading.Thread(target=lambda: [read_image(data) for _ in range(30)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_importing_the_readers_and_the_maps_does_not_import_pillow():
    modules = "photographs", "preprocess", "images", "colours", "maps", "lettering", "figure"
    code = "; ".join([f"import npgradcam.{m}" for m in modules] + ["import sys", "print('PIL' in sys.modules)"])
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "False"

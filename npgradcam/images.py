"""From a photograph to an array, and back: the reader, the presets by name, and the photographs that come along."""

from __future__ import annotations

from pathlib import Path

from npgradcam.errors import ImageError, ModelFormatError, nearest
from npgradcam.photographs import read_image
from npgradcam.preprocess import Prepared, Preprocess

__all__ = ["PRESETS", "Prepared", "Preprocess", "lite", "preset", "read_image", "sample", "sample_names"]

PRESETS = ("imagenet", "tf", "caffe", "lite", "unit", "none")

_SAMPLES = Path(__file__).parent / "samples"


def lite(size: int = 224) -> Preprocess:
    """Return the preprocessing of the EfficientNet-Lite models.

    Parameters
    ----------
    size : int
        224, 240 and 260 for Lite0, Lite1 and Lite2.

    Returns
    -------
    Preprocess
        The centre square of 7/8 of the shorter side, bicubic to size x size, x = (pixel - 127) / 128.
    """
    mean, std = (127.0,) * 3, (128.0,) * 3
    return Preprocess(f"lite-{size}", (size, size), crop=0.875, interpolation="bicubic", mean=mean, std=std)


def preset(name: str, size: tuple[int, int] = (224, 224), channels: int = 3) -> Preprocess:
    """Return a preprocessing that many models share, by name.

    Parameters
    ----------
    name : {"imagenet", "tf", "caffe", "lite", "unit", "none"}
        See the notes.
    size : tuple (H, W)
        The network's input.
    channels : {3, 1}
        1 for a network that sees in grey; "imagenet" and "caffe" are for colours.

    Returns
    -------
    Preprocess
        With `name` and `size`.

    Raises
    ------
    ModelFormatError
        If there is no such preset.

    Notes
    -----
    ========  =========================================  ========  ==========================================
    name      geometry                                   channels  x
    ========  =========================================  ========  ==========================================
    imagenet  shorter side to 8/7 of the size, centre    RGB       pixel / 255, then - (0.485, 0.456, 0.406)
              crop; bilinear                                       and / (0.229, 0.224, 0.225)
    tf        centre 7/8, bilinear                       RGB       pixel / 127.5 - 1
    caffe     as imagenet                                BGR       pixel - (103.939, 116.779, 123.68)
    lite      centre 7/8, bicubic                        RGB       (pixel - 127) / 128
    unit      centre 7/8, bilinear                       RGB       pixel / 255
    none      whole photograph, squashed; bilinear       RGB       pixel
    ========  =========================================  ========  ==========================================

    Examples
    --------
    >>> preset("imagenet").shorter
    256
    """
    shorter = round(max(size) * 8 / 7)
    if channels not in (1, 3) or (channels == 1 and name in ("imagenet", "caffe")):
        raise ModelFormatError(
            f"preprocessing {name!r}: it is for 3 channels, the network has {channels}; take tf, lite, unit or none, "
            "or describe its own (channels: grey)"
        )
    order = "RGB" if channels == 3 else "grey"
    if name == "imagenet":
        mean = tuple(255 * m for m in (0.485, 0.456, 0.406))
        std = tuple(255 * s for s in (0.229, 0.224, 0.225))
        return Preprocess(name, size, None, "bilinear", mean, std, shorter=shorter)
    if name == "caffe":
        return Preprocess(name, size, None, "bilinear", (103.939, 116.779, 123.68), channels="BGR", shorter=shorter)
    numbers = {  # crop, interpolation, mean, std
        "tf": (0.875, "bilinear", 127.5, 127.5),
        "lite": (0.875, "bicubic", 127.0, 128.0),
        "unit": (0.875, "bilinear", 0.0, 255.0),
        "none": (None, "bilinear", 0.0, 1.0),
    }
    if name not in numbers:
        known = ", ".join(PRESETS)
        raise ModelFormatError(f"preprocessing: expected one of {known}, got {name!r}; or describe your own")
    crop, interpolation, m, s = numbers[name]
    return Preprocess(name, size, crop, interpolation, (m,) * channels, (s,) * channels, order)


def sample_names() -> tuple[str, ...]:
    """Return the names of the photographs that come with the package; their credits are in samples/CREDITS.md.

    Examples
    --------
    >>> sample_names()
    ('cat_and_coffee', 'chelsea', 'coffee', 'two_shapes')
    """
    return tuple(sorted(path.stem for path in _SAMPLES.iterdir() if path.suffix in (".png", ".jpg")))


def sample(name: str) -> Path:
    """Return the path of a photograph that comes with the package.

    Raises
    ------
    ImageError
        If there is no such photograph; the sentence names those that are near, or all.

    Examples
    --------
    >>> sample("chelsea").suffix
    '.png'
    """
    for path in sorted(_SAMPLES.iterdir()):
        if path.stem == name and path.suffix in (".png", ".jpg"):
            return path
    near = nearest(str(name), sample_names())
    said = f"; near it: {', '.join(near)}" if near else f": {', '.join(sample_names())}"
    raise ImageError(f"sample {name!r}: expected one of the photographs that come along{said}")

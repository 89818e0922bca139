"""From a photograph to the array that a network was trained on, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from npgradcam.errors import ModelFormatError, ShapeError
from npgradcam.photographs import MAX_PIXELS, read_photograph

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[float, float, float, float]

_CHANNELS = {"RGB": 3, "BGR": 3, "grey": 1}
_LONGEST = 100_000  # pixels of a side
_INTERPOLATIONS = ("nearest", "box", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A photograph as the network sees it, and where in the photograph that was.

    Attributes
    ----------
    x : ndarray (1, C, H, W)
        What goes into the network; read-only.
    photograph : ndarray uint8 (H0, W0, 3)
        The whole upright photograph, RGB 0..255; read-only.
    box : tuple (left, top, right, bottom)
        The part of the photograph that `x` shows, in its pixels: pixel (row, column) covers
        [column, column + 1] x [row, row + 1]. Fractions occur where the photograph is resized before the crop.
    preprocess : Preprocess
        What was done.
    orientation : int
        The EXIF orientation, 1 to 8, that was applied to make the photograph upright; 1 where nothing was to be done.
    """

    x: NDArray[Any]
    photograph: NDArray[np.uint8]
    box: Box
    preprocess: Preprocess
    orientation: int = 1


@dataclass(frozen=True)
class Preprocess:
    """How a photograph becomes a network's input; it belongs to the model and is never guessed.

    Crop the photograph, resize the crop, and compute x = (pixel - mean) / std channel by channel.

    Parameters
    ----------
    name : str
        What to call it in a record.
    size : tuple (H, W)
        Height and width of the input.
    crop : float or None
        The centre box of the shape H : W that is `crop` times the largest one (0 < crop <= 1); for a square
        input a square of `crop` times the shorter side. None: the whole photograph, its shape squashed to H : W.
    shorter : int or None
        Instead of `crop`: as if the photograph was resized until its shorter side has this many pixels, and then
        the centre H x W pixels were cut out.
    interpolation : {"nearest", "box", "bilinear", "bicubic", "lanczos"}
        Pillow's filters, which average where they shrink.
    mean, std : tuple of float
        One number per channel, in pixel units 0..255.
    channels : {"RGB", "BGR", "grey"}
        Their order in `x`.

    Raises
    ------
    ModelFormatError
        If a value is impossible; the sentence names it.

    Examples
    --------
    >>> halves = Preprocess("halves", size=(2, 2), crop=0.5, mean=(127.5,) * 3, std=(127.5,) * 3)
    >>> black = halves.prepare(np.zeros((4, 8, 3), np.uint8))
    >>> black.x[0, 0]
    array([[-1., -1.],
           [-1., -1.]], dtype=float32)
    >>> black.box                                              # left, top, right, bottom
    (3, 1, 5, 3)
    """

    name: str
    size: tuple[int, int]
    crop: float | None = 0.875
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channels: str = "RGB"
    shorter: int | None = None

    def __post_init__(self) -> None:
        """Take lists for tuples, and refuse what cannot be meant."""
        for field in ("size", "mean", "std"):
            if isinstance(values := getattr(self, field), list):
                object.__setattr__(self, field, tuple(values))
        count = _CHANNELS.get(str(self.channels), 0)
        checks = (
            ("name", isinstance(self.name, str) and len(self.name) <= 200, "a short text", self.name),
            ("size", _are_sizes(self.size, 2) and math.prod(self.size) <= MAX_PIXELS,
             f"two positive whole numbers (H, W), at most {MAX_PIXELS} pixels", self.size),
            ("crop", self.crop is None or (_is_number(self.crop) and 0 < self.crop <= 1), "0 < crop <= 1", self.crop),
            ("interpolation", self.interpolation in _INTERPOLATIONS, ", ".join(_INTERPOLATIONS), self.interpolation),
            ("channels", count > 0, ", ".join(_CHANNELS), self.channels),
            ("mean", _are_numbers(self.mean, count), f"{count} finite numbers", self.mean),
            ("std", _are_numbers(self.std, count, 1e-30), f"{count} numbers, none of them 0", self.std),
            ("shorter", self.shorter is None or _are_sizes((self.shorter,), 1), "a whole number", self.shorter),
        )
        for field, good, expected, got in checks:
            if not good:
                where = f"preprocessing {self.name!r:.99}"
                raise ModelFormatError(f"{where}: expected {field} to be {expected}, got {got!r:.99}")
        if self.shorter is not None and self.shorter < max(self.size):
            raise ModelFormatError(
                f"preprocessing {self.name!r}: expected shorter to be at least the longer side of size {self.size}, "
                f"got {self.shorter}; use crop instead"
            )

    def prepare(self, source: Any, dtype: DTypeLike = "float32", *, max_pixels: int = MAX_PIXELS) -> Prepared:
        """Make a photograph ready for the network.

        Parameters
        ----------
        source : str, Path, bytes, binary file, PIL.Image.Image or uint8 array
            Whatever `read_image` takes.
        dtype : {"float32", "float64"}
            The dtype of `x`; every step after the resizing is computed in it.
        max_pixels : int
            Larger photographs are refused before they are decoded.

        Returns
        -------
        Prepared
            `x` (1, C, H, W), the photograph, and the box of it that `x` shows.
        """
        from PIL import Image

        image, orientation = read_photograph(source, max_pixels=max_pixels)
        box = self.box(image.height, image.width)
        resample = Image.Resampling[self.interpolation.upper()]
        height, width = self.size
        if self.shorter is None:  # the crop first: the filter repeats the crop's edge and never sees beyond it
            left, top, right, bottom = map(int, box)
            resized = image.crop((left, top, right, bottom)).resize((width, height), resample)
        else:  # the resizing first: the filter sees what lies outside the crop
            resized = image.resize((width, height), resample, box=box)
        x = self._normalise(resized, np.dtype(dtype))
        photograph = np.array(image)
        for array in (x, photograph):
            array.flags.writeable = False
        return Prepared(x, photograph, box, self, orientation)

    def _normalise(self, image: Image.Image, dtype: np.dtype[Any]) -> NDArray[Any]:
        if self.channels == "grey":
            pixels = np.asarray(image.convert("L"))[:, :, None]
        else:
            pixels = np.asarray(image)[:, :, :: -1 if self.channels == "BGR" else 1]
        x = (pixels.astype(dtype) - np.array(self.mean, dtype)) / np.array(self.std, dtype)
        return np.ascontiguousarray(x.transpose(2, 0, 1)[None])

    def box(self, height: int, width: int) -> Box:
        """Return (left, top, right, bottom) of the crop in a photograph of `height` x `width` pixels.

        Notes
        -----
        With `crop` the box has whole pixels. For a square input, side = max(1, int(crop * min(height, width))) and
        top = (height - side + 1) // 2, left = (width - side + 1) // 2. With `shorter` the offsets are whole
        pixels of the resized photograph, rounded half to even, and the box is carried back to the original.
        """
        h, w = self.size
        if self.shorter is not None:
            short = self.shorter
            tall, wide = int(short * height / min(height, width)), int(short * width / min(height, width))
            top, left = round((tall - h) / 2), round((wide - w) / 2)
            bottom, right = top + h, left + w
            down, across = height / tall, width / wide
            return left * across, top * down, min(right * across, width), min(bottom * down, height)
        if self.crop is None:
            return 0, 0, width, height
        if height * w <= width * h:  # the height is what limits the box
            tall, wide = int(self.crop * height), int(self.crop * height * w / h)
        else:
            tall, wide = int(self.crop * width * h / w), int(self.crop * width)
        tall, wide = max(1, tall), max(1, wide)
        top, left = (height - tall + 1) // 2, (width - wide + 1) // 2
        return left, top, left + wide, top + tall

    def pixels(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the picture that `x` came from: what the network saw.

        Parameters
        ----------
        x : ndarray (1, C, H, W) or (C, H, W)
            A prepared input, of any height and width.

        Returns
        -------
        ndarray uint8 (H, W, 3)
            x * std + mean, rounded, clipped to 0..255, RGB whatever the channels of `x`.

        Raises
        ------
        ShapeError
            If `x` is not one picture with the channels of this preprocessing.
        """
        count = _CHANNELS[self.channels]
        if x.shape[:-3] not in ((), (1,)) or x.ndim < 3 or x.shape[-3] != count:
            raise ShapeError(f"pixels: expected (1, {count}, H, W) or ({count}, H, W), got {x.shape}; take one image")
        chw = x.reshape(x.shape[-3:]).astype(np.float64)
        column = (count, 1, 1)
        values = chw * np.reshape(self.std, column) + np.reshape(self.mean, column)
        levels = np.clip(np.rint(values), 0, 255).astype(np.uint8).transpose(1, 2, 0)
        if self.channels == "grey":
            levels = np.repeat(levels, 3, axis=2)
        return np.ascontiguousarray(levels[:, :, ::-1] if self.channels == "BGR" else levels)

    def as_dict(self) -> dict[str, Any]:
        """Return every field as JSON has it, for a manifest; `from_dict` reads it back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Preprocess:
        """Make a preprocessing from what `as_dict` wrote, or a person did; a field that is unknown is an error."""
        fields = cls.__dataclass_fields__
        unknown = sorted(set(record) - set(fields))
        if unknown or not {"name", "size"} <= set(record):
            wrong = f"got the unknown {str(unknown[0])[:60]!r}" if unknown else "got no name or no size"
            raise ModelFormatError(f"preprocessing: expected name, size and any of {', '.join([*fields][2:])}; {wrong}")
        return cls(**record)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e30  # NaN is not


def _are_numbers(values: object, count: int, least: float = 0) -> bool:
    return isinstance(values, tuple) and len(values) == count and all(_is_number(v) and abs(v) >= least for v in values)


def _are_sizes(values: Any, count: int) -> bool:
    return _are_numbers(values, count) and all(type(v) is int and 0 < v <= _LONGEST for v in values)

"""From anything that holds a photograph to an upright RGB picture, or one sentence that says why not."""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from npgradcam.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 50_000_000
MAX_BYTES = 1 << 29

_EXPECTED = "expected a photograph (JPEG, PNG, WEBP, BMP, GIF or TIFF)"
_SIGNATURES = (  # (offset, leading bytes, what they belong to)
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript (EPS) drawing"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript (EPS) drawing"),
    (0, b"8BPS", "a Photoshop (PSD) document"),
    (0, b"SIMPLE  =", "a FITS file"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML document (an SVG drawing, perhaps)"),
    (4, b"ftyp", "a HEIC, AVIF or video file"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\xff\xd8\xff", "a damaged JPEG file"),
    (0, b"\x89PNG", "a damaged PNG file"),
    (0, b"GIF8", "a damaged GIF file"),
    (0, b"BM", "a damaged BMP file"),
    (8, b"WEBP", "a damaged WEBP file"),
    (0, b"II*\0", "a damaged TIFF file"),
    (0, b"MM\0*", "a damaged TIFF file"),
)
_TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
_QUIET = threading.Lock()  # the list of warning filters is one per process: two decoders may not both set it aside


def read_image(source: Any, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a photograph as an upright 8-bit RGB picture.

    Parameters
    ----------
    source : str, Path, bytes, binary file, PIL.Image.Image or uint8 array (H, W), (H, W, 3) or (H, W, 4)
        A file is read from its present position to its end. Files and bytes are JPEG, PNG, WEBP, BMP, GIF or
        TIFF, recognised by content, not by name. Of several frames the first is taken, and of the
        several JPEGs in one file (MPO) that some cameras write.
    max_pixels : int
        More pixels than this are refused before anything is decoded. Pillow itself refuses beyond 178 956 970.

    Returns
    -------
    PIL.Image.Image
        Mode "RGB", without metadata, and independent of `source`, which is not changed.

    Raises
    ------
    ImageError
        For everything that does not give a whole photograph: no such file, a folder, an empty or truncated file,
        another format, too many pixels, an array of another dtype or shape.

    Notes
    -----
    - The EXIF (or TIFF, or XMP) orientation 1 to 8 is applied; damaged metadata or any other value means 1.
    - Grey becomes R = G = B. 16-bit grey is scaled by 1/257, so 65535 gives 255, to the nearest level. Of 16-bit
      colour Pillow keeps the upper byte.
    - Palette and CMYK are converted without colour profiles: an embedded ICC profile is ignored.
    - Transparency, in an alpha channel or a palette, is composited on white.
    - 32-bit integer and floating point pictures are refused, because nothing says which value is white.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.zeros((2, 3), np.uint8)).size          # Pillow says (width, height)
    (3, 2)
    """
    return read_photograph(source, max_pixels=max_pixels)[0]


def read_photograph(source: Any, *, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, int]:
    """Return what `read_image` returns, and the EXIF orientation that was applied (1: as it is stored)."""
    from PIL import Image, UnidentifiedImageError

    name, opened = _open_source(source)
    try:
        with _no_warnings():
            image = Image.open(opened, formats=FORMATS) if isinstance(opened, io.BytesIO) else opened
            _check_size(name, image.size, max_pixels)
            turned = _orientation(image) if image.format == "TIFF" else 1  # which load() applies, and then forgets
            image.load()
            orientation = _orientation(image)
            if orientation > 1:
                image = image.transpose(Image.Transpose[_TURNS[orientation - 2]])  # the camera's 2 to 8
            return _to_rgb(name, image), max(turned, orientation)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name}: {_EXPECTED}, got {_describe(opened)}; save it again as PNG or JPEG") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: expected at most {max_pixels} pixels, got far more; shrink it first") from None
    except Exception as error:  # a decoder on damaged bytes may raise anything, MemoryError and IndexError included
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise ImageError(
            f"{name}: expected a whole photograph, got one that cannot be decoded ({reason}); save it again"
        ) from None


def _open_source(source: Any) -> tuple[str, io.BytesIO | Image.Image]:
    """Return the name that errors use, and the bytes or the picture that `source` stands for."""
    from PIL import Image

    if isinstance(source, Image.Image):
        return "the PIL image", source
    if isinstance(source, np.ndarray):
        return "the array", _from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "the bytes", bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        name, data = repr(os.fspath(source)), _read_file(source)
    elif hasattr(source, "read"):
        name, data = f"the file {getattr(source, 'name', 'object')!r}", _read_open_file(source)
    else:
        raise ImageError(
            f"the image: expected a path, bytes, a file opened in mode 'rb', a PIL image or a uint8 array, "
            f"got {type(source).__name__}; give one of these"
        )
    if not data:
        raise ImageError(f"{name}: {_EXPECTED}, got nothing: it is empty; check where it came from")
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name}: expected at most {MAX_BYTES} bytes, got more; shrink the photograph first")
    return name, io.BytesIO(data)


def _read_file(source: str | os.PathLike[str]) -> bytes:
    name = repr(os.fspath(source))
    try:
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{name}: {_EXPECTED}, got a folder; give the files in it one by one")
        if not stat.S_ISREG(mode):
            raise ImageError(f"{name}: {_EXPECTED}, got a device or a pipe; write it to a file first (in Python, give "
                             "an open file or its bytes)")
        with Path(source).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except ImageError:
        raise
    except FileNotFoundError:
        way_out = "download it first" if "://" in name else "check the path"
        raise ImageError(f"{name}: {_EXPECTED}, but there is no such file; {way_out}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: {_EXPECTED}, but it cannot be read ({reason}); check the path") from None


def _read_open_file(source: Any) -> bytes:
    try:
        data = source.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ImageError(f"the file object: {_EXPECTED}, but it cannot be read ({error}); open it again") from None
    if not isinstance(data, bytes):
        raise ImageError(f"the file object: expected bytes, got {type(data).__name__}; open it in mode 'rb'")
    return data


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    from PIL import Image

    if array.dtype != np.uint8:
        raise ImageError(
            f"the array: expected uint8 pixels 0..255, got {array.dtype}; scale it to 0..255 and use "
            f".round().astype('uint8'), or give an array that is already preprocessed straight to the network"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"the array: expected shape (H, W), (H, W, 3) or (H, W, 4), got {array.shape}; "
            f"move the channels last, and give one photograph at a time"
        )
    if 0 in array.shape:
        raise ImageError(f"the array: expected at least one pixel, got shape {array.shape}; check how it was cut")
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: expected at least one pixel, got {width} x {height}; check how it was made")
    if width * height > max_pixels:
        way_out = "shrink it first (in Python, max_pixels= sets the limit)"
        raise ImageError(f"{name}: expected at most {max_pixels} pixels, got {width} x {height}; {way_out}")


def _orientation(image: Image.Image) -> int:
    """Return which way the stored rows and columns run, as the camera wrote it down."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata are no reason to refuse whole pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(name: str, image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode in ("I", "F"):
        kind = "32-bit integer" if image.mode == "I" else "floating point"
        raise ImageError(f"{name}: expected 8 or 16 bits a channel, got {kind} pixels; scale them to 0..255 as uint8")
    if image.mode.startswith("I;16"):
        image = _sixteen_bits(image)
    if image.mode in ("La", "RGBa"):  # colour already multiplied by alpha
        image = image.convert(image.mode.upper())
    rgb = Image.new("RGB", image.size, "white")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb.paste(rgba, mask=rgba)
    else:
        rgb.paste(image.convert("RGB"))
    return rgb


def _sixteen_bits(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; the one value that a PNG may declare transparent becomes white."""
    from PIL import Image

    values = np.asarray(image).astype(np.uint32)
    levels = ((values + 128) // 257).astype(np.uint8)
    key = image.info.get("transparency")
    if isinstance(key, int):
        levels[values == key] = 255
    return Image.fromarray(levels)


def _describe(opened: object) -> str:
    head = opened.getvalue()[:16] if isinstance(opened, io.BytesIO) else b""
    known = (what for offset, signature, what in _SIGNATURES if head[offset:].startswith(signature))
    return next(known, f"data that begin {head[:8]!r}")


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep Pillow's warnings (odd metadata, large pictures) from the caller: the result or the error says it all."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

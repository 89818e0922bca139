"""Pictures that are bombs, halves, or no photographs, with what is said of each; and odd ones that are read (None)."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

PIXELS = np.random.default_rng(2).integers(0, 256, (40, 40, 4), dtype=np.uint8)
COLOUR = Image.fromarray(PIXELS[:, :, :3].copy())


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, pixels: bytes = b"\0", *between: bytes, depth: int = 8, colours: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(between) + pixels + chunk(b"IEND", b"")


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def tiff(*fields: tuple[int, int, int, int], after: int = 0) -> bytes:
    """A directory of (tag, type, count, value), and where the next directory lies."""
    entries = b"".join(struct.pack("<HHII", *field) for field in fields)
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + struct.pack("<I", after) + bytes(64)


JPEG, GIF, BMP = (encoded(COLOUR, kind) for kind in ("JPEG", "GIF", "BMP"))
FRAME = JPEG.index(b"\xff\xc0") + 5  # height and width of a JPEG's frame
TEXT = zlib.compress(bytes(2**27))
SMALL = ((256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 100),
         (279, 4, 1, 16))
EXIF = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\x03\0\1\0\0\0"  # one field: the orientation


def turned(value: int) -> bytes:
    return encoded(COLOUR, "JPEG", exif=EXIF + struct.pack("<II", value, 0))


MANY, WHOLE, OTHER = "at most [0-9]+ pixels", "whole photograph|expected a photograph", "expected a photograph"
PICTURES: dict[str, tuple[str | None, bytes]] = {
    # a few bytes that ask for gigabytes
    "PNG bomb": (MANY, png(60_000, 60_000)), "a long PNG": (MANY, png(2**31 - 1, 1)),
    "thin PNG": (MANY, png(1, 2**31 - 1)),
    "PNG of zeros": (MANY, png(20_000, 20_000, bytes(2**24))),
    "JPEG bomb": (MANY, patched(JPEG, FRAME, b"\xff\xdc\xff\xdc")), "GIF bomb": (MANY, patched(GIF, 6, b"\xff" * 4)),
    "GIF frame bomb": (f"{MANY}|{WHOLE}", patched(GIF, GIF.index(b"\x2c\0\0\0\0") + 5, b"\xff" * 4)),
    "BMP bomb": (MANY, patched(BMP, 18, struct.pack("<ii", 2**20, 2**20))),
    "WEBP bomb": (MANY, b"RIFF\x20\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xff\xff\x0f" + bytes(16)),
    "TIFF bomb": (MANY, tiff((256, 4, 1, 2**20), (257, 4, 1, 2**20), *SMALL[2:])),
    "text bomb": (None, png(2, 2, bytes(14), chunk(b"zTXt", b"a\0\0" + TEXT[:1000]))),
    "unpacked text bomb": (WHOLE, png(2, 2, bytes(14), *[chunk(b"zTXt", b"a\0\0" + TEXT)] * 2)),
    "profile bomb": (WHOLE, png(2, 2, bytes(14), chunk(b"iCCP", b"a\0\0" + TEXT))),
    # half a picture
    **{f"{kind} cut at {cut}": (WHOLE, encoded(COLOUR, kind)[: cut * len(encoded(COLOUR, kind)) // 100])
       for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF") for cut in (10, 50, 90)},
    "no width": (WHOLE, png(0, 4)), "no pixels": (WHOLE, png(4, 4)),
    "wrong sum": (WHOLE, patched(png(4, 4), 30, b"\0\0")),
    "no frame": (WHOLE, GIF[:13] + b";"), "a directory of itself": (None, tiff(*SMALL, after=8)),
    "strips outside": (WHOLE, tiff(*SMALL[:5], (273, 4, 1, 2**31), SMALL[6])),
    "a million strips": (WHOLE, tiff(*SMALL[:5], (273, 4, 2**20, 8), (279, 4, 2**20, 8))),
    "depth 3": (WHOLE, png(4, 4, bytes(52), depth=3)), "colours 9": (WHOLE, png(4, 4, bytes(52), colours=9)),
    "floats": ("floating point", encoded(Image.fromarray(np.ones((3, 3), np.float32)), "TIFF")),
    "32 bits": ("32-bit", encoded(Image.fromarray(np.ones((3, 3), np.int32)), "TIFF")),
    # no photograph
    "nothing": ("empty", b""), "zeros": (OTHER, bytes(300)), "a text": (OTHER, b"hello\n" * 99),
    "FITS": ("FITS", b"SIMPLE  =                    T" + b" " * 2850), "PSD": ("Photoshop", b"8BPS\0\1" + bytes(300)),
    "EPS": ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run\n"), "PDF": ("PDF", b"%PDF-1.7\n" + b"x" * 300),
    "SVG": ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"),
    "XML": ("XML", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
    "HEIC": ("HEIC", b"\0\0\0\x18ftypheic" + bytes(300)), "zip": ("zip", b"PK\3\4" + bytes(300)),
    **{kind: (OTHER, encoded(COLOUR, kind)) for kind in ("PPM", "TGA", "ICO", "PCX", "SGI", "DDS")},
    "script in front": (OTHER, b"#!/bin/sh\n" + JPEG),
    # odd, and read
    **{f"orientation {value}": (None, turned(value)) for value in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 2**31)},
    "metadata of nonsense": (None, encoded(COLOUR, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")),
    "metadata in a circle": (None, encoded(COLOUR, "JPEG", exif=EXIF[:14] + b"\1\0\x69\x87\4\0\1" + b"\0\0\0\x08" * 2)),
    "16 bits": (None, encoded(Image.fromarray(PIXELS[:, :, 0].astype(np.uint16) * 257), "PNG")),
    "16 bits of colour": (None, png(4, 4, bytes(4 * (1 + 4 * 6)), depth=16)),
    "CMYK": (None, encoded(COLOUR.convert("CMYK"), "JPEG")), "CMYK TIFF": (None, encoded(COLOUR.convert("CMYK"),
    "TIFF")),
    "palette": (None, encoded(COLOUR.convert("P"), "PNG", transparency=b"\0\x80\xff")),
    "grey and alpha": (None, encoded(Image.fromarray(PIXELS).convert("LA"), "PNG")),
    "one pixel": (None, encoded(COLOUR.resize((1, 1)), "PNG")),
    "1 x 65500": (None, encoded(Image.new("RGB", (1, 65500)), "JPEG")),
    **{f"moving {kind}": (None, encoded(COLOUR, kind, save_all=True, append_images=[COLOUR.rotate(90)] * 3))
       for kind in ("GIF", "PNG", "WEBP", "TIFF", "MPO")},
    "a JPEG and more": (None, JPEG + b"PK\3\4" + bytes(99)),
}

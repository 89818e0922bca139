"""At least a dozen valid files of each format, in parts, so that damage also arrives behind lengths and checksums."""

from __future__ import annotations

import copy
import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from checkpoint_files import FOUR, MAGIC, ORDERED, dictionary, identity, number, numbers, streamed, tensor, text, zipped
from PIL import Image
from small_nets import gap_net, two_headed_net

import npgradcam as ng
from fuzzing.graphs import NASTY, damaged_graph, onnx_seeds
from fuzzing.mutators import mutated
from npgradcam.images import preset
from npgradcam.models import Labels, Model

DATA = Path(__file__).parents[1] / "data" / "checkpoints"


class Seed(NamedTuple):
    """The parts of a valid file, and what makes the file of them: sizes and checksums are right again."""

    parts: tuple[bytes, ...]
    pack: Callable[..., bytes]

    @property
    def data(self) -> bytes:
        return self.pack(*self.parts)


def plain(*files: bytes) -> list[Seed]:
    return [Seed((data,), bytes) for data in files]


# ---------------------------------------------------------------------------------------------------------- checkpoints


def bodies() -> list[bytes]:
    """Pickles of tensors, without header and STOP; all tensors lie in one storage of four float32."""
    old = b"ctorch._utils\n_rebuild_tensor\n(" + identity() + number(0) + numbers(4) + numbers(1) + b"tR"
    wrapped = b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88" + ORDERED + b"tR"
    square, one = tensor(shape=numbers(2, 2), strides=numbers(2, 1)), tensor(offset=number(3), shape=b")", strides=b")")
    across = tensor(shape=numbers(2, 2), strides=numbers(1, 2))
    return [
        dictionary({"w": tensor()}), dictionary({"w": square, "b": one}), dictionary({"w": old}),
        dictionary({"w": wrapped}), dictionary({"a": dictionary({"b": dictionary({"c": across})})}),
        ORDERED + b"(" + text("w") + tensor() + b"u" + dictionary({"_metadata": ORDERED}) + b"b",
        b"}q\x01(" + number(3) + tensor() + b"q\x02" + number(-4) + b"h\x02u",
        b"\x95" + bytes(8) + b"}\x94(\x8c\x01w" + tensor() + b"\x94\x8c\x01vh\x01u",
        dictionary({"epoch": number(3), "lr": b"G" + bytes(8), "list": b"](" + number(1) + b"Ne", "w": tensor()}),
        dictionary({"w": tensor(shape=numbers(0), strides=numbers(1)), "v": tensor(shape=numbers(3, 4),
                                                                                  strides=numbers(0, 1))}),
        dictionary({"w": tensor(identity(kind="Int")), "n": b"N", "t": b"\x88", "f": b"\x89"}),
        dictionary({"w": tensor(identity(kind="Half", numel=number(8)), shape=numbers(8)), "u": b"U\x03abc"}),
        dictionary({"w": tensor(identity(kind="BFloat16", numel=number(8)), number(0), numbers(2, 4), numbers(4, 1))}),
        dictionary({"w": tensor(identity(kind="Double", numel=number(2)), shape=numbers(2))}),
        dictionary({f"layer{i}.weight": tensor(shape=numbers(1), offset=number(i)) for i in range(4)}),
    ]


NUMELS = {b"Half": 8, b"BFloat16": 8, b"Double": 2}


def numel(body: bytes) -> int:
    return next((count for kind, count in NUMELS.items() if b"torch\n" + kind in body), 4)


def archives() -> list[Seed]:
    made = [Seed((body, FOUR), lambda body, data: zipped(body, {"0": data})) for body in bodies()]
    made.append(Seed((bodies()[0], FOUR), lambda body, data: zipped(body, {"0": data}, b"big")))
    return made + plain(*((DATA / f"{name}.zip.pth").read_bytes() for name in ("state", "wrapper")))


def streams() -> list[Seed]:
    def packed(count):
        return lambda body, data: streamed(body, {"0": data}, {"0": count})

    made = [Seed((body, FOUR), packed(numel(body))) for body in bodies()]
    assert all(seed.data.startswith(MAGIC) for seed in made)
    return made + plain(*(path.read_bytes() for path in sorted(DATA.glob("*.stream.pth"))))


# ------------------------------------------------------------------------------------------------- safetensors and .npz


def tensors(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def safetensors() -> list[Seed]:
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U8": 1,
             "BOOL": 1}
    made = []
    for n, (kind, size) in enumerate(sizes.items()):
        a = {"dtype": kind, "shape": [2, 3], "data_offsets": [0, 6 * size]}
        shape, end = [([], 4), ([0], 0), ([1, 1], 4)][n % 3]
        b = {"dtype": "F32", "shape": shape, "data_offsets": [6 * size, 6 * size + end]}
        header = {"__metadata__": {"format": "pt"}, "a.weight": a, "b": b} if n % 2 else {"a": a, "b": b}
        made.append(Seed((json.dumps(header).encode() + b" " * (n % 8), bytes(b["data_offsets"][1])), tensors))
    empty = {"e": {"dtype": "F32", "shape": [2**31 - 1, 0], "data_offsets": [0, 0]}}
    return [*made, Seed((json.dumps(empty).encode(), b""), tensors), Seed((b"{}", b""), tensors)]


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, (1, 0), allow_pickle=False)
    return buffer.getvalue()


def archive(names: tuple[str, ...], packing: int = zipfile.ZIP_STORED) -> Callable[..., bytes]:
    def pack(*parts: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", packing) as file:
            for name, data in zip(names, parts, strict=True):
                file.writestr(zipfile.ZipInfo(f"{name}.npy"), data, packing)
        return buffer.getvalue()

    return pack


def arrays() -> list[Seed]:
    dtypes = ("<f4", ">f8", "<f2", "|i1", "<i2", ">i4", "<i8", "|u1", "|b1", "<U3")
    made = [Seed((npy(np.ones((2, 3), dtype)), npy(np.ones((2, 2), dtype, "F"))), archive(("a", "b/c"), p))
            for dtype in dtypes for p in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    return made + 3 * saved_models()


def saved_models() -> list[Seed]:
    """Models that `save` wrote: the record is damaged as the text that it is."""
    labels = Labels.parse(["cat, felis", "", "crane", "a", "b"])
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for net in (gap_net(dtype="float32"), Model("m", gap_net(softmax=True), preset("caffe", (7, 10)), labels),
                    two_headed_net(), *(ng.load(graph, backend="numpy") for graph in written(Path(folder)))):
            ng.save(net, Path(folder, "a.npz"))
            with zipfile.ZipFile(Path(folder, "a.npz")) as file:
                names = tuple(name.removesuffix(".npy") for name in file.namelist())
                rest = [file.read(f"{name}.npy") for name in names[1:]]
            record = str(np.load(Path(folder, "a.npz"))["npgradcam"])
            pack = archive(names)
            made.append(Seed((record.encode(), *rest), lambda text, *rest, pack=pack: pack(
                npy(np.array(text.decode("utf-8", "replace").rstrip("\0") or " ")), *rest)))
    return made


def damaged_record(text: bytes, chance: Random) -> bytes:
    """Return JSON that is still JSON: one to three of its parts are something else, or gone."""
    record = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 3))):
        place, key = chance.choice(list(places(record)))
        parts = [inside[name] for inside, name in places(record)]
        if chance.random() < 0.1:
            del place[key]
        else:
            odd = (*NASTY, 10**400, 0.5, "", "\x1b[2J", None, True, [], {}, {"float": "nan"}, {"array": "0.weight"})
            place[key] = copy.deepcopy(chance.choice((*odd, *chance.choices(parts, k=15))))
    return json.dumps(record).encode()


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a record, as what holds it and its key there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(items):
        yield value, key
        yield from places(part)


def written(folder: Path) -> list[Path]:
    """A few graphs as files: their layers are made of recipes."""
    paths = []
    for n, data in enumerate(onnx_seeds()[:3]):
        paths.append(folder / f"{n}.onnx")
        paths[-1].write_bytes(data)
    return paths


# ------------------------------------------------------------------------------------------------------------- pictures


def pictures() -> list[Seed]:
    """The six formats, in the modes that each has; an animation, transparency, metadata."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 4), dtype=np.uint8)
    colour, exif = Image.fromarray(pixels[:, :, :3].copy()), Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    deep = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    made = {"JPEG": [colour, colour.convert("L"), colour.convert("CMYK")],
            "PNG": [colour, Image.fromarray(pixels), colour.convert("P"), colour.convert("1"), deep],
            "WEBP": [colour, Image.fromarray(pixels)], "GIF": [colour.convert("P"), colour.convert("L")],
            "BMP": [colour, colour.convert("P"), colour.convert("1")],
            "TIFF": [colour, deep, Image.fromarray(pixels), colour.convert("CMYK")]}
    files = [encoded(image, kind) for kind, images in made.items() for image in images]
    files += [encoded(colour, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    more = {"save_all": True, "append_images": [colour.rotate(90)]}
    files += [encoded(colour, kind, **more) for kind in ("GIF", "PNG", "WEBP", "TIFF")]
    packings = ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    files += [encoded(colour, "TIFF", compression=packing) for packing in packings]
    return plain(*files, encoded(colour, "JPEG", progressive=True), encoded(colour.convert("P"), "PNG", transparency=1))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------------- one input each

SOURCES = {"onnx": lambda: plain(*onnx_seeds()), "safetensors": safetensors, "zip": archives, "stream": streams,
           "npz": arrays, "picture": pictures}
SOURCES["compiled"] = SOURCES["onnx"]  # the same graphs, run by compiled loops


@cache
def seeds(kind: str) -> tuple[Seed, ...]:
    """Return the valid files of a format."""
    return tuple(SOURCES[kind]())


def damaged(kind: str, seed: int, n: int) -> bytes:
    """Return input number n of a run: it depends on these three alone."""
    chance = Random(f"{kind} {seed} {n}")  # noqa: S311
    held, other = chance.choices(seeds(kind), k=2)
    if kind in ("onnx", "compiled") and chance.random() < 0.5:
        return damaged_graph(held.data, chance, other.data)
    if held.parts[0].startswith(b'{"format"') and chance.random() < 0.6:
        return held.pack(damaged_record(held.parts[0], chance), *held.parts[1:])
    if len(held.parts) > 1 and chance.random() < 0.7:  # behind what counts and sums bytes up
        parts = list(held.parts)
        at = 0 if chance.random() < 0.5 else chance.randrange(len(parts))
        parts[at] = mutated(parts[at], chance, chance.choice(other.parts))
        return held.pack(*parts)
    return mutated(held.data, chance, other.data)

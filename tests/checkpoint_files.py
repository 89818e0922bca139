"""Checkpoints made by hand for the tests: a small writer of pickles and their containers, and hostile ones."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile

MAGIC = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
ORDERED = b"ccollections\nOrderedDict\n)R"


# Each function returns opcodes that leave one value on the stack.
def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def dictionary(items: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def identity(key: str = "0", kind: str = "Float", numel: bytes = number(4)) -> bytes:
    return b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu") + numel + b"tQ"


def tensor(
    storage: bytes = identity(),
    offset: bytes = number(0),
    shape: bytes = numbers(4),
    strides: bytes = numbers(1),
    tail: bytes = b"\x89" + ORDERED,
) -> bytes:
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + strides + tail + b"tR"


def zipped(body: bytes, storages: dict[str, bytes], order: bytes = b"little", **options: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("m/byteorder", order)
        for key, data in storages.items():
            archive.writestr(f"m/data/{key}", data)
    return buffer.getvalue()


def streamed(body: bytes, storages: dict[str, bytes], numels: dict[str, int]) -> bytes:
    system = dictionary({"protocol_version": number(1001), "little_endian": b"\x88"})
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    pickles = b"".join(b"\x80\x02" + part + b"." for part in (number(1001), system, body, keys))
    tails = (struct.pack("<q", numels[key]) + data for key, data in storages.items())
    return MAGIC + pickles + b"".join(tails)


FOUR = struct.pack("<4f", 0, 1, 2, 3)


def both(body: bytes) -> dict[str, bytes]:
    """The two containers around one pickle, with one storage of four float32."""
    return {"zip": zipped(body, {"0": FOUR}), "stream": streamed(body, {"0": FOUR}, {"0": 4})}


# The corpus: a word of the sentence that refuses them -> name -> opcodes.
class Reduced:
    """What Python's own pickle makes of an object that wants to run a command: the textbook attack."""

    def __reduce__(self):
        return os.system, ("touch /tmp/npgradcam-was-here",)


def weight(**parts: bytes) -> bytes:
    return dictionary({"w": tensor(**parts)})


def kind(**parts: bytes | str) -> bytes:
    return dictionary({"w": tensor(identity(**parts))})


def mention(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


SHELL = b"(" + text("touch /tmp/npgradcam-was-here") + b"t"
NAMES = [
    "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "builtins.exec",
    "builtins.getattr", "builtins.__import__", "__builtin__.apply", "runpy._run_code",
    "importlib.import_module", "operator.attrgetter", "numpy.core.multiarray._reconstruct",
    "torch.hub.load", "torch.load", "pickle.loads", "_codecs.encode", "collections.defaultdict",
    "torch.storage._load_from_bytes", "torch.nn.parameter.Parameter", "torch._utils.__class__",
    "torch.ComplexFloatStorage", "npgradcam.formats.read_checkpoint", "shutil.rmtree", "socket.socket", ".",
]  # fmt: skip
KNOWN, V2 = mention("collections", "OrderedDict"), mention("torch._utils", "_rebuild_tensor_v2")
FLOAT, LAST = mention("torch", "FloatStorage"), text("0") + text("cpu") + number(4) + b"tQ"
MOST = 2**31 - 1
THIRTY = (
    b"}("
    + text("w")
    + tensor()
    + b"uq\x00"
    + b"".join(
        b"}(" + text("a") + b"h" + bytes([i]) + text("b") + b"h" + bytes([i]) + b"uq" + bytes([i + 1])
        for i in range(30)
    )
)  # 31 dictionaries, each of which holds the one before twice
HOSTILE = {
    "the Python object": {name: mention(*name.rpartition(".")[::2]) + SHELL + b"R" for name in NAMES} | {
        "by python, protocol 0": pickle.dumps(Reduced(), 0)[:-1],
        "by python, protocol 2": pickle.dumps(Reduced(), 2)[2:-1],
        "by python, protocol 5": pickle.dumps(Reduced(), 5)[2:-1],
        "after a tensor": b"](" + weight() + pickle.dumps(Reduced(), 2)[2:-1] + b"e",
        "as a value": dictionary({"w": tensor(), "x": pickle.dumps(Reduced(), 2)[2:-1]}),
        "as a hook": weight(tail=b"\x89" + pickle.dumps(Reduced(), 2)[2:-1]),
        "as metadata": KNOWN + b")R" + pickle.dumps(Reduced(), 2)[2:-1] + b"b",
        "stack global": text("os") + text("system") + b"\x93" + SHELL + b"R",
        "stack global, memo": b"](" + text("os") + b"\x94" + text("system") + b"\x94eh\x00h\x01\x93" + SHELL + b"R",
        "obj": b"(cos\nsystem\n" + text("true") + b"o",
    },
    "the opcode": {
        "inst": b"(" + text("true") + b"ios\nsystem\n", "obj": b"(" + KNOWN + b"o",
        "newobj": KNOWN + b")\x81",
        "newobj ex": KNOWN + b")}\x92", "ext1": b"\x82\x01", "ext2": b"\x83\x01\x00",
        "ext4": b"\x84\x01\x00\x00\x00",
        "persid": b"Pstorage\n", "bytes": b"C\x01a", "bytearray": b"\x96" + bytes(8), "set": b"\x8f",
        "buffer": b"\x97",
        "pop": b"}}0", "dup": b"}2", "float text": b"F1\n", "none": b"\xff",
    },
    "short texts for a module": {"numbers": number(1) + number(2) + b"\x93",
        "long": text("a" * 2000) + text("b") + b"\x93"},
    "sets attributes": {
        "tensor": tensor() + dictionary({"storage": number(1)}) + b"b",
        "dict": b"}" + dictionary({"__class__": number(1)}) + b"b",
        "tag": KNOWN + dictionary({"name": text("os.system"), "__setstate__": text("x")}) + b"b",
    },
    "sets items": {"tensor": tensor() + text("offset") + number(9) + b"s",
        "list": b"]" + number(0) * 2 + b"s", "odd": b"}(Nu"},
    "appends to": {"dict": b"}" + number(1) + b"a", "tag": KNOWN + b"(" + number(1) + b"e",
        "text": text("a") + b"Na"},
    "known functions": {"tensor": tensor() + b")R", "text": text("os.system") + b")R", "list": KNOWN + b"]R"},
    "arguments that it does not take": {
        "storage tag": FLOAT + numbers(4) + b"R", "ordered items": KNOWN + b"(]tR",
        "two": V2 + b"(" + identity() + b"NtR",
        "parameter": mention("torch._utils", "_rebuild_parameter") + b"(" + number(1) + b"\x88NtR",
        "long size": mention("torch", "Size") + numbers(*range(9)) + b"\x85R",
    },
    "conjugated": {"metadata": weight(tail=b"\x89N" + dictionary({"conj": b"\x88"}))},
    "persistent id": {
        "another word": b"(" + text("module") + FLOAT + LAST, "text": text("storage") + b"Q",
        "short": b"(" + text("storage") + b"tQ", "function": b"(" + text("storage") + V2 + LAST,
        "type by name": b"(" + text("storage") + text("FloatStorage") + LAST,
        "list": b"](" + text("storage") + FLOAT + b"eQ",
    },
    "declared twice": {
        "dtype": dictionary({"w": tensor(), "v": tensor(identity(kind="Double"))}),
        "numel": dictionary({"w": tensor(), "v": tensor(identity(numel=number(3)), shape=numbers(3))}),
    },
    "view of another": {"view": dictionary({"w": tensor(identity()[:-2] + numbers(0, 4) + b"tQ")})},
    "a size of": {"negative": kind(numel=number(-4)), "true": kind(numel=b"\x88")},
    "its key": {
        "long": kind(key="0" * 2000), "place": weight(storage=identity().replace(text("cpu"), b")")),
        "number": weight(storage=identity().replace(text("0"), number(0))),
    },
    "storage": {
        "path": kind(key="../../etc/passwd"), "missing": kind(key="1"), "wrong dtype": kind(kind="Double"),
        "numel + 1": kind(numel=number(5)),
        "numel - 1": weight(storage=identity(numel=number(3)), shape=numbers(3)),
        "without storage": V2 + b"(" + number(1) + number(0) + numbers(1) + numbers(1) + b"\x89NtR",
        "offset < 0": weight(offset=number(-1)), "offset none": weight(offset=b"N"),
        "offset true": weight(offset=b"\x88"),
    },
    "reaches element": {
        "offset": weight(offset=number(1)), "huge offset": weight(offset=number(2**63 - 1)),
        "shape": weight(shape=numbers(5)),
        "stride": weight(strides=numbers(2)), "huge stride": weight(shape=numbers(2), strides=numbers(2**62)),
        "wraps": weight(shape=numbers(MOST, MOST), strides=numbers(2**33, 2**33)),
    },
    "integers": {
        "stride < 0": weight(offset=number(3), strides=numbers(-1)),
        "stride true": weight(strides=b"\x88\x85"),
        "shape < 0": weight(shape=numbers(-1)), "floats": weight(shape=b"G" + bytes(8) + b"\x85"),
        "list": weight(shape=b"]"),
        "rank 9": weight(shape=numbers(*[1] * 9), strides=numbers(*[0] * 9)),
        "long integer": b"\x8a\xff" + bytes(255),
    },
    "as many strides": {
        "none": weight(strides=b")"), "axis": weight(shape=numbers(2**31, 0), strides=numbers(0, 0)),
    },
    "would take": {
        "expanded": weight(shape=numbers(MOST), strides=numbers(0)),
        "expanded eight times": weight(shape=numbers(*[MOST] * 8), strides=numbers(*[0] * 8)),
        "empty but wide": weight(shape=numbers(0, *[MOST] * 7), strides=numbers(*[0] * 8)),
        "often": b"}(" + text("x") + tensor(shape=numbers(2**20), strides=numbers(0)) + b"q\x00"
        + b"".join(text(str(i)) + b"h\x00" for i in range(99)) + b"u",
    },
    "short name": {
        "meet": dictionary({"a": weight(), "a.w": tensor()}),
        "long": dictionary({"a" * 600: dictionary({"b" * 600: tensor()})}),
    },
    "as keys": {
        "long": dictionary({"a" * 2000: tensor()}), "none": b"}N" + tensor() + b"s",
        "tuple": b"}" + numbers(1) + tensor() + b"s", "true": b"}\x88" + tensor() + b"s",
        "float": b"}G" + bytes(8) + tensor() + b"s", "tuple of colliding": b"}" + numbers(2**61 - 1) + tensor() + b"s",
        "2**60": b"}" + number(2**60) + tensor() + b"s", "-2**60": b"}" + number(-(2**60)) + tensor() + b"s",
        "colliding": b"}(" + b"".join(number(i * (2**61 - 1)) + b"N" for i in range(1, 9999)) + b"u",
    },
    "of a dictionary twice": {
        "text": b"}(" + (text("a") + tensor()) * 2 + b"u", "looked up often": b"}(" + number(7) + b"NK\x07Nu",
        "digits": b"}(" + text("1") + tensor() + b"K\x01" + tensor() + b"u",
    },
    "nested too deeply": {
        "itself": b"}q\x00" + text("a") + b"h\x00s" + text("w") + tensor() + b"s",
        "deep": b"}" + (text("a") + b"}") * 50 + text("w") + tensor() + b"s" * 51,
        "doubled": b"}" + text("list") + b"](" + THIRTY + b"es" + text("x") + b"h\x1es",
    },
    "dictionary of tensors": {
        "tensor": tensor(), "list": b"](" + tensor() + b"e", "deep tuple": weight() + b"\x85" * 200_000,
        "tuple": weight() + b"\x85", "none": b"}" + text("a") + identity() + b"s",
    },
    "unfinished": {"nothing": b"", "two": b"}}", "mark": b"}("},
    "empty stack": {"mark": b"}(a", "build": b"}b", "put": b"q\x00", "tuple": b"}\x86", "reduce": b")R"},
    "never set": {"setitems": b"}u", "tuple": b"t"},
    "never stored": {"get": b"h\x07", "long get": b"j" + bytes(4), "gap": b"}q\x07h\x06"},
    "UTF-8": {"text": b"X\x01\x00\x00\x00\xff", "python 2": b"U\x01\xe9", "global": b"c\xff\n\xff\n"},
    "ends its line": {"global": b"c" + b"a" * 5000},
    "ends inside": {"text": b"X\xff\xff\xff\xffa"},
    "piles up": {
        "memo": b"}r" + struct.pack("<I", 500_000), "last": b"}r" + b"\xff" * 4, "stack": b"N" * 100_001,
        "marks": b"(" * 100_001,
    },
    "more than 1000000 opcodes": {"proto": b"\x80\x02" * 1_000_000},
}  # fmt: skip

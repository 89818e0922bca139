"""PyTorch checkpoints without PyTorch: the zip files of today, and the streams of before version 1.6."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._pickle import Machine
from ._source import MAX_BYTES, Source, open_source, shown
from ._torch import MAX_NAME, Storage, Tensor
from ._zip import STORED, read_directory, read_member

Array = NDArray[Any]
_Load = Callable[[Storage], NDArray[np.uint8]]
_Opened = tuple[object, _Load, bool]  # the value, a reader of storages, whether their numbers are big-endian

MAX_PICKLE = 64 * 2**20  # bytes
MAX_TENSORS = 100_000
MAX_ENTRIES = 1_000_000  # of dictionaries looked through; a pickle may mention one dictionary many times
MAX_DEPTH = 32
_SPARE = 64 * 2**20  # bytes that the arrays may take beyond twice the file
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two values of a stream
_STORED_AS = {"bfloat16": "u2", "bool": "u1"}  # all other types go by NumPy's name


def read_checkpoint(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, Array]:
    """Read the tensors of a PyTorch checkpoint, and nothing else: nothing in the file is run or imported.

    Parameters
    ----------
    path : path
        A file written by ``torch.save(model.state_dict(), path)``, in the zip format or as the older stream.
    max_bytes : int
        The largest file to read.

    Returns
    -------
    dict of str to array
        In the order of the file. Each array is C-contiguous, in native byte order, writeable, and independent
        of all others, also where tensors share a storage. float16 and bfloat16 become float32; all other types
        stay as they are.

    Raises
    ------
    ModelFormatError
        For anything else: a damaged file, a Python object that is not a tensor, a tar file, a file that asks
        for more memory than twice its size and 64 MiB. The message names the file. There is no other way in.

    Notes
    -----
    Dictionaries inside dictionaries are flattened with dots: ``{"state_dict": {"weight": t}, "epoch": 3}``
    gives ``{"state_dict.weight": t}``. Whatever is neither a tensor nor a dictionary (numbers, texts, lists
    with all they hold) is left out. A file without a single tensor is an error.
    """
    with open_source(path, max_bytes) as source:
        head = source.read(0, min(source.size, 512), "a checkpoint")
        if head.startswith(b"PK"):
            value, load, big = _open_zip(source)
        elif head.startswith(b"\x80"):
            value, load, big = _open_stream(source)
        elif head[257:262] == b"ustar":
            source.fail("tar checkpoints are not read; load it in PyTorch and save its state_dict() again")
        else:
            source.fail(f"expected a PyTorch checkpoint (zip or pickled stream), got {_kind(head)}; download it again, "
                        "or write it with torch.save(net.state_dict(), FILE)")
        return _load(source, _flatten(source, value), load, big)


def _kind(head: bytes) -> str:
    """Return what a file seems to be that is no checkpoint, by its first bytes."""
    if not head:
        return "an empty file"
    page = head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))
    return "a web page" if page else f"{head[:8]!r} as first bytes"


def _open_zip(source: Source) -> _Opened:
    """Zip: one folder with ``data.pkl``, ``byteorder``, and ``data/KEY`` for each storage; none is packed."""
    members = read_directory(source)
    tops = {name.partition("/")[0] for name in members}
    top = min(tops, default="")
    pickle, order = members.get(f"{top}/data.pkl"), members.get(f"{top}/byteorder")
    if any(name.endswith("/constants.pkl") for name in members):
        source.fail(
            "expected a PyTorch checkpoint, got a TorchScript archive, which holds code; in PyTorch: "
            "torch.save(torch.jit.load(path).state_dict(), path)"
        )
    if len(tops) != 1 or pickle is None:
        source.fail("expected a PyTorch checkpoint, got a zip file without data.pkl in its only folder")
    if any(member.method != STORED for member in members.values()):
        source.fail("expected a PyTorch checkpoint, got a compressed zip file; save it again in PyTorch")
    if pickle.size > MAX_PICKLE:
        source.fail(f"expected at most {MAX_PICKLE} bytes of data.pkl, got {pickle.size}")
    endian = read_member(source, order).tobytes() if order else b"little"
    if endian not in (b"little", b"big"):
        source.fail(f"expected the byte order 'little' or 'big', got {endian[:20]!r}")
    machine = Machine(source, read_member(source, pickle).tobytes())
    if machine.at != pickle.size:
        source.fail("something follows the end of the pickle in data.pkl")

    def load(storage: Storage) -> NDArray[np.uint8]:
        member = members.get(f"{top}/data/{storage.key}")
        if member is None or member.size != _bytes(storage):
            got = "none" if member is None else str(member.size)
            source.fail(f"expected {_bytes(storage)} bytes as storage {shown(storage.key)}, got {got}")
        return read_member(source, member)

    return machine.result, load, endian == b"big"


def _open_stream(source: Source) -> _Opened:
    """Stream: pickles (magic, protocol, system, value, keys), and for each key an int64 numel and numbers."""
    data = source.read(0, min(source.size, MAX_PICKLE), "a checkpoint")
    magic = Machine(source, data)
    if type(magic.result) is not int or magic.result != _MAGIC:
        source.fail("expected a PyTorch checkpoint, got another pickle")
    protocol = Machine(source, data, magic.at)
    system = Machine(source, data, protocol.at)
    if type(protocol.result) is not int or protocol.result != _PROTOCOL or type(system.result) is not dict:
        source.fail(f"expected a PyTorch stream of protocol {_PROTOCOL}")
    if system.result.get("little_endian") is not True:
        source.fail("expected a stream that was written on a little-endian machine")
    value = Machine(source, data, system.at)
    keys = Machine(source, data, value.at)
    if type(keys.result) is not list:
        source.fail("expected a list of storage keys after the pickle")

    offsets: dict[str, int] = {}
    at = keys.at
    for key in keys.result:
        storage = value.storages.get(key) if type(key) is str else None
        if storage is None or storage.key in offsets:
            source.fail("the list of storages does not match the tensors")
        numel = int.from_bytes(source.read(at, 8, "the length of a storage"), "little", signed=True)
        if numel != storage.numel:
            source.fail(f"storage {shown(storage.key)} should have {storage.numel} numbers and has {numel}")
        offsets[storage.key] = at + 8
        at += 8 + _bytes(storage)
    if at != source.size or len(offsets) != len(value.storages):
        expected = f"{len(value.storages)} storages up to byte {source.size}"
        source.fail(f"expected {expected}, got {len(offsets)} up to byte {at}; is the file complete?")

    def load(storage: Storage) -> NDArray[np.uint8]:
        return source.numbers(offsets[storage.key], _bytes(storage), f"storage {shown(storage.key)}")

    return value.result, load, False


def _flatten(source: Source, value: object) -> dict[str, Tensor]:
    """Return the tensors of nested dictionaries under dotted names."""
    if not isinstance(value, dict):
        source.fail(f"expected a dictionary of tensors, got a {type(value).__name__}; save model.state_dict()")
    tensors: dict[str, Tensor] = {}
    entries = 0

    def walk(dictionary: dict[object, object], prefix: str, depth: int) -> None:
        nonlocal entries
        for key, item in dictionary.items():
            entries += 1
            if not isinstance(item, (dict, Tensor)):
                continue
            name = f"{prefix}{key}"
            if name in tensors or len(name) > MAX_NAME:
                source.fail(f"expected a short name of its own for each tensor, got {shown(name)}")
            if depth > MAX_DEPTH or entries > MAX_ENTRIES or len(tensors) >= MAX_TENSORS:
                source.fail("the dictionaries are nested too deeply, or hold too much, for a checkpoint")
            if isinstance(item, Tensor):
                tensors[name] = item
            else:
                walk(item, f"{name}.", depth + 1)

    walk(value, "", 1)
    if not tensors:
        source.fail("expected a dictionary of tensors, got one without any")
    return tensors


def _load(source: Source, tensors: dict[str, Tensor], load: _Load, big: bool) -> dict[str, Array]:
    """Read the tensors out of their storages, one storage after another."""
    need = sum(math.prod(max(length, 1) for length in t.shape) * _wide(t.storage) for t in tensors.values())
    if need > 2 * source.size + _SPARE:
        source.fail(f"the tensors would take {need} bytes, far more than the {source.size} of the file")
    users: dict[Storage, list[str]] = {}
    for name, tensor in tensors.items():
        users.setdefault(tensor.storage, []).append(name)
    arrays: dict[str, Array] = {}
    for storage, names in users.items():
        data = load(storage)
        arrays.update((name, _array(data, tensors[name], big, len(names) > 1)) for name in names)
    return {name: arrays[name] for name in tensors}


def _array(data: NDArray[np.uint8], tensor: Tensor, big: bool, shared: bool) -> Array:
    """Return one tensor as an array of its own: where `data` is just that, as a view, or else as a copy.

    That the tensor lies in `data` was checked; NumPy checks again.
    """
    dtype = _dtype(tensor.storage, ">" if big else "<")
    if 0 in tensor.shape:
        view: Array = np.empty(tensor.shape, dtype)
    else:  # the stride of an axis of length 1 means nothing, and may be any number
        axes = zip(tensor.shape, tensor.strides, strict=True)
        strides = [stride * dtype.itemsize if length > 1 else 0 for length, stride in axes]
        view = np.ndarray(tensor.shape, dtype, data, tensor.offset * dtype.itemsize, strides)
        if view.flags.c_contiguous:  # then let NumPy choose those of length 1 too
            view = np.ndarray(tensor.shape, dtype, data, tensor.offset * dtype.itemsize)
    if tensor.storage.dtype == "bfloat16":  # the upper half of a float32
        wide = view.astype(np.uint32, order="C")
        wide <<= 16
        return wide.view(np.float32)
    if tensor.storage.dtype == "bool":
        return np.array(view != 0, order="C")
    target = np.dtype(np.float32) if tensor.storage.dtype == "f2" else dtype.newbyteorder("=")
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        return view.astype(target, order="C", copy=shared or view.nbytes != data.nbytes)


def _dtype(storage: Storage, order: str = "=") -> np.dtype[Any]:
    return np.dtype(order + _STORED_AS.get(storage.dtype, storage.dtype))


def _bytes(storage: Storage) -> int:
    return storage.numel * _dtype(storage).itemsize


def _wide(storage: Storage) -> int:
    return 4 if storage.dtype in ("f2", "bfloat16") else _dtype(storage).itemsize

"""What the names in a PyTorch checkpoint mean: the complete list of what a file may mention.

Each function takes values as the file gave them, of any type and size. Lengths are checked before anything
else, for a pickle can mention one long value again and again at the price of two bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from ._source import shown

Fail = Callable[[str], NoReturn]

MAX_RANK = 8
MAX_LENGTH = 2**31 - 1  # of one axis
MAX_NAME = 1024  # characters


@dataclass(frozen=True, slots=True)
class Tag:
    """A name that a checkpoint may mention. It stands for a thing of PyTorch's and does nothing."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of `numel` numbers of type `dtype`, kept elsewhere in the file under `key`."""

    key: str
    dtype: str
    numel: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view into a storage, known to lie within it; `offset` and `strides` count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Ordered(dict[object, object]):
    """What an OrderedDict becomes; its attributes (PyTorch's `_metadata`) are dropped."""

    __slots__ = ()


_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "bool",
}
_NAMES = {("torch", name): Tag(name) for name in _DTYPES} | {
    ("collections", "OrderedDict"): Tag("OrderedDict"),
    ("torch", "Size"): Tag("Size"),
    ("torch._utils", "_rebuild_tensor"): Tag("_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"): Tag("_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"): Tag("_rebuild_parameter"),
}


def look_up(qualified: tuple[object, ...], fail: Fail) -> Tag:
    """Return the tag of a known name, given as module and name."""
    module, name = qualified
    if type(module) is not str or type(name) is not str or max(len(module), len(name)) > MAX_NAME:
        fail("expected short texts for a module and a name")
    tag = _NAMES.get((module, name))
    if tag is None:
        fail(
            f"expected tensors only, got the Python object {shown(f'{module}.{name}')}, which is not loaded; "
            "in PyTorch, save model.state_dict() and read that file"
        )
    return tag


def call(tag: object, arguments: object, fail: Fail) -> object:
    """Return what a call of one of the five known functions describes."""
    if type(tag) is not Tag or type(arguments) is not tuple or len(arguments) > 7:
        fail("the pickle calls something that is not one of PyTorch's five known functions")
    match tag.name, arguments:
        case "OrderedDict", ():
            return Ordered()
        case "Size", (sizes,) if type(sizes) in (tuple, list) and len(sizes) <= MAX_RANK:
            return tuple(sizes)
        case "_rebuild_parameter", (Tensor() as tensor, _, _):
            return tensor
        case "_rebuild_tensor", (storage, offset, shape, strides):
            return _tensor(storage, offset, shape, strides, fail)
        case "_rebuild_tensor_v2", (storage, offset, shape, strides, _, _, *metadata):
            if metadata and metadata[0] is not None and (type(metadata[0]) is not dict or metadata[0]):
                fail("expected a plain tensor, got one whose numbers are to be conjugated or negated")
            return _tensor(storage, offset, shape, strides, fail)
    fail(f"the pickle calls {tag.name} with arguments that it does not take")


def storage(identity: object, fail: Fail) -> Storage:
    """Return the storage that a persistent id names."""
    if type(identity) is tuple and 5 <= len(identity) <= 6:
        word, tag, key, place, numel, *view = identity
        if type(word) is str and word == "storage" and type(tag) is Tag and tag.name in _DTYPES:
            if type(place) is not str or type(key) is not str or len(key) > MAX_NAME:
                fail("expected a storage with short texts as its key and its place")
            if type(numel) is not int or numel < 0:
                fail("expected a storage with a size of at least 0")
            if view and view[0] is not None:
                fail("expected a whole storage, got a view of another one; save the file again in PyTorch")
            return Storage(key, _DTYPES[tag.name], numel)
    fail("expected a persistent id that describes a storage of numbers")


def _tensor(storage: object, offset: object, shape: object, strides: object, fail: Fail) -> Tensor:
    if type(storage) is not Storage or type(offset) is not int or offset < 0:
        fail("expected a storage and an offset of at least 0 for a tensor")
    shape, strides = _integers(shape, fail), _integers(strides, fail)
    if len(shape) != len(strides) or any(length > MAX_LENGTH for length in shape):
        fail(f"expected as many strides as axes, each of at most {MAX_LENGTH}, got {shape} and {strides}")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.numel:
        fail(f"a tensor of shape {shape} reaches element {last} of a storage of {storage.numel}")
    return Tensor(storage, offset, shape, strides)


def _integers(values: object, fail: Fail) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > MAX_RANK:
        fail(f"expected shapes and strides as tuples of at most {MAX_RANK} integers")
    if any(type(value) is not int or value < 0 for value in values):
        fail("expected integers of at least 0 in shapes and strides")
    return values

"""Whether an ONNX file holds all of its model: read as protobuf, without the onnx package.

A bundle's hashes cover a model only if nothing in it names another file. Two things can: a tensor whose data
is external, and an ``EPContext`` node, which names a compiled model. Field numbers are those of onnx.proto.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from sewd_runtime.errors import ModelError

MAX_FIELDS = 2_000_000
"""Protobuf fields that are read of one file; a model of 24 layers has 60,000."""

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
"""Wire type → size of a number; none of these fields matters here."""

_MAX_VARINT_BYTES = 10

_MESSAGES = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
"""Message → field number → message, of every message that can hold a tensor or a node."""

_SMALL = 1 << 10
_MARKS = re.compile(b"location|EPContext")
"""One of these words is in every message that names a file: external data has a key `location`. Small
messages without them are not read, which is most of a model."""

_OP_TYPE = ("NodeProto", 4)
_DATA_LOCATION = ("TensorProto", 14)


def check_self_contained(path: Path) -> None:
    """Raise ModelError if a model names another file, or is not a protobuf message."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise ModelError(f"{path}: is empty; export it again")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                reason = _find_reference(content)
            except ValueError as error:
                raise ModelError(f"{path}: not an ONNX model: {error}; export it again") from error
    if reason:
        raise ModelError(f"{path}: {reason}, which no hash covers; store all in one self-contained model")


def _find_reference(content: mmap.mmap) -> str | None:
    """Return what in a model is stored in another file, None if nothing is; raises ValueError."""
    parts = [("ModelProto", 0, len(content))]
    num_fields = 0
    while parts:
        message, start, stop = parts.pop()
        for number, value, size in _fields(content, start, stop):
            num_fields += 1
            if num_fields > MAX_FIELDS:
                raise ValueError(f"it has more than {MAX_FIELDS} fields")
            if size is None:
                # Readers keep the lower 32 bits of an enum.
                if (message, number) == _DATA_LOCATION and value & 0xFFFF_FFFF:
                    return "the data of a tensor is in another file"
            elif number in _MESSAGES[message]:
                if size > _SMALL or _MARKS.search(content[value : value + size]):
                    parts.append((_MESSAGES[message][number], value, value + size))
            elif (message, number) == _OP_TYPE and content[value : value + size] == b"EPContext":
                return "an EPContext node may name another file"
    return None


def _fields(content: mmap.mmap, place: int, stop: int) -> Iterator[tuple[int, int, int | None]]:
    """Yield the fields of a message: number, value and None, or number, place and size of its bytes."""
    while place < stop:
        key, place = _varint(content, place, stop)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(content, place, stop)
            yield number, value, None
            continue
        if kind == _BYTES:
            size, place = _varint(content, place, stop)
        elif kind in _FIXED:
            size, number = _FIXED[kind], 0
        else:
            raise ValueError(f"wire type {kind} at byte {place}")
        if size > stop - place:
            raise ValueError(f"a field at byte {place} is cut off")
        yield number, place, size
        place += size


def _varint(content: mmap.mmap, place: int, stop: int) -> tuple[int, int]:
    """Return a number of up to ten bytes and the place behind it."""
    value = shift = 0
    for end in range(place, min(stop, place + _MAX_VARINT_BYTES)):
        byte = content[end]
        if byte < 0x80:
            return value | byte << shift, end + 1
        value |= (byte & 0x7F) << shift
        shift += 7
    raise ValueError(f"a number at byte {place} is cut off")

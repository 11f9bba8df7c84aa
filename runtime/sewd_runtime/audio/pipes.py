"""Audio from a pipe: WAV block by block while it is written, other formats as a whole."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.errors import AudioDecodeError

_BLOCK_BYTES = 1 << 16
_SUPPORTED = {(1, 8): "u1", (1, 16): "<i2", (1, 24): "u1", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}
"""(format, bits) → numpy's type; 1 is PCM, 3 IEEE float."""

_EXTENSIBLE = 0xFFFE
_MAX_FORMAT_BYTES = 1024
_UNKNOWN_BYTES = 0x7FFF0000
"""Programs that write to a pipe put about this size, or more, in the header, or 0: they do not know it."""


class Readable(Protocol):
    """A binary file that returns what has arrived: ``io.BufferedReader``, ``io.BytesIO``."""

    def read1(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none only at the end."""


class _Format(NamedTuple):
    dtype: str
    bits: int
    channels: int
    rate_hz: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read_pipe(pipe: Readable, name: str) -> tuple[bytes | Iterator[NDArray[Any]], int | None]:
    """Return the audio of a pipe, and its rate in Hz if that is not in the audio itself.

    Of WAV, integers of 8 to 32 bits or floats, these are blocks ``(samples, channels)`` as they arrive, which
    raise AudioDecodeError if it is truncated. Anything else is read whole and returned as bytes.
    """
    reader = _Reader(pipe)
    found = _read_header(reader)
    if found is None:
        return reader.all_bytes(), None
    form, data_bytes = found
    return _blocks(reader, form, data_bytes, name), form.rate_hz


class _Reader:
    """Reads exact sizes, and keeps them so that all can be read again."""

    def __init__(self, pipe: Readable) -> None:
        self._pipe = pipe
        self._head: list[bytes] = []

    def some(self, size: int) -> bytes:
        """Return up to ``size`` bytes as soon as there are any."""
        return self._pipe.read1(min(size, _BLOCK_BYTES))

    def exactly(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        content = b""
        while len(content) < size and (more := self.some(size - len(content))):
            content += more
        self._head.append(content)
        return content

    def all_bytes(self) -> bytes:
        """Return everything, also what was read before."""
        content = self._head
        while more := self.some(_BLOCK_BYTES):
            content.append(more)
        return b"".join(content)


def _read_header(reader: _Reader) -> tuple[_Format, int] | None:
    """Read up to the samples; return their format and size in bytes, None for anything but plain WAV."""
    head = reader.exactly(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    form = None
    while len(head := reader.exactly(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            return None if form is None else (form, size)
        if size > _BLOCK_BYTES:  # no chunk before the samples is as large in what recorders write
            return None
        content = reader.exactly(size + size % 2)
        if name == b"fmt ":
            form = _parse_format(content)
    return None


def _parse_format(content: bytes) -> _Format | None:
    if not 16 <= len(content) <= _MAX_FORMAT_BYTES:
        return None
    kind, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", content)
    if kind == _EXTENSIBLE and len(content) >= 26:
        kind = int.from_bytes(content[24:26], "little")
    if (kind, bits) not in _SUPPORTED:
        return None
    form = _Format(_SUPPORTED[kind, bits], bits, channels, rate_hz)
    return form if channels and form.frame_bytes == frame_bytes else None


def _blocks(reader: _Reader, form: _Format, data_bytes: int, name: str) -> Iterator[NDArray[Any]]:
    is_unknown = data_bytes == 0 or data_bytes >= _UNKNOWN_BYTES
    remaining = None if is_unknown else data_bytes
    # A block never has more channels than samples, which would look as if they were swapped.
    smallest = form.frame_bytes * form.channels
    content = b""
    while remaining != 0 and (more := reader.some(_BLOCK_BYTES if remaining is None else remaining)):
        remaining = None if remaining is None else remaining - len(more)
        content += more
        ready = (len(content) - smallest) // form.frame_bytes * form.frame_bytes
        if ready >= smallest:
            yield _samples(content[:ready], form)
            content = content[ready:]
    yield _samples(content[: len(content) // form.frame_bytes * form.frame_bytes], form)
    if remaining:
        raise AudioDecodeError(f"{name}: truncated: {remaining} of {data_bytes} bytes of samples are missing")


def _samples(content: bytes, form: _Format) -> NDArray[Any]:
    values = np.frombuffer(content, form.dtype)
    if form.bits == 24:
        wide = np.zeros((len(values) // 3, 4), np.uint8)
        wide[:, 1:] = values.reshape(-1, 3)
        values = wide.view("<i4")
    return values.reshape(-1, form.channels)

"""Audio from a pipe: WAV block by block while it is written, other formats through a temporary file."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.audio.chunked import UNKNOWN_BYTES
from sewd_runtime.audio.rules import Rules
from sewd_runtime.errors import AudioTooLongError, AudioValueError

_BLOCK_BYTES = 1 << 16
_SUPPORTED = {(1, 8): "u1", (1, 16): "<i2", (1, 24): "u1", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}
"""(format, bits) → numpy's type; 1 is PCM, 3 IEEE float."""

_EXTENSIBLE = 0xFFFE
_MAX_FORMAT_BYTES = 1024

_MEMORY_BYTES = 1 << 24
"""What is not WAV is kept in memory up to this size, then in a temporary file."""
_MAX_BYTES = 1 << 32


_CONTAINERS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"caff", b".snd")
"""What may be joined to WAV in a file (``audio.chunked``)."""


class _Format(NamedTuple):
    dtype: str
    bits: int
    channels: int
    rate_hz: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read_pipe(pipe: Any, rules: Rules) -> tuple[BinaryIO | Iterator[NDArray[Any]], int | None]:
    """Return the audio of a pipe, and its rate in Hz if that is not in the audio itself.

    pipe: a binary file with ``read1``, which returns what has arrived, or at least ``read``.
    Of WAV, integers of 8 to 32 bits or floats, these are blocks ``(samples, channels)`` as they arrive.
    Anything else is read whole, into a temporary file. Raises AudioTooLongError beyond 4 GiB of it.
    """
    reader = _Reader(pipe, rules)
    header = _read_header(reader)
    if header is None:
        return reader.as_file(), None
    return _recordings(reader, header, rules), header.form.rate_hz


class _Header(NamedTuple):
    """What precedes the samples. end: where the recording should end; bytes count from the pipe's first."""

    form: _Format
    data_bytes: int
    end: int


class _Reader:
    """Reads exact sizes, and keeps them so that all can be read again.

    position: the number of bytes that were read.
    """

    def __init__(self, pipe: Any, rules: Rules) -> None:
        self._read = getattr(pipe, "read1", pipe.read)
        self._rules = rules
        self._head: list[bytes] = []
        self.position = 0

    def some(self, size: int) -> bytes:
        """Return up to ``size`` bytes as soon as there are any."""
        content = self._read(min(size, _BLOCK_BYTES))
        if not isinstance(content, bytes):
            raise AudioValueError(f"{self._rules.name}: opened as text; open it with mode 'rb'")
        self.position += len(content)
        return content

    def forget(self) -> None:
        """Keep nothing of what was read before."""
        self._head.clear()

    def begins_with(self, magics: tuple[bytes, ...]) -> bool:
        """Return whether what is kept begins with one of these."""
        return b"".join(self._head[:1]).startswith(magics)

    def exactly(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        content = b""
        while len(content) < size and (more := self.some(size - len(content))):
            content += more
        self._head.append(content)
        return content

    def as_file(self) -> BinaryIO:
        """Return everything as a file, also what was read before."""
        file = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
        content = b"".join(self._head)
        while content:
            file.write(content)
            if file.tell() > _MAX_BYTES:
                file.close()
                name = self._rules.name
                raise AudioTooLongError(
                    f"{name}: more than {_MAX_BYTES >> 30} GiB from a pipe; save it as a file"
                )
            content = self.some(_BLOCK_BYTES)
        file.seek(0)
        return cast(BinaryIO, file)


def _read_header(reader: _Reader) -> _Header | None:
    """Read up to the samples; return None for anything but plain WAV."""
    begin, head = reader.position, reader.exactly(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    riff_bytes = int.from_bytes(head[4:8], "little")
    form = None
    while len(head := reader.exactly(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            return None if form is None else _Header(form, size, begin + 8 + riff_bytes + riff_bytes % 2)
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


def _recordings(reader: _Reader, header: _Header, rules: Rules) -> Iterator[NDArray[Any]]:
    """Yield the blocks of a recording, and of those of the same rate and channels that were joined to it."""
    first, following = header, header
    while (following.form.rate_hz, following.form.channels) == (first.form.rate_hz, first.form.channels):
        yield from _blocks(reader, following.form, following.data_bytes, rules)
        rest = following.end - reader.position
        reader.exactly(rest if 0 <= rest <= _BLOCK_BYTES else following.data_bytes % 2)
        reader.forget()
        found = _read_header(reader)
        if found is None and not reader.begins_with(_CONTAINERS):
            return
        if found is None:
            break
        following = found
    rules.report("a recording of another format follows, which is read from a file, but not from a pipe")


def _blocks(reader: _Reader, form: _Format, data_bytes: int, rules: Rules) -> Iterator[NDArray[Any]]:
    is_unknown = data_bytes == 0 or data_bytes >= UNKNOWN_BYTES
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
        rules.report(f"{remaining} of {data_bytes} bytes of samples are missing")


def _samples(content: bytes, form: _Format) -> NDArray[Any]:
    values = np.frombuffer(content, form.dtype)
    if form.bits == 24:
        wide = np.zeros((len(values) // 3, 4), np.uint8)
        wide[:, 1:] = values.reshape(-1, 3)
        values = wide.view("<i4")
    return values.reshape(-1, form.channels)

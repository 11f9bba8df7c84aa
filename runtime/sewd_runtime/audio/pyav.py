"""The audio of containers by PyAV (FFmpeg's libraries)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.audio.rules import Rules
from sewd_runtime.errors import AudioDecodeError

_BLOCK_VALUES = 1 << 18
"""Values of all channels in a block, so that memory does not grow with the channels."""

_STATES_LENGTH = ("mov", "matroska", "asf", "avi")
"""Demuxers that do not estimate the length from the bitrate."""

_GAP_S = 0.1
"""A longer gap between times is filled with silence; shorter ones are rounding, or the encoder's delay."""

_LONGEST_GAP_S = 600.0
"""Beyond this the times were set anew, e.g. where files were joined; nothing is filled."""

Block = tuple[NDArray[np.float32], int]
"""Samples ``(samples, channels)`` float32 and their rate in Hz."""


class PyavDecoder:
    """The blocks of a file's first audio stream. rate_hz, channels: of its first block.

    stated_s: the length in seconds that the container states, None if it states none.

    missing: in words, what the container lacks; it is reported after the last block.
    """

    def __init__(self, file: BinaryIO, demuxer: str, rules: Rules, missing: str | None) -> None:
        import av

        self._av: Any = av
        self._rules, self._missing = rules, missing
        self._num_damaged, self._num_packets = 0, 0
        self._due_s: float | None = None
        self.stated_s: float | None = None
        try:
            self._container: Any = av.open(file, format=demuxer, metadata_errors="ignore")
        except (av.FFmpegError, ValueError) as error:
            raise self._error(error) from error
        self._open_stream(demuxer)
        self._frames = self._decode()
        try:
            self._first = next(self._frames)
        except StopIteration:
            lacks = self._missing or "nothing of its audio can be decoded"
            raise rules.truncated(lacks) from None
        self.rate_hz, self.channels = self._first[1], self._first[0].shape[1]

    def __enter__(self) -> PyavDecoder:
        """Return itself; close the container at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks, then report what is missing; close the container at the end."""
        with self:
            yield self._first
            yield from self._frames
        missing = self._missing
        if self._num_damaged and missing is None:
            missing = f"{self._num_damaged} of {self._num_packets} packets of its audio are damaged"
        if missing is not None:
            self._rules.report(missing)

    def _error(self, error: Exception) -> AudioDecodeError:
        if self._missing is not None:
            return self._rules.truncated(self._missing)
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, (self._av.EOFError, self._av.OSError)) and reason == "Input/output error":
            reason = "it ends before its audio begins"
        return AudioDecodeError(f"{self._rules.name}: cannot be read as audio: {reason} (FFmpeg)")

    def _open_stream(self, demuxer: str) -> None:
        name = self._rules.name
        if not self._container.streams.audio:
            self._container.close()
            raise AudioDecodeError(f"{name}: holds no audio")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise AudioDecodeError(f"{name}: its audio is encrypted, or in an encoding that FFmpeg lacks")
        self._rules.check_channels(self._stream.codec_context.channels)
        stream, whole = self._stream, self._container.duration
        if demuxer in _STATES_LENGTH and whole is not None:
            of_stream = stream.duration and float(stream.duration * stream.time_base)
            self.stated_s = of_stream or whole / self._av.time_base
            self._rules.check_duration(self.stated_s)
        self._begin_s = (self._container.start_time or 0) / self._av.time_base

    def _decode(self) -> Iterator[Block]:
        """Yield blocks of frames of the same rate and channels."""
        group: list[NDArray[np.float32]] = []
        rate_hz, num_values = 0, 0
        for frame in self._decoded_frames():
            samples = _as_float(frame)
            is_other = group and (rate_hz, group[0].shape[1]) != (frame.sample_rate, samples.shape[1])
            if is_other or num_values >= _BLOCK_VALUES:
                yield np.concatenate(group), rate_hz
                group, num_values = [], 0
            rate_hz = frame.sample_rate
            for silence in self._fill(frame, samples):
                group.append(silence)
                num_values += silence.size
            group.append(samples)
            num_values += samples.size
        if group:
            yield np.concatenate(group), rate_hz

    def _decoded_frames(self) -> Iterator[Any]:
        """Yield the frames that can be decoded; count packets that cannot."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.FFmpegError as error:
                self._missing = self._missing or f"damaged: {error.strerror}"
                packet = None
            self._num_packets += packet is not None and packet.size > 0
            try:
                yield from self._stream.decode(packet)
            except self._av.EOFError:
                return
            except self._av.FFmpegError:
                self._num_damaged += 1
            if packet is None:
                return

    def _fill(self, frame: Any, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yield the silence between the previous frame and this one, where the times leave a gap."""
        length_s = len(samples) / frame.sample_rate
        if frame.time is not None:
            begin_s = frame.time - self._begin_s
            gap_s = begin_s - (self._due_s or 0.0)
            if _GAP_S < gap_s <= _LONGEST_GAP_S:
                yield np.zeros((round(gap_s * frame.sample_rate), samples.shape[1]), np.float32)
            self._due_s = begin_s
        self._due_s = (self._due_s or 0.0) + length_s


def _as_float(frame: Any) -> NDArray[np.float32]:
    """Return a frame as ``(samples, channels)`` float32, integers divided by their full scale."""
    values: NDArray[Any] = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    full_scale = 2.0 ** (8 * values.dtype.itemsize - 1)
    centre = full_scale if values.dtype.kind == "u" else 0.0
    return ((values.astype(np.float64) - centre) / full_scale).astype(np.float32)

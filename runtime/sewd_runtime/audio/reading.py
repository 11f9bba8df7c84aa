"""Audio of any source as samples at the model's rate."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import AudioSource, Samples
from sewd_runtime.audio.containers import missing_part, states_length
from sewd_runtime.errors import AudioDecodeError, AudioValueError

_BLOCK = 1 << 18
"""Sample frames read at a time, so that many channels are averaged block by block."""

_RATES_HZ = range(1_000, 1_000_000)
"""A rate outside this range is a broken header; resampling from it would exhaust the memory."""


def read_audio(
    source: AudioSource, *, sample_rate_hz: int | None = None, target_rate_hz: int = 16_000
) -> Samples:
    """Read a recording as ``(samples,)`` float32 in [-1, 1] at ``target_rate_hz``; channels are averaged.

    source: a path, the bytes of an audio file, a binary file object, an array ``(samples,)`` or
    ``(samples, channels)``, or an iterator of such arrays, the blocks of one recording. Float arrays are
    taken as they are, integers of up to 32 bits are divided by their full scale. Float values beyond [-1, 1]
    are kept.
    sample_rate_hz: the rate of arrays, ``target_rate_hz`` if None. A file states its own rate.

    Raises AudioDecodeError (not audio, truncated), AudioValueError (empty, NaN or infinite, unfit array or
    rate), and OSError for a path that cannot be opened.
    """
    blocks = stream_audio(source, sample_rate_hz=sample_rate_hz, target_rate_hz=target_rate_hz)
    return np.concatenate(list(blocks))


def stream_audio(
    source: AudioSource, *, sample_rate_hz: int | None = None, target_rate_hz: int = 16_000
) -> Iterator[Samples]:
    """Read audio block by block; joined, the blocks are what ``read_audio`` returns, bit by bit.

    Of a path, only one block is in memory at a time. An error in a file (cut short, NaN) is raised when the
    reader gets there.
    """
    if isinstance(source, (str, os.PathLike)):
        blocks, rate_hz, name = *_read_path(Path(source)), os.fspath(source)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        blocks, rate_hz, name = *_read_bytes(bytes(source), "the bytes given"), "the bytes given"
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", "the file object"))
        blocks, rate_hz = _read_bytes(_content(source, name), name)
    else:
        name = "the blocks" if isinstance(source, Iterator) else "the array"
        blocks = map(_from_array, source if isinstance(source, Iterator) else [source])
        rate_hz = target_rate_hz if sample_rate_hz is None else sample_rate_hz
    if sample_rate_hz is not None and sample_rate_hz != rate_hz:
        raise AudioValueError(
            f"{name}: its rate is {rate_hz} Hz, not {sample_rate_hz}; sample_rate_hz is for arrays"
        )
    yield from _resample(_checked(blocks, name), rate_hz, target_rate_hz, name)


def stated_duration_s(path: Path) -> float | None:
    """Return the length in seconds that a file's header states, or None if it states none."""
    import soundfile

    try:
        return float(soundfile.info(os.fsencode(path)).duration) if path.is_file() else None
    except soundfile.SoundFileError:
        return None


def _checked(blocks: Iterable[Samples], name: str) -> Iterator[Samples]:
    """Yield the blocks that are not empty; refuse NaN, infinity and a recording without samples."""
    is_empty = True
    for block in blocks:
        _refuse_infinite(block, name)
        if len(block):
            is_empty = False
            yield block
    if is_empty:
        raise AudioValueError(f"{name}: holds no samples")


def _refuse_infinite(block: Samples, name: str) -> None:
    if not np.isfinite(block).all():
        raise AudioValueError(f"{name}: holds NaN or infinite samples")


def _content(file: Any, name: str) -> bytes:
    content = file.read()
    if not isinstance(content, bytes):
        raise AudioValueError(f"{name}: opened as text; open it with mode 'rb'")
    return content


def _read_path(path: Path) -> tuple[Iterator[Samples], int]:
    with path.open("rb") as file:  # raises the OSError that says why
        missing = missing_part(file) if file.seekable() else None
        if not file.seekable():
            return _read_bytes(file.read(), str(path))
        states = states_length(file)
        is_empty = file.seek(0, os.SEEK_END) == 0
    _refuse_incomplete(missing, is_empty, str(path))
    return _decode(os.fsencode(path), states, str(path))  # soundfile fails on names that are not text


def _read_bytes(content: bytes, name: str) -> tuple[Iterator[Samples], int]:
    file = _Bytes(content)
    _refuse_incomplete(missing_part(file), not content, name)
    states = states_length(file)
    file.seek(0)
    return _decode(file, states, name)


class _Bytes(io.BytesIO):
    """Bytes as a file in which a seek before the start fails quietly.

    libsndfile tries such seeks on broken files, and an exception inside its callback is printed, not raised.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _refuse_incomplete(missing: str | None, is_empty: bool, name: str) -> None:
    if is_empty:
        raise AudioValueError(f"{name}: is empty")
    if missing is not None:
        raise AudioDecodeError(f"{name}: truncated: {missing}; copy or record it again")


def _decode(source: bytes | BinaryIO, states_length: bool, name: str) -> tuple[Iterator[Samples], int]:
    """Open with libsndfile; return the blocks, each the mean of its channels, and the rate in Hz."""
    import soundfile

    with _named_errors(name):
        file = soundfile.SoundFile(source)
    return _blocks(file, states_length, name), file.samplerate


def _blocks(file: Any, states_length: bool, name: str) -> Iterator[Samples]:
    read = 0
    with file, _named_errors(name):
        while read < file.frames:
            # Not file.read(): it cannot read to the end where libsndfile cannot seek, e.g. in GSM 6.10.
            block = np.empty((min(_BLOCK, file.frames - read), file.channels), dtype=np.float32)
            count = file.buffer_read_into(block, dtype="float32")
            if not count:
                break
            read += count
            yield _mean(block[:count])
        is_estimate = file.format == "MP3" and not states_length
        declared = file.frames
    if read < declared and not is_estimate:
        raise AudioDecodeError(f"{name}: truncated: {declared - read} of {declared} samples are missing")


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    import soundfile

    try:
        yield
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)) or "libsndfile gives no reason"
        raise AudioDecodeError(
            f"{name}: cannot be read as audio: {reason} (WAV, FLAC, OGG and MP3 can)"
        ) from error


def _from_array(source: Any) -> Samples:
    """Convert an array to float32 by its type's full scale, and average its channels."""
    if isinstance(source, (list, tuple)) or not hasattr(source, "__array__"):
        raise AudioValueError(
            f"audio must be a path, bytes, a binary file or a numpy array, not {type(source).__name__}; "
            f"for several recordings there are methods that end in _batch"
        )
    array = np.asarray(source)
    if array.ndim not in (1, 2):
        raise AudioValueError(f"audio must have shape (samples,) or (samples, channels), not {array.shape}")
    if array.ndim == 2 and 0 < array.shape[0] < array.shape[1]:
        raise AudioValueError(f"audio of shape {array.shape} has more channels than samples; transpose it")
    samples = _scale(array)
    return samples if samples.ndim == 1 else _mean(samples)


def _scale(array: NDArray[Any]) -> NDArray[np.float32]:
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):  # beyond float32: infinite, and refused as such
            return array.astype(np.float32)
    if kind not in "iu" or bits > 32:
        raise AudioValueError(
            f"samples of type {array.dtype} have no agreed full scale; make it float32 in [-1, 1], or int16"
        )
    full_scale = 2.0 ** (bits - 1)
    centre = full_scale if kind == "u" else 0.0
    return ((array.astype(np.float64) - centre) / full_scale).astype(np.float32)


def _mean(samples: NDArray[np.float32]) -> Samples:
    if samples.shape[1] == 1:
        return samples[:, 0]
    return np.asarray(samples.mean(axis=1, dtype=np.float64), dtype=np.float32)


def _resample(blocks: Iterable[Samples], rate_hz: int, target_rate_hz: int, name: str) -> Iterator[Samples]:
    """Change the rate with soxr's high quality; equal rates leave the samples exactly as they are."""
    resampler = Resampler(rate_hz, target_rate_hz, name=name)
    yield from map(resampler.feed, blocks)
    if rate_hz != target_rate_hz:
        yield resampler.finish()


class Resampler:
    """Changes the sample rate of consecutive blocks."""

    def __init__(self, rate_hz: int, target_rate_hz: int, *, name: str) -> None:
        for rate in (rate_hz, target_rate_hz):
            if isinstance(rate, bool) or rate not in _RATES_HZ:
                raise AudioValueError(
                    f"{name}: a sample rate of {rate} Hz is outside {_RATES_HZ[0]} to {_RATES_HZ[-1]}"
                )
        self._soxr: Any = None
        if rate_hz != target_rate_hz:
            import soxr

            self._soxr = soxr.ResampleStream(rate_hz, target_rate_hz, 1, dtype="float32", quality="HQ")

    def feed(self, block: Samples) -> Samples:
        """Return the samples that are final at the new rate; equal rates leave the block exactly as it is."""
        block = np.ascontiguousarray(block)
        return block if self._soxr is None else self._soxr.resample_chunk(block)

    def finish(self) -> Samples:
        """Return the remaining samples."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._soxr is None else self._soxr.resample_chunk(nothing, last=True)


def check_block(block: Any, name: str) -> Samples:
    """Return an array as in ``read_audio`` as ``(samples,)`` float32 at its own rate; it may be empty.

    Raises AudioValueError: NaN or infinite, or an unfit array.
    """
    samples = _from_array(block)
    _refuse_infinite(samples, name)
    return samples

"""Audio of any source as samples at the model's rate."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import AudioSource, Samples
from sewd_runtime.audio.channels import Downmix
from sewd_runtime.audio.decoding import channels_of, decode, stated_frames
from sewd_runtime.audio.pipes import read_pipe
from sewd_runtime.audio.resampling import Resampler
from sewd_runtime.audio.rules import Rules
from sewd_runtime.audio.time_range import TimeRange
from sewd_runtime.errors import AudioDecodeError, AudioValueError


def read_audio(
    source: AudioSource,
    *,
    sample_rate_hz: int | None = None,
    target_rate_hz: int = 16_000,
    strict: bool = False,
    max_duration_s: float | None = None,
    max_channels: int | None = None,
    channel: int | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    ffmpeg: bool = False,
) -> Samples:
    """Read a recording as ``(samples,)`` float32 in [-1, 1] at ``target_rate_hz``; channels are averaged.

    source: a path, the bytes of an audio file, a binary file object, an array ``(samples,)`` or
    ``(samples, channels)``, or an iterator of such arrays, the blocks of one recording. Float arrays are
    taken as they are, integers of up to 32 bits are divided by their full scale. Float values beyond [-1, 1]
    are kept.
    sample_rate_hz: the rate of arrays, ``target_rate_hz`` if None. A file states its own rate.
    strict: refuse a file of which something is missing. Otherwise what is there is read, with an AudioWarning
    that says what is missing.
    max_duration_s: refuse more seconds of audio than this, from the header where it states the length.
    max_channels: refuse a file with more channels than this.
    channel: read only this channel, from 1.
    start_s, duration_s: read only this part: its samples are exactly those of the whole recording at its own
    rate, and times count from its start.
    ffmpeg: let the program ffmpeg decode containers that libsndfile does not, if PyAV is not installed.

    Raises AudioDecodeError (not audio; strict: truncated), AudioTooLongError, AudioValueError (empty, NaN or
    infinite, unfit array or rate), and OSError for a path that cannot be opened.
    """
    blocks = stream_audio(
        source,
        sample_rate_hz=sample_rate_hz,
        target_rate_hz=target_rate_hz,
        strict=strict,
        max_duration_s=max_duration_s,
        max_channels=max_channels,
        channel=channel,
        start_s=start_s,
        duration_s=duration_s,
        ffmpeg=ffmpeg,
    )
    return np.concatenate(list(blocks))


def stream_audio(
    source: AudioSource,
    *,
    sample_rate_hz: int | None = None,
    target_rate_hz: int = 16_000,
    strict: bool = False,
    max_duration_s: float | None = None,
    max_channels: int | None = None,
    channel: int | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    ffmpeg: bool = False,
) -> Iterator[Samples]:
    """Read audio block by block; joined, the blocks are what ``read_audio`` returns, bit by bit.

    Of a file, only one block is in memory at a time. An error in a file (NaN; strict: truncated) is raised
    when the reader gets there, and the warning comes at the end of the recording that lacks something.
    """
    name = _name_of(source)
    rules = Rules(
        name=name,
        strict=strict,
        max_duration_s=max_duration_s,
        max_channels=max_channels,
        channel=channel,
        ffmpeg=ffmpeg,
    )
    part = TimeRange(start_s=start_s, duration_s=duration_s)
    with ExitStack() as stack:
        content, rate_hz = _open(source, rules, stack)
        if rate_hz is None and hasattr(content, "read"):
            blocks, rate_hz = decode(content, rules)
        else:
            downmix = Downmix(name, channel)
            arrays = content if isinstance(content, Iterator) else [content]
            blocks = (_from_array(array, downmix) for array in arrays)
            rate_hz = rate_hz or (target_rate_hz if sample_rate_hz is None else sample_rate_hz)
        if sample_rate_hz is not None and sample_rate_hz != rate_hz:
            raise AudioValueError(
                f"{name}: its rate is {rate_hz} Hz, not {sample_rate_hz}; sample_rate_hz is for arrays"
            )
        blocks = part.cut(_checked(blocks, rate_hz, rules), rate_hz, name)
        yield from _resample(blocks, rate_hz, target_rate_hz, name)


def count_channels(path: str | os.PathLike[str], *, ffmpeg: bool = False) -> int:
    """Return the number of channels of a file. Raises AudioError, OSError; ffmpeg: as in ``read_audio``."""
    rules = Rules(name=os.fspath(path), strict=False, ffmpeg=ffmpeg)
    with _open_path(rules.name) as file:
        return channels_of(file, rules)


def stated_duration_s(path: Path) -> float | None:
    """Return the length in seconds that a file's header states, or None if it states none."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            stated = stated_frames(file)
    except (AudioDecodeError, OSError):
        return None
    return None if stated is None else stated[0] / stated[1]


def _name_of(source: AudioSource) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the content given"
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "the file object"))
        return "standard input" if name == "<stdin>" else name
    return "the blocks" if isinstance(source, Iterator) else "the array"


def _open(source: AudioSource, rules: Rules, stack: ExitStack) -> tuple[Any, int | None]:
    """Return a source as a seekable binary file or as arrays, and the rate of arrays in Hz if it is known."""
    if isinstance(source, (str, os.PathLike)):
        file: Any = stack.enter_context(_open_path(os.fspath(source)))
    elif isinstance(source, (bytes, bytearray, memoryview)):
        file = io.BytesIO(source)
    elif hasattr(source, "read"):
        file = source
    else:
        return source, None
    if not (hasattr(file, "seekable") and file.seekable()):
        content, rate_hz = read_pipe(file, rules)
        if rate_hz is not None:
            return content, rate_hz
        file = stack.enter_context(cast(BinaryIO, content))
    if not isinstance(file.read(0), bytes):
        raise AudioValueError(f"{rules.name}: opened as text; open it with mode 'rb'")
    begin = file.tell()
    if file.seek(0, os.SEEK_END) <= begin:
        raise AudioValueError(f"{rules.name}: is empty")
    file.seek(begin)
    return file, None


def _open_path(name: str) -> BinaryIO:
    if not name:
        raise AudioValueError("the name of the recording is empty")
    try:
        return Path(name).open("rb")
    except OSError as error:
        if "://" not in name:
            raise
        raise AudioValueError(f"{name}: an address, not a file; download it first") from error
    except ValueError as error:  # a zero byte, or half of a surrogate pair
        raise AudioValueError(f"{name!r} cannot be the name of a file: {error}") from error


def _checked(blocks: Iterable[Samples], rate_hz: int, rules: Rules) -> Iterator[Samples]:
    """Yield the blocks that are not empty; refuse NaN, infinity and a recording that is empty or too long."""
    num_samples = 0
    for block in blocks:
        _refuse_infinite(block, rules.name)
        num_samples += len(block)
        if len(block):
            rules.check_duration(num_samples / rate_hz)
            yield block
    if not num_samples:
        raise AudioValueError(f"{rules.name}: holds no samples")


def _refuse_infinite(block: Samples, name: str) -> None:
    if not np.isfinite(block).all():
        raise AudioValueError(f"{name}: holds NaN or infinite samples")


def _from_array(source: Any, downmix: Downmix) -> Samples:
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
    return downmix(samples[:, None] if samples.ndim == 1 else samples)


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


def _resample(blocks: Iterable[Samples], rate_hz: int, target_rate_hz: int, name: str) -> Iterator[Samples]:
    """Change the rate with soxr's high quality; equal rates leave the samples exactly as they are."""
    resampler = Resampler(rate_hz, target_rate_hz, name=name)
    yield from map(resampler.feed, blocks)
    if rate_hz != target_rate_hz:
        yield resampler.finish()


def check_block(block: Any, name: str) -> Samples:
    """Return an array as in ``read_audio`` as ``(samples,)`` float32 at its own rate; it may be empty.

    Raises AudioValueError: NaN or infinite, or an unfit array.
    """
    samples = _from_array(block, Downmix(name))
    _refuse_infinite(samples, name)
    return samples

"""An audio file's recordings as samples, by libsndfile where it can; what is missing is reported."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.audio.channels import Downmix
from sewd_runtime.audio.containers import find_parts
from sewd_runtime.audio.ffmpeg import FFmpegDecoder
from sewd_runtime.audio.media import HEAD_BYTES, find_kind, is_installed, mixed_blocks, open_media
from sewd_runtime.audio.mistakes import explain
from sewd_runtime.audio.mp3 import after_tags
from sewd_runtime.audio.parts import Part
from sewd_runtime.audio.pyav import PyavDecoder
from sewd_runtime.audio.regions import read_at
from sewd_runtime.audio.resampling import Resampler
from sewd_runtime.audio.rules import Rules
from sewd_runtime.errors import AudioDecodeError

BLOCK_FRAMES = 1 << 18
"""Sample frames read at a time; of several channels together, so that memory does not grow with them."""

_MEDIA = (PyavDecoder, FFmpegDecoder)

_UNKNOWN_FRAMES = 1 << 60
"""libsndfile returns more than this where a file does not state its length."""


def decode(file: BinaryIO, rules: Rules) -> tuple[Iterator[Samples], int]:
    """Return the blocks of a seekable file, each the mean of its channels, and the rate in Hz.

    The recordings of a joined file follow one another, at the rate of the first.
    """
    parts = find_parts(file)
    first = next(parts)
    sound = _open(first, rules)
    return _decode_parts(sound, first, parts, rules), _rate_of(sound)


def channels_of(file: BinaryIO, rules: Rules) -> int:
    """Return the number of channels of a file's first recording. Raises as ``decode``."""
    with _open(next(find_parts(file)), rules) as sound:
        return int(sound.channels)


def stated_frames(file: BinaryIO) -> tuple[int, int] | None:
    """Return the sample frames of the first recording of a file and its rate in Hz; None if not stated."""
    with _open(next(find_parts(file)), Rules(name="", strict=False)) as sound:
        if isinstance(sound, _MEDIA):
            return None if sound.stated_s is None else (round(sound.stated_s * sound.rate_hz), sound.rate_hz)
        return (sound.frames, sound.samplerate) if _states_length(sound) else None


def _decode_parts(sound: Any, first: Part, parts: Iterator[Part], rules: Rules) -> Iterator[Samples]:
    rate_hz = _rate_of(sound)
    yield from _blocks(sound, first, rules)
    for number, part in enumerate(parts, start=2):
        try:
            sound = _open(part, rules)
        except AudioDecodeError:
            rules.report(f"its part {number} cannot be read as audio")
            continue
        resampler = Resampler(_rate_of(sound), rate_hz, name=rules.name)
        yield from map(resampler.feed, _blocks(sound, part, rules))
        yield resampler.finish()


def _rate_of(sound: Any) -> int:
    return int(sound.rate_hz if isinstance(sound, _MEDIA) else sound.samplerate)


def _open(part: Part, rules: Rules) -> Any:
    """Open a recording with libsndfile, or what it does not read with FFmpeg."""
    import soundfile

    lacks = part.missing or part.doubt
    if rules.strict and lacks is not None:
        raise rules.truncated(lacks)
    try:
        with _named_errors(rules.name):
            return soundfile.SoundFile(part.content)
    except AudioDecodeError as error:
        return _open_media(part, rules, error)


def _open_media(part: Part, rules: Rules, error: AudioDecodeError) -> Any:
    """Open with FFmpeg what libsndfile refused with an error; raise the error that says most."""
    content = cast(BinaryIO, part.content)
    head = read_at(content, after_tags(content, 0), HEAD_BYTES)
    kind, mistake = find_kind(head), explain(head)
    if kind is not None:
        try:
            return open_media(content, kind, rules, part.missing or part.doubt)
        except AudioDecodeError:
            if not kind.is_shared:
                raise
    elif mistake is not None:
        raise AudioDecodeError(f"{rules.name}: cannot be read as audio: it is {mistake}") from error
    raise error if part.missing is None else rules.truncated(part.missing) from error


def _states_length(sound: Any) -> bool:
    """Return whether the number of samples is known; of MP3 in WAV it is rounded."""
    return sound.frames < _UNKNOWN_FRAMES and (sound.format, sound.subtype) != ("WAV", "MPEG_LAYER_III")


def _blocks(sound: Any, part: Part, rules: Rules) -> Iterator[Samples]:
    """Yield the samples of one recording, then report what is missing of it."""
    if isinstance(sound, _MEDIA):
        yield from mixed_blocks(sound, rules)
        return
    downmix = Downmix(rules.name, rules.channel)
    read, missing = 0, part.missing
    rules.check_channels(sound.channels)
    size = max(1, BLOCK_FRAMES // sound.channels)
    with sound:
        declared, is_stated = sound.frames, _states_length(sound)
        if is_stated:
            rules.check_duration(declared / sound.samplerate)
        while read < declared:
            block = np.empty((min(size, declared - read), sound.channels), dtype=np.float32)
            count, error = _fill(block, sound, read)
            if count:
                yield downmix(block[:count])
            read += count
            if error is not None:
                missing = missing or f"damaged after {read} of {declared} samples ({error})"
            if error is not None or not count:
                break
    if missing is None and is_stated and read < declared:
        missing = f"{declared - read} of {declared} samples are missing"
    if missing is not None:
        if not read:
            raise rules.truncated(missing)
        rules.report(missing)


def _fill(block: Any, sound: Any, read: int) -> tuple[int, str | None]:
    """Read into a block; return the number of sample frames, and the decoder's error if it had one."""
    import soundfile

    try:
        # Not file.read(): it cannot read to the end where libsndfile cannot seek, e.g. in GSM 6.10.
        return sound.buffer_read_into(block, dtype="float32"), None
    except soundfile.SoundFileError as error:
        reason = _reason(error)
    try:
        count = sound.tell() - read
    except soundfile.SoundFileError:
        count = 0
    return max(min(count, len(block)), 0), reason


def _reason(error: Exception) -> str:
    reason = str(getattr(error, "error_string", error)).removeprefix("Error : ").strip(" .")
    if reason.startswith("File does not exist"):  # of an open file: libsndfile gave up at its first bytes
        return "Format not recognised"
    return reason or "libsndfile gives no reason"


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    import soundfile

    try:
        yield
    except soundfile.SoundFileError as error:
        more = "" if is_installed() else "; pip install 'sewd[media]' for other encodings"
        raise AudioDecodeError(
            f"{name}: cannot be read as audio: {_reason(error)} (WAV, FLAC, OGG and MP3 can{more}; "
            f"give raw samples a header, e.g. ffmpeg -f s16le -ar 16000 -i FILE FILE.wav)"
        ) from error

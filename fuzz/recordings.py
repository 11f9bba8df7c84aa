"""Recordings in all formats that libsndfile writes: headers and frames mutated, files cut and joined."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile

from fuzz.mutants import ROOT, Mutant, mutate_bytes
from sewd_runtime.audio.reading import stream_audio
from sewd_runtime.errors import SewdError

_COMMON = (
    *(
        ("WAV", subtype, "wav")
        for subtype in ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM", "GSM610")
    ),
    *(
        ("WAVEX", "PCM_16", "wav"),
        ("RF64", "PCM_16", "rf64"),
        ("W64", "PCM_16", "w64"),
        ("AIFF", "PCM_16", "aiff"),
    ),
    *(("FLAC", "PCM_16", "flac"), ("FLAC", "PCM_24", "flac"), ("MP3", "MPEG_LAYER_III", "mp3")),
    *(("OGG", "VORBIS", "ogg"), ("OGG", "OPUS", "opus"), ("AU", "PCM_16", "au"), ("CAF", "PCM_16", "caf")),
)
_RARE = (
    *(
        ("CAF", "ALAC_16", "caf"),
        ("AIFF", "ALAW", "aiff"),
        ("WAV", "MS_ADPCM", "wav"),
        ("WAV", "NMS_ADPCM_32", "wav"),
    ),
    *(
        (name, "PCM_16", name.lower())
        for name in ("NIST", "VOC", "SVX", "IRCAM", "PAF", "MAT5", "MPC2K", "HTK", "SDS")
    ),
    *(("XI", "DPCM_16", "xi"), ("AVR", "PCM_16", "avr"), ("PVF", "PCM_16", "pvf")),
)
_SUFFIXES = ("wav", "flac", "mp3", "ogg", "raw", "RAW", "sd2", "vox", "gsm", "txt")
_CHUNKS = (
    b"LIST",
    b"fmt ",
    b"data",
    b"ds64",
    b"fact",
    b"JUNK",
    b"SSND",
    b"COMM",
    b"cue ",
    b"PEAK",
    b"\0\0\0\0",
)


def make(random: Random) -> Mutant:
    """Mutate half a second of speech in a random format, with one channel or two."""
    kind = random.choice(_COMMON if random.random() < 0.8 else _RARE)
    content, suffix = _encoded(*kind, random.choice((1, 1, 2))), kind[2]
    change = random.choice(("bytes", "bytes", "bytes", "chunk", "join", "tag", "suffix"))
    if change == "bytes":
        content, change = mutate_bytes(random, content)
    elif change == "chunk":
        begin, size = random.choice((12, 36, len(content))), random.choice((0, 1, 4, 1_000, 2**31, 2**32 - 1))
        chunk = random.choice(_CHUNKS) + size.to_bytes(4, "little") + bytes(random.choice((0, 4, 100)))
        content = content[:begin] + chunk + content[begin:]
    elif change == "join":
        content += _encoded(*random.choice(_COMMON), 1)
    elif change == "tag":
        size = random.choice((0, 10, 100_000, (1 << 28) - 1))
        header = b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
        content = header + bytes(min(size, 100_000)) + content
    if change == "suffix" or random.random() < 0.2:
        suffix = random.choice(_SUFFIXES)
    return Mutant(files={f"recording.{suffix}": content}, note=f"{'-'.join(kind[:2])}: {change}")


def attempt(folder: Path) -> None:
    """Read the recording from its path, its bytes and a pipe; raise the longest refusal.

    What was read is finite and not empty. Strictly, exactly what lacks nothing otherwise is read.
    """
    (path,) = folder.iterdir()
    content = path.read_bytes()
    samples, warned, refused = _read(path)
    strict = _read(path, strict=True)[0]
    is_whole = samples is not None and not warned
    assert is_whole == (strict is not None), "strict refuses what is whole, or reads what is not"
    assert strict is None or _is_same(strict, samples), "read strictly, the samples are others"
    from_bytes, _, refused_bytes = _read(content)
    assert _is_same(from_bytes, samples), "its bytes are read as other samples than its path"
    from_pipe, missing, refused_pipe = _read_pipe(content)
    assert samples is None or missing or _is_same(from_pipe, samples), (
        "a pipe is read as other samples than the path"
    )
    refusals = [error for error in (refused, refused_bytes, refused_pipe) if error]
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))


def _is_same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return (one is None and other is None) or np.array_equal(one, other)


def _read(source: Any, *, strict: bool = False) -> tuple[np.ndarray | None, bool, Exception | None]:
    """Return the samples, whether a warning says that some are missing, and the refusal.

    Any other exception is raised.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            samples = np.concatenate(list(stream_audio(source, strict=strict)))
        except (SewdError, OSError) as error:
            return None, False, error
    assert samples.dtype == np.float32 and samples.ndim == 1 and samples.size, "not an array of samples"
    assert np.isfinite(samples).all(), "samples that are not finite"
    return samples, any("truncated" in str(warning.message) for warning in warned), None


def _read_pipe(content: bytes) -> tuple[np.ndarray | None, bool, Exception | None]:
    reader, writer = os.pipe()
    feeder = threading.Thread(target=_feed, args=(writer, content))
    feeder.start()
    try:
        with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor, not a path
            return _read(pipe)
    finally:
        feeder.join()


def _feed(writer: int, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(writer, "wb") as pipe:
        pipe.write(content)


@cache
def _speech() -> tuple[np.ndarray, int]:
    samples, rate_hz = soundfile.read(ROOT / "export/sewd_export/speech/awb_1.flac", dtype="float32")
    return samples[rate_hz // 2 : rate_hz], rate_hz


@cache
def _encoded(container: str, subtype: str, suffix: str, channels: int) -> bytes:
    samples, rate_hz = _speech()
    if channels == 2:
        samples = np.stack([samples, samples / 2], axis=1)
    content = io.BytesIO()
    try:
        soundfile.write(content, samples, rate_hz, format=container, subtype=subtype)
    except soundfile.LibsndfileError:  # a format of one channel, or one that this libsndfile does not write
        return b"RIFF\0\0\0\0WAVEfmt " if channels == 1 else _encoded(container, subtype, suffix, 1)
    return content.getvalue()

"""Recordings in all formats that libsndfile writes: headers and frames mutated, files cut and joined."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import soundfile

import sewd_runtime
from fuzz.mutants import ROOT, Mutant, mutate_bytes

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
    """Read the recording from its path and from its bytes; what was read is finite and not empty."""
    (path,) = folder.iterdir()
    try:
        _read(path)
    finally:
        _read(path.read_bytes())


def _read(source: Path | bytes) -> None:
    samples = sewd_runtime.read_audio(source)
    assert samples.dtype == np.float32 and samples.ndim == 1 and samples.size, "not an array of samples"
    assert np.isfinite(samples).all(), "samples that are not finite"


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

"""Containers that libsndfile does not read, m4a, mp4, webm and others, and the audio of videos.

A container is recognised by its first bytes, and its demuxer is named: nothing is probed, so no file is taken
for a playlist that names others. PyAV decodes it (extra ``media``), or the program ffmpeg if it is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import BinaryIO, NamedTuple

from sewd_runtime._types import Samples
from sewd_runtime.audio.channels import Downmix
from sewd_runtime.audio.ffmpeg import FFmpegDecoder, find_ffmpeg
from sewd_runtime.audio.media_ends import asf_missing, avi_missing, ebml_missing, mp4_missing
from sewd_runtime.audio.pyav import PyavDecoder
from sewd_runtime.audio.resampling import Resampler
from sewd_runtime.audio.rules import Rules
from sewd_runtime.errors import AudioDecodeError

SUFFIXES = (
    *(".3gp", ".aac", ".amr", ".avi", ".flv", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp4"),
    *(".mpg", ".ogv", ".spx", ".ts", ".webm", ".wma", ".wmv"),
)
"""How names of such files end; only a folder's files are chosen by them."""

HEAD_BYTES = 1024


class Kind(NamedTuple):
    """A kind of container. demuxer: its name in libavformat. title: its name for people."""

    demuxer: str
    title: str


_MP4 = Kind("mov", "MP4 or QuickTime (m4a, mp4, mov, 3gp)")
_MATROSKA = Kind("matroska", "Matroska (webm, mkv)")
_ASF = Kind("asf", "Windows Media (wma, wmv)")
_AAC, _AMR, _OGG = Kind("aac", "AAC"), Kind("amr", "AMR"), Kind("ogg", "Ogg with video or Speex")
_AVI, _FLV, _CAF = Kind("avi", "AVI"), Kind("flv", "Flash video"), Kind("caf", "CAF")
_TS, _PS = Kind("mpegts", "MPEG transport stream"), Kind("mpeg", "MPEG program stream")

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_OGG_CODECS = (b"\x80theora", b"Speex   ", b"fishead\0")
_TS_PACKETS = ((0, 188), (4, 192))


_MISSING = {_MP4: mp4_missing, _MATROSKA: ebml_missing, _ASF: asf_missing, _AVI: avi_missing}


def find_kind(head: bytes) -> Kind | None:
    """Return the kind of a container from its first ``HEAD_BYTES``, None if it is none of these."""
    if head[4:8] in _MP4_BOXES:
        return _MP4
    magics = (
        (b"\x1aE\xdf\xa3", _MATROSKA),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _ASF),
        (b"#!AMR", _AMR),
        (b"caff\0\1", _CAF),
        (b"FLV\1", _FLV),
        (b"\0\0\1\xba", _PS),
    )
    for magic, kind in magics:
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return _AVI
    if head.startswith(b"OggS") and any(codec in head for codec in _OGG_CODECS):
        return _OGG
    if len(head) > 7 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return _AAC
    is_ts = any(head[first : first + 3 * size : size] == b"GGG" for first, size in _TS_PACKETS)
    return _TS if is_ts else None


def is_installed() -> bool:
    """Return whether PyAV is."""
    return find_spec("av") is not None


def open_media(
    file: BinaryIO, kind: Kind, rules: Rules, missing: str | None = None
) -> PyavDecoder | FFmpegDecoder:
    """Open a file's first audio stream.

    The samples are those of ``ffmpeg -map 0:a:0``: without what an encoder put before the first.
    missing: in words, what is known to be missing. Raises AudioDecodeError (no audio, no decoder; PyAV is not
    installed, nor ffmpeg allowed; strict: truncated), AudioTooLongError.
    """
    if missing is None and kind in _MISSING:
        missing = _MISSING[kind](file)
    if missing is not None and rules.strict:
        raise rules.truncated(missing)
    file.seek(0)
    if is_installed():
        return PyavDecoder(file, kind.demuxer, rules, missing)
    if rules.ffmpeg:
        return FFmpegDecoder(file, kind.demuxer, rules, missing)
    other = "allow ffmpeg: --ffmpeg, ffmpeg=True" if find_ffmpeg() else "ffmpeg -i FILE FILE.flac"
    raise AudioDecodeError(f"{rules.name}: {kind.title} needs: pip install 'sewd[media]' (or {other})")


def mixed_blocks(decoder: PyavDecoder | FFmpegDecoder, rules: Rules) -> Iterator[Samples]:
    """Yield blocks ``(samples, channels)`` of any rate and channels as samples at the first rate."""
    downmix, channels, rate_hz = Downmix(rules.name, rules.channel), 0, decoder.rate_hz
    resampler = Resampler(rate_hz, rate_hz, name=rules.name)
    for block, block_rate_hz in decoder:
        if block.shape[1] != channels:
            channels, downmix = block.shape[1], Downmix(rules.name, rules.channel)
            rules.check_channels(channels)
        if block_rate_hz != rate_hz:
            yield resampler.finish()
            rate_hz, resampler = block_rate_hz, Resampler(block_rate_hz, decoder.rate_hz, name=rules.name)
        yield resampler.feed(downmix(block))
    yield resampler.finish()

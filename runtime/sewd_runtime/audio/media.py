"""Containers that libsndfile does not read, m4a, mp4, webm and others, and the audio of videos.

A container is recognised by its first bytes, and its demuxer is named: nothing is probed, so no file is taken
for a playlist that names others. PyAV decodes it (extra ``media``), or the program ffmpeg if it is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import BinaryIO, NamedTuple

from sewd_runtime._types import Samples
from sewd_runtime.audio.channels import Downmix
from sewd_runtime.audio.ffmpeg import FFmpegDecoder, find_ffmpeg
from sewd_runtime.audio.media_ends import asf_missing, avi_missing, ebml_missing, mp4_missing
from sewd_runtime.audio.pyav import PyavDecoder
from sewd_runtime.audio.regions import find_frames
from sewd_runtime.audio.resampling import Resampler
from sewd_runtime.audio.rules import Rules
from sewd_runtime.errors import AudioDecodeError

SUFFIXES = (
    *(".3gp", ".aac", ".ac3", ".amr", ".ape", ".avi", ".ds2", ".dss", ".flv", ".m2ts", ".m4a", ".m4b"),
    *(".m4v", ".mka", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".spx", ".ts", ".tta", ".webm"),
    *(".wma", ".wmv", ".wv"),
)
"""How names of such files end; only a folder's files are chosen by them."""

HEAD_BYTES = 1 << 14


class Kind(NamedTuple):
    """A kind of container. demuxer: its name in libavformat. title: its name for people.

    is_shared: libsndfile reads it too, in some encodings.
    """

    demuxer: str
    title: str
    is_shared: bool = False


_MP4 = Kind("mov", "MP4 or QuickTime (m4a, mp4, mov, 3gp)")
_MATROSKA = Kind("matroska", "Matroska (webm, mkv)")
_ASF = Kind("asf", "Windows Media (wma, wmv)")
_AVI = Kind("avi", "AVI")
_AAC, _TS = Kind("aac", "AAC"), Kind("mpegts", "MPEG transport stream")

_MAGICS = (
    (rb"....(?:ftyp|moov|mdat|wide|free|skip|pnot)", _MP4),
    (rb"\x1aE\xdf\xa3", _MATROSKA),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _ASF),
    (rb"RIFF....AVI ", _AVI),
    (rb"#!AMR", Kind("amr", "AMR")),
    (rb"FLV\x01", Kind("flv", "Flash video")),
    (rb"\x00\x00\x01\xba", Kind("mpeg", "MPEG program stream")),
    (rb"wvpk", Kind("wv", "WavPack")),
    (rb"ajkg", Kind("shn", "Shorten")),
    (rb"MAC ", Kind("ape", "Monkey's Audio")),
    (rb"TTA1", Kind("tta", "True Audio")),
    (rb"tBaK", Kind("tak", "TAK")),
    (rb"MPCK", Kind("mpc8", "Musepack")),
    (rb"MP\+", Kind("mpc", "Musepack")),
    (rb"DSD ", Kind("dsf", "DSF")),
    (rb"FRM8....DSD ", Kind("iff", "DSDIFF")),
    (rb"\.RMF|\.ra\xfd", Kind("rm", "RealAudio")),
    (rb"nut/multimedia container", Kind("nut", "NUT")),
    (rb"[\x02\x03](?:dss|ds2)", Kind("dss", "DSS (dictation machines)")),
    (rb"(?:ea3|EA3)[\x01\x03]", Kind("oma", "OpenMG (Sony recorders)")),
    (rb"RIFF....QLCMfmt ", Kind("qcp", "QCP")),
    (rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", Kind("mxf", "MXF")),
    (rb"\.SoX|XoS\.", Kind("sox", "SoX")),
    (rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80|\x1f\xff\xe8\x00|\xff\x1f\x00\xe8", Kind("dts", "DTS")),
    (rb"\x0b\x77...[\x00-\x57]", Kind("ac3", "AC-3")),
    (rb"\x0b\x77...[\x58-\x87]", Kind("eac3", "E-AC-3")),
    (rb"(?:RIFF|RIFX|RF64)....WAVE", Kind("wav", "WAV in this encoding", is_shared=True)),
    (rb"riff\x2e\x91\xcf\x11", Kind("w64", "Wave64 in this encoding", is_shared=True)),
    (rb"FORM....AIF[FC]", Kind("aiff", "AIFF in this encoding", is_shared=True)),
    (rb"caff\x00\x01", Kind("caf", "CAF in this encoding", is_shared=True)),
    (rb"\.snd", Kind("au", "AU in this encoding", is_shared=True)),
    (rb"NIST_1A", Kind("nistsphere", "NIST SPHERE in this encoding", is_shared=True)),
    (rb"Creative Voice File", Kind("voc", "VOC in this encoding", is_shared=True)),
    (rb"OggS", Kind("ogg", "Ogg in this encoding", is_shared=True)),
)
"""How files begin, as regular expressions."""

_MISSING = {_MP4: mp4_missing, _MATROSKA: ebml_missing, _ASF: asf_missing, _AVI: avi_missing}

_TS_PACKET_BYTES = (188, 192, 204)


def find_kind(head: bytes) -> Kind | None:
    """Return the kind of a container from its first ``HEAD_BYTES``, None if it is none of these."""
    for magic, kind in _MAGICS:
        if re.match(magic, head, re.DOTALL):
            return kind
    if _adts_size(head) or find_frames(head, _adts_size) is not None:
        return _AAC
    return _TS if any(_has_ts_packets(head, size) for size in _TS_PACKET_BYTES) else None


def _adts_size(head: bytes) -> int:
    """Return the bytes of a frame of AAC from its first 7; 0 if they are not the header of one."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5


def _has_ts_packets(head: bytes, size: int) -> bool:
    """Return whether packets of this size follow one another; the first may be cut."""
    return any(head[first : first + 4 * size : size] == b"GGGG" for first in range(size))


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

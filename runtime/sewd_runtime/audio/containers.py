"""What an audio file holds: one recording or several joined, and what its container shows to be missing.

libsndfile reads a truncated file as if it ended there, and a joined one up to the first end. Each kind of
file has a module that finds the parts; what is of no kind here goes to libsndfile as it is.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, Literal

from sewd_runtime.audio.chunked import chunked_parts
from sewd_runtime.audio.flac import flac_parts
from sewd_runtime.audio.media import HEAD_BYTES, find_kind
from sewd_runtime.audio.mp3 import after_tags, mp3_parts
from sewd_runtime.audio.ogg import ogg_parts
from sewd_runtime.audio.parts import Part
from sewd_runtime.audio.regions import Region, read_at

_KINDS = (chunked_parts, flac_parts, ogg_parts)

_AU_BLOCK_BYTES = {23: 60, 25: 45, 26: 75}
"""Encoding (G.721 and G.723 of 24 and 40 kbit/s) → bytes that are decoded together."""


def find_parts(file: BinaryIO) -> Iterator[Part]:
    """Return the recordings in a seekable file from its position on, found one after another."""
    start = file.tell()
    size = file.seek(0, os.SEEK_END)
    begin = after_tags(file, start)
    for kind in _KINDS:
        parts = kind(file, begin, size)
        if parts is not None:
            return parts
    parts = _au_parts(file, start, size)
    if parts is None and find_kind(read_at(file, begin, HEAD_BYTES)) is None:
        parts = mp3_parts(file, start, size)
    return iter([Part(Region(file, start, size))]) if parts is None else parts


def _au_parts(file: BinaryIO, start: int, size: int) -> Iterator[Part] | None:
    """Return the recording of an AU file: where its samples begin, and their size, stand in its head."""
    head = read_at(file, start, 12)
    if head[:4] not in (b".snd", b"dns.") or len(head) < 12:
        return None
    order: Literal["big", "little"] = "big" if head[:4] == b".snd" else "little"
    body, stated = int.from_bytes(head[4:8], order), int.from_bytes(head[8:], order)
    available = max(size - start - body, 0)
    if stated == 0xFFFFFFFF or 0 < stated <= available or available == 0 == stated:
        return iter([Part(Region(file, start, size))])
    missing = f"{stated - available} of {stated} bytes of samples are missing"
    if stated == 0:
        missing = "its header was never finished, so its end may be missing"
    block_bytes = _AU_BLOCK_BYTES.get(int.from_bytes(read_at(file, start + 12, 4), order), 1)
    whole = min(available // block_bytes * block_bytes, 0xFFFFFFFE)
    region = Region(file, start, start + body + whole, {8: whole.to_bytes(4, order)})
    return iter([Part(region, missing=missing)])

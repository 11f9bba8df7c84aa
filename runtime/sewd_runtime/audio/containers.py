"""Whether an audio file was cut short, for the formats whose decoder does not say.

libsndfile reads a truncated WAV, AIFF or Ogg file as if it ended there. The container shows it: a chunk that
states more bytes than follow, or an Ogg stream without its last page. FLAC is checked by its decoder; an MP3
without a length header cannot be checked by anyone.
"""

import os
from typing import BinaryIO, Literal

_UNKNOWN_CHUNK_BYTES = 0x7FFF0000
"""Programs that write to a pipe put about this size, or more, in the header: they do not know it."""

_MAX_OGG_PAGE_BYTES = 65_307


def missing_part(file: BinaryIO) -> str | None:
    """Return in words what an audio file lacks; None if it is complete or its format does not say."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    magic, _, form = file.read(4), file.read(4), file.read(4)
    if magic == b"RIFF" and form == b"WAVE":
        return _missing_chunk_bytes(file, size, name=b"data", order="little")
    if magic == b"RIFX" and form == b"WAVE":
        return _missing_chunk_bytes(file, size, name=b"data", order="big")
    if magic == b"FORM" and form in (b"AIFF", b"AIFC"):
        return _missing_chunk_bytes(file, size, name=b"SSND", order="big")
    if magic == b"OggS":
        return _missing_ogg_end(file, size)
    return None


def states_length(file: BinaryIO) -> bool:
    """Return whether an MP3 states its number of samples, instead of leaving it to be estimated."""
    file.seek(0)
    head = file.read(10)
    if head[:3] == b"ID3" and len(head) == 10:
        # An ID3 tag's size has seven bits a byte.
        tag_bytes = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        file.seek(10 + tag_bytes)
    else:
        file.seek(0)
    frame = file.read(256)
    return b"Xing" in frame or b"Info" in frame


def _missing_chunk_bytes(
    file: BinaryIO, size: int, *, name: bytes, order: Literal["little", "big"]
) -> str | None:
    file.seek(12)
    while len(head := file.read(8)) == 8:
        chunk_bytes = int.from_bytes(head[4:], order)
        if head[:4] == name:
            missing = file.tell() + chunk_bytes - size
            if missing <= 0 or chunk_bytes >= _UNKNOWN_CHUNK_BYTES:
                return None
            return f"{missing} of {chunk_bytes} bytes of samples are missing"
        file.seek(chunk_bytes + chunk_bytes % 2, os.SEEK_CUR)  # chunks begin at even places
    return "it ends before its samples begin"


def _missing_ogg_end(file: BinaryIO, size: int) -> str | None:
    tail_bytes = min(size, 2 * _MAX_OGG_PAGE_BYTES)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    num_segments = page[26] if len(page) > 26 else 0
    page_bytes = 27 + num_segments + sum(page[27 : 27 + num_segments])
    is_last = len(page) > 5 and bool(page[5] & 4)
    if len(page) >= max(page_bytes, 27) and is_last:
        return None
    return "the stream has no end"

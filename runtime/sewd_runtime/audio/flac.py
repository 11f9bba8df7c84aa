"""FLAC: files joined end to end, and files that do not state their length.

An encoder that writes to a pipe leaves the number of samples 0. libsndfile refuses that, so it is counted:
the last frame says which it is. https://www.rfc-editor.org/rfc/rfc9639
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from sewd_runtime.audio.checksum import Checksum
from sewd_runtime.audio.parts import Part
from sewd_runtime.audio.regions import Region, find_all, read_at

_MAGIC = b"fLaC"
_STREAM_HEADS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")  # the first block has 34 bytes
_TOTAL_AT = 21
"""Offset of the byte whose low half begins the 36 bits of the number of samples."""

_TAIL_BYTES = 1 << 19
_CRC8, _CRC16 = Checksum(8, 0x07), Checksum(16, 0x8005)
_BLOCK_SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}}
_BLOCK_SIZES |= {code: 256 << code - 8 for code in range(8, 16)}


def flac_parts(file: BinaryIO, start: int, size: int) -> Iterator[Part] | None:
    """Return the recordings in the file from ``start`` on, or None if it is not FLAC."""
    return _parts(file, start, size) if read_at(file, start, 4) == _MAGIC else None


def _parts(file: BinaryIO, start: int, size: int) -> Iterator[Part]:
    found = find_all(file, (_MAGIC,), start + 1, size)
    later = [place for place in found if read_at(file, place, 8) in _STREAM_HEADS]
    for begin, end in pairwise([start, *later, size]):
        head = read_at(file, begin, _TOTAL_AT + 5)
        is_unknown = (
            len(head) == _TOTAL_AT + 5 and not head[_TOTAL_AT] & 15 and not any(head[_TOTAL_AT + 1 :])
        )
        yield _count(file, begin, end, head) if is_unknown else Part(Region(file, begin, end))


def _count(file: BinaryIO, begin: int, end: int, head: bytes) -> Part:
    """Return the recording with its number of samples in the header, up to its last whole frame."""
    block_size = int.from_bytes(head[8:10], "big")
    first = max(begin + _TOTAL_AT + 21, end - _TAIL_BYTES)
    tail = read_at(file, first, end - first)
    total, tail_end = _last_frame(tail, block_size)
    if not total:
        return Part(Region(file, begin, end), missing="it has no whole frame")
    missing = None if tail_end == len(tail) else "its last frame is cut or damaged"
    field = bytes([head[_TOTAL_AT] & 0xF0 | total >> 32 & 15]) + (total & 0xFFFFFFFF).to_bytes(4, "big")
    return Part(Region(file, begin, first + tail_end, {_TOTAL_AT: field}), missing=missing)


def _last_frame(tail: bytes, block_size: int) -> tuple[int, int]:
    """Return the number of samples up to the end of the last frame whose checksum is right, and that end."""
    frames = []
    place = tail.find(b"\xff")
    while place >= 0:
        last_sample = _frame_end(tail[place : place + 17], block_size)
        if last_sample is not None:
            frames.append((place, last_sample))
        place = tail.find(b"\xff", place + 1)
    ends = [place for place, _ in frames] + [len(tail)]
    for number in reversed(range(1, len(ends))):
        for place, last_sample in reversed(frames[max(number - 3, 0) : number]):
            if _CRC16(tail[place : ends[number]]) == 0:
                return last_sample, ends[number]
    return 0, len(tail)


def _frame_end(head: bytes, block_size: int) -> int | None:
    """Return the number of samples up to the end of a frame; None if its header is not one."""
    if len(head) < 6 or head[1] not in (0xF8, 0xF9) or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] & 1:
        return None
    more = 0 if head[4] < 0x80 else 8 - (head[4] ^ 0xFF).bit_length() - 1
    if head[4] & 0xC0 == 0x80 or 5 + more >= len(head):
        return None
    number = head[4] if not more else head[4] & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    place = 5 + more
    size_code, rate_code = head[2] >> 4, head[2] & 15
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    size = (
        int.from_bytes(head[place : place + size_bytes], "big") + 1 if size_bytes else _BLOCK_SIZES[size_code]
    )
    place += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if place >= len(head) or _CRC8(head[:place]) != head[place]:
        return None
    return (number if head[1] & 1 else number * block_size) + size

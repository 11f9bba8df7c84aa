"""MP3: frames without a container, so files can be joined end to end.

A first frame named Xing or Info states how many frames and bytes follow, and the decoder stops there. Without
it libsndfile guesses the length from the first bitrate and stops there too: the frames are counted for it.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from sewd_runtime.audio.parts import Part
from sewd_runtime.audio.regions import Region, find_all, find_frames, read_at

_HEADER_BYTES = 10
_ID3V1_BYTES = 128
_JUNK_BYTES = 1 << 20
"""Before the first frame; players look no further."""

_RATES_HZ = (44_100, 48_000, 32_000)
_KBITS_MPEG1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_MPEG2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class _Info(NamedTuple):
    """frames, size: what the frame states, None if it does not. frames_at, size_at: where that stands."""

    frames: int | None
    frames_at: int
    size: int | None
    size_at: int


def after_tags(file: BinaryIO, place: int) -> int:
    """Return where the content begins that follows ID3v2 tags."""
    while True:
        head = read_at(file, place, _HEADER_BYTES)
        if len(head) < _HEADER_BYTES or head[:3] != b"ID3" or max(head[6:]) > 127 or head[3] > 4:
            return place
        # A tag's size has seven bits a byte. Bit 4 of the flags: a copy of the header follows.
        place += _HEADER_BYTES * (2 if head[5] & 0x10 else 1) + sum(
            byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )


def mp3_parts(file: BinaryIO, start: int, size: int) -> Iterator[Part] | None:
    """Return the recordings in the file from ``start`` on, or None if it is not MP3.

    Before the first frame there may be the rest of another: a broadcast that was recorded from its middle.
    """
    start = after_tags(file, start)
    if _is_frame(file, start):
        return _parts(file, start, size)
    skipped = find_frames(read_at(file, start, _JUNK_BYTES), _frame_size)
    return None if skipped is None else _parts(file, start + skipped, size)


def _frame_size(head: bytes) -> int:
    """Return the bytes of a layer III frame from its first four; 0 if they are not the header of one."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2 or head[1] & 0x18 == 0x08:
        return 0
    bitrate, rate, is_mpeg1 = head[2] >> 4, head[2] >> 2 & 3, head[1] & 0x18 == 0x18
    if bitrate in (0, 15) or rate == 3:
        return 0
    rate_hz = _RATES_HZ[rate] >> {0x18: 0, 0x10: 1, 0x00: 2}[head[1] & 0x18]
    kbits = (_KBITS_MPEG1 if is_mpeg1 else _KBITS_MPEG2)[bitrate - 1]
    return (144 if is_mpeg1 else 72) * 1000 * kbits // rate_hz + (head[2] >> 1 & 1)


def _is_frame(file: BinaryIO, place: int) -> bool:
    return _frame_size(read_at(file, place, 4)) > 0


def _info_place(file: BinaryIO, frame: int) -> int:
    """Return where the word Xing or Info would stand in a frame: after the side information."""
    head = read_at(file, frame, 4)
    is_mpeg1, is_mono = bool(head[1] & 8), head[3] >> 6 == 3
    return frame + 4 + ((17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17))


def _read_info(file: BinaryIO, frame: int) -> _Info | None:
    place = _info_place(file, frame)
    content = read_at(file, place, 16)
    if content[:4] not in (b"Xing", b"Info") or len(content) < 16:
        return None
    has_frames, has_size = content[7] & 1, content[7] & 2
    size_at = place + (12 if has_frames else 8)
    return _Info(
        int.from_bytes(content[8:12], "big") if has_frames else None,
        place + 8,
        int.from_bytes(read_at(file, size_at, 4), "big") if has_size else None,
        size_at,
    )


def _parts(file: BinaryIO, start: int, size: int) -> Iterator[Part]:
    begins = [start, *_later_begins(file, after_tags(file, start), size), size]
    for i, begin in enumerate(begins[:-1]):
        if begins[i + 1] - begin > _HEADER_BYTES:
            yield from _split(file, begin, begins[i + 1])


def _later_begins(file: BinaryIO, first_frame: int, size: int) -> Iterator[int]:
    """Yield where other recordings begin: at a tag, or at a frame named Xing or Info."""
    known = first_frame
    for place in find_all(file, (b"ID3", b"Xing", b"Info"), first_frame + 1, size):
        if read_at(file, place, 3) == b"ID3":
            frame = after_tags(file, place)
            if frame > place and frame > known and _is_frame(file, frame):
                known = frame
                yield place
            continue
        for side in (9, 17, 32):
            frame = place - 4 - side
            if frame > known and _is_frame(file, frame) and _info_place(file, frame) == place:
                known = frame
                yield frame


def _split(file: BinaryIO, begin: int, end: int) -> Iterator[Part]:
    """Yield a recording, and what follows the bytes that it states if that is MP3 too."""
    frame = after_tags(file, begin)
    info = _read_info(file, frame) if _is_frame(file, frame) else None
    if info is None or not info.frames:
        yield _with_count(file, frame, end)
        return
    replaced = {}
    if info.size is not None:
        stated_end = frame + info.size
        if read_at(file, stated_end, 3) == b"TAG":
            stated_end += _ID3V1_BYTES
        if frame < stated_end < end and _is_frame(file, stated_end):
            yield from _split(file, frame, stated_end)
            yield from _split(file, stated_end, end)
            return
        # libmpg123 prints a warning where the size is wrong.
        replaced[info.size_at - frame] = min(end - frame, 0xFFFFFFFF).to_bytes(4, "big")
    count = _count(file, frame, end)[0] - 1
    if count > info.frames:  # libmpg123 would stop early
        replaced[info.frames_at - frame] = count.to_bytes(4, "big")
    yield Part(Region(file, frame, end, replaced))


def _count(file: BinaryIO, begin: int, end: int) -> tuple[int, int]:
    """Return the number of whole frames, and the bytes of the last that are missing."""
    place, count = begin, 0
    while place < end:
        size = _frame_size(read_at(file, place, 4))
        if not size:  # a tag or damage
            later = find_all(file, (b"\xff",), place + 1, end)
            place = next((found for found in later if _is_frame_pair(file, found)), end)
            continue
        place, count = place + size, count + 1
    return count - (place > end), place - end


def _with_count(file: BinaryIO, begin: int, end: int) -> Part:
    """Return a recording with a frame before it that states how many follow."""
    count, missing_bytes = _count(file, begin, end)
    missing = f"{missing_bytes} bytes of its last frame are missing" if missing_bytes else None
    head = read_at(file, begin, 4)
    # The bitrate leaves room for the numbers; bit 0 says that there is no checksum.
    head = bytes([head[0], head[1] | 1, 0x80 | head[2] & 0x0C, head[3]]) if len(head) == 4 else b""
    info = head.ljust(_info_place(file, begin) - begin, b"\0") + b"Xing" + struct.pack(">II", 1, count)
    return Part(Region(file, begin, end, before=info.ljust(_frame_size(head), b"\0")), missing=missing)


def _is_frame_pair(file: BinaryIO, place: int) -> bool:
    size = _frame_size(read_at(file, place, 4))
    return size > 0 and _is_frame(file, place + size)

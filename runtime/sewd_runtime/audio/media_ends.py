"""What containers show to be missing at their end: each states the size of its parts.

A function each kind; it returns in words what is missing, None if nothing is known to be.
"""

import os
from typing import BinaryIO

from sewd_runtime.audio.regions import read_at

_ASF_HEADER_BYTES = 30
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MOST_BOXES = 1_000_000


def mp4_missing(file: BinaryIO) -> str | None:
    """MP4 and QuickTime: boxes one after another; without the box ``moov`` nothing can be decoded."""
    size, place, has_index = file.seek(0, os.SEEK_END), 0, False
    for _ in range(_MOST_BOXES):
        head = read_at(file, place, 16)
        if len(head) < 8:
            break
        stated = int.from_bytes(head[:4], "big")
        stated = int.from_bytes(head[8:], "big") if stated == 1 else stated or size - place
        has_index = has_index or head[4:8] == b"moov"
        if stated < 8:
            break
        place += stated
    if not has_index:
        return "its index (moov) is missing: the recording was never finished, or its end is cut off"
    return _missing_bytes(place, size)


def ebml_missing(file: BinaryIO) -> str | None:
    """Matroska and WebM: the header, then a segment, whose size is unknown if it was written live."""
    size = file.seek(0, os.SEEK_END)
    end = _ebml_end(file, 0, 4)
    return None if end is None or (end := _ebml_end(file, end, 4)) is None else _missing_bytes(end, size)


def _ebml_end(file: BinaryIO, place: int, id_bytes: int) -> int | None:
    head = read_at(file, place + id_bytes, 8)
    if not head or not head[0]:
        return None
    length = 9 - head[0].bit_length()
    value = int.from_bytes(head[:length], "big") & (1 << 7 * length) - 1
    return None if value == (1 << 7 * length) - 1 else place + id_bytes + length + value


def asf_missing(file: BinaryIO) -> str | None:
    """Windows Media: the header's file properties state the size of the file, 0 if it was written live."""
    size = file.seek(0, os.SEEK_END)
    header = read_at(file, 0, 1 << 16)
    place = header.find(_ASF_FILE_PROPERTIES, _ASF_HEADER_BYTES)
    if place < 0:
        return None
    return _missing_bytes(int.from_bytes(header[place + 40 : place + 48], "little"), size)


def avi_missing(file: BinaryIO) -> str | None:
    """AVI: its first part states its size, 0 if the recording was never finished."""
    size = file.seek(0, os.SEEK_END)
    return _missing_bytes(8 + int.from_bytes(read_at(file, 4, 4), "little"), size)


def _missing_bytes(end: int, size: int) -> str | None:
    return f"{end - size} of {end} bytes are missing" if end > size else None

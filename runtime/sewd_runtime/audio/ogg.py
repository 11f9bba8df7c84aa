"""Ogg: pages, of which a file may hold several recordings one after another (chained).

https://www.rfc-editor.org/rfc/rfc3533
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from sewd_runtime.audio.checksum import Checksum
from sewd_runtime.audio.parts import Part
from sewd_runtime.audio.regions import Region, find_all, read_at

_MAGIC = b"OggS"
_BEGIN, _END = 2, 4
_CRC = Checksum(32, 0x04C11DB7)


class _Page(NamedTuple):
    """place, size: in the file. flags: _BEGIN and _END of a stream. number: of the page in its stream."""

    place: int
    size: int
    flags: int
    stream: bytes
    number: int


def ogg_parts(file: BinaryIO, start: int, size: int) -> Iterator[Part] | None:
    """Return the recordings in the file from ``start`` on, or None if it is not Ogg."""
    return _parts(file, start, size) if read_at(file, start, 4) == _MAGIC else None


def _parts(file: BinaryIO, start: int, size: int) -> Iterator[Part]:
    link: list[_Page] = []
    for page in _pages(file, start, size):
        # The first pages of all streams come together, before any other page.
        if page.flags & _BEGIN and link and not link[-1].flags & _BEGIN:
            yield _part(file, link, page.place)
            link = []
        link.append(page)
    yield (
        _part(file, link, size) if link else Part(Region(file, start, size), missing="the stream has no end")
    )


def _part(file: BinaryIO, pages: list[_Page], end: int) -> Part:
    missing, doubt = None, None
    if pages[-1].place + pages[-1].size > end:
        cut = pages.pop()
        missing = f"{cut.place + cut.size - end} bytes of its last page are missing"
        end = cut.place
    first = pages[0].place if pages else end
    replaced: dict[int, bytes] = {}
    last_pages: dict[bytes, _Page] = {}
    skipped = 0
    for page in pages:
        if page.stream in last_pages:
            skipped += max(page.number - last_pages[page.stream].number - 1, 0)
        last_pages[page.stream] = page
    if skipped:
        missing = missing or f"{skipped} pages in its middle are missing"
    for page in last_pages.values():
        if not page.flags & _END:
            doubt = "the stream has no end"
            replaced |= _ended(file, page, page.place - first)
    return Part(Region(file, first, end, replaced), missing=missing, doubt=doubt)


def _ended(file: BinaryIO, page: _Page, offset: int) -> dict[int, bytes]:
    """Return what to replace so that a page is its stream's last: else libsndfile drops the last samples."""
    content = bytearray(read_at(file, page.place, page.size))
    content[5] |= _END
    content[22:26] = bytes(4)
    return {offset + 5: bytes(content[5:6]), offset + 22: _CRC(content).to_bytes(4, "little")}


def _pages(file: BinaryIO, start: int, size: int) -> Iterator[_Page]:
    """Yield the pages, the last of which may be longer than what is left of the file."""
    place = start
    while place < size:
        head = read_at(file, place, 27 + 255)
        if head[:4] != _MAGIC:
            found = next(find_all(file, (_MAGIC,), place + 1, size), None)
            if found is None:
                return
            place = found
            continue
        if len(head) < 27 or len(head) < 27 + head[26]:
            page_bytes = max(28, len(head) + 1)
        else:
            page_bytes = 27 + head[26] + sum(head[27 : 27 + head[26]])
        head = head.ljust(27, b"\0")
        yield _Page(place, page_bytes, head[5], head[14:18], int.from_bytes(head[18:22], "little"))
        place += page_bytes

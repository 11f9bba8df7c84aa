"""Parts of a file as files of their own, with some bytes replaced."""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

_SEARCHED_BYTES = 1 << 20

_FRAMES = 3
"""So many do not follow one another by chance."""


class Region(io.RawIOBase):
    """The bytes ``start`` to ``end`` of a seekable file as a file, read-only.

    replaced: offset in the region → the bytes to read there, e.g. the sizes that a header should have stated.
    before: bytes that the file lacks at its beginning; offsets count from them.
    The region has no name, so a suffix cannot decide how it is read. A seek before its start fails quietly:
    libsndfile tries such seeks on broken files, and an exception in its callback is printed, not raised.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int,
        end: int,
        replaced: Mapping[int, bytes] | None = None,
        *,
        before: bytes = b"",
    ) -> None:
        super().__init__()
        self._file, self._start, self._before = file, start - len(before), before
        self.size = max(end - self._start, 0)
        self._replaced = dict(replaced or {})
        self._position = 0

    def whole_file(self) -> BinaryIO | None:
        """Return the file if the region is all of it, unchanged."""
        is_part = self._start or self._before or self._replaced
        return None if is_part or self._file.seek(0, os.SEEK_END) != self.size else self._file

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the region."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position, also one behind the end."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if origin + offset >= 0:
            self._position = origin + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, short only at the end."""
        view = memoryview(buffer).cast("B")
        wanted = max(min(len(view), self.size - self._position), 0)
        head = self._before[self._position : self._position + wanted]
        view[: len(head)] = head
        count = len(head)
        if count < wanted:
            self._file.seek(self._start + self._position + count)
            count += self._fill(view[count:wanted])
        for offset, new in self._replaced.items():
            first, last = max(offset, self._position), min(offset + len(new), self._position + count)
            if first < last:
                view[first - self._position : last - self._position] = new[first - offset : last - offset]
        self._position += count
        return count

    def _fill(self, view: memoryview) -> int:
        if hasattr(self._file, "readinto"):  # not every file object of a caller has it
            return int(self._file.readinto(view))
        content = self._file.read(len(view))
        view[: len(content)] = content
        return len(content)


def read_at(file: BinaryIO, position: int, size: int) -> bytes:
    """Return up to ``size`` bytes at a position."""
    try:
        file.seek(position)
    except (OSError, OverflowError, ValueError):  # a chunk of a 64-bit size may end beyond any file
        return b""
    return file.read(size)


def find_all(file: BinaryIO, words: tuple[bytes, ...], start: int, end: int) -> Iterator[int]:
    """Yield where one of the words begins, block by block; words are of similar length, up to 8 bytes."""
    for first in range(start, end, _SEARCHED_BYTES):
        block = read_at(file, first, min(_SEARCHED_BYTES + 7, end - first))
        for word in words:
            place = block.find(word)
            while 0 <= place < _SEARCHED_BYTES:
                yield first + place
                place = block.find(word, place + 1)


def find_frames(content: bytes, size_of: Callable[[bytes], int]) -> int | None:
    """Return where frames of a stream without a container follow one another, None if nowhere.

    size_of: the bytes of a frame from its first 7; 0 if they do not begin one. A frame begins with 0xff.
    """
    place = content.find(b"\xff")
    while place >= 0:
        end = place
        for _ in range(_FRAMES):
            size = size_of(content[end : end + 7])
            end += size
            if not size:
                break
        else:
            return place
        place = content.find(b"\xff", place + 1)
    return None

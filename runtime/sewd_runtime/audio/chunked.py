"""WAV, AIFF, CAF and their relatives: chunks, one of which holds the samples and states their size.

Recorders that crash leave the size 0, some state too much, and programs that write to a pipe do not know it.
libsndfile then gets a header with the size of what is there.
"""

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from sewd_runtime.audio.parts import Part
from sewd_runtime.audio.regions import Region, read_at

UNKNOWN_BYTES = 0x7FFF0000
"""Programs that write to a pipe put about this size, or more, in the header: they do not know it."""

_GSM_BLOCK_BYTES = (65, 33)
"""In WAV and AIFF. libsndfile takes the byte that pads an odd number of these blocks for one more."""

_G721_FORMATS, _G721_BLOCK_BYTES = (0x40, 0x64), 60
"""libsndfile decodes this many bytes together, whatever the header states."""

_AIFF_BLOCK_BYTES = {b"ima4": 34, b"GSM ": 33}
"""Of each channel."""


_MAX_CHUNKS = 1000
"""After the samples; more are not looked at."""


class _Layout(NamedTuple):
    """How a kind of file is divided into chunks.

    magic, form: the bytes at 0 and ``form_at``. first: where the first chunk is. id_bytes, size_bytes: of the
    two fields of a chunk's head. counted: bytes of the head that the size counts. align: multiple at which
    chunks begin.
    """

    magic: bytes
    forms: tuple[bytes, ...]
    form_at: int
    first: int
    id_bytes: int
    size_bytes: int
    order: Literal["little", "big"]
    counted: int
    align: int
    samples: bytes


_W64_GUIDS = (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", b"wave")
_LAYOUTS = (
    _Layout(b"RIFF", (b"WAVE",), 8, 12, 4, 4, "little", 0, 2, b"data"),
    _Layout(b"RF64", (b"WAVE",), 8, 12, 4, 4, "little", 0, 2, b"data"),
    _Layout(b"RIFX", (b"WAVE",), 8, 12, 4, 4, "big", 0, 2, b"data"),
    _Layout(b"FORM", (b"AIFF", b"AIFC"), 8, 12, 4, 4, "big", 0, 2, b"SSND"),
    _Layout(_W64_GUIDS[0], (_W64_GUIDS[1],), 24, 40, 16, 8, "little", 24, 8, b"data"),
    _Layout(b"caff", (b"\0\1",), 4, 8, 4, 8, "big", 0, 1, b"data"),
)


class _Samples(NamedTuple):
    """Where samples are and what the header says of them; offsets from the beginning of the part.

    stated: their size in bytes, None if unknown. size_at, size_field: the field that states it, and how many
    bytes of the chunk's head it counts. block_bytes: their size is a multiple of this.
    """

    body: int
    stated: int | None
    size_at: int
    size_bytes: int
    counted: int
    block_bytes: int


def chunked_parts(file: BinaryIO, start: int, size: int) -> Iterator[Part] | None:
    """Return the recordings in the file from ``start`` on, or None if it is not of this kind."""
    layout = _layout_at(file, start)
    return None if layout is None else _parts(file, start, size, layout)


def _layout_at(file: BinaryIO, start: int) -> _Layout | None:
    head = read_at(file, start, 40)
    for layout in _LAYOUTS:
        form = head[layout.form_at :]
        if head.startswith(layout.magic) and form.startswith(layout.forms):
            return layout
    return None


def _parts(file: BinaryIO, start: int, size: int, first_layout: _Layout) -> Iterator[Part]:
    layout: _Layout | None = first_layout
    while layout is not None:
        samples = _find_samples(file, start, size, layout)
        if samples is None:
            yield Part(Region(file, start, size), missing="it ends before its samples begin")
            return
        end = size
        next_layout = None
        if samples.stated is not None:
            end = _end(file, start, size, layout, start + samples.body + samples.stated)
            next_layout = _layout_at(file, end)
        yield _part(file, start, size if next_layout is None else end, layout, samples)
        start, layout = end, next_layout


def _end(file: BinaryIO, start: int, size: int, layout: _Layout, least: int) -> int:
    """Return where the container ends by its own size, or else its samples."""
    if layout.magic in (b"RIFF", b"RIFX", b"FORM"):
        stated = start + 8 + int.from_bytes(read_at(file, start + 4, 4), layout.order)
        if least <= stated <= size:
            return stated + stated % 2
    return least + (least - start) % layout.align


def _find_samples(file: BinaryIO, start: int, size: int, layout: _Layout) -> _Samples | None:
    place, block_bytes, large_size_at = layout.first, 1, 0
    head_bytes = layout.id_bytes + layout.size_bytes
    while len(head := read_at(file, start + place, head_bytes)) == head_bytes:
        stated = int.from_bytes(head[layout.id_bytes :], layout.order) - layout.counted
        body = place + head_bytes
        if head.startswith(layout.samples):
            field = (place + layout.id_bytes, layout.size_bytes, layout.counted)
            if large_size_at and stated >= UNKNOWN_BYTES:
                stated, field = _read_int(file, start + large_size_at, 8), (large_size_at, 8, 0)
            is_unknown = stated >= (UNKNOWN_BYTES if field[1] == 4 else 1 << 62)
            fits = stated <= size - start - body
            return _Samples(body, None if is_unknown and not fits else stated, *field, block_bytes)
        if stated < 0:
            return None
        if head.startswith(b"fmt ") and layout.order == "little":
            is_g721 = _read_int(file, start + body, 2) in _G721_FORMATS
            block_bytes = _G721_BLOCK_BYTES if is_g721 else _read_int(file, start + body + 12, 2) or 1
        elif (
            head.startswith(b"COMM") and (common := read_at(file, start + body, 22))[18:] in _AIFF_BLOCK_BYTES
        ):
            block_bytes = _AIFF_BLOCK_BYTES[common[18:]] * max(int.from_bytes(common[:2], "big"), 1)
        elif head.startswith(b"ds64"):
            large_size_at = body + 8
        place = body + stated
        place += -place % layout.align
    return None


def _read_int(file: BinaryIO, place: int, size: int) -> int:
    return int.from_bytes(read_at(file, place, size), "little")


def _part(file: BinaryIO, start: int, end: int, layout: _Layout, samples: _Samples) -> Part:
    available = max(end - start - samples.body, 0)
    if samples.stated is None:
        return Part(Region(file, start, end))
    if samples.stated > available:
        missing = f"{samples.stated - available} of {samples.stated} bytes of samples are missing"
    elif samples.stated <= 0 and _is_unfinished(file, start, end, layout, samples):
        missing = "its header was never finished, so its end may be missing"
    elif layout.samples in (name for name, _ in _following(file, start, end, layout, samples)):
        missing = "a second chunk of samples follows, which is not read"
        return Part(Region(file, start, start + samples.body + samples.stated), missing=missing)
    else:
        return Part(Region(file, start, end))
    if read_at(file, start, 32)[28:] == b"alac":  # the table of its packets stood at the end
        return Part(Region(file, start, start), missing=missing)
    largest = 256**samples.size_bytes - 1 - samples.counted
    lead = 8 if layout.magic == b"FORM" else 0  # two numbers before the samples
    blocks = (available - lead) // samples.block_bytes * samples.block_bytes
    whole = min(max(blocks + lead, 0), largest)
    if samples.block_bytes in _GSM_BLOCK_BYTES and whole % 2:
        whole -= samples.block_bytes
    field = (whole + samples.counted).to_bytes(samples.size_bytes, layout.order)
    whole_end = start + samples.body + whole
    return Part(Region(file, start, whole_end, {samples.size_at: field}), missing=missing)


def _is_unfinished(file: BinaryIO, start: int, end: int, layout: _Layout, samples: _Samples) -> bool:
    """Return whether a size of 0 was never filled in: what follows is not chunks up to the end."""
    place = start + samples.body
    for name, place in _following(file, start, end, layout, samples):  # noqa: B007 - the last one
        if not name.decode("latin-1").isprintable():
            return True
    return not end <= place <= end + layout.align


def _following(
    file: BinaryIO, start: int, end: int, layout: _Layout, samples: _Samples
) -> Iterator[tuple[bytes, int]]:
    """Yield how the name of each chunk after the samples begins, and where it ends; the last may be none."""
    name, place = b"", start + samples.body + max(samples.stated or 0, 0)
    place += -(place - start) % layout.align
    head_bytes = layout.id_bytes + layout.size_bytes
    for _ in range(_MAX_CHUNKS):
        if place >= end or not name.decode("latin-1").isprintable():
            return
        head = read_at(file, place, head_bytes)
        name = head[:4]
        place += head_bytes + int.from_bytes(head[layout.id_bytes :], layout.order) - layout.counted
        place += -(place - start) % layout.align
        yield name, place

"""A transcript's words as cues that people can read: short lines, time to read them, never two at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sewd_runtime.errors import CueLimitsError
from sewd_runtime.text.transcript import Transcript, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class CueLimits:
    """What a cue may be; the defaults are those of television and streaming (BBC, Netflix, EBU).

    line_characters, lines: of its text; a word longer than a line is kept whole. shortest_s, longest_s: on
    the screen. characters_per_s: reading speed, which lengthens a cue where there is room before the next
    one. pause_s: a silence so long between two words ends a cue. Raises CueLimitsError.
    """

    line_characters: int = 42
    lines: int = 2
    shortest_s: float = 5 / 6
    longest_s: float = 7.0
    characters_per_s: float = 20.0
    pause_s: float = 0.5

    def __post_init__(self) -> None:
        if self.line_characters < 1 or self.lines < 1:
            raise CueLimitsError(f"{self}: line_characters and lines must be at least 1")
        if not (0 < self.shortest_s <= self.longest_s and self.characters_per_s > 0 and self.pause_s >= 0):
            raise CueLimitsError(f"{self}: no time may be below 0, nor shortest_s above longest_s")


CUE_LIMITS = CueLimits()
# A number on a line and a clock below it are how SubRip begins a cue: readers take them for the next one.
_NUMBER = re.compile(r"-?[0-9]+\.?[0-9]*")
_CLOCK = re.compile(r"[0-9]+[^\w\s][0-9]+[^\w\s][0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Lines of text, and from when to when they are shown, in whole milliseconds; spoken_ms: to when said."""

    start_ms: int
    end_ms: int
    spoken_ms: int
    lines: tuple[str, ...]


def find_cues(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> list[Cue]:
    """Return the cues in order: every word in one of them, none longer than allowed, none over another.

    A cue ends with its segment, before a pause, and where the next word would pass the limits of text or
    time. It stays for ``shortest_s``, or as long as reading takes, if the next one leaves the time for it:
    words that come faster than they can be read are shown no longer than they are said.
    """
    groups = [group for segment in transcript.segments for group in _groups(segment.words, limits)]
    starts = _increasing([_ms(words[0].start_s) for words in groups])
    cues = []
    for words, (start, following) in zip(groups, pairwise([*starts, None]), strict=True):
        assert start is not None
        lines = tuple(_wrap(words, limits.line_characters))
        spoken = _ms(words[-1].end_s)
        read_s = max(limits.shortest_s, sum(map(len, lines)) / limits.characters_per_s)
        end = min(max(spoken, start + _ms(read_s)), start + _ms(limits.longest_s))
        end = max(end, start + 1) if following is None else max(start + 1, min(end, following))
        cues.append(Cue(start_ms=start, end_ms=end, spoken_ms=min(max(spoken, start + 1), end), lines=lines))
    return cues


def _groups(words: Sequence[Word], limits: CueLimits) -> Iterator[list[Word]]:
    """Part a segment's words; a word without anything to see is left out."""
    group: list[Word] = []
    for word in words:
        if not _text(word):
            continue
        if group and not _fits([*group, word], limits):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _fits(words: Sequence[Word], limits: CueLimits) -> bool:
    """Tell whether the last of the words may share a cue with those before it."""
    before, last = words[-2:]
    lines = list(_wrap(words, limits.line_characters))
    return (
        last.start_s - before.end_s < limits.pause_s
        and last.end_s - words[0].start_s <= limits.longest_s
        and len(lines) <= limits.lines
        and not (_CLOCK.match(lines[-1]) and _NUMBER.fullmatch(lines[-2:][0]))
    )


def _wrap(words: Sequence[Word], width: int) -> Iterator[str]:
    """Yield lines of whole words."""
    line = ""
    for word in words:
        longer = f"{line} {_text(word)}".lstrip()
        if line and len(longer) > width:
            yield line
            longer = _text(word)
        line = longer
    yield line


def _text(word: Word) -> str:
    """Return a word on one line, whatever white space its tokens hold."""
    return " ".join(word.text.split())


def _increasing(starts_ms: Sequence[int]) -> list[int]:
    """Move a start that is not after the one before it to a millisecond after."""
    moved: list[int] = []
    for start in starts_ms:
        moved.append(max(start, moved[-1] + 1) if moved else start)
    return moved


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

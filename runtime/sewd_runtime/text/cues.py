"""Subtitles: the words of a transcript as cues with short lines and enough time to read them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from sewd_runtime.errors import CueLimitsError
from sewd_runtime.text.scripts import columns
from sewd_runtime.text.transcript import Segment, Transcript, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class CueLimits:
    """Limits of a cue; the defaults follow the guidelines of the BBC, Netflix and the EBU.

    line_characters, lines: maximum length and number of lines; a longer word keeps a line of its own, and a
    wide character (East Asian) counts as two.
    shortest_s, longest_s: time on the screen. characters_per_s: reading speed; a cue stays as long as reading
    takes if the next one leaves room. pause_s: a pause of this length between two words ends a cue. Raises
    CueLimitsError.
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
# SubRip begins a cue with a number on a line and a clock below it, so such text would be taken for a cue.
_NUMBER = re.compile(r"-?[0-9]+\.?[0-9]*")
_CLOCK = re.compile(r"[0-9]+[^\w\s][0-9]+[^\w\s][0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Lines of text and the times at which they are shown.

    spoken_ms: the end of their last word. gap: what stands between words, nothing in text without spaces.
    """

    start_ms: int
    end_ms: int
    spoken_ms: int
    lines: tuple[str, ...]
    gap: str = " "


def find_cues(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> list[Cue]:
    """Return the cues in order; each word is in one cue, and cues never overlap.

    A cue ends with its segment, before a pause, and where the next word would exceed a limit. It stays on for
    ``shortest_s`` or as long as reading takes, but only until the next one begins.
    """
    groups = [group for segment in transcript.segments for group in _groups(segment, limits)]
    begins = (_ms(words[0].start_s) for words, _ in groups)
    starts = accumulate(begins, lambda before, begin: max(begin, before + 1))  # at least 1 ms apart
    cues = []
    for (words, gap), (start, following) in zip(groups, pairwise([*starts, None]), strict=True):
        assert start is not None
        lines = tuple(_wrap(words, gap, limits.line_characters))
        spoken = _ms(words[-1].end_s)
        read_s = max(limits.shortest_s, sum(map(columns, lines)) / limits.characters_per_s)
        end = min(max(spoken, start + _ms(read_s)), start + _ms(limits.longest_s))
        end = max(end, start + 1) if following is None else max(start + 1, min(end, following))
        spoken = min(max(spoken, start + 1), end)
        cues.append(Cue(start_ms=start, end_ms=end, spoken_ms=spoken, lines=lines, gap=gap))
    return cues


def _groups(segment: Segment, limits: CueLimits) -> Iterator[tuple[list[Word], str]]:
    """Yield the words of each cue of a segment, and their gap; words without visible text are left out."""
    gap = "" if "".join(word.text for word in segment.words) == segment.text else " "
    group: list[Word] = []
    for word in segment.words:
        if not _text(word):
            continue
        if group and not _fits([*group, word], gap, limits):
            yield group, gap
            group = []
        group.append(word)
    if group:
        yield group, gap


def _fits(words: Sequence[Word], gap: str, limits: CueLimits) -> bool:
    """Return whether the last of the words may share a cue with the words before it."""
    before, last = words[-2:]
    lines = list(_wrap(words, gap, limits.line_characters))
    return (
        last.start_s - before.end_s < limits.pause_s
        and last.end_s - words[0].start_s <= limits.longest_s
        and len(lines) <= limits.lines
        and not (_CLOCK.match(lines[-1]) and _NUMBER.fullmatch(lines[-2:][0]))
    )


def _wrap(words: Sequence[Word], gap: str, width: int) -> Iterator[str]:
    """Yield lines of whole words."""
    line = ""
    for word in words:
        longer = f"{line}{gap}{_text(word)}".lstrip()
        if line and columns(longer) > width:
            yield line
            longer = _text(word)
        line = longer
    yield line


def _text(word: Word) -> str:
    """Return a word on one line, although its tokens may contain white space."""
    return " ".join(word.text.split())


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

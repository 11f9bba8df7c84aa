"""Subtitles: the words of a transcript as cues with short lines and enough time to read them."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from sewd_runtime.errors import CueLimitsError
from sewd_runtime.text.channels import split_channels
from sewd_runtime.text.scripts import columns
from sewd_runtime.text.transcript import Transcript, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class CueLimits:
    """Limits of a cue; the defaults follow the guidelines of the BBC, Netflix and the EBU.

    line_characters, lines: maximum length and number of lines; a longer word keeps a line of its own, and a
    wide character (East Asian) counts as two.
    shortest_s, longest_s: time on the screen. characters_per_s: reading speed; a cue stays as long as reading
    takes if the next one leaves room. pause_s: a pause of this length is a good place to end a cue.
    longest_pause_s: one of this length always ends it. Raises CueLimitsError.
    """

    line_characters: int = 42
    lines: int = 2
    shortest_s: float = 5 / 6
    longest_s: float = 7.0
    characters_per_s: float = 20.0
    pause_s: float = 0.3
    longest_pause_s: float = 1.5

    def __post_init__(self) -> None:
        if self.line_characters < 1 or self.lines < 1:
            raise CueLimitsError(f"{self}: line_characters and lines must be at least 1")
        if not (0 < self.shortest_s <= self.longest_s and self.characters_per_s > 0):
            raise CueLimitsError(f"{self}: no time may be below 0, nor shortest_s above longest_s")
        if not 0 <= self.pause_s <= self.longest_pause_s:
            raise CueLimitsError(f"{self}: pause_s must be at least 0 and at most longest_pause_s")


CUE_LIMITS = CueLimits()
# SubRip begins a cue with a number on a line and a clock below it, so such text would be taken for a cue.
_NUMBER = re.compile(r"-?[0-9]+\.?[0-9]*")
_CLOCK = re.compile(r"[0-9]+[^\w\s][0-9]+[^\w\s][0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Lines of words and the times at which they are shown.

    words: those of each line. spoken_ms: the end of the last one. gap: what stands between words, nothing in
    text without spaces. channel: whose words these are, None if the channels were mixed.
    """

    start_ms: int
    end_ms: int
    spoken_ms: int
    words: tuple[tuple[Word, ...], ...]
    gap: str = " "
    channel: int | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The text of each line."""
        return tuple(line_text(line, self.gap) for line in self.words)


def find_cues(transcript: Transcript, limits: CueLimits = CUE_LIMITS) -> list[Cue]:
    """Return the cues in order; each word is in one cue, and cues of a channel never overlap.

    Of all ways to cut the words into cues that keep the limits, the one with the least cost is taken: a cue
    costs more if it must be read too fast, has one or two words, contains a pause, or ends in the middle of a
    clause. A cue stays on for ``shortest_s`` or as long as reading takes, but only until the next one begins.
    """
    cues = [cue for channel, own in split_channels(transcript) for cue in _find_cues(own, limits, channel)]
    return sorted(cues, key=lambda cue: cue.start_ms)


def _find_cues(transcript: Transcript, limits: CueLimits, channel: int | None) -> list[Cue]:
    groups = [group for run in _runs(transcript) for group in _best_groups(run, limits)]
    starts = accumulate(
        (_ms(group.words[0].start_s) for group in groups),
        lambda before, begin: max(begin, before + 1),  # at least 1 ms apart
    )
    cues = []
    for group, (start, following) in zip(groups, pairwise([*starts, None]), strict=True):
        assert start is not None
        spoken = _ms(group.words[-1].end_s)
        end = min(max(spoken, start + _ms(group.reading_s(limits))), start + _ms(limits.longest_s))
        end = max(end, start + 1) if following is None else max(start + 1, min(end, following))
        spoken = min(max(spoken, start + 1), end)
        lines = tuple(map(tuple, _wrap(group.words, group.gap, limits.line_characters)))
        cues.append(
            Cue(
                start_ms=start,
                end_ms=end,
                spoken_ms=spoken,
                words=lines,
                gap=group.gap,
                channel=channel,
            )
        )
    return cues


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Words that may share a cue.

    columns: the width of all lines together. pauses: how many there are between the words. next_s: when the
    next word begins. ends_well: after a clause or a segment.
    """

    words: Sequence[Word]
    columns: int
    gap: str
    pauses: int
    next_s: float
    ends_well: bool

    def reading_s(self, limits: CueLimits) -> float:
        """Return how long it should be shown."""
        return max(limits.shortest_s, self.columns / limits.characters_per_s)

    def cost(self, limits: CueLimits) -> float:
        """Return how bad a cue it makes."""
        start_s, end_s = self.words[0].start_s, self.words[-1].end_s
        room_s = max(min(self.next_s - start_s, limits.longest_s), 0.001)
        haste = max(0.0, self.reading_s(limits) / room_s - 1)
        is_short = len(self.words) < 3 if self.gap else self.columns < _SHORT_COLUMNS
        stops = self.ends_well or self.next_s - end_s >= limits.pause_s
        return (
            _CUE_COST
            + _HASTE_COST * min(haste, 3.0)
            + _PAUSE_COST * self.pauses
            + is_short * _SHORT_COST
            + (not stops) * _CLAUSE_COST
        )


_CUE_COST, _HASTE_COST, _PAUSE_COST, _SHORT_COST, _CLAUSE_COST = 1.0, 8.0, 0.5, 3.0, 1.0
"""A cue; being read in half the time it needs; a pause inside; one or two words; an end inside a clause."""

_SHORT_COLUMNS = 8
_CLAUSE_ENDS = tuple(".,;:!?\N{HORIZONTAL ELLIPSIS}\N{IDEOGRAPHIC FULL STOP}\N{IDEOGRAPHIC COMMA}")


def _runs(transcript: Transcript) -> Iterator[tuple[list[Word], str, set[int]]]:
    """Yield words that are written alike, with their gap, and the places of the last words of segments.

    Words without visible text are left out.
    """
    words: list[Word] = []
    gap, ends = "", set[int]()
    is_all_joined = "".join(word.text for word in transcript.words) == transcript.text
    for segment in transcript.segments:
        texts = [word.text for word in segment.words]
        is_joined = len(texts) > 1 and "".join(texts) == segment.text  # one word shows no gap
        own = "" if is_joined or is_all_joined else " "
        if words and own != gap:
            yield words, gap, ends
            words, ends = [], set()
        gap = own
        words += [word for word in segment.words if word_text(word)]
        ends.add(len(words) - 1)
    if words:
        yield words, gap, ends


def _best_groups(run: tuple[list[Word], str, set[int]], limits: CueLimits) -> list[_Group]:
    """Cut words into the groups with the least total cost, by dynamic programming over their ends."""
    words, gap, ends = run
    costs = [0.0] + [math.inf] * len(words)
    last: list[_Group | None] = [None] * (len(words) + 1)
    for begin in range(len(words)):
        for group in _groups_from(words, begin, gap, ends, limits):
            end = begin + len(group.words)
            cost = costs[begin] + group.cost(limits)
            if cost < costs[end]:
                costs[end], last[end] = cost, group
    groups: list[_Group] = []
    place = len(words)
    while (best := last[place]) is not None:
        groups.append(best)
        place -= len(best.words)
    return groups[::-1]


def _groups_from(
    words: Sequence[Word], begin: int, gap: str, ends: set[int], limits: CueLimits
) -> Iterator[_Group]:
    """Yield the groups that begin at a word and keep the limits: at least that word alone."""
    lines: list[str] = []
    pauses = 0
    for place in range(begin, len(words)):
        word = words[place]
        if place > begin:
            pause_s = word.start_s - words[place - 1].end_s
            if pause_s >= limits.longest_pause_s or word.end_s - words[begin].start_s > limits.longest_s:
                return
            pauses += pause_s >= limits.pause_s
        _add_word(lines, word_text(word), gap, limits.line_characters)
        if len(lines) > limits.lines and place > begin:
            return
        if any(_CLOCK.match(line) and _NUMBER.fullmatch(above) for above, line in pairwise(lines)):
            continue
        yield _Group(
            words=words[begin : place + 1],
            columns=sum(map(columns, lines)),
            gap=gap,
            pauses=pauses,
            next_s=words[place + 1].start_s if place + 1 < len(words) else math.inf,
            ends_well=place in ends or lines[-1].endswith(_CLAUSE_ENDS),
        )


def _add_word(lines: list[str], text: str, gap: str, width: int) -> None:
    """Add a word to the last line, or begin another."""
    if lines and columns(lines[-1]) + len(gap) + columns(text) <= width:
        lines[-1] += gap + text
    else:
        lines.append(text)


def _wrap(words: Sequence[Word], gap: str, width: int) -> Iterator[list[Word]]:
    """Yield the words of each line."""
    lines: list[str] = []
    line: list[Word] = []
    for word in words:
        before = len(lines)
        _add_word(lines, word_text(word), gap, width)
        if before and len(lines) > before:
            yield line
            line = []
        line.append(word)
    yield line


def line_text(words: Sequence[Word], gap: str) -> str:
    """Return a line of words."""
    return gap.join(map(word_text, words))


def word_text(word: Word) -> str:
    """Return a word on one line, although its tokens may contain white space."""
    return " ".join(word.text.split())


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

"""Long recordings split at pauses, which are detected by energy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.audio.loudness import (
    FADING_SHARE,
    SPEECH_SHARE,
    LevelTracker,
    above_with_hysteresis,
    find_runs,
    frame_levels,
)
from sewd_runtime.errors import AudioValueError

_FRAME_S = 0.02
_TRACKED_FRAMES = 1500
"""Levels are measured over each half minute, counted from the start, because noise may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """How a long recording is split.

    whole_s: recordings up to this length run whole, as in the original; 0: skip silence in short recordings
        too (voice activity detection).
    pause_s: the shortest pause to split at; None: do not detect pauses, and skip nothing.
    margin_s: how much of a pause is kept on each side of speech.
    chunk_s: the longest window; a longer region runs as several windows.
    context_s: neighbouring windows overlap by twice this; the second takes over in the middle of the overlap.
    """

    whole_s: float = 60.0
    pause_s: float | None = 0.5
    margin_s: float = 0.25
    chunk_s: float = 20.0
    context_s: float = 2.0

    def __post_init__(self) -> None:
        if not (self.whole_s >= 0 and self.margin_s >= 0):
            raise AudioValueError(f"{self}: whole_s and margin_s must be at least 0")
        if self.pause_s is not None and not max(2 * self.margin_s, _FRAME_S) <= self.pause_s:
            raise AudioValueError(
                f"{self}: pause_s must be at least twice margin_s, and at least {_FRAME_S}; or None"
            )
        if not (self.context_s >= 0.1 and self.chunk_s >= max(1, 4 * self.context_s)):
            raise AudioValueError(
                f"{self}: context_s must be at least 0.1, chunk_s at least 1 and four times context_s"
            )


SEGMENTATION = Segmentation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The next samples of a region, the speech between two pauses.

    samples: (samples,) float32; the last part may be empty. begin: the sample of the recording at which the
    region begins. is_last: the region ends with this part.
    """

    samples: Samples
    begin: int
    is_last: bool


def find_regions(
    blocks: Iterable[Samples], segmentation: Segmentation, *, sample_rate_hz: int
) -> Iterator[Part]:
    """Yield the regions of a recording in order, each in parts, as soon as they are known.

    blocks: the recording in blocks, whose sizes never matter; at most a minute of it is held in memory.
    Samples further than the margin from speech are skipped. Speech is louder than a quarter of the way, in
    dB, from the quiet of its half minute (the 5th percentile of its frames) to the loud of the loudest half
    minute so far (the 98th), together with the frames around it that are louder than an eighth (hysteresis).
    """
    if segmentation.pause_s is None:
        for block in blocks:
            yield Part(samples=block, begin=0, is_last=False)
        yield Part(samples=np.zeros(0, np.float32), begin=0, is_last=True)
        return
    finder = _RegionFinder(segmentation.pause_s, segmentation.margin_s, round(_FRAME_S * sample_rate_hz))
    for half_minute in _rechunked(blocks, _TRACKED_FRAMES * finder.frame):
        yield from finder.feed(half_minute)
    yield from finder.finish()


def _rechunked(blocks: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Yield the same samples in blocks of one size; the last one may be shorter."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if len(held):
        yield held


class _RegionFinder:
    """The search for regions, half a minute at a time; frames count from the start of the recording."""

    def __init__(self, pause_s: float, margin_s: float, frame: int) -> None:
        self.frame = frame
        self._pause = max(1, round(pause_s / _FRAME_S))
        self._margin = min(round(margin_s / _FRAME_S), self._pause // 2)
        self._held = np.zeros(0, np.float32)
        self._first = 0  # the first frame held
        self._end = 0  # one past the last frame fed
        self._levels = LevelTracker(quiet_frames=_TRACKED_FRAMES, loud_frames=_TRACKED_FRAMES)
        self._speech: tuple[int, int] | None = None  # with the margin before it; its end may still grow

    def feed(self, samples: Samples) -> Iterator[Part]:
        """Take the next samples, whole frames except at the end, and yield the parts that are certain."""
        begin, frames_db = self._end, frame_levels(samples, self.frame)
        self._held = np.concatenate([self._held, samples])
        self._end += len(frames_db)
        self._levels.extend(frames_db)
        levels = self._levels.measure()
        speech = above_with_hysteresis(
            frames_db, start_db=levels.threshold_db(SPEECH_SHARE), stay_db=levels.threshold_db(FADING_SHARE)
        )
        for loud, quiet in find_runs(speech):
            if self._speech is not None and begin + loud - self._speech[1] >= self._pause:
                yield from self.finish()
            start = max(self._first, begin + loud - self._margin) if self._speech is None else self._speech[0]
            self._speech = (start, begin + quiet)
        if self._speech is None:
            self._take(self._end - self._margin)
        elif self._end - self._speech[1] >= self._pause:
            yield from self.finish()
            self._take(self._end - self._margin)
        else:
            yield self._part(self._speech[1], is_last=False)

    def finish(self) -> Iterator[Part]:
        """Yield the rest of the region that has not ended yet."""
        if self._speech is not None:
            yield self._part(self._speech[1] + self._margin, is_last=True)
            self._speech = None

    def _part(self, end: int, *, is_last: bool) -> Part:
        assert self._speech is not None
        begin = self._speech[0]
        self._take(begin)
        return Part(samples=self._take(end), begin=begin * self.frame, is_last=is_last)

    def _take(self, end: int) -> Samples:
        """Remove the samples before frame ``end`` and return them."""
        count = max(0, end - self._first)
        taken, self._held = self._held[: count * self.frame], self._held[count * self.frame :]
        self._first += count
        return taken

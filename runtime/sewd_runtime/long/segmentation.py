"""Recordings too long to run whole: where to part them, told by energy, and how long a window may be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.audio.loudness import (
    LEAST_CONTRAST_DB,
    LOUD_PERCENT,
    QUIET_PERCENT,
    QUIETEST_DB,
    energy_db,
    find_runs,
)
from sewd_runtime.errors import AudioValueError

_FRAME_S = 0.02
_WINDOW_FRAMES = 1500
"""What is quiet is told anew for each half minute, counted from the start: a recording may change."""

_LOUD_SHARE, _FADING_SHARE = 0.25, 0.125


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """How a long recording is taken apart.

    whole_s: up to so many seconds a recording runs whole, as the original would run it; 0: silence is left
        out of short recordings too (voice activity detection).
    pause_s: the shortest pause to part at; None: energy tells nothing here, and nothing is left out.
    margin_s: what is kept of a pause at either side of speech.
    chunk_s: the longest window the model hears; a region that is longer runs as several.
    context_s: what two windows share lies so far on either side of where the one takes over from the other.
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
    """The next samples of a region, which is a stretch with speech in it.

    samples: (samples,) float32; the last part may have none. begin: the sample of the recording that the
    region begins at. is_last: the region ends with this part.
    """

    samples: Samples
    begin: int
    is_last: bool


def find_regions(
    blocks: Iterable[Samples], segmentation: Segmentation, *, sample_rate_hz: int
) -> Iterator[Part]:
    """Yield the regions of a recording in order, each in parts, as soon as they are known.

    blocks: the recording, in parts of any size, which never matters; no more than two half minutes are held.
    What is further than the margin from anything loud is left out: silence costs nothing. Loud is what lies
    more than a quarter of the way, in dB, from the quiet of its half minute (the 5th percentile of its
    frames) to the loud of the loudest half minute so far (the 98th), and around that what lies more than an
    eighth (hysteresis: a word's faint beginning and end).
    """
    if segmentation.pause_s is None:
        for block in blocks:
            yield Part(samples=block, begin=0, is_last=False)
        yield Part(samples=np.zeros(0, np.float32), begin=0, is_last=True)
        return
    finder = _Finder(segmentation.pause_s, segmentation.margin_s, round(_FRAME_S * sample_rate_hz))
    for window in _windows(blocks, _WINDOW_FRAMES * finder.frame):
        yield from finder.feed(window)
    yield from finder.finish()


def _windows(blocks: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Yield the same samples in parts of one size, the last one shorter."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if len(held):
        yield held


class _Finder:
    """What is known of a recording so far; places are frames from its start."""

    def __init__(self, pause_s: float, margin_s: float, frame: int) -> None:
        self.frame = frame
        self._pause = max(1, round(pause_s / _FRAME_S))
        self._margin = min(round(margin_s / _FRAME_S), self._pause // 2)
        self._held = np.zeros(0, np.float32)
        self._first = 0  # that what is held begins at
        self._end = 0  # of what was fed
        self._recent_db = np.zeros(0)
        self._loudest_db = QUIETEST_DB
        self._speech: tuple[int, int] | None = None  # with the margin before it; its end may move on

    def feed(self, window: Samples) -> Iterator[Part]:
        """Take the next samples, a whole number of frames but for the last, and yield what is sure."""
        begin, loudness_db = self._end, energy_db(window, self.frame)
        self._held = np.concatenate([self._held, window])
        self._end += len(loudness_db)
        for loud, quiet in find_runs(self._is_loud(loudness_db)):
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
        """Yield the rest of the speech that has not ended yet."""
        if self._speech is not None:
            yield self._part(self._speech[1] + self._margin, is_last=True)
            self._speech = None

    def _part(self, end: int, *, is_last: bool) -> Part:
        assert self._speech is not None
        begin = self._speech[0]
        self._take(begin)
        return Part(samples=self._take(end), begin=begin * self.frame, is_last=is_last)

    def _take(self, end: int) -> Samples:
        """Return what is held before frame ``end``, and hold it no longer."""
        count = max(0, end - self._first)
        taken, self._held = self._held[: count * self.frame], self._held[count * self.frame :]
        self._first += count
        return taken

    def _is_loud(self, loudness_db: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which of the newest frames are loud, beside the half minute that they end and the loudest."""
        self._recent_db = np.concatenate([self._recent_db, loudness_db])[-_WINDOW_FRAMES:]
        quiet, loud = np.percentile(self._recent_db, (QUIET_PERCENT, LOUD_PERCENT))
        self._loudest_db = max(self._loudest_db, float(loud))
        if self._loudest_db - quiet < LEAST_CONTRAST_DB:
            return np.full(len(loudness_db), fill_value=quiet > QUIETEST_DB + LEAST_CONTRAST_DB)
        above = (loudness_db - quiet) / (self._loudest_db - quiet)
        loud = np.zeros(len(above), np.bool_)
        for begin, end in find_runs(above > _FADING_SHARE):
            loud[begin:end] = (above[begin:end] > _LOUD_SHARE).any()
        return loud

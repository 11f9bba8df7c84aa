"""Recordings too long to run whole: taken apart where nobody speaks, told by energy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.errors import AudioValueError

_FRAME_S = 0.02
_WINDOW_FRAMES = 1500
"""What is quiet is told anew for each half minute, counted from the start: a recording may change."""

_QUIETEST_DB = -80.0
_QUIET_PERCENT, _LOUD_PERCENT = 5, 98
_LOUD_SHARE = 0.25
_LEAST_CONTRAST_DB = 10.0
"""Where the loud is no louder than this over the quiet, nothing can be told: all of it counts as speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """How a long recording is taken apart.

    whole_s: up to so many seconds a recording runs whole, as the original would run it.
    pause_s: the shortest pause to part at. margin_s: what is kept of a pause at either side of speech.
    longest_s: speech without a pause is parted after so long, at the quietest place of its second half.
    """

    whole_s: float = 60.0
    pause_s: float = 0.5
    margin_s: float = 0.25
    longest_s: float = 30.0

    def __post_init__(self) -> None:
        if not (self.whole_s >= 0 and self.pause_s > 0 and 0 <= 2 * self.margin_s <= self.pause_s):
            raise AudioValueError(f"{self}: margin_s must be at most half of pause_s, none below 0")
        if not self.longest_s >= 1:
            raise AudioValueError(f"{self}: longest_s must be at least 1")


SEGMENTATION = Segmentation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A stretch with speech in it: ``samples (samples,)`` float32, and the sample it begins at."""

    samples: Samples
    begin: int


def find_regions(
    blocks: Iterable[Samples], segmentation: Segmentation, *, sample_rate_hz: int
) -> Iterator[Region]:
    """Yield the regions of a recording in order, each as soon as it is known.

    blocks: the recording, in parts of any size, which never matters; no more than a region is held. What is
    further than the margin from anything loud is left out: silence costs nothing. Loud is what lies more than
    a quarter of the way, in dB, from the quiet of its half minute (the 5th percentile of its frames) to the
    loud of the loudest half minute so far (the 98th).
    """
    finder = _Finder(segmentation, round(_FRAME_S * sample_rate_hz))
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

    def __init__(self, segmentation: Segmentation, frame: int) -> None:
        self.frame = frame
        self._pause = max(1, round(segmentation.pause_s / _FRAME_S))
        self._margin = min(round(segmentation.margin_s / _FRAME_S), self._pause // 2)
        self._longest = round(segmentation.longest_s / _FRAME_S)
        self._held = np.zeros(0, np.float32)
        self._energy_db = np.zeros(0)  # of what is held
        self._first = 0  # that what is held begins at
        self._recent_db = np.zeros(0)
        self._loudest_db = _QUIETEST_DB
        self._speech: tuple[int, int] | None = None  # with the margin before it; not yet yielded

    def feed(self, window: Samples) -> Iterator[Region]:
        begin = self._first + len(self._energy_db)
        energy_db = _energy_db(window, self.frame)
        end = begin + len(energy_db)
        self._held = np.concatenate([self._held, window])
        self._energy_db = np.concatenate([self._energy_db, energy_db])
        for loud, quiet in _runs(self._is_loud(energy_db)):
            yield from self._extend(begin + loud, begin + quiet)
        if self._speech is not None and end - self._speech[1] >= self._pause:
            yield from self.finish()
        keep = end - self._margin if self._speech is None else self._speech[0]
        drop = max(0, keep - self._first)
        self._held, self._energy_db = self._held[drop * self.frame :], self._energy_db[drop:]
        self._first += drop

    def finish(self) -> Iterator[Region]:
        """Yield the speech that was not yet yielded."""
        if self._speech is not None:
            begin, end = self._speech
            yield self._region(begin, end + self._margin)
            self._speech = None

    def _extend(self, loud: int, quiet: int) -> Iterator[Region]:
        """Add a run of loud frames to the speech, and yield what that completes."""
        if self._speech is not None and loud - self._speech[1] >= self._pause:
            yield from self.finish()
        begin = max(self._first, loud - self._margin) if self._speech is None else self._speech[0]
        while quiet - begin > self._longest:
            middle = begin + self._longest // 2
            second_half = self._energy_db[middle - self._first : begin + self._longest - self._first]
            cut = middle + int(np.argmin(second_half))
            yield self._region(begin, cut)
            begin = cut
        self._speech = (begin, quiet)

    def _region(self, begin: int, end: int) -> Region:
        held = self._held[(begin - self._first) * self.frame : (end - self._first) * self.frame]
        return Region(samples=held, begin=begin * self.frame)

    def _is_loud(self, energy_db: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which of the newest frames are loud, beside the half minute that they end and the loudest."""
        self._recent_db = np.concatenate([self._recent_db, energy_db])[-_WINDOW_FRAMES:]
        quiet, loud = np.percentile(self._recent_db, (_QUIET_PERCENT, _LOUD_PERCENT))
        self._loudest_db = max(self._loudest_db, float(loud))
        if self._loudest_db - quiet < _LEAST_CONTRAST_DB:
            return np.full(len(energy_db), fill_value=quiet > _QUIETEST_DB + _LEAST_CONTRAST_DB)
        return np.asarray(energy_db > quiet + _LOUD_SHARE * (self._loudest_db - quiet))


def _energy_db(samples: Samples, frame: int) -> NDArray[np.float64]:
    """Return the mean power of each frame, the last one filled up with zeros: ``(frames,)`` in dB."""
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % frame))
    power = np.square(padded.reshape(-1, frame)).mean(1)
    return np.asarray(10 * np.log10(power + 10 ** (_QUIETEST_DB / 10)))


def _runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the begin and the end of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)

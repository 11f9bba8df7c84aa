"""Detection of speech by energy: levels of frames, thresholds between quiet and loud, hysteresis."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples

FLOOR_DB = -80.0
"""The level of digital silence."""

MIN_CONTRAST_DB = 10.0
"""With less between quiet and loud, speech and pauses cannot be separated."""

_QUIET_PERCENTILE, _LOUD_PERCENTILE = 5, 98

# Thresholds. A share is that of the way from quiet to loud, in dB.
SPEECH_SHARE = 0.25
"""Regions of long recordings, and streams: above it is speech."""

FADING_SHARE = 0.125
"""Regions: around speech, frames above it are kept too, a word's faint beginning and end (hysteresis). Lower
shares lose fewer words still, but take noise that comes and goes for speech."""

WORD_SHARE = 0.4
"""Words, where noise leaves less than ``SPEECH_RANGE_DB`` above it. Chosen on digits with and without
noise."""

SPEECH_RANGE_DB = 30.0
"""Words, elsewhere: from the loud to the faint of speech (ANSI S3.5-1997, Speech Intelligibility Index)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The quiet and the loud level of a stretch of sound, in dB of full scale."""

    quiet_db: float
    loud_db: float

    @classmethod
    def of(cls, frames_db: NDArray[np.float64]) -> "Levels":
        """Return the 5th and the 98th percentile of frames; frames_db: (frames,), at least one."""
        quiet_db, loud_db = np.percentile(frames_db, (_QUIET_PERCENTILE, _LOUD_PERCENTILE))
        return cls(quiet_db=float(quiet_db), loud_db=float(loud_db))

    @property
    def contrast_db(self) -> float:
        """How far the loud is above the quiet."""
        return self.loud_db - self.quiet_db

    def threshold_db(self, share: float) -> float:
        """Return the level at a share of the way from quiet to loud; frames above it are loud.

        Without enough contrast all frames are loud, or none is if the sound is hardly above digital silence.
        """
        if self.contrast_db < MIN_CONTRAST_DB:
            return -np.inf if self.quiet_db > FLOOR_DB + MIN_CONTRAST_DB else np.inf
        return self.quiet_db + share * self.contrast_db


class LevelTracker:
    """The levels of a recording that arrives in parts.

    Quiet is measured over the newest ``quiet_frames``, because noise may change. Loud is measured over the
    newest ``loud_frames`` and never falls: in a long pause there is no speech to measure it by.
    recent_db: the newest ``quiet_frames``.
    """

    def __init__(self, *, quiet_frames: int, loud_frames: int) -> None:
        self._quiet, self._loud = _Newest(quiet_frames), _Newest(loud_frames)
        self.recent_db = self._quiet.values
        self._loudest_db = FLOOR_DB

    def extend(self, frames_db: Iterable[float]) -> None:
        """Take the levels of the next frames."""
        for frame_db in frames_db:
            self._quiet.add(frame_db)
            self._loud.add(frame_db)

    def measure(self) -> Levels:
        """Return the levels now; at least one frame must have been taken."""
        self._loudest_db = max(self._loudest_db, self._loud.percentile(_LOUD_PERCENTILE))
        return Levels(quiet_db=self._quiet.percentile(_QUIET_PERCENTILE), loud_db=self._loudest_db)


class _Newest:
    """The newest ``size`` values, kept in order too: a stream asks for percentiles ten times a second."""

    def __init__(self, size: int) -> None:
        self.values: deque[float] = deque(maxlen=size)
        self._sorted: list[float] = []

    def add(self, value: float) -> None:
        """Take a value, and forget the oldest beyond the size."""
        if len(self.values) == self.values.maxlen:
            del self._sorted[bisect_left(self._sorted, self.values[0])]
        self.values.append(value)
        insort(self._sorted, value)

    def percentile(self, percent: float) -> float:
        """Return a percentile, interpolated between two values as by ``numpy.percentile``."""
        place = (len(self._sorted) - 1) * percent / 100
        low = int(place)
        high = min(low + 1, len(self._sorted) - 1)
        return self._sorted[low] + (place - low) * (self._sorted[high] - self._sorted[low])


def frame_levels(samples: Samples, frame: int) -> NDArray[np.float64]:
    """Return the mean power of each frame of ``frame`` samples, (frames,) float64 in dB of full scale.

    The last frame is filled up with zeros.
    """
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % frame))
    return as_db(np.square(padded.reshape(-1, frame)).mean(1))


def as_db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return power in dB; silence is ``FLOOR_DB``."""
    return np.asarray(10 * np.log10(power + 10 ** (FLOOR_DB / 10)))


def above_with_hysteresis(
    frames_db: NDArray[np.float64], *, start_db: float, stay_db: float
) -> NDArray[np.bool_]:
    """Return which frames belong to a run above ``stay_db`` that rises above ``start_db`` somewhere."""
    loud = np.zeros(len(frames_db), np.bool_)
    for begin, end in find_runs(frames_db > stay_db):
        loud[begin:end] = (frames_db[begin:end] > start_db).any()
    return loud


def find_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the begin and the end (one past the last) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))

"""Where speech begins and ends in a stream, told by energy of what was heard so far."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

import numpy as np

from sewd_runtime.audio.loudness import LEAST_CONTRAST_DB, LOUD_PERCENT, QUIET_PERCENT, QUIETEST_DB

_QUIET_S, _LOUD_S = 30.0, 3.0
"""What is quiet, and what is loud, is told from so much of the newest: a place changes slowly."""

_LOUD_SHARE = 0.25
_UPDATE_FRAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A frame at which a segment of speech begins, or ends; its end is one past its last frame."""

    begins: bool
    frame: int


class Endpointer:
    """Tells segments of speech from pauses, frame by frame; frames count from the start of the stream.

    It starts inside a segment: until a whole pause was heard, all of it may be speech. A segment ends when
    the newest ``pause`` frames are quiet, ``margin`` frames into them, and the next begins ``margin`` frames
    before what is loud again. Loud is what lies more than a quarter of the way, in dB, from the quiet of the
    last half minute (its 5th percentile) to the loudest 3 s so far (their 98th).
    """

    def __init__(self, *, pause: int, margin: int, frame_s: float) -> None:
        self._pause, self._margin = pause, margin
        self._recent_db: deque[float] = deque(maxlen=max(1, round(_QUIET_S / frame_s)))
        self._loud_frames = max(1, round(_LOUD_S / frame_s))
        self._loudest_db = QUIETEST_DB
        self._threshold_db = -np.inf
        self._frames = 0
        self._begin = 0  # of the segment, or of the pause after its margin
        self.in_speech = True
        self.heard_speech = False
        """Whether anything loud was heard in this segment."""

    def advance(self, frame_db: float) -> tuple[Turn, ...]:
        """Take the energy of the next frame and return what turns at it."""
        self._recent_db.append(frame_db)
        if self._frames % _UPDATE_FRAMES == 0:
            self._update_threshold()
        self._frames += 1
        loud = self._loud_run()
        turns: list[Turn] = []
        pause = self._frames - loud - self._pause
        if self.in_speech and pause >= self._begin and self._was_quiet(loud):
            self.in_speech = False
            self._begin = pause + self._margin if self.heard_speech else pause
            turns.append(Turn(begins=False, frame=self._begin))
        if loud and not self.in_speech:
            self.in_speech, self.heard_speech = True, False
            self._begin = max(self._begin, self._frames - loud - self._margin)
            turns.append(Turn(begins=True, frame=self._begin))
        self.heard_speech |= loud > 0
        return tuple(turns)

    def _loud_run(self) -> int:
        """Count the newest frames that are loud, up to a pause of them."""
        newest = itertools.islice(reversed(self._recent_db), self._pause)
        return sum(1 for _ in itertools.takewhile(lambda level: level > self._threshold_db, newest))

    def _was_quiet(self, loud: int) -> bool:
        """Tell whether a whole pause lies before the newest ``loud`` frames.

        Beside the first word that is heard, what counted as speech before it may turn out to be a pause.
        """
        before = list(itertools.islice(reversed(self._recent_db), loud, loud + self._pause))
        return len(before) == self._pause and max(before) <= self._threshold_db

    def _update_threshold(self) -> None:
        recent = np.array(self._recent_db)
        quiet = float(np.percentile(recent, QUIET_PERCENT))
        loud = float(np.percentile(recent[-self._loud_frames :], LOUD_PERCENT))
        self._loudest_db = max(self._loudest_db, loud)
        if self._loudest_db - quiet < LEAST_CONTRAST_DB:
            self._threshold_db = -np.inf if quiet > QUIETEST_DB + LEAST_CONTRAST_DB else np.inf
        else:
            self._threshold_db = quiet + _LOUD_SHARE * (self._loudest_db - quiet)

"""Where speech begins and ends in a stream, detected by energy."""

import itertools
import math
from dataclasses import dataclass

from sewd_runtime.audio.loudness import SPEECH_SHARE, LevelTracker

_QUIET_S, _LOUD_S = 30.0, 3.0
"""How much of the newest sound the quiet and the loud level are measured over."""

_UPDATE_FRAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The frame at which a segment of speech begins or ends; an end is one past the last frame."""

    begins: bool
    frame: int


class Endpointer:
    """Finds segments of speech frame by frame; frames count from the start of the stream.

    It starts inside a segment: until a whole pause was heard, everything may be speech. A segment ends when
    the newest ``pause`` frames are quiet, ``margin`` frames into them. The next one begins ``margin`` frames
    before the next loud frame. Loud is more than a quarter of the way, in dB, from the quiet of the last half
    minute (its 5th percentile) to the loudest 3 s so far (their 98th).
    """

    def __init__(self, *, pause: int, margin: int, frame_s: float) -> None:
        self._pause, self._margin = pause, margin
        self._levels = LevelTracker(
            quiet_frames=max(1, round(_QUIET_S / frame_s)), loud_frames=max(1, round(_LOUD_S / frame_s))
        )
        self._threshold_db = -math.inf
        self._frames = 0
        self._begin = 0  # of the segment, or of the pause after its margin
        self.in_speech = True
        self.heard_speech = False
        """Whether anything loud was heard in this segment."""

    def advance(self, frame_db: float) -> tuple[Turn, ...]:
        """Take the level of the next frame and return the turns that it shows."""
        self._levels.extend([frame_db])
        if self._frames % _UPDATE_FRAMES == 0:
            self._threshold_db = self._levels.measure().threshold_db(SPEECH_SHARE)
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
        """Count the loud frames at the end, at most as many as a pause has."""
        newest = itertools.islice(reversed(self._levels.recent_db), self._pause)
        return sum(1 for _ in itertools.takewhile(lambda level: level > self._threshold_db, newest))

    def _was_quiet(self, loud: int) -> bool:
        """Return whether a whole pause lies before the newest ``loud`` frames.

        The first word raises the threshold, so the frames before it may turn out to be a pause.
        """
        before = list(itertools.islice(reversed(self._levels.recent_db), loud, loud + self._pause))
        return len(before) == self._pause and max(before) <= self._threshold_db

"""A stream cut into overlapping windows, which a model without state can run."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.audio.loudness import frame_levels
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.errors import AudioValueError
from sewd_runtime.streaming.endpointing import Endpointer
from sewd_runtime.text.frames import FrameClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """How a stream is cut into windows.

    chunk_s: a window runs whenever this much new speech was heard.
    right_context_s: a frame is final once this much was heard after it; the latency is this plus ``chunk_s``.
    left_context_s: how much of its segment a window holds before its new frames. The model normalises over
    all of the window.
    pause_s: a pause of this length ends a segment, and with it the last word. margin_s: how much of a pause
    is kept on each side of speech.
    """

    chunk_s: float = 0.5
    right_context_s: float = 1.0
    left_context_s: float = 4.0
    pause_s: float = 0.5
    margin_s: float = 0.25

    def __post_init__(self) -> None:
        if not (
            0 < self.chunk_s <= 60 and 0 <= self.right_context_s <= 60 and 0 <= self.left_context_s <= 60
        ):
            raise AudioValueError(f"{self}: chunk_s must be above 0, the contexts at least 0, none above 60")
        if not (0 < self.pause_s <= 60 and 0 <= 2 * self.margin_s <= self.pause_s):
            raise AudioValueError(f"{self}: margin_s must be at least 0 and at most half of pause_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWindow:
    """Part of a stream that runs next; samples: (samples,) float32.

    begin: the frame of the stream at which the window's segment begins.
    known: how many of its first frames are final already.
    new: how many of the frames after these become final; None: all, because the segment ends here.
    """

    samples: Samples
    begin: int
    known: int
    new: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTurn:
    """Speech begins or ends; time_s counts from the start of the stream, and allows for the margin."""

    begins: bool
    time_s: float


class Chunker:
    """Turns samples into windows; where blocks of samples end never matters.

    A frame is one stride of samples. Segments and windows begin at even frames, because the encoder takes
    frames in pairs.
    """

    def __init__(self, streaming: Streaming, manifest: Manifest) -> None:
        frame_s = manifest.stride / manifest.sample_rate_hz
        self._clock = FrameClock(stride=manifest.stride, sample_rate_hz=manifest.sample_rate_hz)
        self._stride = manifest.stride
        self._chunk = max(1, round(streaming.chunk_s / frame_s))
        field = -(-manifest.receptive_field // manifest.stride)  # strides that a frame sees
        self._right = max(field, round(streaming.right_context_s / frame_s))
        self._left = _even(round(streaming.left_context_s / frame_s))
        self._margin = _even(round(streaming.margin_s / frame_s))
        pause = max(1, round(streaming.pause_s / frame_s))
        self._endpointer = Endpointer(pause=pause, margin=self._margin, frame_s=frame_s)
        self._rest: Samples = np.zeros(0, np.float32)  # less than a frame
        self._incoming: deque[tuple[Samples, float]] = deque()  # frames and their levels in dB
        self._held: list[Samples] = []
        self._first = 0  # the first frame held
        self._count = 0  # frames taken from the incoming ones
        self._begin = 0  # of the segment
        self._final = 0  # one past the last final frame
        self._due = self._chunk + self._right  # the frame at which the next window runs
        self._in_turn = False
        self._turns: list[SpeechTurn] = []

    def push(self, samples: Samples) -> None:
        """Take the next samples, (samples,) float32."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // self._stride * self._stride
        frames: NDArray[np.float32] = joined[:whole].reshape(-1, self._stride)
        self._incoming.extend(zip(frames, frame_levels(joined[:whole], self._stride).tolist(), strict=True))
        self._rest = joined[whole:]

    def due(self) -> StreamWindow | None:
        """Return the next window that can run, or None when more samples are needed."""
        while self._incoming:
            frame, frame_db = self._incoming.popleft()
            self._held.append(frame)
            self._count += 1
            if (last := self._turn(frame_db)) is not None:
                return last
            if not self._endpointer.in_speech:
                self._drop_before(self._count - self._margin - 1)
            elif self._endpointer.heard_speech and self._count >= self._due:
                self._due = self._count + self._chunk
                return self._window(self._count, new=self._count - self._right - self._final)
        return None

    def finish(self) -> StreamWindow | None:
        """Return the last window if the stream ends in speech, else None."""
        if not (self._endpointer.in_speech and self._endpointer.heard_speech):
            return None
        self._held.append(self._rest)
        self._note(begins=False, frame=self._count)
        return self._window(self._count + 1, new=None)

    def take_turns(self) -> list[SpeechTurn]:
        """Return the turns since the last call; a turn ends with the last window of its speech."""
        turns, self._turns = self._turns, []
        return turns

    def _note(self, *, begins: bool, frame: int) -> None:
        if begins != self._in_turn:
            self._in_turn = begins
            self._turns.append(SpeechTurn(begins=begins, time_s=self._clock.seconds(frame)))

    def _turn(self, frame_db: float) -> StreamWindow | None:
        """Begin and end segments at the newest frame; return the last window of a segment with speech."""
        window, heard_speech = None, self._endpointer.heard_speech
        for turn in self._endpointer.advance(frame_db):
            if turn.begins:
                self._drop_before(max(turn.frame, self._final + 1))
                self._begin = self._final = self._first
                self._due = self._begin + self._chunk + self._right
                self._note(begins=True, frame=self._begin)
            elif heard_speech:
                end = max(turn.frame, self._final)
                self._note(begins=True, frame=self._begin)
                self._note(begins=False, frame=end)
                window = self._window(end, new=None)
        if self._endpointer.in_speech and self._endpointer.heard_speech:  # the stream began inside speech
            self._note(begins=True, frame=max(self._begin, self._count - 1 - self._margin))
        return window

    def _window(self, end: int, *, new: int | None) -> StreamWindow:
        """Return the window up to frame ``end`` with its left context, and mark its new frames as final."""
        self._drop_before(self._final - self._left)
        frames = self._held[: end - self._first]
        window = StreamWindow(
            samples=np.concatenate(frames) if frames else np.zeros(0, np.float32),
            begin=self._begin,
            known=self._final - self._first,
            new=new,
        )
        self._final = end if new is None else self._final + new
        return window

    def _drop_before(self, frame: int) -> None:
        """Drop the samples before a frame, rounded down to an even one."""
        drop = max(0, _even(frame) - self._first)
        del self._held[:drop]
        self._first += drop


def _even(frames: int) -> int:
    return frames // 2 * 2

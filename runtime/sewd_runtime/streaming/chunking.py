"""A recording whose end is unknown, cut into windows that a model without memory can run."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Samples
from sewd_runtime.audio.loudness import energy_db
from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.errors import AudioValueError
from sewd_runtime.streaming.endpointing import Endpointer


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """How a stream is cut.

    chunk_s: a window runs each time so much more speech was heard.
    right_context_s: a frame is final when so much was heard after it; with ``chunk_s`` this is the latency.
    left_context_s: what a window hears before its new frames, if its segment is so long: what the model
    normalises by.
    pause_s: so much quiet ends a segment, and with it the last word. margin_s: what is kept of a pause at
    either side of speech.
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
class Window:
    """What runs next: ``samples (samples,)`` float32.

    begin: the frame of the stream at which its segment begins.
    known: its first frames of emission that are final already.
    new: how many after these become final; None: all there are, the segment ends with the window.
    """

    samples: Samples
    begin: int
    known: int
    new: int | None


class Windows:
    """Samples in, windows out; where the samples are parted never matters.

    A frame is a stride of samples, as long as one of the emission. Segments and windows begin at even frames,
    since the encoder takes frames in pairs.
    """

    def __init__(self, streaming: Streaming, manifest: Manifest) -> None:
        frame_s = manifest.stride / manifest.sample_rate_hz
        self._stride = manifest.stride
        self._chunk = max(1, round(streaming.chunk_s / frame_s))
        field = -(-manifest.receptive_field // manifest.stride)  # a frame hears so many strides
        self._right = max(field, round(streaming.right_context_s / frame_s))
        self._left = _even(round(streaming.left_context_s / frame_s))
        self._margin = _even(round(streaming.margin_s / frame_s))
        pause = max(1, round(streaming.pause_s / frame_s))
        self._endpointer = Endpointer(pause=pause, margin=self._margin, frame_s=frame_s)
        self._rest: Samples = np.zeros(0, np.float32)  # too few for a frame
        self._incoming: deque[tuple[Samples, float]] = deque()  # frames and their energy in dB
        self._held: list[Samples] = []
        self._first = 0  # the frame that what is held begins at
        self._count = 0  # frames looked at
        self._begin = 0  # of the segment
        self._frozen = 0
        self._due = self._chunk + self._right

    def push(self, samples: Samples) -> None:
        """Take the next samples, (samples,) float32."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // self._stride * self._stride
        frames: NDArray[np.float32] = joined[:whole].reshape(-1, self._stride)
        self._incoming.extend(zip(frames, energy_db(joined[:whole], self._stride).tolist(), strict=True))
        self._rest = joined[whole:]

    def due(self) -> Window | None:
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
                return self._window(self._count, new=self._count - self._right - self._frozen)
        return None

    def finish(self) -> Window | None:
        """Return the window that ends with the stream, if it ends in speech."""
        if not (self._endpointer.in_speech and self._endpointer.heard_speech):
            return None
        self._held.append(self._rest)
        return self._window(self._count + 1, new=None)

    def _turn(self, frame_db: float) -> Window | None:
        """Begin and end segments as the newest frame says; return the last window of one with speech."""
        window, heard_speech = None, self._endpointer.heard_speech
        for turn in self._endpointer.advance(frame_db):
            if turn.begins:
                self._drop_before(max(turn.frame, self._frozen + 1))
                self._begin = self._frozen = self._first
                self._due = self._begin + self._chunk + self._right
            elif heard_speech:
                window = self._window(max(turn.frame, self._frozen), new=None)
        return window

    def _window(self, end: int, *, new: int | None) -> Window:
        """Return the window of the frames up to ``end`` with its left context, and freeze what it tells."""
        self._drop_before(self._frozen - self._left)
        frames = self._held[: end - self._first]
        window = Window(
            samples=np.concatenate(frames) if frames else np.zeros(0, np.float32),
            begin=self._begin,
            known=self._frozen - self._first,
            new=new,
        )
        self._frozen = end if new is None else self._frozen + new
        return window

    def _drop_before(self, frame: int) -> None:
        """Let go what is before a frame, or before the even one below it."""
        drop = max(0, _even(frame) - self._first)
        del self._held[:drop]
        self._first += drop


def _even(frames: int) -> int:
    return frames // 2 * 2

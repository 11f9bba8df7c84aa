"""Regions into windows that overlap, and the emissions of the windows into one again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sewd_runtime._types import Samples
from sewd_runtime.audio.loudness import find_runs
from sewd_runtime.long.segmentation import Part
from sewd_runtime.text.frames import num_frames, num_samples
from sewd_runtime.text.vocabulary import Vocabulary

_GRID = 2
"""Windows begin at multiples of this many frames: the encoder halves the rate and pairs the same ones."""

_PATIENCE = 8
"""How many times longer than a window a stretch may grow while it waits for a gap between words."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A frame of the region that begins at the sample ``region`` of the recording; later is larger."""

    region: int
    frame: int


START = Place(region=0, frame=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """Where windows begin and end, in frames: of ``size``, each ``step`` after the one before.

    Law: of the windows of a region every frame is taken from exactly one, in which it is at least ``context``
    frames from an edge that is not the region's.
    """

    size: int
    context: int
    receptive_field: int
    stride: int

    @classmethod
    def of_seconds(
        cls, chunk_s: float, context_s: float, *, receptive_field: int, stride: int, sample_rate_hz: int
    ) -> WindowPlan:
        """Round both to frames, a window's length to the grid."""
        frames_per_s = sample_rate_hz / stride
        return cls(
            size=_GRID * int(chunk_s * frames_per_s / _GRID),
            context=max(1, round(context_s * frames_per_s)),
            receptive_field=receptive_field,
            stride=stride,
        )

    @property
    def step(self) -> int:
        """Frames from the start of a window to the start of the next."""
        return self.size - 2 * self.context

    @property
    def num_samples(self) -> int:
        """Samples of a window: as many as make its frames."""
        return num_samples(self.size, receptive_field=self.receptive_field, stride=self.stride)

    def num_frames(self, samples: int) -> int:
        """Count the frames of so many samples."""
        return num_frames(samples, receptive_field=self.receptive_field, stride=self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Samples that run at once, and which of their frames are used.

    samples: (samples,) float32. first: the place of its first frame. begin, end: the frames of the region
    taken from it. is_last: the region ends with it.
    """

    samples: Samples
    first: Place
    begin: int
    end: int
    is_last: bool

    @property
    def after(self) -> Place:
        """The place at which the frames taken from it end."""
        return Place(region=self.first.region, frame=self.end)

    def taken(self, emission: npt.NDArray[np.float32], stride: int) -> Stretch:
        """Return the frames taken, of the window's whole emission (frames, vocab)."""
        begin, end = self.begin - self.first.frame, self.end - self.first.frame
        return Stretch(
            log_probs=emission[begin:end],
            samples=self.samples[begin * stride : None if self.is_last else end * stride],
            first=replace(self.first, frame=self.begin),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a region that is decoded by itself: all of it, or a part split between words.

    log_probs: (frames, vocab) float32. samples: (samples,) float32, from its first frame to the next stretch.
    first: the place of its first frame.
    """

    log_probs: npt.NDArray[np.float32]
    samples: Samples
    first: Place

    def before(self, frame: int, stride: int) -> Stretch:
        """Return its first frames."""
        return replace(self, log_probs=self.log_probs[:frame], samples=self.samples[: frame * stride])

    def after(self, frame: int, stride: int) -> Stretch:
        """Return all but its first frames."""
        return Stretch(
            log_probs=self.log_probs[frame:].copy(),  # a view would keep all of it
            samples=self.samples[frame * stride :].copy(),
            first=replace(self.first, frame=self.first.frame + frame),
        )

    def joined(self, following: Stretch) -> Stretch:
        """Return both as one."""
        return replace(
            self,
            log_probs=np.concatenate([self.log_probs, following.log_probs]),
            samples=np.concatenate([self.samples, following.samples]),
        )


def cut_windows(parts: Iterable[Part], plan: WindowPlan) -> Iterator[Window]:
    """Yield the windows of all regions in order; where a region's parts end never matters.

    A region with no more frames than a window is one window, with all its samples.
    """
    held, first = np.zeros(0, np.float32), 0
    for part in parts:
        held = np.concatenate([held, part.samples])
        while plan.num_frames(len(held)) > plan.size:
            end = first + plan.step + plan.context
            yield _window(held[: plan.num_samples], part.begin, first, end, plan, is_last=False)
            held = held[plan.step * plan.stride :]
            first += plan.step
        if part.is_last:
            end = first + plan.num_frames(len(held))
            yield _window(held, part.begin, first, end, plan, is_last=True)
            held, first = np.zeros(0, np.float32), 0


def _window(
    samples: Samples, region: int, first: int, end: int, plan: WindowPlan, *, is_last: bool
) -> Window:
    return Window(
        samples=samples,
        first=Place(region=region, frame=first),
        begin=first + plan.context if first else 0,
        end=end,
        is_last=is_last,
    )


class Stitcher:
    """Joins the windows' emissions, and splits long ones between words.

    Law: decoded one by one, by the best path, the stretches of a region have the words of the region decoded
    at once. What comes after ``done`` follows from ``done`` and the windows alone, so an interrupted run can
    resume there: a new Stitcher is given every window that ends after it.
    """

    def __init__(self, vocabulary: Vocabulary, plan: WindowPlan, done: Place = START) -> None:
        self.done = done
        self._vocabulary = vocabulary
        self._longest = plan.size
        self._stride = plan.stride
        self._held: Stretch | None = None

    def add(self, window: Window, log_probs: npt.NDArray[np.float32]) -> Iterator[Stretch]:
        """Take the emission of the next window, (frames, vocab); yield what can be decoded."""
        if window.after <= self.done:
            return
        taken = window.taken(log_probs, self._stride)
        if self._held is not None:
            held = self._held.joined(taken)
        elif taken.first < self.done:
            held = taken.after(self.done.frame - taken.first.frame, self._stride)
        else:
            held = taken
        while len(held.log_probs) > self._longest and (end := self._end_of_word(held.log_probs)):
            yield held.before(end, self._stride)
            held = held.after(end, self._stride)
        self.done, self._held = held.first, held
        if window.is_last:
            yield held
            self.done, self._held = window.after, None

    def _end_of_word(self, held: npt.NDArray[np.float32]) -> int:
        """Return the middle of the longest gap between two words, or 0 if there is none yet.

        In a stretch too long to be one word, any gap between two tokens will do.
        """
        vocabulary = self._vocabulary
        labels = np.asarray(vocabulary.canonical_ids)[held.argmax(axis=-1)]
        is_blank = labels == vocabulary.blank_id
        between = is_blank
        if vocabulary.word_delimiter_id is not None:
            # Frames, blank or not, whose last token is the delimiter; before the first token all are.
            last = np.maximum.accumulate(np.where(is_blank, -1, np.arange(len(labels))))
            between = (last < 0) | (labels[last] == vocabulary.word_delimiter_id)
        is_endless = len(held) > _PATIENCE * self._longest
        if is_endless and not between.any():
            between = is_blank
        nowhere = (len(held), len(held)) if is_endless else (0, 0)
        begin, end = max(find_runs(between), key=lambda run: run[1] - run[0], default=nowhere)
        return (begin + end + 1) // 2
